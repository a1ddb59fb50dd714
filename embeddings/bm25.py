"""BM25 over the live passages of a view (Robertson and Zaragoza 2009, with Lucene's never-negative idf)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

K1 = 1.2
B = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class WordStatistics:
    """Of all live passages, however they are spread over indexes: scores depend on nothing else."""

    passages: int
    mean_length: float
    document_frequency: Mapping[str, int]

    def idf(self, word: str) -> float:
        frequency = self.document_frequency[word]
        return math.log1p((self.passages - frequency + 0.5) / (frequency + 0.5))


def bound(question: Sequence[str], statistics: WordStatistics) -> float:
    """What no passage's score can exceed: every word of the question, as often as one likes."""
    return (K1 + 1) * sum(statistics.idf(word) for word in dict.fromkeys(question))


def scores(question: Sequence[str], passages: Mapping[int, str], statistics: WordStatistics) -> dict[int, float]:
    """How well the words of each passage, joined by single spaces, match the question's: 0 or more."""
    if not statistics.mean_length:
        return dict.fromkeys(passages, 0.0)
    rarities = {word: statistics.idf(word) for word in question}
    return {key: _score(rarities, passage, statistics.mean_length) for key, passage in passages.items()}


def _score(rarities: Mapping[str, float], passage: str, mean_length: float) -> float:
    words = passage.split()
    norm = K1 * (1 - B + B * len(words) / mean_length)
    total = 0.0
    for word, idf in rarities.items():
        if word in passage:  # as characters: quick to see, and already false for most
            frequency = words.count(word)
            total += idf * frequency * (K1 + 1) / (frequency + norm)
    return total
