"""From candidates to the claims of an answer, each standing on its citations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.answering.citations import Candidate, cite
from service.answering.domain import Citation, Claim, Support
from service.answering.ports import StoredText

MOST_CLAIMS = 2
NEARLY_AS_GOOD = 0.6
"""Of the best candidate's probability: what a second claim needs."""

_ASKS_FOR_SEVERAL = re.compile(
    r"\b(?:which|what) (?:two|both|cities|countries|companies|people)\b|\bcompar|\bdiffer|\bboth\b|\bmore .+ or "
    r"|\band (?:how|what|who|when|where|which|why)\b|\bhow (?:many|much)\b.*\bhow (?:many|much)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An answer in words, with what it stands on; `text` is None where nothing could be cited."""

    text: str | None
    claims: tuple[Claim, ...] = ()
    citations: tuple[Citation, ...] = ()


def state(question: str, ranked: Sequence[Candidate], *, threshold: float, stored: StoredText) -> Statement:
    """The best candidate as a claim; a second beside it where the question asks for several and it is nearly as good.

    `ranked` is best first. A candidate that the stored text does not bear out is passed over.
    """
    claims: list[Claim] = []
    citations: list[Citation] = []
    said: list[Candidate] = []
    answer = ""
    for candidate in ranked:
        if not _is_wanted(candidate, said, question=question, threshold=threshold):
            continue
        cited = _cite_everywhere(candidate, ranked, first_number=len(citations) + 1, stored=stored)
        if not cited:
            continue
        start = len(answer) + len(_separator(answer))
        answer += _separator(answer) + candidate.text
        claims.append(_claim(candidate, cited, start=start))
        citations += cited
        said.append(candidate)
    return Statement(text=answer or None, claims=tuple(claims), citations=tuple(citations))


def _is_wanted(candidate: Candidate, said: Sequence[Candidate], *, question: str, threshold: float) -> bool:
    if candidate.probability < threshold:
        return False
    if not said:
        return True
    return (
        len(said) < MOST_CLAIMS
        and candidate.probability >= NEARLY_AS_GOOD * said[0].probability
        and not any(candidate.text == other.text or candidate.overlaps(other) for other in said)
        and bool(_ASKS_FOR_SEVERAL.search(question))
    )


def _cite_everywhere(
    candidate: Candidate, ranked: Sequence[Candidate], *, first_number: int, stored: StoredText
) -> list[Citation]:
    """The candidate's own place, then other documents that say the same words."""
    cited: list[Citation] = []
    documents: set[str] = set()
    for other in (candidate, *ranked):
        if other.text != candidate.text or other.passage.document_id in documents:
            continue
        citation = cite(other, number=first_number + len(cited), stored=stored)
        if citation is None and other is candidate:
            return []
        if citation is not None:
            cited.append(citation)
            documents.add(other.passage.document_id)
    return cited


def _claim(candidate: Candidate, cited: Sequence[Citation], *, start: int) -> Claim:
    return Claim(
        text=candidate.text,
        start=start,
        end=start + len(candidate.text),
        support=Support.VERBATIM,
        confidence=candidate.probability,
        citations=tuple(citation.number for citation in cited),
    )


def _separator(answer: str) -> str:
    if not answer:
        return ""
    return " " if answer[-1] in '.!?。！？…"”’)' else "; "
