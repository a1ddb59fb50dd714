from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import NamedTuple, TypeAlias

import tokenizers

from embeddings.errors import InvalidText

TokenIds: TypeAlias = list[int]

CHARACTERS_PER_TOKEN = 64
"""What a text holds past this many characters a token is not read: it could only be noise."""
PIECE_CHARACTERS = 16_384
BATCH_PIECES = 16
REMEMBERED_WORDS = 1 << 15
LONGEST_REMEMBERED = 32
"""In characters. Longer ones, as of scripts that are written without spaces, hardly ever return."""

WORD_MARKS = "\u2581", "\u0120"
"""Begin a word in the vocabularies of SentencePiece and of byte-level models; WordPiece marks the other pieces."""


@lru_cache(maxsize=2)
def read_tokenizer(definition: str) -> tokenizers.Tokenizer:
    """Of the content of a `tokenizer.json`; one for all who read the same, since it takes 8 MB. It is never changed."""
    tokenizer = tokenizers.Tokenizer.from_str(definition)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class FileTokenizer:
    """The tokenizer of a model. Its memory is 160 bytes a character, so long texts go through in pieces."""

    def __init__(self, definition: str, *, max_length: int, prompt: str = "") -> None:
        """`definition` is the content of a `tokenizer.json`; `max_length` counts special tokens and the prompt."""
        self._tokenizer = read_tokenizer(definition)
        self._ids = _WordIds(self._tokenizer) if _reads_words_apart(definition) else partial(_ids, self._tokenizer)
        self._opening, self._closing = _special_ids(self._tokenizer)
        self._max_content = max_length - len(self._opening) - len(self._closing)
        self._max_characters = max_length * CHARACTERS_PER_TOKEN
        self._max_tokens = max_length - len(self._tokenizer.encode(prompt))

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        counts = [0] * len(texts)
        for batch in _batches(texts):
            for piece, ids in zip(batch, self._ids([piece.content for piece in batch]), strict=True):
                counts[piece.text_index] += len(ids)
        return counts

    def token_ends(self, text: str) -> list[int]:
        ends: list[int] = []
        for batch in _batches([text]):
            encodings = _checked(self._tokenizer.encode_batch, [piece.content for piece in batch])
            for piece, encoding in zip(batch, encodings, strict=True):
                ends.extend(piece.start + end for _, end in encoding.offsets)
        return ends

    def known_words(self) -> list[str]:
        vocabulary = self._tokenizer.get_vocab()
        mark = next((mark for mark in WORD_MARKS if f"{mark}the" in vocabulary), "")
        whole = (token.removeprefix(mark) for token in vocabulary if token.startswith(mark))
        words = [word for word in whole if word.isalpha() and word.islower()]
        return sorted(words, key=lambda word: vocabulary[mark + word])

    def token_ids(self, texts: Sequence[str]) -> list[TokenIds]:
        """What the model reads of each text: cut to its length, with special tokens."""
        return [[*self._opening, *ids[: self._max_content], *self._closing] for ids in self._ids(self.readable(texts))]

    def readable(self, texts: Sequence[str]) -> list[str]:
        """The start of each text, beyond which nothing is read; a bound for the memory of tokenizers."""
        return [text[: self._max_characters] for text in texts]


class _WordIds:
    """Looks up every word alone and remembers it, which is several times as fast as reading whole texts.

    Safe to call from many threads: each keeps to the words that were remembered when it began.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._remembered: dict[str, TokenIds] = {}

    def __call__(self, texts: list[str]) -> list[TokenIds]:
        split = [text.replace("\n", " ").split(" ") for text in texts]
        known = self._remembered
        new = self._looked_up(set(chain.from_iterable(split)).difference(known))
        found = [
            list(chain.from_iterable([known[word] if word in known else new[word] for word in own])) for own in split
        ]
        self._remember(known, new)
        return found

    def _looked_up(self, words: Collection[str]) -> dict[str, TokenIds]:
        return dict(zip(words, _ids(self._tokenizer, list(words)), strict=True)) if words else {}

    def _remember(self, known: dict[str, TokenIds], new: dict[str, TokenIds]) -> None:
        lasting = {word: ids for word, ids in new.items() if len(word) <= LONGEST_REMEMBERED}
        if len(known) + len(lasting) > REMEMBERED_WORDS:
            self._remembered = lasting if len(lasting) <= REMEMBERED_WORDS else {}
        else:
            known.update(lasting)


def _reads_words_apart(definition: str) -> bool:
    """Whether what stands beyond a space never changes the tokens of a word, as in the models that BERT began."""
    parts = json.loads(definition)
    kinds = [(parts.get(name) or {}).get("type") for name in ("normalizer", "pre_tokenizer", "model")]
    has_spaced_words = any(
        " " in token["content"] or "\n" in token["content"] for token in parts.get("added_tokens", ())
    )
    return kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"] and not has_spaced_words


def _special_ids(tokenizer: tokenizers.Tokenizer) -> tuple[TokenIds, TokenIds]:
    """What the model wants before a text, and after it."""
    content, framed = (tokenizer.encode("a", add_special_tokens=framed).ids for framed in (False, True))
    start = next(at for at in range(len(framed)) if framed[at : at + len(content)] == content)
    return framed[:start], framed[start + len(content) :]


class _Piece(NamedTuple):
    text_index: int
    start: int
    content: str


def _ids(tokenizer: tokenizers.Tokenizer, texts: list[str]) -> list[TokenIds]:
    return [encoding.ids for encoding in _checked(tokenizer.encode_batch_fast, texts)]


def _checked(encode_batch: Callable[..., list[tokenizers.Encoding]], texts: list[str]) -> list[tokenizers.Encoding]:
    try:
        return encode_batch(texts, add_special_tokens=False)
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
