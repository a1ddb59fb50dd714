"""Tables as lines of text: a row on its own tells which column each figure stands in. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

_FIGURE = re.compile(
    r"[$€£¥]?\s*[(\[+−–-]?\s*[$€£¥]?\s*\d[\d,. \u202f]*\s*(?:%|x|bps|million|billion|[MBKk])?\s*[)\]]?\s*%?"
    r"\s*(?:\(\w{1,2}\))?|[—–-]|n/?[am]"
)
_YEAR = re.compile(r"(?:FY|fiscal|Q[1-4])?\s*(?:19|20)\d\d")
_OPENING = re.compile(r"[$€£¥(]|[$€£¥]\s*\(?")
_CLOSING = re.compile(r"[)%]+|\([a-z\d]\)|pts?")
_CLOSE = 9.0
"""In points: no further behind its figure stands a bracket, a sign or the mark of a note."""
_LONGEST_FIGURE = 40
_BETWEEN = " | "
_LONGEST_HEADER = 90
_MOST_HEADER_ROWS = 6
_INDENTATION = _OFF_CENTRE = 12.0
_LOOKED_AT = 40


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    left: float
    right: float


def is_figure(text: str) -> bool:
    return len(text) < _LONGEST_FIGURE and bool(_FIGURE.fullmatch(text.strip())) and not _YEAR.fullmatch(text.strip())


def table_rows(rows: Sequence[Sequence[Cell]]) -> list[str]:
    """Each row as a line. Where rows of words stand over columns of figures, each figure is told with its header.

    The header's own rows come first, as they are.
    """
    whole = [_whole_cells(row) for row in rows]
    lines: list[str] = []
    headers: list[_Header] = []
    label = ""
    at = 0
    while at < len(whole):
        end = _header_end(whole, at)
        if end > at:
            headers = _headers(whole, at, end)
            lines += (_BETWEEN.join(cell.text for cell in row) for row in whole[at:end])
            at, label = end, ""
            continue
        row = whole[at]
        if len(row) == 1 and at + 1 < len(whole) and _is_label_part(row[0], whole[at + 1]):
            label = row[0].text
        else:
            lines.append(_row(row, headers, label))
            label = ""
        at += 1
    return [*lines, label] if label else lines


def _whole_cells(row: Sequence[Cell]) -> list[Cell]:
    """Puts currency signs before and brackets and signs behind their figures."""
    cells: list[Cell] = []
    for cell in row:
        last = cells[-1] if cells else None
        closes = _CLOSING.fullmatch(cell.text) and last is not None and cell.left - last.right < _CLOSE
        if last and (_OPENING.fullmatch(last.text) or closes):
            space = " " if last.text[-1] in "$€£¥" or cell.text[0] == "(" else ""
            cells[-1] = Cell(f"{last.text}{space}{cell.text}", last.left, cell.right)
        else:
            cells.append(cell)
    return cells


def _is_data(row: Sequence[Cell]) -> bool:
    return any(is_figure(cell.text) for cell in row[1:]) or (len(row) > 1 and is_figure(row[0].text))


def _header_end(rows: Sequence[Sequence[Cell]], at: int) -> int:
    """Where header rows that begin here end: rows without figures, at least one with several cells, over data."""
    end = at
    while end < len(rows) and end - at <= _MOST_HEADER_ROWS and not _is_data(rows[end]):
        end += 1
    if end == len(rows) or end == at or end - at > _MOST_HEADER_ROWS:
        return at
    label = rows[end][0]
    while end - 1 > at and len(rows[end - 1]) == 1 and rows[end - 1][0].left <= label.left + _INDENTATION:
        end -= 1  # the first group's label
    stands_over = any(cell.left >= label.right - 1 for row in rows[at:end] for cell in row)
    return end if stands_over else at


def _is_label_part(cell: Cell, following: Sequence[Cell]) -> bool:
    """Whether a cell of its own line is the first line of the label that follows."""
    return (
        bool(following)
        and len(following) > 1
        and following[0].text[:1].islower()
        and abs(cell.left - following[0].left) < 15
    )


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands over a column, from the outermost header to the innermost."""

    words: tuple[str, ...]
    left: float
    right: float


def _headers(rows: Sequence[Sequence[Cell]], at: int, end: int) -> list[_Header]:
    columns = _columns([row for row in rows[end : end + _LOOKED_AT] if _is_data(row)])
    over = [_over(row, columns) for row in rows[at:end]]
    headers: list[_Header] = []
    for number, column in enumerate(columns):
        words = list(dict.fromkeys(found[number] for found in over if found[number]))
        while words and len(" ".join(words)) > _LONGEST_HEADER:
            words.pop(0)
        headers.append(_Header(tuple(words), column.left, column.right))
    return headers


def _columns(rows: Sequence[Sequence[Cell]]) -> list[Cell]:
    """The stretches in which figures stand, as cells without text."""
    columns: list[Cell] = []
    for cell in sorted(
        (cell for row in rows for cell in row[1:] if len(cell.text) < _LONGEST_FIGURE), key=lambda one: one.left
    ):
        if columns and cell.left < columns[-1].right - 1:
            columns[-1] = Cell("", columns[-1].left, max(columns[-1].right, cell.right))
        else:
            columns.append(cell if not cell.text else Cell("", cell.left, cell.right))
    return columns


def _over(row: Sequence[Cell], columns: Sequence[Cell]) -> list[str]:
    """What a header row says of each column: a cell tells of those under it, or of a group that it is centred on."""
    found = [""] * len(columns)
    if not columns:
        return found
    groups: dict[Cell, list[int]] = {}
    for number, column in enumerate(columns):
        nearest = min(row, key=lambda cell: abs(_middle(cell) - _middle(column)))
        groups.setdefault(nearest, []).append(number)
        if nearest.left <= column.right and nearest.right >= column.left:
            found[number] = nearest.text
    for cell, group in groups.items():
        whole = Cell("", columns[group[0]].left, columns[group[-1]].right)
        if abs(_middle(whole) - _middle(cell)) <= _OFF_CENTRE:
            found[group[0] : group[-1] + 1] = [cell.text] * len(group)
    return found


def _middle(cell: Cell) -> float:
    return (cell.left + cell.right) / 2


def _row(row: Sequence[Cell], headers: Sequence[_Header], label: str) -> str:
    """An outer header that two neighbours share is told once."""
    told: list[str] = []
    last: tuple[str, ...] = ()
    for at, cell in enumerate(row):
        words = () if at == 0 and not is_figure(cell.text) else _words_over(cell, headers)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(words[:-1], last[:-1], strict=False)))
        header = " ".join(words[shared:])
        told.append(f"{header}: {cell.text}" if header and header != cell.text else cell.text)
        last = words
    if label:
        told[0] = f"{label} {told[0]}"
    return _BETWEEN.join(told)


def _words_over(cell: Cell, headers: Sequence[_Header]) -> tuple[str, ...]:
    return next((one.words for one in headers if one.left <= cell.right and one.right >= cell.left), ())
