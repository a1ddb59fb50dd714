"""What the trained reader is given of each passage."""

from __future__ import annotations

import pytest
import tokenizers

from service.answering.readers.inputs import ReaderTokenizer
from service.answering.readers.span import SHIPPED, TOKENIZER

DEFINITION = (SHIPPED / TOKENIZER).read_text("utf-8")
QUESTION = "Wie tief ist der Hafen von Åbo?"
PASSAGES = [("Häfen", "Der Hafen ist 12 m tief – nicht 13."), ("", "港口很深。 It's deep."), ("Title", "")]


@pytest.fixture(scope="module")
def reader_tokenizer() -> ReaderTokenizer:
    return ReaderTokenizer(DEFINITION, max_tokens=384)


def test_what_is_read_of_a_passage_does_not_depend_on_the_others(reader_tokenizer: ReaderTokenizer) -> None:
    alone = [reader_tokenizer.inputs(QUESTION, [passage])[0] for passage in PASSAGES]
    assert reader_tokenizer.inputs(QUESTION, PASSAGES) == alone


def test_it_is_what_the_model_wants_of_a_pair_of_texts(reader_tokenizer: ReaderTokenizer) -> None:
    _, (_, text), _ = PASSAGES
    one = reader_tokenizer.inputs(QUESTION, [("", text)])[0]
    pair = tokenizers.Tokenizer.from_str(DEFINITION).encode(QUESTION, text)
    length = sum(pair.attention_mask)
    assert list(one.token_ids) == pair.ids[:length]
    assert list(one.segments) == pair.type_ids[:length]


def test_offsets_are_places_in_the_passage(reader_tokenizer: ReaderTokenizer) -> None:
    text = PASSAGES[0][1]
    read = [text[start:end] for start, end in reader_tokenizer.inputs(QUESTION, PASSAGES)[0].offsets]
    assert "".join(read) == text.replace(" ", "")
