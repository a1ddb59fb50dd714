"""What the trained reader is given of each passage."""

from __future__ import annotations

import pytest
import tokenizers

from service.answering.readers.inputs import MAX_CONTEXT_TOKENS, ReaderTokenizer
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


def test_of_a_long_context_it_is_told_what_the_question_names(reader_tokenizer: ReaderTokenizer) -> None:
    context = (
        "A new model of trade and craft, of wool and bread, in the towns on the coast: " * 2 + "a tale of Oldport Quay"
    )
    [one] = reader_tokenizer.inputs("How many sheds has Oldport Quay?", [(context, "It has 12 sheds.")])
    vocabulary = tokenizers.Tokenizer.from_str(DEFINITION)
    told = vocabulary.decode(list(one.token_ids[: one.first])).split("?")[1].removesuffix(".")
    assert "oldport quay" in told
    assert len(told.split()) <= MAX_CONTEXT_TOKENS


def test_of_a_long_context_that_says_nothing_to_the_question_it_is_told_the_beginning(
    reader_tokenizer: ReaderTokenizer,
) -> None:
    [one] = reader_tokenizer.inputs("Wie tief?", [("beginning " * 30 + "end", "Zwölf.")])
    assert "end" not in tokenizers.Tokenizer.from_str(DEFINITION).decode(list(one.token_ids[: one.first])).split()


def test_offsets_are_places_in_the_passage(reader_tokenizer: ReaderTokenizer) -> None:
    text = PASSAGES[0][1]
    read = [text[start:end] for start, end in reader_tokenizer.inputs(QUESTION, PASSAGES)[0].offsets]
    assert "".join(read) == text.replace(" ", "")


def test_blank_lines_part_paragraphs_and_line_ends_do_not(reader_tokenizer: ReaderTokenizer) -> None:
    text = "Liang Zhen\n \nChe Jun\nspoke.\n\n\nEnd"
    (one,) = reader_tokenizer.inputs("Who spoke?", [("", text)])
    said: dict[int, list[str]] = {}
    for paragraph, (start, end) in zip(one.paragraphs, one.offsets, strict=True):
        said.setdefault(paragraph, []).append(text[start:end])
    assert ["".join(tokens) for tokens in said.values()] == ["LiangZhen", "CheJunspoke.", "End"]


def test_an_item_of_a_list_parts_what_ends_a_sentence(reader_tokenizer: ReaderTokenizer) -> None:
    text = "1. The trailer (6,900).\n2. Members\nare 143\n- Fees"
    (one,) = reader_tokenizer.inputs("What did the trailer cost?", [("", text)])
    second = [start for (start, _), paragraph in zip(one.offsets, one.paragraphs, strict=True) if paragraph == 1]
    assert second[0] == text.index("2. Members")
    assert max(one.paragraphs) == 1
