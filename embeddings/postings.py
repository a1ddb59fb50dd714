"""Word candidates for the passages of the latest writes, which are too few and too fresh for an index on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from embeddings.domain import RowNumbers, Rows


class MemoryWordIndex:
    """Posting lists in a dictionary."""

    def __init__(self, words: Sequence[str]) -> None:
        postings: dict[str, list[int]] = {}
        for row, listed in enumerate(words):
            for word in set(listed.split()):
                postings.setdefault(word, []).append(row)
        self._postings = {word: np.array(rows, np.int64) for word, rows in postings.items()}
        self._rows = len(words)

    def candidates(self, words: Sequence[str], k: int, allowed: Rows | None) -> RowNumbers:
        """Ranked by the summed rarity of the words that a row holds; of equal ones the lower row comes first."""
        scores = np.zeros(self._rows)
        for word, weight in Counter(words).items():
            rows = self._postings.get(word)
            if rows is not None:
                scores[rows] += weight * np.log1p(self._rows / len(rows))
        if allowed is not None:
            scores[~allowed.mask] = 0
        found = np.flatnonzero(scores)
        return found[np.argsort(-scores[found], kind="stable")[:k]]

    def document_frequency(self, word: str) -> int:
        return len(self._postings.get(word, ()))
