"""An answer in words: claims that each stand on citations that were compared with the stored text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from service.answering.citations import Candidate, cite
from service.answering.domain import Citation, Claim, Support
from service.answering.ports import StoredText


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A claim before its citations are compared with the stored text."""

    text: str
    evidence: tuple[Candidate, ...]
    """The first has to be borne out, the others may be."""
    confidence: float
    support: Support = Support.VERBATIM
    conflict: int | None = None
    is_marked: bool = True
    """Whether the evidence is the words that answer, to be marked in their quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An answer in words, with what it stands on; `text` is None where nothing could be cited."""

    text: str | None
    claims: tuple[Claim, ...] = ()
    citations: tuple[Citation, ...] = ()


def assembled(drafts: Iterable[Draft], stored: StoredText) -> Statement:
    """The claims in their order, each once. A draft that the stored text does not bear out is passed over."""
    claims: list[Claim] = []
    citations: list[Citation] = []
    answer = ""
    for draft in drafts:
        numbers = _cited(draft, citations, stored)
        if not numbers or any(draft.text == claim.text for claim in claims):
            continue
        start = len(answer) + len(_separator(answer))
        answer += _separator(answer) + draft.text
        claims.append(
            Claim(
                text=draft.text,
                start=start,
                end=len(answer),
                support=draft.support,
                confidence=draft.confidence,
                citations=numbers,
                conflict=draft.conflict,
            )
        )
    return Statement(text=answer or None, claims=tuple(claims), citations=tuple(citations))


def _cited(draft: Draft, citations: list[Citation], stored: StoredText) -> tuple[int, ...]:
    """Numbers of the draft's citations, new ones added to `citations`; none if its first one does not hold."""
    found: list[int] = []
    for candidate in draft.evidence:
        citation = cite(candidate, number=len(citations) + 1, stored=stored, is_marked=draft.is_marked)
        if citation is None and not found:
            return ()
        if citation is None:
            continue
        known = next((each for each in citations if replace(each, number=citation.number) == citation), None)
        if known is None:
            citations.append(citation)
        found.append((known or citation).number)
    return tuple(dict.fromkeys(found))


def _separator(answer: str) -> str:
    if not answer:
        return ""
    return " " if re.search(r"[.!?。！？…][\"”’)]?$", answer) else "; "
