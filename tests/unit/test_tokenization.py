"""What is looked up word by word is what the tokenizers library makes of the whole text."""

from __future__ import annotations

import json

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from embeddings.encoders import tokenization
from embeddings.encoders.compiled import DEFAULT_MODEL, TOKENIZER
from embeddings.encoders.tokenization import FileTokenizer

DEFINITION = (DEFAULT_MODEL / TOKENIZER).read_text("utf-8")
MAX_LENGTH = 32
PARTS = ["word", "Zürich's", "unbelievably", "[SEP]", "a[MASK]b", "##ing", "国家", "🐦", "e\u0301", "\u0301", "ΟΔΟΣ"]
PARTS += ["3.14", "--", "x" * 120, " ", "  ", "\n", "\t", "\r", "\x0b", "\x1c", "\x85", "\xa0", "\u2028", "\u200b"]
PARTS += ["\0", "ﬁ"]
TEXTS = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.sampled_from(PARTS)).map("".join))


def spaced_by_the_library() -> str:
    """The same model behind a pre-tokenizer that is not known to read words apart."""
    parts = json.loads(DEFINITION)
    parts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}]}
    return json.dumps(parts)


DEFINITIONS = {"word by word": DEFINITION, "whole texts": spaced_by_the_library()}
TOKENIZERS = {name: FileTokenizer(one, max_length=MAX_LENGTH) for name, one in DEFINITIONS.items()}


def library(*, max_length: int | None) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer.from_str(DEFINITION)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if max_length is not None:
        tokenizer.enable_truncation(max_length)
    return tokenizer


UNCUT, CUT = library(max_length=None), library(max_length=MAX_LENGTH)


@pytest.mark.parametrize("way", TOKENIZERS)
@settings(deadline=None)
@given(texts=st.lists(TEXTS, max_size=4))
def test_ids_and_counts_are_those_of_the_library(way: str, texts: list[str]) -> None:
    assert TOKENIZERS[way].token_ids(texts) == [CUT.encode(text).ids for text in texts]
    assert TOKENIZERS[way].count_tokens(texts) == [len(UNCUT.encode(text, add_special_tokens=False)) for text in texts]


@pytest.mark.parametrize("texts", [["one two", "two three"], ["one two three four"], ["x" * 40]])
def test_few_words_are_remembered_however_many_come(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    monkeypatch.setattr(tokenization, "REMEMBERED_WORDS", 3)
    tokenizer = FileTokenizer(DEFINITION, max_length=MAX_LENGTH)
    assert isinstance(tokenizer._ids, tokenization._WordIds)
    for told in ([text] for text in [*texts, "five six seven", *texts]):
        assert tokenizer.token_ids(told) == [CUT.encode(text).ids for text in told]
        assert len(tokenizer._ids._remembered) <= 3


def test_the_bundled_tokenizer_is_read_word_by_word_and_no_other_is_by_mistake() -> None:
    assert {name: type(one._ids).__name__ for name, one in TOKENIZERS.items()} == {
        "word by word": "_WordIds",
        "whole texts": "partial",
    }


def test_a_prompt_leaves_less_room() -> None:
    prompted = FileTokenizer(DEFINITION, max_length=MAX_LENGTH, prompt="passage: ")
    assert TOKENIZERS["word by word"].max_tokens - prompted.max_tokens == 2
