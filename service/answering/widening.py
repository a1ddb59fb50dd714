"""Candidates as wide as an answer to their question is: a span, its sentence, its enumeration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from embeddings.domain import Span
from service.answering.citations import Candidate, sentences_around, sentences_in
from service.answering.enumerations import LISTED, enumeration_around
from service.answering.expectations import asks_for_a_number_of_things, counts_others, meets
from service.answering.intents import Intent, Part

UNEXPECTED = 0.5
"""What is left of the probability of an answer that is no figure, year or day where one is asked for, or another's."""


def as_shown(part: Part, ranked: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Candidates as wide as an answer to such a question is, best first.

    What holds several of them is as likely as all of them together, since at most one of the reader's spans is right: a
    reader that cannot choose between the items of an enumeration may be sure of the enumeration.
    """
    widen = _WIDTHS.get(part.intent)
    if widen is None:
        return _by_probability(_expected(part.question, candidate) for candidate in ranked)
    shown: dict[tuple[str, int, int, int], Candidate] = {}
    for candidate in ranked:
        wide = widen(candidate)
        place = (wide.passage.document_id, wide.passage.version, wide.start, wide.end)
        known = shown.get(place)
        together = wide.probability + (known.probability if known else 0.0)
        shown[place] = replace(known or wide, probability=min(1.0, together))
    return _by_probability(shown.values())


def _expected(question: str, candidate: Candidate) -> Candidate:
    """The candidate, less likely where the question asks for something that its words don't hold."""
    if meets(question, candidate.text) and not _counts_others(question, candidate):
        return candidate
    return replace(candidate, probability=UNEXPECTED * candidate.probability)


def _counts_others(question: str, candidate: Candidate) -> bool:
    # Its sentence is looked for only where it is needed: every candidate of every round comes by here.
    return asks_for_a_number_of_things(question) and counts_others(
        question, candidate.text, whole_sentence(candidate).text
    )


def _by_probability(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda candidate: -candidate.probability))


def whole_sentence(candidate: Candidate) -> Candidate:
    passage = candidate.passage
    inside = Span(candidate.start - passage.start, candidate.end - passage.start)
    span = sentences_around(passage.text, inside)
    return _moved(candidate, span)


def _moved(candidate: Candidate, span: Span) -> Candidate:
    passage = candidate.passage
    return replace(
        candidate,
        start=passage.start + span.start,
        end=passage.start + span.end,
        text=_on_one_line(passage.text[span.start : span.end]),
    )


def _on_one_line(text: str) -> str:
    first, *others = text.splitlines()
    if not others or not all(LISTED.match(line) for line in others if line.strip()):
        return " ".join(text.split())
    return "; ".join(item for line in (first, *others) if (item := " ".join(LISTED.sub("", line).split())))


def enumeration_of(candidate: Candidate) -> Span | None:
    """Where it stands in the passage."""
    passage = candidate.passage
    return enumeration_around(passage.text, Span(candidate.start - passage.start, candidate.end - passage.start))


def _whole_enumeration(candidate: Candidate) -> Candidate:
    """The candidate itself where it is no part of an enumeration."""
    whole = enumeration_of(candidate)
    return candidate if whole is None else _moved(candidate, whole)


_WIDTHS: dict[Intent, Callable[[Candidate], Candidate]] = {
    Intent.LIST: _whole_enumeration,
    Intent.EXPLANATION: whole_sentence,
    Intent.VERDICT: whole_sentence,
}


def with_the_sentence_before(candidate: Candidate) -> Candidate | None:
    start, end = candidate.start - candidate.passage.start, candidate.end - candidate.passage.start
    before = [span for span in sentences_in(candidate.passage.text) if span.end <= start]
    return _moved(candidate, Span(before[-1].start, end)) if before else None
