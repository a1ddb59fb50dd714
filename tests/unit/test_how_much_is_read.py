"""Passages are read until they settle the question."""

from __future__ import annotations

import pytest

from embeddings.domain import Span
from service.answering.answering import AskRequest
from tests.unit.scripted import TEXT, Scripted, ask, place, shelf


def early(*spans: tuple[Span, float]) -> Scripted:
    """It may stop after each passage."""
    return Scripted(lambda each: [spans[0]] if each.text.startswith("Pemberlow") else spans[1:], stops_early=True)


NAME = place("Ada Marsh")


@pytest.mark.parametrize(
    ("question", "probability", "read"),
    [
        ("Who founded it?", 0.9, 1),
        ("Why was it founded?", 0.9, 1),
        ("Who founded it?", 0.6, 3),
        ("List all founders of the bakery.", 0.9, 3),
        ("Is it founded by Ada?", 0.9, 3),
    ],
    ids=["sure", "a sure reason", "unsure", "a list", "yes or no"],
)
def test_a_sure_answer_is_not_looked_for_any_further(question: str, probability: float, read: int) -> None:
    reader = early((NAME, probability))

    answer = ask(reader, shelf(TEXT, "The quay is long.", "Oak burns well."), AskRequest(question=question))

    assert reader.read_passages == read
    assert (answer.degraded, len(answer.hits)) == (None, 3)
    assert [hit.scores.reader is None for hit in answer.hits] == [number >= read for number in range(3)]


FAR = (0.8, 0.7, 0.3, 0.63, 0.65, 0.5, 0.73)
"""The second, the fifth and the seventh are near the first."""


@pytest.mark.parametrize(
    ("question", "read"),
    [("Who founded it?", {0, 1, 4, 6}), ("List all founders of the bakery.", set(range(7)))],
    ids=["one answer", "a list"],
)
def test_what_looks_much_less_like_the_question_than_the_best_is_not_read_for_one_answer(
    question: str, read: set[int]
) -> None:
    collection = shelf(TEXT, *(f"The quay is {number} metres long." for number in range(6)))
    collection.fused = FAR
    reader = early((NAME, 0.6))

    answer = ask(reader, collection, AskRequest(question=question))

    assert {number for number, hit in enumerate(answer.hits) if hit.scores.reader is not None} == read
    assert (answer.answer is None, answer.degraded, len(answer.hits)) == (False, None, 7)


def test_another_figure_for_the_same_thing_is_found_where_little_else_looks_like_the_question() -> None:
    other = "Today the bakery employs 20 people."
    collection = shelf(TEXT, "The quay is long.", "Oak burns well.", other)
    collection.fused = (0.8, 0.7, 0.6, 0.2)
    reader = early((place("14"), 0.6), (Span(other.index("20"), other.index("20") + 2), 0.55))

    answer = ask(reader, collection, AskRequest(question="How many people work there?"))

    assert [claim.conflict for claim in answer.claims] == [1, 1]


@pytest.mark.parametrize(
    ("other", "read"),
    [("The quay is 90 metres long.", 1), ("Today the bakery employs 20 people.", 2)],
    ids=["another figure", "another figure for the same thing"],
)
def test_a_sure_figure_is_compared_with_those_of_further_passages(other: str, read: int) -> None:
    reader = early((place("14"), 0.9), (Span(other.index("0") - 1, other.index("0") + 1), 0.8))

    answer = ask(reader, shelf(TEXT, other), AskRequest(question="How many people work there?"))

    assert reader.read_passages == read
    assert [claim.conflict for claim in answer.claims] == ([None] if read == 1 else [1, 1])
