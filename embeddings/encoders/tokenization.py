from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import tokenizers

from embeddings.errors import InvalidText

TokenIds: TypeAlias = list[int]

CHARACTERS_PER_TOKEN = 64
"""What a text holds past this many characters a token is not read: it could only be noise."""
PIECE_CHARACTERS = 16_384
BATCH_PIECES = 16


class FileTokenizer:
    """The tokenizer of a model. Its memory is 160 bytes a character, so long texts go through in pieces."""

    def __init__(self, definition: str, *, max_length: int, prompt: str = "") -> None:
        """`definition` is the content of a `tokenizer.json`; `max_length` counts special tokens and the prompt."""
        self._uncut = _tokenizer(definition)
        self._cutting = _tokenizer(definition)
        self._cutting.enable_truncation(max_length)
        self._max_characters = max_length * CHARACTERS_PER_TOKEN
        self._max_tokens = max_length - len(self._uncut.encode(prompt))

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        counts = [0] * len(texts)
        for batch in _batches(texts):
            contents = [piece.content for piece in batch]
            encodings = _checked(self._uncut.encode_batch_fast, contents, special=False)
            for piece, encoding in zip(batch, encodings, strict=True):
                counts[piece.text_index] += len(encoding)
        return counts

    def token_ends(self, text: str) -> list[int]:
        ends: list[int] = []
        for batch in _batches([text]):
            encodings = _checked(self._uncut.encode_batch, [piece.content for piece in batch], special=False)
            for piece, encoding in zip(batch, encodings, strict=True):
                ends.extend(piece.start + end for _, end in encoding.offsets)
        return ends

    def token_ids(self, texts: Sequence[str]) -> list[TokenIds]:
        """What the model reads of each text: cut to its length, with special tokens."""
        encodings = _checked(self._cutting.encode_batch_fast, self.readable(texts), special=True)
        return [encoding.ids for encoding in encodings]

    def readable(self, texts: Sequence[str]) -> list[str]:
        """The start of each text, beyond which nothing is read; a bound for the memory of tokenizers."""
        return [text[: self._max_characters] for text in texts]


class _Piece(NamedTuple):
    text_index: int
    start: int
    content: str


def _tokenizer(definition: str) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer.from_str(definition)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _checked(
    encode_batch: Callable[..., list[tokenizers.Encoding]], texts: list[str], *, special: bool
) -> list[tokenizers.Encoding]:
    try:
        return encode_batch(texts, add_special_tokens=special)
    except TypeError as error:  # the tokenizer's answer to what UTF-8 cannot hold
        raise InvalidText("the text holds half of a surrogate pair") from error


def _batches(texts: Sequence[str]) -> Iterator[list[_Piece]]:
    batch: list[_Piece] = []
    for piece in _pieces(texts):
        batch.append(piece)
        if len(batch) == BATCH_PIECES:
            yield batch
            batch = []
    if batch:
        yield batch


def _pieces(texts: Sequence[str]) -> Iterator[_Piece]:
    """Cuts at white space, where no tokenizer sees the difference."""
    for text_index, text in enumerate(texts):
        start = 0
        while len(text) - start > PIECE_CHARACTERS:
            end = _last_white_space(text, start + 1, start + PIECE_CHARACTERS)
            yield _Piece(text_index, start, text[start:end])
            start = end
        yield _Piece(text_index, start, text[start:])


def _last_white_space(text: str, start: int, end: int) -> int:
    """The last place of white space in `text[start:end]`, or `end` where there is none."""
    return next((place for place in range(end - 1, start, -1) if text[place].isspace()), end)
