from __future__ import annotations

import pytest

from embeddings.domain import Span
from service.answering.enumerations import enumeration_around
from service.answering.figures import Figure, first_figure, first_moment

TEXT = (
    "The market sells flour, smoked fish, wool and candles, which the town has made since 1700. "
    "It opens at dawn. Boats come from Marsh End, Oldport, and Grey Point."
)


def span(words: str) -> Span:
    return Span(TEXT.index(words), TEXT.index(words) + len(words))


@pytest.mark.parametrize(
    ("found", "whole"),
    [
        ("flour", "flour, smoked fish, wool and candles"),
        ("Marsh End", "Marsh End, Oldport, and Grey Point"),
        ("Marsh End, Oldport, and Grey Point", "Marsh End, Oldport, and Grey Point"),
        ("wool and candles", "wool and candles"),
        ("Oldport, and Grey Point", "Marsh End, Oldport, and Grey Point"),
    ],
)
def test_an_item_brings_its_enumeration(found: str, whole: str) -> None:
    assert enumeration_around(TEXT, span(found)) == span(whole)


def test_an_enumeration_ends_with_what_follows_the_conjunction() -> None:
    text = "It trades in wool, bread and stone, mainly with Oldport."
    assert enumeration_around(text, Span(13, 17)) == Span(13, 34)


def test_an_item_of_a_list_brings_those_above_and_below() -> None:
    text = (
        "It needs:\n\n1. flour\n2. smoked fish\n\n3. wool\n4. what boats bring when they come in from the sea\n5. rope"
    )
    assert enumeration_around(text, Span(text.index("smoked"), text.index("smoked") + 6)) == Span(
        text.index("flour"), text.index("\n4.")
    )
    assert enumeration_around(text, Span(text.index("rope"), len(text))) is None


def test_where_nothing_is_enumerated_there_is_none() -> None:
    assert enumeration_around(TEXT, span("dawn")) is None


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("over 432 million yuan", Figure(432e6, "")),
        ("exceeded 2,000", Figure(2000.0, "")),
        ("twelve sheds", Figure(12.0, "")),
        ("20 %", Figure(20.0, "%")),
        ("3.5 percent", Figure(3.5, "%")),
        ("none at all", None),
    ],
)
def test_figures_are_read_in_words_and_digits(text: str, figure: Figure | None) -> None:
    assert first_figure(text) == figure


def test_moments_follow_each_other_as_they_do_in_time() -> None:
    said = ["1884", "March 1885", "14 March 1885", "April 2, 1885", "On 1 May 1885", "in the autumn of 1921"]

    values = [moment.value for text in said if (moment := first_moment(text)) is not None]
    assert values == sorted(set(values))
    assert len(values) == len(said)
    assert first_moment("on a Tuesday in May") is None
