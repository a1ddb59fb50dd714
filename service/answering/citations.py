"""From a reader's spans to citations that have been compared with the stored text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from embeddings.domain import Hit, Passage, Span
from embeddings.errors import DeletedDocument, NotThere
from embeddings.text import sentence_spans
from service.answering.domain import Citation, Reading
from service.answering.ports import StoredText

CONTEXT_CHARACTERS = 32
"""On each side of a quote, as in the W3C's TextQuoteSelector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A span that a reader proposes, checked to lie in its passage; offsets are the document's."""

    passage: Passage
    start: int
    end: int
    text: str
    probability: float

    def overlaps(self, other: Candidate) -> bool:
        return (
            (self.passage.document_id, self.passage.version) == (other.passage.document_id, other.passage.version)
            and self.start < other.end
            and other.start < self.end
        )


def candidates(hits: Sequence[Hit], readings: Sequence[Reading]) -> list[Candidate]:
    """What the reader proposes, best first, ties by rank; spans that point outside their passage are left out."""
    found = [
        candidate for hit, reading in zip(hits, readings, strict=True) for candidate in _valid(hit.passage, reading)
    ]
    return sorted(found, key=lambda candidate: -candidate.probability)


def _valid(passage: Passage, reading: Reading) -> Iterator[Candidate]:
    for proposed in reading.spans:
        span = _trimmed(passage.text, proposed.span)
        if span is not None and math.isfinite(proposed.probability) and 0 <= proposed.probability <= 1:
            yield Candidate(
                passage=passage,
                start=passage.start + span.start,
                end=passage.start + span.end,
                text=" ".join(passage.text[span.start : span.end].split()),
                probability=proposed.probability,
            )


def _trimmed(text: str, span: Span) -> Span | None:
    if not 0 <= span.start < span.end <= len(text):
        return None
    inside = text[span.start : span.end]
    start = span.start + len(inside) - len(inside.lstrip())
    end = start + len(inside.strip())
    return Span(start, end) if start < end else None


def cite(candidate: Candidate, *, number: int, stored: StoredText, is_marked: bool = True) -> Citation | None:
    """The sentences in which the candidate stands; None where the stored text does not say the same."""
    passage = candidate.passage
    quoted = sentences_around(passage.text, Span(candidate.start - passage.start, candidate.end - passage.start))
    quote = passage.text[quoted.start : quoted.end]
    start, end = passage.start + quoted.start, passage.start + quoted.end
    before = max(0, start - CONTEXT_CHARACTERS)
    try:
        surroundings = stored.slice(passage.document_id, passage.version, before, end + CONTEXT_CHARACTERS)
    except (NotThere, DeletedDocument):
        return None
    if surroundings[start - before : end - before] != quote:
        return None
    return Citation(
        number=number,
        collection=passage.collection,
        document_id=passage.document_id,
        version=passage.version,
        current=passage.current,
        title=passage.title,
        uri=passage.uri,
        passage_id=passage.passage_id,
        headings=passage.headings,
        page=passage.page,
        start=start,
        end=end,
        quote=quote,
        answer_start=candidate.start if is_marked else None,
        answer_end=candidate.end if is_marked else None,
        prefix=surroundings[: start - before],
        suffix=surroundings[end - before :],
    )


@lru_cache(maxsize=64)
def sentences_in(text: str) -> tuple[Span, ...]:
    """Of a passage; an answer looks at those of the same few again and again."""
    return tuple(sentence_spans(text))


def sentences_around(text: str, span: Span) -> Span:
    touched = [each for each in sentences_in(text) if each.start < span.end and span.start < each.end]
    pieces = [span, *touched]
    return Span(min(each.start for each in pieces), max(each.end for each in pieces))
