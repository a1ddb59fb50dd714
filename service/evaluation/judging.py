"""Whether the quotes of an answer hold what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embeddings.domain import Span
from service.evaluation.metrics import comparable_words, holds
from service.evaluation.questions import Evidence, Question


@dataclass(frozen=True, slots=True)
class Quote:
    document_id: str
    span: Span
    text: str


def overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def is_at(quote: Quote, place: Evidence) -> bool:
    return quote.document_id == place.document_id and (place.span is None or overlap(quote.span, place.span))


def is_right(question: Question, answer: str, quotes: Sequence[Quote]) -> bool:
    """Whether the quotes hold the gold answer: all its items, else one of its forms; for yes and no, the evidence."""
    if _asks_yes_or_no(question):
        return _is_borne_out(question, answer, quotes)
    if question.items:
        return all(_has_item(question, item, answer, quotes) for item in question.items)
    return any(holds(quote.text, form) for form in question.answers for quote in quotes)


def _asks_yes_or_no(question: Question) -> bool:
    return question.kind == "yes_no" or (
        bool(question.answers) and all(comparable_words(form) in (["yes"], ["no"]) for form in question.answers)
    )


def _is_borne_out(question: Question, answer: str, quotes: Sequence[Quote]) -> bool:
    """A verdict must be the gold one; where it is known what bears it out, that must be quoted."""
    verdict = comparable_words(answer)[:1]
    if verdict in (["yes"], ["no"]) and verdict not in [comparable_words(form)[:1] for form in question.answers]:
        return False
    return is_at_the_place(question, quotes) if question.evidence else verdict in (["yes"], ["no"])


def is_at_the_place(question: Question, quotes: Sequence[Quote]) -> bool:
    """Whether a quote overlaps the evidence."""
    return any(is_at(quote, place) for place in question.evidence + question.alternatives for quote in quotes)


def _has_item(question: Question, item: str, answer: str, quotes: Sequence[Quote]) -> bool:
    forms = item.split("|")
    if any(holds(quote.text, form) for form in forms for quote in quotes):
        return True
    is_implied = question.unspoken.issuperset(forms)
    return is_implied and (
        any(holds(answer, form) for form in forms)
        or all(any(is_at(quote, place) for quote in quotes) for place in question.evidence)
    )
