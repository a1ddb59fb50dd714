from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from embeddings.domain import Span
from service.answering.answering import Answering, AskRequest
from service.answering.domain import Answer, Reading, ReadingPassage, ReadSpan, Support
from service.answering.ports import More
from tests.unit.scripted import Shelf, assert_claims_partition, shelf

HARBOUR = "The harbour has 12 cranes and three sheds. It was built in 1884. Its master is Ada Marsh."
RIVAL = "Oldport has 9 cranes. Its sheds burned down."
LATER = "The harbour has 14 cranes and three sheds, a later report says."


@dataclass
class Keyed:
    """A reader that answers a word of the question with words of a passage, wherever they stand."""

    answers: dict[str, dict[str, float]]
    says_yes: dict[str, float]
    says_no: dict[str, float]
    threshold: float = 0.3
    name: str = "keyed"

    def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
        wanted = {words: p for word, found in self.answers.items() if word in question for words, p in found.items()}
        return [self._reading(passage.text, wanted) for passage in passages]

    def _reading(self, text: str, wanted: dict[str, float]) -> Reading:
        spans = [ReadSpan(span=place(text, words), probability=p) for words, p in wanted.items() if words in text]
        return Reading(
            spans=tuple(sorted(spans, key=lambda each: -each.probability)),
            no_answer=0.0,
            yes=max((p for words, p in self.says_yes.items() if words in text), default=0.0),
            no=max((p for words, p in self.says_no.items() if words in text), default=0.0),
        )


def place(text: str, words: str) -> Span:
    return Span(text.index(words), text.index(words) + len(words))


def reader(
    answers: dict[str, dict[str, float]] | None = None,
    *,
    yes: dict[str, float] | None = None,
    no: dict[str, float] | None = None,
) -> Keyed:
    return Keyed(answers=answers or {}, says_yes=yes or {}, says_no=no or {})


def ask(keyed: Keyed, question: str, *texts: str, collection: Shelf | None = None) -> Answer:
    answer = Answering(reader=keyed, encoder_name="words").answer(
        AskRequest(question=question), collection or shelf(*texts)
    )
    assert_claims_partition(answer)
    return answer


def test_a_fact_is_its_words_and_quotes_its_sentence() -> None:
    answer = ask(reader({"cranes": {"12": 0.9}}), "How many cranes are there?", HARBOUR)

    assert answer.answer == "12"
    assert answer.citations[0].quote == "The harbour has 12 cranes and three sheds."


def test_what_is_no_amount_comes_after_a_likely_one_where_an_amount_is_asked_for() -> None:
    answer = ask(reader({"cranes": {"harbour": 0.6, "12": 0.4}}), "How many cranes are there?", HARBOUR)

    assert answer.answer == "12"


def test_of_places_that_say_the_same_the_one_on_the_question_is_quoted() -> None:
    found = Keyed(answers={"master": {"Ada Marsh": 0.8}}, says_yes={}, says_no={})
    answer = ask(
        found, "Who is the master of the harbour?", "“No,” Ada Marsh said.", "The harbour has a master, Ada Marsh."
    )

    assert answer.answer == "Ada Marsh"
    assert answer.citations[0].quote == "The harbour has a master, Ada Marsh."


def test_a_reason_is_its_whole_sentence() -> None:
    answer = ask(reader({"sheds": {"burned down": 0.8}}), "Why has Oldport no sheds?", RIVAL)

    assert answer.answer == "Its sheds burned down."


def test_a_sentence_is_as_likely_as_all_that_the_reader_finds_in_it() -> None:
    found = {"12 cranes": 0.2, "three sheds": 0.25, "9 cranes": 0.29}
    answer = ask(reader({"harbour": found}), "Why is the harbour so busy?", RIVAL, HARBOUR)

    assert answer.answer == "The harbour has 12 cranes and three sheds."
    assert answer.confidence == pytest.approx(0.45)


def test_an_enumeration_is_as_likely_as_all_its_items_together() -> None:
    items = {"rope": 0.2, "tar": 0.15, "sailcloth": 0.1}
    answer = ask(
        reader({"goods": items}), "What are the goods they sell?", "They deal in goods such as rope, tar and sailcloth."
    )

    assert answer.answer == "rope, tar and sailcloth"
    assert answer.confidence == pytest.approx(0.45)


def test_yes_and_no_stand_on_the_sentence_that_says_so() -> None:
    yes = ask(reader(yes={"built in 1884": 0.9}), "Was the harbour built in 1884?", RIVAL, HARBOUR)
    no = ask(reader(no={"burned down": 0.7}), "Does Oldport still have sheds?", HARBOUR, RIVAL)

    assert (yes.answer, yes.citations[0].quote) == ("Yes", "It was built in 1884.")
    assert (no.answer, no.citations[0].quote) == ("No", "Oldport has 9 cranes. Its sheds burned down.")
    assert [claim.support for claim in (*yes.claims, *no.claims)] == [Support.DERIVED] * 2


def test_a_verdict_marks_nothing_in_its_quote() -> None:
    answer = ask(reader(yes={"built in 1884": 0.9}), "Was the harbour built in 1884?", HARBOUR)

    assert (answer.citations[0].answer_start, answer.citations[0].answer_end) == (None, None)


def test_the_sentence_that_says_the_other_word_is_not_shown() -> None:
    text = "The harbour is open on weekdays. The harbour is shut on holidays."
    found = reader(yes={"open on weekdays": 0.3}, no={"shut on holidays": 0.6})

    answer = ask(found, "Is the harbour open on holidays?", text)

    assert (answer.answer, answer.citations[0].quote) == ("No", "The harbour is shut on holidays.")


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Is Bo Lind the master?", "The master is Ada Marsh."),
        ("Was the harbour built in 1883?", "The harbour was built in 1884."),
        ("Does the harbour have 500 cranes?", "The harbour cost 500 million for its cranes."),
    ],
)
def test_yes_is_not_said_of_names_and_figures_that_do_not_stand_there(question: str, text: str) -> None:
    assert not ask(reader(yes={text: 0.9}), question, text).answered


def test_no_is_not_said_by_a_sentence_on_something_else() -> None:
    assert not ask(reader(no={"master": 0.9}), "Is Paris the capital of France?", HARBOUR).answered


@pytest.mark.parametrize(
    ("question", "text", "is_shown"),
    [
        ("Is the harbour open in winter?", "The harbour isn't open in winter.", True),
        ("Does the harbour have 500 cranes?", "The harbour has 12 cranes.", True),
        ("Is Bo Lind the master of Oldport?", "The master of Oldport is Ada Marsh.", True),
        ("Is Bo Lind the master of Oldport?", "The master looks at the Science Centre.", False),
        ("Is Ada Marsh the cook?", "The master is Ada Marsh.", False),
        ("Does the harbour support private boats?", "The harbour supports the building of boats.", False),
        ("Does the harbour have 12 cranes?", "The harbour has 12 cranes.", False),
        ("Are cats allowed?", "Dogs are not allowed.", False),
        ("Are dogs allowed?", "Dogs are not allowed.", True),
    ],
)
def test_no_is_said_by_words_that_deny_or_by_another_name_or_figure(question: str, text: str, is_shown: bool) -> None:
    assert (ask(reader(no={text: 0.9}), question, text).answer == "No") is is_shown


def test_a_row_of_a_table_says_yes_only_in_a_cell() -> None:
    row = "Article: Wall plug; Unit: 100 pcs; Stock: 0"
    assert not ask(reader(yes={"Wall plug": 0.9}), "Is the wall plug in stock?", row).answered
    assert ask(reader(yes={"Wall plug": 0.9}), "Is the wall plug in stock?", f"{row}; Available: no").answered


def test_a_question_is_no_evidence_but_with_the_yes_that_follows_it() -> None:
    text = "Does it support WPA3?\n\nYes, from firmware 2.1 on. Who made it?"
    answer = ask(reader(yes={"WPA3": 0.9}), "Does it support WPA3?", text)
    assert [citation.quote for citation in answer.citations] == ["Does it support WPA3?\n\nYes, from firmware 2.1 on."]
    assert not ask(reader(yes={"WPA3": 0.9}), "Does it support WPA3?", "Ask us. Does it support WPA3?").answered


def test_a_list_with_an_item_a_line_is_told_item_by_item() -> None:
    text = "Ingredients of the soup:\n- 250 g lentils\n- 2 carrots\n- 1 onion\n\nChop the onion."
    answer = ask(reader({"soup": {"2 carrots": 0.7}}), "Which ingredients does the soup have?", text)
    assert answer.answer == "250 g lentils; 2 carrots; 1 onion"
    assert answer.citations[0].quote == "- 250 g lentils\n- 2 carrots\n- 1 onion"


def test_a_verdict_below_the_threshold_is_not_given() -> None:
    assert not ask(reader(yes={"1884": 0.2}), "Was the harbour built in 1884?", HARBOUR).answered


def test_an_open_question_is_never_answered_with_yes() -> None:
    answer = ask(reader({"built": {"1884": 0.5}}, yes={"1884": 0.9}), "When was it built?", HARBOUR)

    assert answer.answer == "1884"


def test_a_list_has_all_items_of_its_enumeration() -> None:
    text = "The market sells flour, smoked fish, wool and candles. It opens at dawn."

    answer = ask(reader({"sells": {"flour": 0.6}}), "Which things are sold, and who sells them?", text)
    listed = ask(reader({"goods": {"flour": 0.6}}), "What are the goods of the market?", text)

    assert (
        answer.citations[0].quote
        == listed.citations[0].quote
        == "The market sells flour, smoked fish, wool and candles."
    )
    assert listed.answer == "flour, smoked fish, wool and candles"


def test_a_list_is_gathered_from_several_passages() -> None:
    places = {"Pemberlow": 0.6, "Oldport": 0.5, "Marsh End": 0.1}
    texts = [f"{name} has a harbour." for name in places]

    answer = ask(reader({"harbour": places}), "Which two towns have a harbour?", *texts)

    assert answer.answer == "Pemberlow; Oldport"
    assert [citation.document_id for citation in answer.citations] == ["d0", "d1"]


def test_two_figures_for_one_thing_are_shown_as_a_conflict() -> None:
    answer = ask(reader({"cranes": {"12": 0.6, "14": 0.5}}), "How many cranes are there?", HARBOUR, LATER)

    assert answer.answer == "12; 14"
    assert [claim.conflict for claim in answer.claims] == [1, 1]


def test_figures_of_different_things_are_no_conflict() -> None:
    answer = ask(reader({"cranes": {"12": 0.6, "9": 0.5}}), "How many cranes are there?", HARBOUR, RIVAL)

    assert (answer.answer, answer.claims[0].conflict) == ("12", None)


def test_a_comparison_names_the_winner_and_both_figures() -> None:
    keyed = reader({"The harbour": {"12": 0.8}, "Oldport": {"9": 0.7}})

    more = ask(keyed, "Which has more cranes, The harbour or Oldport?", HARBOUR, RIVAL)
    fewer = ask(keyed, "Which has fewer cranes, The harbour or Oldport?", HARBOUR, RIVAL)

    assert more.answer == "The harbour; 12; 9"
    assert fewer.answer == "Oldport; 9; 12"
    assert [claim.support for claim in more.claims] == [Support.DERIVED, Support.VERBATIM, Support.VERBATIM]
    assert more.claims[0].citations == (1, 2)
    assert more.confidence == 0.7


def test_a_comparison_with_one_figure_draws_no_conclusion() -> None:
    answer = ask(reader({"The harbour": {"12": 0.8}}), "Which has more cranes, The harbour or Oldport?", HARBOUR, RIVAL)

    assert answer.answer == "12"


def test_a_sentence_on_something_else_is_no_evidence_however_clearly_it_says_no() -> None:
    text = "In winter the harbour is closed to ships. Gulls sit on every crane."

    answer = ask(reader(no={"closed": 0.4, "Gulls": 0.6}), "Is the harbour open in winter?", text)

    assert answer.answer == "No"
    assert [citation.quote for citation in answer.citations] == ["In winter the harbour is closed to ships."]


def test_dates_are_compared_as_dates() -> None:
    old, new = "Oldport mill was built on 30 March 1884.", "Marsh End mill was built on 2 May 1921."
    keyed = reader({"Oldport mill": {"30 March 1884": 0.8}, "Marsh End mill": {"2 May 1921": 0.7}})

    answer = ask(keyed, "Which was built first, Oldport mill or Marsh End mill?", old, new)

    assert answer.answer == "Oldport mill; 30 March 1884; 2 May 1921"


def test_two_figures_of_one_sentence_are_no_conflict() -> None:
    text = "The harbour has 168 cranes, including 65 new ones."

    answer = ask(reader({"cranes": {"168": 0.9, "65": 0.8}}), "How many cranes are there?", text)

    assert answer.answer == "168"
    assert answer.claims[0].conflict is None


def test_figures_of_different_years_are_no_conflict() -> None:
    texts = ("In 2019 the harbour had 12 cranes.", "In 2023 the harbour had 14 cranes.")

    answer = ask(reader({"cranes": {"12 cranes": 0.9, "14 cranes": 0.8}}), "How many cranes had the harbour?", *texts)

    assert answer.answer == "12 cranes"


def test_each_of_two_questions_has_conflicts_of_its_own() -> None:
    texts = (HARBOUR, LATER, "The quay has 5 lamps and is long.", "The quay has 7 lamps and is long.")
    found = reader({"cranes": {"12": 0.9, "14": 0.8}, "lamps": {"5": 0.9, "7": 0.8}})

    answer = ask(found, "How many cranes are there and how many lamps are there?", *texts)

    assert [(claim.text, claim.conflict) for claim in answer.claims] == [("12", 1), ("14", 1), ("5", 2), ("7", 2)]


def test_a_comparison_shows_both_of_two_figures_that_disagree() -> None:
    found = reader({"the harbour": {"12": 0.9, "14": 0.8}, "Oldport": {"9": 0.9}})

    answer = ask(found, "Which has more cranes, the harbour or Oldport?", HARBOUR, LATER, RIVAL)

    assert [(claim.text, claim.conflict) for claim in answer.claims] == [
        ("the harbour", None), ("12", 1), ("14", 1), ("9", None)
    ]  # fmt: skip


def test_an_answer_is_as_sure_as_its_least_sure_part() -> None:
    found = reader({"cranes": {"12": 0.9}, "master": {"Ada Marsh": 0.4}})
    both = ask(found, "How many cranes are there and who is the master?", HARBOUR)
    compared = ask(
        reader({"the harbour": {"12": 0.9}, "Oldport": {"9": 0.5}}),
        "Which has more cranes, the harbour or Oldport?", HARBOUR, RIVAL,
    )  # fmt: skip

    assert (both.answer, both.confidence) == ("12; Ada Marsh", 0.4)
    assert compared.confidence == 0.5
