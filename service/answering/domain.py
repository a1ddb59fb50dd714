"""An answer and what it stands on, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from embeddings.domain import Hit, Span


class Support(StrEnum):
    VERBATIM = "verbatim"
    """The claim's words stand in the quote."""
    DERIVED = "derived"
    """Yes or no, a comparison, a sum: it follows from the cited quotes."""
    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"


class NoAnswerReason(StrEnum):
    EMPTY_COLLECTION = "empty_collection"
    NO_PASSAGES = "no_passages"
    FILTERED_OUT = "filtered_out"
    LOW_CONFIDENCE = "low_confidence"
    UNSUPPORTED_LANGUAGE = "unsupported_language"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPassage:
    """One passage as a reader gets it."""

    text: str
    context: str
    """Title and headings, for understanding only; spans never point into it."""
    similarity: float | None
    bm25: float | None
    fused: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSpan:
    """A candidate answer: code points of `ReadingPassage.text`, end exclusive."""

    span: Span
    probability: float
    """That this span answers the question: 0 to 1, calibrated over all passages of the call together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader found in one passage."""

    spans: tuple[ReadSpan, ...]
    """Best first; may be empty."""
    no_answer: float
    """Probability, 0 to 1, that this passage does not answer the question."""
    yes: float = 0.0
    """That this passage says yes to a yes/no question, as `ReadSpan.probability`."""
    no: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement of the answer: `answer[start:end] == text`."""

    text: str
    start: int
    end: int
    support: Support
    confidence: float
    citations: tuple[int, ...]
    """Numbers of the citations that it stands on."""
    conflict: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A quote and where it stands: `text[start:end] == quote` in that version of the document, checked."""

    number: int
    collection: str
    document_id: str
    version: int
    current: bool
    title: str | None
    uri: str | None
    passage_id: str
    headings: tuple[str, ...]
    page: int | None
    start: int
    end: int
    quote: str
    answer_start: int | None
    answer_end: int | None
    prefix: str
    suffix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    question: str
    question_used: str
    """What was searched and read, after history was taken in."""
    no_answer_reason: NoAnswerReason | None
    answer: str | None
    confidence: float
    """Calibrated: of the answers with 0.8, four in five are right."""
    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    """The passages, best first, with the reader's score filled in."""
    degraded: str | None
    encoder: str
    reader: str
    seq: int
    timings_ms: Mapping[str, float]
    explain: Mapping[str, object] | None = None

    @property
    def answered(self) -> bool:
        return self.answer is not None
