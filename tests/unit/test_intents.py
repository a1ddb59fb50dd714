from __future__ import annotations

import pytest

from service.answering.comparisons import Order
from service.answering.intents import Intent, inquire, intent_of, wanted_items


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("How many people work at the bakery?", Intent.FACT),
        ("When did the ferry stop?", Intent.FACT),
        ("bakery oven wood", Intent.FACT),
        ("Which city does the ferry serve?", Intent.FACT),
        ("Is the ferry still in use?", Intent.VERDICT),
        ("are private bakeries allowed", Intent.VERDICT),
        ("Can you tell me if the bridge is open?", Intent.VERDICT),
        ("Do you know when the bridge opened?", Intent.FACT),
        ("Is it wood or coal that heats the oven?", Intent.FACT),
        ("Why did the ferry stop?", Intent.EXPLANATION),
        ("What is a solar balloon?", Intent.EXPLANATION),
        ("What makes the bread rise?", Intent.EXPLANATION),
        ("Which three rivers cross the town?", Intent.LIST),
        ("What are the main exports of the town?", Intent.LIST),
        ("Name all the members of the council.", Intent.LIST),
        ("Which companies have moved to the harbour?", Intent.LIST),
        ("What building materials were used for the quay?", Intent.LIST),
        ("What percentage of the sheds in the harbour are empty?", Intent.FACT),
        ("What radio station do the students of the town run?", Intent.FACT),
        ("Which of the mayor's friends did the council honour?", Intent.FACT),
        ("What is the oldest thing sailors of the town keep?", Intent.FACT),
    ],
)
def test_a_question_shows_what_it_wants(question: str, intent: Intent) -> None:
    assert intent_of(question) is intent


@pytest.mark.parametrize(
    ("question", "number"),
    [("Which three rivers cross the town?", 3), ("Name all 7 ways.", 7), ("Which rivers cross it?", None)],
)
def test_a_list_may_say_how_long_it_is(question: str, number: int | None) -> None:
    assert wanted_items(question) == number


def test_two_questions_in_one_are_asked_one_after_the_other() -> None:
    inquiry = inquire("Who founded the bakery, and how many people work there?")

    assert [part.question for part in inquiry.parts] == ["Who founded the bakery?", "how many people work there?"]
    assert inquiry.order is None


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Who are the mayors of Ulm and of Bree?", "Who are the mayors of {}?"),
        ("How many people live in Ulm, and in Bree?", "How many people live in {}?"),
    ],
)
def test_what_is_asked_of_two_things_is_asked_of_each(question: str, asked: str) -> None:
    assert [part.question for part in inquire(question).parts] == [asked.format("Ulm"), asked.format("Bree")]


@pytest.mark.parametrize(
    "question",
    [
        "Who founded the bakery and why?",
        "Who is the mayor of Ulm and Bree?",
        "Is there a mayor in Ulm and in Bree?",
        "Who was born in Ulm and in which year?",
    ],
)
def test_a_question_that_cannot_stand_alone_is_left_where_it_is(question: str) -> None:
    assert len(inquire(question).parts) == 1


def test_more_of_one_thing_or_another_asks_for_both_figures() -> None:
    inquiry = inquire("Does the harbour have more cranes or more sheds?")

    assert [part.question for part in inquiry.parts] == [
        "How many cranes does the harbour have?",
        "How many sheds does the harbour have?",
    ]
    assert [part.subject for part in inquiry.parts] == ["cranes", "sheds"]
    assert inquiry.order is Order.MORE


def test_a_choice_between_two_subjects_asks_of_each() -> None:
    inquiry = inquire("Which town has fewer bakers, Pemberlow or Marsh End?")

    assert [part.subject for part in inquiry.parts] == ["Pemberlow", "Marsh End"]
    assert all(part.subject and part.subject in part.question for part in inquiry.parts)
    assert inquiry.order is Order.LESS


@pytest.mark.parametrize(
    ("question", "asked", "order"),
    [
        ("Which town has fewer bakers, Ulm or Bree?", "How many bakers does {} have?", Order.LESS),
        ("Which town had the most ships, Ulm or Bree?", "How many ships did {} have?", Order.MORE),
        ("Which mill was built earlier, Ulm or Bree?", "When was {} built?", Order.LESS),
        ("Which band was formed first Ulm or Bree ?", "When was {} formed?", Order.LESS),
        ("Which opened later, Ulm or Bree?", "When did {} open?", Order.MORE),
        ("Who is the oldest, Ulm or Bree?", "When was {} born, founded or built?", Order.LESS),
        ("Which lake is smaller, Ulm or Bree?", "How large is {}?", Order.LESS),
        ("Which bridge is longer, Ulm or Bree?", "How long is {}?", Order.MORE),
        ("Which is more popular today, Ulm or Bree?", "Which is more popular today: {}?", Order.MORE),
    ],
)
def test_each_of_two_is_asked_for_what_they_are_compared_by(question: str, asked: str, order: Order) -> None:
    inquiry = inquire(question)

    assert [part.question for part in inquiry.parts] == [asked.format("Ulm"), asked.format("Bree")]
    assert [part.subject for part in inquiry.parts] == ["Ulm", "Bree"]
    assert inquiry.order is order


@pytest.mark.parametrize("question", ["Who came first, or was it a draw?", "Did it open first in Ulm or Bree?"])
def test_not_every_or_compares(question: str) -> None:
    assert [part.question for part in inquire(question).parts] == [question]


def test_a_long_winded_question_is_taken_by_its_point() -> None:
    question = (
        "I have been reading about the harbour for a week and my notes are a mess by now, since everyone says "
        "something else about its age, so could you please tell me when the bridge was built?"
    )

    assert [part.question for part in inquire(question).parts] == ["when the bridge was built?"]


def test_a_plain_question_is_asked_as_it_is() -> None:
    assert [part.question for part in inquire("When was the bridge built?").parts] == ["When was the bridge built?"]


@pytest.mark.parametrize(
    ("question", "order", "asked"),
    [
        ("Which printer is faster, the X200 or the X300?", Order.MORE, "How fast is the X200?"),
        ("Which printer is slower, the X200 or the X300?", Order.LESS, "How fast is the X200?"),
        ("Which road is wider, the X200 or the X300?", Order.MORE, "How wide is the X200?"),
        ("Which lake is shallower, the X200 or the X300?", Order.LESS, "How deep is the X200?"),
        ("Which town is nearer, the X200 or the X300?", Order.LESS, "How far is the X200?"),
        ("Which is lighter, the X200 or the X300?", Order.LESS, "How heavy is the X200?"),
        ("Which is more expensive, the X200 or the X300?", Order.MORE, "How expensive is the X200?"),
        ("Which is less expensive, the X200 or the X300?", Order.LESS, "How expensive is the X200?"),
    ],
)
def test_what_compares_is_asked_of_each(question: str, order: Order, asked: str) -> None:
    inquiry = inquire(question)

    assert (inquiry.order, inquiry.parts[0].question) == (order, asked)
