"""Cuts a document into passages that an encoder reads whole. Pure; linear in the length of the text."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from embeddings.domain import Chunk, Heading, LoadedDocument, Span
from embeddings.ports import Tokenizer
from embeddings.text import sentence_spans

_CONTEXT_TOKENS = 30
_SHORT = 4
"""A run under a quarter of the budget is too short for a passage of its own; a sentence under a quarter may overlap."""
_CHARACTERS_PER_TOKEN = 10
"""Readable text has fewer; what has more (a word that no vocabulary knows is one token) is measured in characters."""
_TEXTS_PER_CALL = 512
_LONGEST_TITLE = 300
_OPENING = 300


def chunk(document: LoadedDocument, tokenizer: Tokenizer, *, title: str | None) -> list[Chunk]:
    """The passages in order; every character that is not blank is in at least one.

    `encoded_text` of each has at most `tokenizer.max_tokens` tokens. Consecutive passages of a section share their
    border sentence if it is short.
    """
    spare = 0
    while True:
        chunks = list(_chunks(document, tokenizer, title, tokenizer.max_tokens - spare))
        # Tokens of parts add up to those of the whole for WordPiece; others may need a little room.
        excess = max(_counts(tokenizer, map(encoded_text, chunks)), default=0) - tokenizer.max_tokens
        if excess <= 0 or spare >= tokenizer.max_tokens // 2:
            return chunks
        spare = min(max(2 * spare, excess), tokenizer.max_tokens // 2)


def encoded_text(chunk: Chunk) -> str:
    """What the encoder reads of a passage."""
    return f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text


def indexed_text(chunk: Chunk, title: str | None) -> str:
    """What the word index reads of a passage: title and headings whole, for which the encoder has no room."""
    return "\n".join((*_unsaid((title or "", *chunk.headings), chunk.text), chunk.text))


def _unsaid(context: Sequence[str], text: str) -> Iterator[str]:
    """Each part once that the text does not begin with."""
    return (part for part in dict.fromkeys(context) if part and part not in text[:_OPENING])


def title_of(document: LoadedDocument, given: str | None) -> str | None:
    """The given title, else the document's own, else its first heading, else its first line with words.

    At most 300 characters."""
    candidates = (given, document.title, *(heading.text for heading in document.headings), _first_line(document.text))
    title = next((title for one in candidates if (title := _single_line(one or "", _LONGEST_TITLE + 1))), None)
    if title is None or len(title) <= _LONGEST_TITLE:
        return title
    return title[: _cut(title, 0, _LONGEST_TITLE - 1)].rstrip(" ,;:") + "…"


def _first_line(text: str) -> str:
    found = re.search(r"[^\W\d_]{2}", text) or re.search(r"\S", text)
    return text[text.rfind("\n", 0, found.end()) + 1 :].partition("\n")[0] if found else ""


def _single_line(text: str, longest: int) -> str:
    return " ".join(text[: 4 * longest].split())[:longest]


# Sections and their contexts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    """Of its heading."""
    body: int
    end: int
    level: int
    path: tuple[str, ...]


def _sections(document: LoadedDocument) -> list[_Section]:
    headings = _disjoint(document.headings)
    ends = [heading.span.start for heading in headings[1:]] + [len(document.text)]
    sections = [_Section(0, 0, headings[0].span.start if headings else len(document.text), 0, ())]
    open_headings: list[Heading] = []
    for heading, end in zip(headings, ends, strict=False):
        while open_headings and open_headings[-1].level >= heading.level:
            open_headings.pop()
        open_headings.append(heading)
        path = tuple(_single_line(one.text, _LONGEST_TITLE) for one in open_headings)
        sections.append(_Section(heading.span.start, heading.span.end, end, heading.level, path))
    return sections


def _disjoint(headings: Iterable[Heading]) -> list[Heading]:
    kept: list[Heading] = []
    for heading in sorted(headings, key=lambda one: one.span.start):
        if not kept or heading.span.start >= kept[-1].span.end:
            kept.append(heading)
    return kept


@dataclass(frozen=True, slots=True)
class _Context:
    parts: tuple[str, ...]
    tokens: int


def _contexts(sections: Sequence[_Section], title: str | None, tokenizer: Tokenizer, limit: int) -> list[_Context]:
    own = _single_line(title or "", _LONGEST_TITLE)
    share = limit // 2 if len(sections) > 1 else limit
    unique = list(dict.fromkeys([own, *(heading for section in sections for heading in section.path)]))
    tokens = dict(zip(unique, _counts(tokenizer, unique), strict=True))
    # To count is much quicker than to say where each token ends, and few are too long.
    short = {part: part if tokens[part] <= share else _shortened(part, tokenizer, share) for part in unique}
    cut = [one for part, one in short.items() if one != part]
    tokens |= zip(cut, _counts(tokenizer, cut), strict=True)
    return [_context([short[part] for part in (own, *section.path)], tokens, limit) for section in sections]


def _shortened(part: str, tokenizer: Tokenizer, limit: int) -> str:
    """Of more tokens than the limit."""
    return part[: _cut(part, 0, max(1, tokenizer.token_ends(part)[limit - 1]))].rstrip()


def _context(parts: Sequence[str], tokens: Mapping[str, int], limit: int) -> _Context:
    """The title, the innermost heading and as many of those between, from the inside, as the limit allows."""
    kept: set[str] = set()
    spent = 0
    for part in (parts[-1], parts[0], *parts[-2:0:-1]):
        if part and part not in kept and spent + tokens[part] <= limit:
            kept.add(part)
            spent += tokens[part]
    return _Context(tuple(part for part in dict.fromkeys(parts) if part in kept), spent)


# Units: sentences, and pieces of those that are too long ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Unit:
    start: int
    end: int
    cost: int
    """Tokens, or what its characters weigh."""
    section: int
    is_heading: bool
    page: int | None
    record: int | None
    """Of those that are passages of their own, the one that it stands in."""


def _units(document: LoadedDocument, sections: Sequence[_Section], tokenizer: Tokenizer, limit: int) -> list[_Unit]:
    """In order; each costs at most `limit`."""
    page_starts = [page.start for page in document.pages or ()]
    record_starts = [record.start for record in document.records]
    units: list[_Unit] = []
    for section, is_heading, span, tokens in _pieces(document.text, sections, tokenizer, limit):
        gap = span.start - units[-1].end if units else 0
        cost = max(1, tokens, (span.end - span.start + gap) // _CHARACTERS_PER_TOKEN)
        page = max(1, bisect_right(page_starts, span.start)) if page_starts else None
        record = _record_at(document, record_starts, span.start)
        units.append(_Unit(span.start, span.end, min(cost, limit), section, is_heading, page, record))
    return units


def _record_at(document: LoadedDocument, starts: Sequence[int], at: int) -> int | None:
    number = bisect_right(starts, at) - 1
    return number if number >= 0 and at < document.records[number].end else None


def _pieces(
    text: str, sections: Sequence[_Section], tokenizer: Tokenizer, limit: int
) -> Iterator[tuple[int, bool, Span, int]]:
    """Section, whether it stands in its heading, span and tokens."""
    sentences = [
        (number, is_heading, piece)
        for number, section in enumerate(sections)
        for is_heading, part in ((True, Span(section.start, section.body)), (False, Span(section.body, section.end)))
        for piece in _bounded_sentences(text, part, limit * _CHARACTERS_PER_TOKEN)
    ]
    counts = _counts(tokenizer, (text[span.start : span.end] for _, _, span in sentences))
    for (number, is_heading, span), tokens in zip(sentences, counts, strict=True):
        if tokens <= limit:
            yield number, is_heading, span, tokens
            continue
        cut = list(_cut_by_tokens(text, span, tokenizer.token_ends(text[span.start : span.end]), limit))
        for piece, count in zip(cut, _counts(tokenizer, (text[one.start : one.end] for one in cut)), strict=True):
            yield number, is_heading, piece, count


def _bounded_sentences(text: str, part: Span, longest: int) -> Iterator[Span]:
    for sentence in sentence_spans(text[part.start : part.end]):
        yield from _cut_by_characters(text, Span(part.start + sentence.start, part.start + sentence.end), longest)


def _cut_by_characters(text: str, span: Span, limit: int) -> Iterator[Span]:
    start = span.start
    while span.end - start > limit:
        cut = _cut(text, start, start + limit)
        yield _trimmed(text, start, cut)
        start = _trimmed(text, cut, span.end).start
    yield Span(start, span.end)


def _cut_by_tokens(text: str, span: Span, ends: Sequence[int], limit: int) -> Iterator[Span]:
    start, read = span.start, 0
    while len(ends) - read > limit:
        cut = _cut(text, start, max(start + 1, span.start + ends[read + limit - 1]))
        yield _trimmed(text, start, cut)
        start = _trimmed(text, cut, span.end).start
        read = bisect_right(ends, start - span.start)
    if start < span.end:
        yield Span(start, span.end)


_CLAUSE_END = re.compile(r".*(?:[,;:)—]\s|[、，：；])", re.DOTALL)
_WORD_END = re.compile(r".*\s", re.DOTALL)


def _cut(text: str, start: int, at: int) -> int:
    """Where best to cut in the second half of a stretch: after a clause, else a word, else a whole character."""
    middle = start + (at - start) // 2
    late = at - (at - start) // 4
    if found := _CLAUSE_END.match(text, late, at + 1) or _WORD_END.match(text, middle, at + 1):
        return min(found.end(), at)
    cut = at
    while cut > middle and cut < len(text) and _belongs_to_previous(text, cut):
        cut -= 1
    return cut if cut > max(start, middle) else at


def _belongs_to_previous(text: str, at: int) -> bool:
    joiner = "\u200d"
    return text[at] == joiner or text[at - 1] == joiner or unicodedata.category(text[at]) in ("Mn", "Mc", "Me", "Sk")


def _trimmed(text: str, start: int, end: int) -> Span:
    while end > start and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return Span(start, end)


def _counts(tokenizer: Tokenizer, texts: Iterable[str]) -> list[int]:
    counts: list[int] = []
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == _TEXTS_PER_CALL:
            counts.extend(tokenizer.count_tokens(batch))
            batch = []
    return counts + (list(tokenizer.count_tokens(batch)) if batch else [])


# Packing ---------------------------------------------------------------------------------------------------------


def _chunks(document: LoadedDocument, tokenizer: Tokenizer, title: str | None, budget: int) -> Iterator[Chunk]:
    context_limit = min(_CONTEXT_TOKENS, budget // _SHORT)
    sections = _sections(document)
    contexts = _contexts(sections, title, tokenizer, context_limit)
    rooms = [budget - context.tokens for context in contexts]
    for run in _runs(_units(document, sections, tokenizer, budget - context_limit), sections, rooms):
        span = Span(run[0].start, run[-1].end)
        text = document.text[span.start : span.end]
        section = _section_of(run)
        context = "\n".join(_unsaid(contexts[section].parts, text))
        yield Chunk(span=span, text=text, headings=sections[section].path, context=context, page=run[0].page)


def _runs(units: Iterable[_Unit], sections: Sequence[_Section], rooms: Sequence[int]) -> Iterator[list[_Unit]]:
    run: list[_Unit] = []
    for unit in units:
        if run and _stands_apart(unit, run, sections, rooms):
            yield run
            run = []
        while run and _overflows(unit, run, rooms):
            done, run = _divided(run, unit, rooms)
            yield done
        run.append(unit)
    if run:
        yield run


def _section_of(run: Sequence[_Unit]) -> int:
    """That of its first sentence below a heading."""
    return next((unit.section for unit in run if not unit.is_heading), run[-1].section)


def _stands_apart(unit: _Unit, run: Sequence[_Unit], sections: Sequence[_Section], rooms: Sequence[int]) -> bool:
    """Whether a page, a record, or a section that is long enough, ends before the unit."""
    room = rooms[unit.section]
    is_another_record = unit.record != run[-1].record and not all(one.is_heading for one in run)
    if unit.page != run[0].page or is_another_record or unit.start - run[-1].end > room * _CHARACTERS_PER_TOKEN:
        return True
    if unit.section == run[-1].section:
        return False
    is_short = _cost(run) * _SHORT < room or all(one.is_heading for one in run)
    return not is_short or sections[unit.section].level < sections[_section_of(run)].level


def _overflows(unit: _Unit, run: Sequence[_Unit], rooms: Sequence[int]) -> bool:
    return _cost(run) + unit.cost > rooms[_section_of([*run, unit])]


def _cost(run: Sequence[_Unit]) -> int:
    return sum(unit.cost for unit in run)


def _divided(run: list[_Unit], unit: _Unit, rooms: Sequence[int]) -> tuple[list[_Unit], list[_Unit]]:
    """A run that is full, and what of it goes along with the unit that comes next."""
    body = len(run)
    while body and run[body - 1].is_heading:
        body -= 1
    if 0 < body < len(run):
        return run[:body], run[body:]
    last, room = run[-1], rooms[unit.section]
    overlaps = len(run) > 1 and not last.is_heading and last.section == unit.section
    if overlaps and last.cost * _SHORT <= room and last.cost + unit.cost <= room:
        return run, [last]
    return run, []
