"""Word candidates for the passages of the latest writes, which are too few and too fresh for an index on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from embeddings.arrays import RowNumbers, Rows

_NO_ROWS = np.empty(0, np.int32)


class MemoryWordIndex:
    """Posting lists in a dictionary."""

    def __init__(self, words: Sequence[str]) -> None:
        postings: dict[str, list[int]] = {}
        for row, listed in enumerate(words):
            for word in set(listed.split()):
                postings.setdefault(word, []).append(row)
        self._postings = {word: np.array(rows, np.int32) for word, rows in postings.items()}
        self._rows = len(words)

    def followed_by(self, other: MemoryWordIndex) -> MemoryWordIndex:
        """The rows of both, those of the other behind; quicker by far than reading all words again."""
        joined = MemoryWordIndex([])
        joined._rows = self._rows + other._rows
        joined._postings = self._postings | {
            word: np.concatenate([self._postings.get(word, _NO_ROWS), rows + np.int32(self._rows)])
            for word, rows in other._postings.items()
        }
        return joined

    def reordered(self, order: RowNumbers) -> MemoryWordIndex:
        """The same rows, in the order in which they are named."""
        places = np.empty(len(order), np.int32)
        places[order] = np.arange(len(order), dtype=np.int32)
        reordered = MemoryWordIndex([])
        reordered._rows = self._rows
        reordered._postings = {word: places[rows] for word, rows in self._postings.items()}
        return reordered

    def candidates(self, words: Sequence[str], k: int, allowed: Rows | None) -> RowNumbers:
        """Ranked by the summed rarity of the words that a row holds; of equal ones the lower row comes first."""
        return best_rows([(self, allowed)], words, k)[0]

    def weigh(self, weights: Mapping[str, float], allowed: Rows | None) -> NDArray[np.float64]:
        """The summed weight of the words that each row holds; 0 for rows that may not come back."""
        scores = np.zeros(self._rows)
        for word, weight in weights.items():
            rows = self._postings.get(word)
            if rows is not None:
                scores[rows] += weight
        if allowed is not None:
            scores[~allowed.mask] = 0
        return scores

    def document_frequency(self, word: str) -> int:
        return len(self._postings.get(word, ()))

    def __len__(self) -> int:
        return self._rows


def best_rows(indexes: Sequence[tuple[MemoryWordIndex, Rows | None]], words: Sequence[str], k: int) -> list[RowNumbers]:
    """The k best rows of all the indexes together, for each index its own: many small ones propose no more than one."""
    total = sum(len(index) for index, _ in indexes)
    frequency = {word: sum(index.document_frequency(word) for index, _ in indexes) for word in set(words)}
    weights = {word: float(np.log1p(total / found)) for word, found in sorted(frequency.items()) if found}
    scores = [index.weigh(weights, allowed) for index, allowed in indexes]
    together = np.concatenate(scores) if scores else np.empty(0)
    found = np.flatnonzero(together)
    best = found[np.argsort(-together[found], kind="stable")[:k]]
    starts = np.cumsum([0, *(len(one) for one in scores)])
    return [best[(best >= low) & (best < high)] - low for low, high in pairwise(starts)]
