from __future__ import annotations

import time
import unicodedata

import pytest

from embeddings.errors import InvalidText
from embeddings.text import STOP_WORDS, canonical, content_words, sentence_spans, words


def sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentence_spans(text)]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("a\r\nb\rc\x85d\x0be\x0cf\n", "a\nb\nc\nd\ne\nf\n"),
        ("\ufeffZoe\u0308 \u212b", "Zo\u00eb \u00c5"),
        ("a\0\x1b\x7f\x9fb\tc", "ab\tc"),
        ("\x00\ufeff\ufeffa\ufeff", "a\ufeff"),
        ("  two  spaces \n\n\n", "  two  spaces \n\n\n"),
        ("e\x01\u0301", "\u00e9"),
    ],
)
def test_canonical_text_has_one_kind_of_newline_and_no_controls(sent: str, stored: str) -> None:
    assert canonical(sent) == stored


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidText, match="character 1"):
        canonical("a\ud800")


def test_a_long_run_of_combining_marks_is_normalised_as_usual_and_at_once() -> None:
    run = "e" + "\u0315\u0300\u0344\u0327" * 200 + "\u1100\u1161"
    assert canonical(run) == unicodedata.normalize("NFC", run)
    started = time.perf_counter()
    canonical("e" + "\u0315\u0300" * 100_000)
    assert time.perf_counter() - started < 5


ENGLISH = [
    ["Mr. Smith met J. K. Rowling at 2.5 p.m. on Jan. 5 in the U.S. Senate.", "Then he left."],
    ["See Fig. 3, Eq. 4 and No. 5.", "Is the answer No.", "Yes!"],
    ["She works for Acme Inc.", "The firm left the U.S.", "It is old."],
    ["Fruit, e.g. Apples, is good vs. Bad.", "Dr. Who has a Ph.D. in it."],
    ["Version 1.2.3 costs 2.5 dollars...", "And so on.", "Really?!", "Yes (it does.)", "“No.”", "Fine."],
    ["He said: “Go.”", "She went.[12]", "It ended."],
    ["It went on ... and on.", "“Why?” she asked."],
    ['"As it is.".', "To narrow the gap."],
    ["no capital here.", "or here.", "none at all"],
]
CHINESE_AND_JAPANESE = [
    ["他说：“你好。”", "然后走了！", "真的？", "是的；", "好吧。"],
    ["風が吹いた。", "鳥が飛ぶ…！", "終わり"],
]


@pytest.mark.parametrize("expected", ENGLISH, ids=lambda expected: expected[0])
def test_sentences_end_where_a_reader_says_so(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected
    assert sentences("  " + "\n\n".join(expected) + "\n") == expected


@pytest.mark.parametrize("expected", CHINESE_AND_JAPANESE, ids=lambda expected: expected[0])
def test_sentences_of_scripts_without_spaces_end_at_their_own_marks(expected: list[str]) -> None:
    assert sentences("".join(expected)) == expected


LINES = """\
A heading
=========

1. An item.
2. Another item
- a bullet that goes on for so long that it must be continued on a second
  line

A | B | C
1. x | Mr. y. Z | 3

This paragraph is wrapped by hand, as the lines of letters and of old
notes are. Its sentences run over the ends of lines, and the last of the
lines is short.
 \t
Closed on Sunday
Open on Monday
"""


def test_line_breaks_end_headings_items_and_rows_but_not_lines_of_wrapped_text() -> None:
    assert sentences(LINES) == [
        "A heading\n=========",
        "1. An item.",
        "2. Another item",
        "- a bullet that goes on for so long that it must be continued on a second\n  line",
        "A | B | C",
        "1. x | Mr. y. Z | 3",
        "This paragraph is wrapped by hand, as the lines of letters and of old\nnotes are.",
        "Its sentences run over the ends of lines, and the last of the\nlines is short.",
        "Closed on Sunday",
        "Open on Monday",
    ]


def test_a_document_with_a_paragraph_a_line_ends_sentences_at_line_breaks() -> None:
    paragraph = "The district has a solid base and much to offer to whoever comes, as all who came before have said"
    assert sentences(f"A heading of some length without a full stop\n{paragraph * 3}\n{paragraph}") == [
        "A heading of some length without a full stop",
        paragraph * 3,
        paragraph,
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Longhu's innovations weren't small", "longhu innov werent small"),
        ("2,310 metres; 3.6 m, 1,23 and 2,310.5", "2310 metr 3.6 m 1 23 and 2310.5"),
        ("high-tech U.S. firms e.g. snake_case", "high tech us firm eg snake case"),
        ("naïve Zoë's Ærøskøbing STRASSE Straße", "naiv zoe aeroskob strass strass"),
        ("鳥 鳥類学 微软Windows11", "鳥 鳥類 類学 微软 windows11"),
        ("１２３ ﬁne हिन्दी", "123 fine हिन्दी"),
        ("🐦 -- !?", ""),
    ],
)
def test_words_are_folded_stemmed_and_whole(text: str, expected: str) -> None:
    assert words(text) == expected.split()


def test_content_words_are_all_words_where_only_stop_words_are_left() -> None:
    assert content_words("What is the altitude of it?") == ["altitud"]
    assert content_words("To be or not to be") == ["to", "be", "or", "not", "to", "be"]
    assert "us" not in STOP_WORDS


SHAPES = {
    "one word a line": "word\n",
    "full stops": ". ",
    "initials": "A. ",
    "quotes": '."?) ',
    "no spaces": "a",
    "digits": "1",
    "decimals": "1.",
    "thousands": "123,",
    "apostrophes": "a'",
    "Chinese": "鳥。",
    "rules": "---\n",
    "cells": "a | ",
    "blanks": " \n",
    "marks": "e\u0315\u0300",
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_no_shape_of_text_takes_more_than_linear_time(shape: str) -> None:
    def seconds(length: int) -> float:
        text = (shape * length)[:length]
        started = time.process_time()
        canonical(text), sentence_spans(text), words(text)
        return time.process_time() - started

    # Eight times as long takes eight times as much; were it the square, it would be sixty-four times.
    short, long = (min(seconds(length) for _ in range(3)) for length in (20_000, 160_000))
    assert long < 0.05 or long < 32 * short
