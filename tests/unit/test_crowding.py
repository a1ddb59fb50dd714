from __future__ import annotations

from dataclasses import dataclass

import pytest

from embeddings.crowding import RECURRING_WEIGHT, Listing, weighted
from embeddings.text import content_words, words

NOTICE = (
    "The keeper of the Aldermoor lighthouse lit the lamp at dusk on 3 March and trimmed the wick before the fog"
    " came in from the sea, as the harbour office had asked him to do"
)


@dataclass(frozen=True)
class Standing:
    document_key: int
    text: str
    recurs: bool = False

    @property
    def text_sha(self) -> bytes:
        return self.text.encode()

    @property
    def words(self) -> str:
        return " ".join(words(self.text))


def said_again(question: str, text: str, *listed: str, document: int = 99) -> bool:
    listing = Listing(content_words(question))
    for number, other in enumerate(listed):
        listing.add(Standing(number, other))
    return listing.holds_nearly(Standing(document, text))


def test_a_passage_with_a_word_changed_says_the_other_again() -> None:
    assert said_again("Who lit the lamp?", NOTICE.replace("fog", "mist"), NOTICE)
    assert said_again("Who lit the lamp?", NOTICE.replace("Aldermoor", "Kirkwater"), NOTICE)


def test_another_passage_does_not() -> None:
    assert not said_again("Who lit the lamp?", "The keeper of the lighthouse lit the lamp.", NOTICE)
    assert not said_again("Who lit the lamp?", NOTICE)


def test_a_passage_of_the_same_document_does_not_since_rows_of_a_table_are_alike() -> None:
    assert not said_again("Who lit the lamp?", NOTICE.replace("fog", "mist"), NOTICE, document=0)


@pytest.mark.parametrize("question", ["Who lit the lamp at Kirkwater?", "Was it lit at Aldermoor or Kirkwater?"])
def test_what_the_question_names_is_not_said_by_a_passage_that_lacks_it(question: str) -> None:
    assert not said_again(question, NOTICE.replace("Aldermoor", "Kirkwater"), NOTICE)


def test_of_passages_that_differ_in_a_figure_two_stand() -> None:
    third, fourth, fifth = (NOTICE.replace("3 March", f"{day} March") for day in (3, 4, 5))
    assert not said_again("When was the lamp lit?", fourth, third)
    assert said_again("When was the lamp lit?", fifth, third, fourth)


@pytest.mark.parametrize("text", ["", "lamp", "the lamp"])
def test_the_shortest_texts_are_alike_only_where_they_are_equal(text: str) -> None:
    assert said_again("Who?", text, text)
    assert not said_again("Who?", text, "a wick")


def order(question: str, *passages: tuple[float, Standing]) -> list[str]:
    fused = {key: score for key, (score, _) in enumerate(passages)}
    scores = weighted(fused, {key: passage for key, (_, passage) in enumerate(passages)}, content_words(question))
    return [passages[key][1].text for key in sorted(scores, key=lambda key: -scores[key])]


LINKS = "Storm glass. See also the tide tables."
CONTENT = "Storm glass. A storm glass tells the weather by crystals of camphor."


def test_recurring_text_comes_after_what_its_document_says_of_the_question() -> None:
    links, content = Standing(1, LINKS, recurs=True), Standing(1, CONTENT)
    assert order("What is a storm glass?", (0.7, links), (0.6, content)) == [CONTENT, LINKS]


def test_recurring_text_keeps_its_place_where_it_alone_holds_a_word_of_the_question() -> None:
    links, content = Standing(1, LINKS, recurs=True), Standing(1, CONTENT)
    assert order("Are there tide tables with the storm glass?", (0.7, links), (0.6, content)) == [LINKS, CONTENT]


def test_text_that_does_not_recur_and_another_document_change_nothing() -> None:
    links, content = Standing(1, LINKS), Standing(1, CONTENT)
    assert order("What is a storm glass?", (0.7, links), (0.6, content)) == [LINKS, CONTENT]
    elsewhere = Standing(2, CONTENT)
    recurring = Standing(1, LINKS, recurs=True)
    assert order("What is a storm glass?", (0.7, recurring), (0.6, elsewhere)) == [LINKS, CONTENT]


def test_all_places_of_a_recurring_text_are_weighed_like_its_best() -> None:
    passages = {0: Standing(1, LINKS, recurs=True), 1: Standing(2, LINKS, recurs=True), 2: Standing(1, CONTENT)}
    scores = weighted({0: 0.7, 1: 0.65, 2: 0.6}, passages, content_words("What is a storm glass?"))
    assert scores == pytest.approx({0: 0.7 * RECURRING_WEIGHT, 1: 0.65 * RECURRING_WEIGHT, 2: 0.6})
