"""The plainest possible indexes: the oracle that every other one is compared with in the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from embeddings.arrays import Keys, RowNumbers, Rows, Vectors
from embeddings.errors import IndexUnsound
from embeddings.files import write_synced

VECTORS = "vectors.exact"
WORDS = "words.exact"


class ExactIndex:
    """Every row is compared, in numpy."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def search(self, question: Vectors, k: int, allowed: Rows | None) -> tuple[RowNumbers, Vectors]:
        rows = np.arange(len(self._vectors)) if allowed is None else np.flatnonzero(allowed.mask)
        similarities = self.similarities(question, rows)
        order = np.lexsort((rows, -similarities))[:k]
        return rows[order], similarities[order]

    def similarities(self, question: Vectors, rows: RowNumbers) -> Vectors:
        result: Vectors = (self.vectors(rows) * question).sum(axis=1, dtype=np.float32)
        return result

    def vectors(self, rows: RowNumbers) -> Vectors:
        return self._vectors[rows]

    def save(self, folder: Path) -> None:
        write_synced(folder / VECTORS, np.ascontiguousarray(self._vectors).tobytes())


class ExactIndexes:
    @property
    def for_tails(self) -> ExactIndexes:
        return self

    def kind(self, rows: int) -> str:
        return "exact"

    def build(self, batches: Iterable[Vectors], *, rows: int, dimension: int) -> ExactIndex:
        return ExactIndex(np.concatenate([np.empty((0, dimension), np.float32), *batches]))

    def load(self, folder: Path, *, rows: int, dimension: int) -> ExactIndex:
        numbers = np.fromfile(folder / VECTORS, dtype="<f4")
        if len(numbers) != rows * dimension:
            raise IndexUnsound("the vector index holds another number of passages")
        return ExactIndex(numbers.reshape(rows, dimension))


class ExactWordIndex:
    """Every row that holds any of the words."""

    def __init__(self, words: Sequence[str]) -> None:
        self._rows = [frozenset(listed.split()) for listed in words]

    def candidates(self, words: Sequence[str], k: int, allowed: Rows | None) -> RowNumbers:
        wanted = set(words)
        found = [row for row, held in enumerate(self._rows) if held & wanted and (allowed is None or allowed.mask[row])]
        return np.array(found, np.int64)

    def document_frequency(self, word: str) -> int:
        return sum(word in held for held in self._rows)


class ExactWordIndexes:
    def build(self, folder: Path, words: Iterable[str], indexing_keys: Keys) -> ExactWordIndex:
        words = list(words)
        write_synced(folder / WORDS, "\n".join(words).encode())
        return ExactWordIndex(words)

    def load(self, folder: Path, *, rows: int) -> ExactWordIndex:
        listed = (folder / WORDS).read_text("utf-8").split("\n") if rows else []
        if len(listed) != rows:
            raise IndexUnsound("the word index holds another number of passages")
        return ExactWordIndex(listed)
