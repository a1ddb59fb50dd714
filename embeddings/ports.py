"""What the engine needs from the outside world. Adapters satisfy these by shape; none inherits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from embeddings.domain import LoadedDocument, Source

if TYPE_CHECKING:
    from embeddings.arrays import Keys, RowNumbers, Rows, Vectors


class Tokenizer(Protocol):
    """Tells how much of a text the encoder reads."""

    @property
    def max_tokens(self) -> int:
        """Tokens of content that fit into one input, special tokens not counted."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, uncut and without special tokens."""
        ...

    def token_ends(self, text: str) -> list[int]:
        """Where each token of the text ends, in code points, ascending; uncut, without special tokens."""
        ...

    def known_words(self) -> list[str]:
        """Words in small letters that have a token of their own, in the order of the vocabulary: the common ones first,
        as vocabularies are made."""
        ...


class Encoder(Protocol):
    """Maps text to unit vectors. Texts past `tokenizer.max_tokens` are cut there. Safe to call from many threads."""

    @property
    def name(self) -> str:
        """For people, as shown by the API."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of model, quantisation, pooling and limits: equal means that vectors are interchangeable."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    def encode_questions(self, questions: Sequence[str]) -> Vectors: ...

    def encode_passages(self, passages: Sequence[str]) -> Vectors: ...


class Loader(Protocol):
    """Reads one format into canonical text.

    Raises InvalidText where the bytes are not what they claim to be, or hold nothing readable.
    """

    media_types: tuple[str, ...]
    """Those it reads; the first is the canonical one."""

    def load(self, source: Source) -> LoadedDocument: ...


class VectorIndex(Protocol):
    """An immutable set of unit vectors, known by their row. Safe to search from many threads."""

    def search(self, question: Vectors, k: int, allowed: Rows | None) -> tuple[RowNumbers, Vectors]:
        """The k most similar rows, best first, and their similarities; of an approximate index, nearly all of these.

        `question` has shape (dimension,); fewer than k come back only where fewer are allowed.
        """
        ...

    def similarities(self, question: Vectors, rows: RowNumbers) -> Vectors: ...

    def vectors(self, rows: RowNumbers) -> Vectors:
        """As the index holds them: shape (rows, dimension)."""
        ...

    def save(self, folder: Path) -> None: ...


class VectorIndexes(Protocol):
    """Makes vector indexes, of the same kind wherever there are as many rows."""

    @property
    def for_tails(self) -> VectorIndexes:
        """Those for what was written last: exact and quickly made, whatever the number of rows."""
        ...

    def kind(self, rows: int) -> str:
        """For people, as shown by the API, and for the manifest of what is on disk."""
        ...

    def build(self, batches: Iterable[Vectors], *, rows: int, dimension: int) -> VectorIndex:
        """Of so many rows in all; the batches may be gone through more than once, and are the same each time."""
        ...

    def load(self, folder: Path, *, rows: int, dimension: int) -> VectorIndex:
        """Raises IndexUnsound where the files don't hold what they should."""
        ...


class WordIndex(Protocol):
    """An immutable set of word lists, known by their row. Safe to search from many threads."""

    def candidates(self, words: Sequence[str], k: int, allowed: Rows | None) -> RowNumbers:
        """About the k rows that match the words best, in no promised order: the caller scores them exactly."""
        ...

    def document_frequency(self, word: str) -> int:
        """Rows that hold the word, whether still live or not."""
        ...


class WordIndexes(Protocol):
    """Makes word indexes of one kind; `words` are analysed and joined by single spaces."""

    def build(self, folder: Path, words: Iterable[str], indexing_keys: Keys) -> WordIndex: ...

    def load(self, folder: Path, *, rows: int) -> WordIndex: ...
