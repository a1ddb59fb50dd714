"""How a page of placed text reads: lines, columns, paragraphs, tables. Pure. Lengths are in points, y grows upwards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from embeddings.loaders.tables import Cell, is_figure, table_rows

_SAME_LINE = 0.5
"""Share of the lower fragment's height in which two of one line overlap."""
_NARROWEST_GUTTER = 9.0
_LEAST_COLUMN_LINES = 5
_PARAGRAPH_GAP = 1.45
"""Distance of baselines, in usual distances, from which a paragraph ends."""
_SAME_SIZE = 0.1
_HEADING_SIZE = 1.12
_LONGEST_HEADING = 110
_ITEM = re.compile(r"(?:[•‣◦▪●○■–—*-]|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)])\s")
_ASIDE = re.compile(r"\(.*\)")
_SYMBOL = re.compile("[\ue000-\uf8ff•‣◦▪●○■]")
_MARK = re.compile(f"{_SYMBOL.pattern}|[–—*-]|\\(?(?:\\d{{1,2}}|[a-zA-Z]|[ivx]{{1,4}})[.)]+")
_WIDEST_MARK_GAP = 40.0
_MARGIN_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A run of text on one line without a wide gap."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    size: float
    is_bold: bool


Line = tuple[Fragment, ...]
"""From left to right."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading (`level` above 0) or a table, whose rows are lines."""

    text: str
    level: int = 0
    is_table: bool = False


def lines_of(fragments: Iterable[Fragment]) -> list[Line]:
    """From top to bottom."""
    lines: list[list[Fragment]] = []
    for fragment in sorted(fragments, key=lambda one: (-one.top - one.bottom, one.left)):
        if lines and _share_line(lines[-1], fragment):
            lines[-1].append(fragment)
        else:
            lines.append([fragment])
    return [_marked(sorted(line, key=lambda one: one.left)) for line in lines]


def _marked(line: list[Fragment]) -> Line:
    """A mark of a list or of a note is no cell: it goes with what stands behind it."""
    if len(line) == 2 and _MARK.fullmatch(line[0].text) and line[1].left - line[0].right < _WIDEST_MARK_GAP:
        mark = "•" if _SYMBOL.fullmatch(line[0].text) else line[0].text
        return (replace(line[1], text=f"{mark} {line[1].text}", left=line[0].left),)
    return tuple(line)


def _share_line(line: Sequence[Fragment], fragment: Fragment) -> bool:
    other = line[0]
    overlap = min(other.top, fragment.top) - max(other.bottom, fragment.bottom)
    return overlap > _SAME_LINE * min(other.top - other.bottom, fragment.top - fragment.bottom)


def without_margins(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The lines of each page but its running headers, footers and page numbers."""
    seen: Counter[tuple[str, int]] = Counter()
    for lines in pages:
        seen.update({_running(lines[at]) for at in _margin(len(lines))})
    often = max(2, min(3, len(pages)), len(pages) // 4)
    return [
        [
            line
            for at, line in enumerate(lines)
            if at not in margin or not (seen[_running(line)] >= often or _is_page_number(line))
        ]
        for lines, margin in ((lines, _margin(len(lines))) for lines in pages)
    ]


def _margin(lines: int) -> set[int]:
    return {at for at in range(lines) if at < _MARGIN_LINES or at >= lines - _MARGIN_LINES}


def _running(line: Line) -> tuple[str, int]:
    return re.sub(r"\d+", "#", _text(line)), round(line[0].bottom / 12)


def _is_page_number(line: Line) -> bool:
    return bool(
        re.fullmatch(
            r"(?:page\s*)?[-–]?\s*(?:\d{1,4}|[ivxl]{1,6})\s*[-–]?(?:\s*(?:of|/)\s*\d{1,4})?", _text(line), re.I
        )
    )


def _text(line: Iterable[Fragment]) -> str:
    return " ".join(one.text for one in line)


# Columns ---------------------------------------------------------------------------------------------------------


def in_reading_order(lines: Sequence[Line]) -> list[list[Line]]:
    """Runs of lines, each to be read from top to bottom: columns of prose stand one after another."""
    gutters = [_gutter_candidates(line) for line in lines]
    at = 0
    parts: list[list[Line]] = [[]]
    while at < len(lines):
        end, gutter = _columns_from(lines, gutters, at)
        if gutter is None:
            parts[-1].append(lines[at])
            at += 1
            continue
        for side in _sides(lines[at:end], gutter):
            parts += in_reading_order(lines_of(side)) if side else []
        parts.append([])
        at = end
    return [part for part in parts if part]


def _gutter_candidates(line: Line) -> list[tuple[float, float]]:
    return [(a.right, b.left) for a, b in pairwise(line) if b.left - a.right >= _NARROWEST_GUTTER]


def _columns_from(
    lines: Sequence[Line], gutters: Sequence[list[tuple[float, float]]], at: int
) -> tuple[int, float | None]:
    """Where columns of prose that begin here end, and the x that parts them."""
    for low, high in gutters[at]:
        end = at
        while end < len(lines):
            clear = _clear(lines[end], low, high)
            if clear is None:
                break
            low, high = clear
            end += 1
        if end - at >= _LEAST_COLUMN_LINES and high - low >= _NARROWEST_GUTTER:
            middle = (low + high) / 2
            if all(map(_is_prose, _sides(lines[at:end], middle))):
                return end, middle
    return at, None


def _clear(line: Line, low: float, high: float) -> tuple[float, float] | None:
    """What stays free of a strip that a line may stand left and right of."""
    for one in line:
        middle = (one.left + one.right) / 2
        if middle < (low + high) / 2:
            low = max(low, one.right)
        else:
            high = min(high, one.left)
    return (low, high) if high - low >= _NARROWEST_GUTTER / 2 else None


def _sides(lines: Sequence[Line], x: float) -> tuple[list[Fragment], list[Fragment]]:
    fragments = [one for line in lines for one in line]
    return [one for one in fragments if one.right <= x], [one for one in fragments if one.right > x]


def _is_prose(side: Sequence[Fragment]) -> bool:
    """Whether most lines of a side are long and end where the others do, as no column of a table has it."""
    lines = lines_of(side)
    if len(lines) < _LEAST_COLUMN_LINES:
        return False
    words = median(len(_text(line).split()) for line in lines)
    right = max(one.right for one in side)
    width = right - min(one.left for one in side)
    full = sum(line[-1].right > right - 0.2 * width for line in lines)
    figures = sum(is_figure(one.text) for one in side)
    return words >= 4 and 2 * full >= len(lines) and 5 * figures < len(side)


# Blocks ----------------------------------------------------------------------------------------------------------


def blocks_of(lines: Sequence[Line], *, body_size: float, levels: Sequence[float]) -> list[Block]:
    """Of one run of lines. `levels`: the sizes of headings, largest first."""
    pitch = _usual_pitch(lines)
    right = max((line[-1].right for line in lines), default=0.0)
    blocks: list[Block] = []
    at = 0
    while at < len(lines):
        if (end := _table_end(lines, at, pitch)) > at:
            blocks += _table(lines[at:end])
        else:
            end = _paragraph_end(lines, at, pitch, right, body_size)
            blocks.append(_paragraph(lines[at:end], body_size, levels))
        at = end
    return [block for block in blocks if block.text]


def _usual_pitch(lines: Sequence[Line]) -> float:
    gaps = [a[0].bottom - b[0].bottom for a, b in pairwise(lines) if a[0].bottom > b[0].bottom]
    return median(gaps) if gaps else 12.0


def _table_end(lines: Sequence[Line], at: int, pitch: float) -> int:
    """Where a table that begins here ends; `at` where none does.

    A table has at least two lines of several cells. A line of one cell goes on with it where cells follow: a label
    that begins a group, or a label or header that needs two lines.
    """
    end, rows, at_last = at, 0, at
    while end < len(lines):
        if end > at and lines[end - 1][0].bottom - lines[end][0].bottom > 3.5 * pitch:
            break
        if len(lines[end]) > 1:
            rows += 1
            at_last = end + 1
        elif end + 1 - at_last > 2 or _is_long(lines[end], lines[at:end]):
            break
        end += 1
    if len(lines[at]) == 1 and (rows < 2 or not _is_header_part(lines, at)):
        return at
    return at_last if rows >= 2 else at


def _is_header_part(lines: Sequence[Line], at: int) -> bool:
    """Whether a single cell stands over the columns of lines that follow, and not over their first."""
    line = lines[at][0]
    return any(
        line.left > below[0].right and abs(line.size - below[0].size) <= _SAME_SIZE * line.size
        for below in lines[at + 1 : at + 5]
        if len(below) > 1
    )


def _is_long(line: Line, before: Sequence[Line]) -> bool:
    """Whether a single cell is as wide as prose: it reaches past the second column."""
    seconds = [one[1].left for one in before if len(one) > 1]
    return bool(seconds) and line[0].right > min(seconds) and line[0].left < min(seconds) and len(line[0].text) > 40


def _table(lines: Sequence[Line]) -> list[Block]:
    rows = [[Cell(one.text, one.left, one.right) for one in line] for line in lines]
    return [Block(text, is_table=True) for text in table_rows(rows)]


def _paragraph_end(lines: Sequence[Line], at: int, pitch: float, right: float, body_size: float) -> int:
    end = at + 1
    while end < len(lines) and _goes_on(lines[end - 1], lines[end], pitch, right, body_size):
        if len(lines[end]) > 1 and _table_end(lines, end, pitch) > end:
            break
        end += 1
    return end


def _goes_on(line: Line, following: Line, pitch: float, right: float, body_size: float) -> bool:
    first, second = line[0], following[0]
    distance = first.bottom - second.bottom
    if (
        not 0 < distance <= _PARAGRAPH_GAP * max(pitch, first.size)
        or abs(first.size - second.size) > _SAME_SIZE * first.size
    ):
        return False
    text, after = _text(line), _text(following)
    if _style(line) != _style(following) or _ITEM.match(after):
        return False
    is_short = line[-1].right < right - max(40.0, 0.15 * (right - first.left))
    return not (is_short and (text[-1] in ".!?:;" or not after[:1].islower())) or _is_heading(line, body_size)


def _style(line: Line) -> tuple[bool, bool]:
    return all(one.is_bold for one in line), _text(line).isupper()


def _is_heading(line: Line, body_size: float) -> bool:
    text = _text(line)
    if len(text) > _LONGEST_HEADING or not any(map(str.isalpha, text)) or _ASIDE.fullmatch(text):
        return False
    return all(one.size > _HEADING_SIZE * body_size or one.is_bold for one in line) or (
        text.isupper() and len(text) > 6 and len(text.split()) > 1
    )


def _paragraph(lines: Sequence[Line], body_size: float, levels: Sequence[float]) -> Block:
    text = joined([_text(line) for line in lines])
    if len(text) > _LONGEST_HEADING or text[-1] in ".,;" or not all(_is_heading(line, body_size) for line in lines):
        return Block(text)
    size = max(one.size for one in lines[0])
    larger = sum(level > size + 0.3 for level in levels)
    return Block(text, level=min(1 + larger, 6))


def heading_sizes(lines: Iterable[Line], body_size: float) -> list[float]:
    """The sizes above the body's that headings are set in, then the body's, for those that are only bold."""
    sizes = {round(one.size, 1) for line in lines if _is_heading(line, body_size) for one in line}
    large = sorted((size for size in sizes if size > _HEADING_SIZE * body_size), reverse=True)
    return [*[a for a, b in pairwise([*large, 0.0]) if a - b > 0.5][:4], body_size]


def usual_size(pages: Iterable[Iterable[Line]]) -> float:
    sizes: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            for one in line:
                sizes[round(one.size, 1)] += len(one.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


# Words that a line end cuts --------------------------------------------------------------------------------------

HYPHENS = "-\u00ad\u2010\ufffe\x02"
"""At the end of a line: as it is typed, soft, as it is set, and as the parser marks those at the ends of lines."""
_SOFT = "\u00ad"


def joined(texts: Sequence[str]) -> str:
    """Lines of one paragraph as one; a word that is cut by a hyphen at a line's end is whole again."""
    whole = texts[0]
    for text in texts[1:]:
        is_cut = whole[-1:] in HYPHENS and len(whole) > 1 and whole[-2].isalpha() and text[:1].islower()
        gap = " " if not is_cut else "" if _is_soft(whole, text) else "-"
        whole = f"{whole[:-1] if is_cut else whole}{gap}{text}"
    return whole.translate(_PLAIN_HYPHENS)


_PLAIN_HYPHENS = {0x00AD: None, 0xFFFE: "-", 0x02: "-", 0x2010: "-"}
_PREFIXES = frozenset(
    [
        *("anti", "co", "cross", "ex", "first", "full", "half", "high", "long", "low", "multi", "non", "post", "pre"),
        *("second", "self", "short", "third", "well", "year"),
    ]
)


def _is_soft(before: str, after: str) -> bool:
    """A hyphen that only the line's end needed: not one of "self-insured", nor of "up-to-date"."""
    if before[-1] in _SOFT:
        return True
    word = re.split(r"[\s(]", before[:-1])[-1]
    return word.lower() not in _PREFIXES and "-" not in word and not after.split(None, 1)[0].count("-")


def settled(blocks: Sequence[Block]) -> list[Block]:
    """A document's headings, where so much is bold or in capitals that they tell nothing: as plain text."""
    if sum(block.level > 0 for block in blocks) * 2 > len(blocks) + 10:
        return [replace(block, level=0) for block in blocks]
    return list(blocks)
