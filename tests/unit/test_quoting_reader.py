from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.arrays import Vectors
from embeddings.encoders.compiled import DEFAULT_MODEL, CompiledEncoder
from embeddings.errors import ModelMissing, ModelUnsound
from embeddings.ports import Tokenizer
from embeddings.text import content_words, sentence_spans
from service.answering.domain import Reading, ReadingPassage
from service.answering.questions import AnswerKind, analyse
from service.answering.readers.quoting import (
    MOST_CHARACTERS,
    MOST_ENCODED,
    SHIPPED,
    QuotingParameters,
    QuotingReader,
)

BAKERY = (
    "Pemberlow Bakery was founded by Ada Marsh in 1921. It stands on the quay of a small harbour town. "
    "The oven burns beech wood all year round. The bakery employs 14 people and two apprentices."
)
HARBOUR = (
    "The harbour master keeps a log of every ship. In winter the harbour is closed because of the ice. "
    "Ferries leave for the islands from the northern pier."
)


class WordEncoder:
    """Vectors of hashed words: texts that share words are similar."""

    name = "words"
    fingerprint = "words"
    dimension = 256

    def __init__(self) -> None:
        self.batches: list[int] = []

    @property
    def tokenizer(self) -> Tokenizer:
        raise AssertionError("A reader counts no tokens.")

    def encode_questions(self, questions: Sequence[str]) -> Vectors:
        return self._encode(questions)

    def encode_passages(self, passages: Sequence[str]) -> Vectors:
        self.batches.append(len(passages))
        return self._encode(passages)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in content_words(text):
                vectors[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def passages(*texts: str) -> list[ReadingPassage]:
    return [
        ReadingPassage(text=text, context="", similarity=0.6 - rank / 10, bm25=5.0 - rank, fused=1 / (61 + rank))
        for rank, text in enumerate(texts)
    ]


def read(question: str, *texts: str) -> list[Reading]:
    return QuotingReader(WordEncoder()).read(question, passages(*texts))


def best(question: str, *texts: str) -> tuple[str, float]:
    found = [
        (span.probability, text[span.span.start : span.span.end])
        for reading, text in zip(read(question, *texts), texts, strict=True)
        for span in reading.spans
    ]
    probability, quote = max(found)
    return quote, probability


@pytest.mark.parametrize(
    ("question", "quote"),
    [
        ("Who founded Pemberlow Bakery?", "Pemberlow Bakery was founded by Ada Marsh in 1921."),
        ("How many people does the bakery employ?", "The bakery employs 14 people and two apprentices."),
        ("how many poeple does the bakery emplyo?", "The bakery employs 14 people and two apprentices."),
        ("Why is the harbour closed in winter?", "In winter the harbour is closed because of the ice."),
        ("ferries islands pier", "Ferries leave for the islands from the northern pier."),
    ],
)
def test_the_sentence_that_answers_comes_first(question: str, quote: str) -> None:
    assert best(question, HARBOUR, BAKERY)[0] == quote


def test_what_the_passages_do_not_speak_of_stays_under_the_threshold() -> None:
    reader = QuotingReader(CompiledEncoder.load(DEFAULT_MODEL, threads=1))

    def confidence(question: str) -> float:
        readings = reader.read(question, passages(HARBOUR, BAKERY))
        return max(span.probability for reading in readings for span in reading.spans)

    assert confidence("Who founded Pemberlow Bakery?") >= reader.threshold
    assert confidence("What is the melting point of tungsten?") < reader.threshold


@given(st.text(max_size=40), st.lists(st.text(alphabet="Abc 7.?\n。中é%", max_size=120), max_size=4))
def test_candidates_are_sentences_and_all_probabilities_sum_to_one(question: str, texts: list[str]) -> None:
    readings = read(question, *texts)

    assert len(readings) == len(texts)
    spoken = [span for reading in readings for span in reading.spans]
    assert all(0 <= span.probability <= 1 for span in spoken)
    assert sum(span.probability for span in spoken) <= 1 + 1e-9
    for reading, text in zip(readings, texts, strict=True):
        assert {each.span for each in reading.spans} <= set(sentence_spans(text))
        assert [each.probability for each in reading.spans] == sorted(
            (s.probability for s in reading.spans), reverse=True
        )
        assert 0 <= reading.no_answer <= 1


def test_the_same_call_gives_the_same_reading() -> None:
    assert read("Who founded it?", BAKERY, HARBOUR) == read("Who founded it?", BAKERY, HARBOUR)


def test_a_sentence_that_two_passages_share_is_read_once() -> None:
    first, second = read("Who founded Pemberlow Bakery?", BAKERY, BAKERY)

    assert first.spans
    assert second.spans == ()


def test_the_encoder_sees_one_batch_of_bounded_size() -> None:
    encoder = WordEncoder()
    many = [f"Sentence {number} tells of bakery {number} and its {number} ovens. " for number in range(80)]

    QuotingReader(encoder).read("How many ovens?", passages(*[" ".join(many[at : at + 10]) for at in range(0, 80, 10)]))

    assert encoder.batches == [MOST_ENCODED]


def test_no_passages_give_no_readings() -> None:
    assert read("Who?") == []
    assert read("Who?", "", "\n") == [Reading(spans=(), no_answer=1.0)] * 2


def test_long_sentences_are_encoded_up_to_a_bounded_length_but_never_none() -> None:
    encoder = WordEncoder()
    reader = QuotingReader(encoder)
    endless = "ovens " * MOST_CHARACTERS

    reader.read("How many ovens?", passages(f"{'The ovens are hot and ' * 20}old.", f"{'An oven is ' * 40}new."))
    reader.read("How many ovens?", passages(endless))

    assert encoder.batches == [2, 1]


def test_parameters_of_other_features_are_refused(tmp_path: Path) -> None:
    stored = json.loads(SHIPPED.read_text(encoding="utf-8"))
    other = tmp_path / "quoting.json"
    other.write_text(json.dumps({**stored, "features": stored["features"][1:]}), encoding="utf-8")

    with pytest.raises(ModelUnsound):
        QuotingParameters.load(other)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"features": [], "shortlist": ["a"]}'])
def test_parameters_that_are_damaged_or_missing_are_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "quoting.json"
    with pytest.raises(ModelMissing, match=r"quoting\.json"):
        QuotingParameters.load(path)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelUnsound, match=r"quoting\.json is damaged"):
        QuotingParameters.load(path)


def test_the_shipped_parameters_say_what_they_were_fitted_with() -> None:
    stored = json.loads(SHIPPED.read_text(encoding="utf-8"))

    assert stored["provenance"]["most_encoded"] == MOST_ENCODED
    assert stored["provenance"]["most_characters"] == MOST_CHARACTERS
    assert 0 < stored["threshold"] < 1


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many engineers are there?", AnswerKind.NUMBER),
        ("How much did it cost to build?", AnswerKind.MONEY),
        ("What percentage went to Taizhou?", AnswerKind.SHARE),
        ("On what day did it open?", AnswerKind.DATE),
        ("Whose idea was it?", AnswerKind.PERSON),
        ("Which city hosted the meeting?", AnswerKind.PLACE),
        ("Why did they leave?", AnswerKind.REASON),
        ("Which five chains are in focus?", AnswerKind.LIST),
        ("Does it grow?", AnswerKind.YES_NO),
        ("How is it done?", AnswerKind.MANNER),
        ("What is a complex?", AnswerKind.THING),
        ("mold output value", AnswerKind.KEYWORDS),
    ],
)
def test_a_question_tells_what_kind_of_answer_it_wants(question: str, kind: AnswerKind) -> None:
    assert analyse(question).kind is kind
