from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.answering.domain import Reading, ReadingPassage, ReadSpan
from service.answering.readers.span import MODEL, SHIPPED, SpanReader

LONGEST_FILE = 23_000_000

CRANES = "The harbour of Oldport has 12 cranes and three sheds. It was built in 1884 by Ada Marsh."
AGREEING = "Visitors count 12 cranes in the harbour of Oldport, and a lighthouse at its end."
ELSEWHERE = "Sourdough bread rises slowly, because wild yeast is weaker than baker's yeast."


def passage(text: str, context: str = "Oldport") -> ReadingPassage:
    return ReadingPassage(text=text, context=context, similarity=0.6, bm25=None, fused=0.5)


def best(reader: SpanReader, question: str, *texts: str) -> tuple[str, ReadSpan]:
    readings = reader.read(question, [passage(text) for text in texts])
    found = [(text, span) for text, reading in zip(texts, readings, strict=True) for span in reading.spans]
    text, span = max(found, key=lambda pair: pair[1].probability)
    return text[span.span.start : span.span.end], span


@pytest.fixture(scope="module")
def reader() -> SpanReader:
    return SpanReader.load(SHIPPED, threads=2)


def test_it_is_small_enough_for_the_repository() -> None:
    assert (SHIPPED / MODEL).stat().st_size <= LONGEST_FILE


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many cranes does the harbour of Oldport have?", "12"),
        ("When was the harbour of Oldport built?", "1884"),
        ("Who built the harbour of Oldport?", "Ada Marsh"),
    ],
)
def test_it_marks_the_words_that_answer(reader: SpanReader, question: str, expected: str) -> None:
    said, span = best(reader, question, ELSEWHERE, CRANES)

    assert said == expected
    assert span.probability >= reader.threshold


def test_it_knows_when_a_passage_does_not_answer(reader: SpanReader) -> None:
    _, span = best(reader, "How many cranes does the harbour of Oldport have?", ELSEWHERE)

    assert span.probability < reader.threshold


@pytest.mark.parametrize(("fused", "is_sure"), [(0.7, True), (0.15, False)])
def test_a_yes_is_worth_little_where_the_passage_is_far_from_the_question(
    reader: SpanReader, fused: float, is_sure: bool
) -> None:
    near = replace(passage(CRANES), fused=fused)
    (reading,) = reader.read("Was the harbour of Oldport built in 1884?", [near])

    assert reading.yes > reading.no
    assert (reading.yes >= reader.threshold) == is_sure


def test_passages_that_agree_do_not_weaken_each_other(reader: SpanReader) -> None:
    question = "How many cranes does the harbour of Oldport have?"
    _, alone = best(reader, question, CRANES)
    _, together = best(reader, question, CRANES, AGREEING)

    assert together.probability >= alone.probability - 0.01


def test_a_passage_is_read_the_same_whatever_is_beside_it(reader: SpanReader) -> None:
    question = "When was the harbour of Oldport built?"
    passages = [passage(text) for text in (CRANES, ELSEWHERE, AGREEING * 3)]
    together = [one.decoded for one in reader.weigh(question, passages)]
    alone = [reader.weigh(question, [one])[0].decoded for one in passages]

    def odds(mass: float, of_no_answer: float) -> float:
        return mass / of_no_answer

    nothing = 1 - sum(one.mass for one in together)
    assert [odds(one.mass, nothing) for one in together] == pytest.approx(
        [odds(one.mass, 1 - one.mass) for one in alone], rel=1e-6
    )


def test_reading_in_rounds_gives_what_reading_the_same_passages_at_once_gives(reader: SpanReader) -> None:
    question = "When was the harbour of Oldport built?"
    passages = [passage(text) for text in (ELSEWHERE, CRANES, AGREEING, ELSEWHERE * 2, CRANES * 2, AGREEING * 2)]
    seen: list[list[Reading]] = []

    def more(readings: Sequence[Reading]) -> int:
        seen.append(list(readings))
        return 3 if len(readings) < 6 else 0

    assert reader.read(question, passages, more=more) == reader.read(question, passages)
    assert seen == [[], reader.read(question, passages[:3])]
    assert reader.read(question, passages, more=lambda readings: 4 - len(readings)) == reader.read(
        question, passages[:4]
    )


def test_questions_that_are_read_at_the_same_time_get_what_each_gets_alone(reader: SpanReader) -> None:
    passages = [passage(text) for text in (ELSEWHERE, CRANES, AGREEING)]
    questions = ["When was the harbour of Oldport built?", "How many cranes has it?", "Who is the mayor of Oldport?"]
    alone = [reader.read(question, passages) for question in questions]

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda question: reader.read(question, passages), questions * 4))
    assert together == alone * 4


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=900), st.text(max_size=200))
def test_whatever_is_read_spans_lie_in_the_text_and_probabilities_are_ones(
    reader: SpanReader, question: str, text: str, context: str
) -> None:
    [reading] = reader.read(question, [passage(text, context)])

    assert all(0 <= each.span.start < each.span.end <= len(text) for each in reading.spans)
    assert all(0 <= value <= 1 for value in (*(each.probability for each in reading.spans), reading.no_answer))
    assert 0 <= reading.yes <= 1
    assert 0 <= reading.no <= 1


def test_what_is_longer_than_the_model_reads_is_cut_and_still_answered(reader: SpanReader) -> None:
    said, _ = best(reader, "How many cranes does the harbour of Oldport have?", CRANES + " " + ELSEWHERE * 200)

    assert said == "12"
