from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from embeddings.text import canonical, content_words, sentence_spans, words

PARTS = [
    "a",
    "Word",
    "U.S.",
    "3.6",
    "2,310",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    ".",
    "!?",
    "…",
    "。",
    "“",
    "”",
    ")",
    "- ",
    "1. ",
]
PARTS += [
    "| ",
    "=====",
    "鳥",
    "が",
    "e\u0301",
    "\u0327",
    "👩‍👩‍👧",
    "'s",
    "’",
    "\u2028",
    "\x1f",
    "long line of hard-wrapped words and more of them",
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PARTS)).map("".join))


@given(texts)
def test_canonical_text_stays_as_it_is(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\r\n\t", exclude_characters="\ufeff"))
)
def test_without_other_controls_canonical_text_is_nfc_with_plain_newlines(text: str) -> None:
    assert canonical(text) == unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


@given(texts)
def test_sentences_are_trimmed_ordered_and_cover_all_that_is_not_blank(text: str) -> None:
    end = 0
    for span in sentence_spans(text):
        assert end <= span.start < span.end
        assert not text[end : span.start].strip()
        assert text[span.start : span.end].strip() == text[span.start : span.end]
        end = span.end
    assert not text[end:].strip()


@given(texts)
@example("A.A.\u00c0")
def test_words_hold_no_white_space_and_do_not_depend_on_case_or_composition(text: str) -> None:
    found = words(text)
    assert all(word and not any(map(str.isspace, word)) for word in found)
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))
    assert set(content_words(text)) <= set(found)


@given(st.lists(st.sampled_from(["Innovation", "2,310", "3.6", "U.S.", "Zoë's", "鳥類", "high-tech"])))
def test_words_of_a_text_are_those_of_its_parts(parts: list[str]) -> None:
    assert words(" ".join(parts)) == [word for part in parts for word in words(part)]
