from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.domain import Span
from service.answering.answering import Answering, AskRequest, Exchange
from service.answering.domain import NoAnswerReason, Reading, ReadingPassage, Support
from service.answering.ports import More
from service.answering.spelling import Speller
from tests.unit.scripted import (
    EMPLOYS,
    FOUNDED,
    TEXT,
    Scripted,
    Shelf,
    ask,
    assert_claims_partition,
    passage,
    place,
    saying,
    shelf,
)


def test_an_answer_is_the_best_span_with_the_sentence_that_holds_it() -> None:
    collection = Shelf(texts={"d": "Before. " + TEXT + " After."}, passages=[passage("d", TEXT, start=8)])
    name = Span(TEXT.index("Ada"), TEXT.index(" in 1921"))

    answer = ask(saying((name, 0.9), (EMPLOYS, 0.2)), collection)

    assert (answer.answer, answer.confidence, answer.no_answer_reason) == ("Ada Marsh", 0.9, None)
    [citation] = answer.citations
    assert citation.quote == "It was founded by Ada Marsh in 1921."
    assert collection.texts["d"][citation.start : citation.end] == citation.quote
    assert collection.texts["d"][citation.answer_start : citation.answer_end] == "Ada Marsh"
    assert citation.prefix == collection.texts["d"][citation.start - 32 : citation.start]
    assert citation.suffix == collection.texts["d"][citation.end : citation.end + 32]
    assert (citation.title, citation.headings, citation.passage_id) == ("A title", ("Part", "Chapter"), "d:8")


def test_line_breaks_in_a_span_become_spaces_in_the_answer_and_stay_in_the_quote() -> None:
    answer = ask(saying((EMPLOYS, 0.9)), shelf(TEXT))

    assert answer.answer == "The bakery employs 14 people."
    assert answer.citations[0].quote == "The bakery\nemploys 14 people."
    assert answer.claims[0].support is Support.VERBATIM


def test_the_prefix_is_shorter_where_the_document_begins() -> None:
    answer = ask(saying((Span(0, 8), 0.9)), shelf(TEXT))

    assert (answer.citations[0].start, answer.citations[0].prefix) == (0, "")


@given(
    st.lists(st.tuples(st.integers(-5, 200), st.integers(-5, 200), st.floats(allow_nan=True)), max_size=6),
    st.text(alphabet="ab. \n?é", max_size=80),
    st.sampled_from([0.0, 0.3, None]),
)
def test_whatever_a_reader_says_every_citation_is_the_stored_text(
    said: list[tuple[int, int, float]], text: str, min_confidence: float | None
) -> None:
    collection = shelf(text, TEXT)
    reader = saying(*((Span(start, end), probability) for start, end, probability in said))

    answer = ask(reader, collection, AskRequest(question="which two?", min_confidence=min_confidence))

    assert answer.answered == bool(answer.citations) == bool(answer.claims)
    assert 0 <= answer.confidence <= 1
    for citation in answer.citations:
        stored = collection.texts[citation.document_id]
        assert citation.answer_start is not None
        assert citation.answer_end is not None
        assert stored[citation.start : citation.end] == citation.quote
        assert citation.start <= citation.answer_start < citation.answer_end <= citation.end
        assert stored[: citation.start].endswith(citation.prefix)
        assert stored[citation.end :].startswith(citation.suffix)
    assert_claims_partition(answer)


def test_a_passage_that_no_longer_says_what_is_stored_is_passed_over() -> None:
    collection = shelf(TEXT, "Ada Marsh baked.")
    collection.texts["d0"] = TEXT.replace("Ada", "Eve")

    answer = ask(Scripted(lambda each: [(Span(0, len(each.text)), 0.9)]), collection)

    assert [citation.document_id for citation in answer.citations] == ["d1"]


def test_a_document_deleted_while_it_was_read_is_not_cited() -> None:
    collection = shelf(TEXT)
    collection.deleted.add("d0")

    answer = ask(saying((FOUNDED, 0.9)), collection)

    assert (answer.answered, answer.no_answer_reason) == (False, NoAnswerReason.LOW_CONFIDENCE)


@dataclass
class Knowing(Scripted):
    """A reader that knows what to say to a word of the question."""

    answers: dict[str, tuple[Span, float]] = field(default_factory=dict)

    def read(self, question: str, passages: Sequence[ReadingPassage], *, more: More | None = None) -> list[Reading]:
        known = [found for word, found in self.answers.items() if word in question]
        self.says = lambda _: known
        return super().read(question, passages, more=more)


def knowing(**answers: tuple[Span, float]) -> Knowing:
    return Knowing(says=lambda _: [], answers=answers)


def test_each_of_two_questions_in_one_gets_a_claim() -> None:
    reader = knowing(founded=(FOUNDED, 0.6), many=(EMPLOYS, 0.55))

    both = ask(reader, shelf(TEXT), AskRequest(question="Who founded it and how many work there?"))
    one = ask(reader, shelf(TEXT), AskRequest(question="Who founded it?"))

    assert both.answer == "It was founded by Ada Marsh in 1921. The bakery employs 14 people."
    assert [claim.citations for claim in both.claims] == [(1,), (2,)]
    assert len(one.claims) == 1
    assert_claims_partition(both)


def test_claims_that_end_without_a_full_stop_are_joined_by_a_semicolon() -> None:
    reader = knowing(founded=(place("Ada Marsh"), 0.6), many=(place("14"), 0.55))

    answer = ask(reader, shelf(TEXT), AskRequest(question="Who founded it and how many work there?"))

    assert answer.answer == "Ada Marsh; 14"


def test_the_same_words_in_another_document_are_a_second_citation_of_one_claim() -> None:
    answer = ask(saying((FOUNDED, 0.9)), shelf(TEXT, TEXT))

    assert [claim.citations for claim in answer.claims] == [(1, 2)]
    assert [citation.document_id for citation in answer.citations] == ["d0", "d1"]


@pytest.mark.parametrize(
    ("live", "allowed", "texts", "reason"),
    [
        (0, 0, (), NoAnswerReason.EMPTY_COLLECTION),
        (5, 0, (), NoAnswerReason.FILTERED_OUT),
        (5, 2, (), NoAnswerReason.NO_PASSAGES),
        (5, 5, (TEXT,), NoAnswerReason.LOW_CONFIDENCE),
    ],
)
def test_an_abstention_says_why(live: int, allowed: int, texts: tuple[str, ...], reason: NoAnswerReason) -> None:
    answer = ask(saying((FOUNDED, 0.4)), replace(shelf(*texts), live=live, allowed=allowed))

    assert (answer.answered, answer.answer, answer.no_answer_reason) == (False, None, reason)
    assert (answer.claims, answer.citations, len(answer.hits)) == ((), (), len(texts))
    assert answer.confidence == (0.4 if texts else 0.0)


def test_min_confidence_replaces_the_threshold() -> None:
    reader = saying((FOUNDED, 0.01))

    assert ask(reader, shelf(TEXT), AskRequest(question="Who?", min_confidence=0.0)).answered
    assert not ask(reader, shelf(TEXT), AskRequest(question="Who?", min_confidence=0.02)).answered


def test_a_script_that_the_encoder_cannot_read_is_said_to_be_unsupported() -> None:
    asked = AskRequest(question="谁创办了这家面包店？")
    reader = saying((FOUNDED, 0.9))

    for text in (TEXT, "面包店由马什创办。"):
        answer = ask(reader, shelf(text), asked)
        assert answer.no_answer_reason is NoAnswerReason.UNSUPPORTED_LANGUAGE
        assert len(answer.hits) == 1
    assert ask(reader, shelf(TEXT), replace(asked, min_confidence=0.0)).answered


@pytest.mark.parametrize("question", ["why?", "Who", "What is it?", "And where was that?", "Who am I?", "?!"])
def test_a_question_that_names_nothing_is_not_answered_from_one_of_several_documents(question: str) -> None:
    reader, asked = saying((FOUNDED, 0.9)), AskRequest(question=question)

    answer = ask(reader, shelf(TEXT, "Another text."), asked)

    assert (answer.answer, answer.no_answer_reason) == (None, NoAnswerReason.LOW_CONFIDENCE)
    assert ask(reader, shelf(TEXT), asked).answered
    assert ask(reader, shelf(TEXT, "Another text."), replace(asked, min_confidence=0.5)).answered


@pytest.mark.parametrize("question", ["US?", "Who is in IT?", "Who was The Who?", "1999?", "Why true?"])
def test_a_question_that_names_one_thing_is_answered(question: str) -> None:
    assert ask(saying((FOUNDED, 0.9)), shelf(TEXT, "Another text."), AskRequest(question=question)).answered


@pytest.mark.parametrize(
    "question", ["谁创办了这家面包店？", "Кто основал пекарню?", "من أسس المخبز؟", "Ποιος ίδρυσε το Bakery;"]
)
def test_a_question_in_other_letters_is_read_by_what_can_read_them(question: str) -> None:
    asked = AskRequest(question=question)

    answer = ask(saying(), shelf(TEXT), asked, foreign=saying((FOUNDED, 0.9)))

    assert answer.answered
    assert not ask(saying((FOUNDED, 0.9)), shelf(TEXT), asked).answered


@pytest.mark.parametrize(
    "question", ["Who founded the 面包店?", "¿Quién fundó la panadería?", "1999?", "Qui fonda Złoty Róg?"]
)
def test_a_question_mostly_in_latin_letters_is_read_as_ever(question: str) -> None:
    assert ask(saying((FOUNDED, 0.9)), shelf(TEXT), AskRequest(question=question)).answered


def test_hits_keep_their_order_and_take_the_readers_best_probability() -> None:
    reader = Scripted(lambda each: [(Span(0, 3), 0.2), (Span(0, 5), 0.3)] if each.text == TEXT else [])

    answer = ask(reader, shelf("Nothing here.", TEXT))

    assert [hit.passage.document_id for hit in answer.hits] == ["d0", "d1"]
    assert [hit.scores.reader for hit in answer.hits] == [0.0, 0.3]
    assert answer.hits[0].scores.fused == 0.03


def test_a_deadline_leaves_later_passages_unread() -> None:
    reader = saying((FOUNDED, 0.9))
    collection = shelf(*[TEXT + str(number) for number in range(8)])

    hurried = ask(reader, collection, AskRequest(question="Who?", max_latency_ms=0.001))

    assert (hurried.degraded, reader.read_passages, len(hurried.hits)) == ("deadline", 1, 8)
    assert hurried.hits[1].scores.reader is None
    assert ask(reader, collection, AskRequest(question="Who?", max_latency_ms=60_000)).degraded is None


def test_without_a_deadline_a_slow_clock_changes_nothing() -> None:
    ticks = iter(range(0, 10**6, 1000))
    answering = Answering(reader=saying((FOUNDED, 0.9)), encoder_name="words", clock=lambda: float(next(ticks)))
    collection = shelf(*[TEXT] * 8)

    answers = [answering.answer(AskRequest(question="Who?"), collection) for _ in range(3)]

    assert len({replace(each, timings_ms={}).__repr__() for each in answers}) == 1
    assert answers[0].degraded is None


def test_a_follow_up_is_searched_with_what_it_leans_on() -> None:
    collection = shelf(TEXT)
    history = (Exchange(question="Who founded Pemberlow Bakery?", answer="Ada Marsh"),)

    answer = ask(saying((FOUNDED, 0.9)), collection, AskRequest(question="When was it founded?", history=history))

    assert answer.question == "When was it founded?"
    assert collection.asked == [answer.question_used]
    assert "Pemberlow Bakery" in answer.question_used


def test_a_misspelt_question_is_asked_again_as_it_was_meant() -> None:
    answering = Answering(reader=saying((FOUNDED, 0.9)), encoder_name="words", speller=Speller(("which", "was")))
    misspelt, plain = shelf(TEXT), shelf(TEXT)

    mended = answering.answer(AskRequest(question="which bkery was it?"), misspelt)
    answering.answer(AskRequest(question="which bakery was it?"), plain)

    assert (mended.question, mended.question_used) == ("which bkery was it?", "which bakery was it?")
    assert misspelt.asked == ["which bkery was it?", "which bakery was it?"]
    assert plain.asked == ["which bakery was it?"]  # once, though it had to be looked at


def test_timings_cover_every_stage_and_are_rounded() -> None:
    answer = ask(saying((FOUNDED, 0.9)), shelf(TEXT))

    assert set(answer.timings_ms) == {"encode", "search", "read", "total"}
    assert answer.timings_ms["encode"] == 1.235
    assert all(round(value, 3) == value for value in answer.timings_ms.values())


def test_explain_gives_the_whole_trace() -> None:
    reader = saying((FOUNDED, 0.4), (EMPLOYS, 0.1))

    answer = ask(reader, shelf(TEXT), AskRequest(question="Who?", explain=True))

    spans = [
        {"start": FOUNDED.start, "end": FOUNDED.end, "probability": 0.4},
        {"start": EMPLOYS.start, "end": EMPLOYS.end, "probability": 0.1},
    ]
    read = {"passage_id": "d0:0", "no_answer": 0.1, "yes": 0.0, "no": 0.0, "spans": spans}
    part = {"question": "Who?", "intent": "fact", "search": {"dense": "trace"}, "reader": [read]}
    assert answer.explain == {"parts": [part], "threshold": 0.5}
    assert ask(reader, shelf(TEXT)).explain is None
