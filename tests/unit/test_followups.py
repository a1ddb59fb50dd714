from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answering.followups import Exchange, complete

ASKED = Exchange(question="How many high-tech enterprises does Longhu have?", answer="124")


@pytest.mark.parametrize(
    ("question", "completed"),
    [
        ("When was it founded?", "When was it founded? (Longhu)"),
        ("How many people does it employ?", "How many people does it employ? (Longhu)"),
        ("Why?", "Why? (How many high-tech enterprises does Longhu have)"),
        ("And Dongguan?", "And Dongguan? (How many high-tech enterprises does have)"),
        ("In 2018?", "In 2018? (How many high-tech enterprises does Longhu have)"),
        ("Why does that happen?", "Why does that happen? (Longhu)"),
    ],
)
def test_a_question_that_leans_on_the_last_one_is_completed(question: str, completed: str) -> None:
    assert complete(question, [ASKED]) == completed


@pytest.mark.parametrize(
    "question",
    [
        "Who founded Pemberlow Bakery?",
        "Does Dongguan plan its talents ahead?",
        "Which carriers has Longhu brought to take root since last year?",
    ],
)
def test_a_question_that_stands_on_its_own_stays_as_it_is(question: str) -> None:
    assert complete(question, [ASKED]) == question


def test_a_short_answer_may_be_whom_the_follow_up_means() -> None:
    asked = Exchange(question="Who presided over the meeting?", answer="Yuan Jiajun")

    assert complete("What is his position?", [asked]).endswith("; Yuan Jiajun)")


def test_a_chain_of_follow_ups_keeps_its_subject() -> None:
    chain = [ASKED, Exchange(question="When was it founded?", answer="1984")]

    assert "Longhu" in complete("Who leads it?", chain)


@given(st.text(max_size=60))
def test_without_history_nothing_is_added(question: str) -> None:
    assert complete(question, []) == question


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_a_completed_question_begins_with_the_question(question: str, before: str, answer: str) -> None:
    assert complete(question, [Exchange(question=before, answer=answer)]).startswith(question)
