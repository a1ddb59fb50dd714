"""How many of the passages that were found are worth reading.

What looks much less like the question than the best of them seldom answers it, and now and then seems to. The figures
behind the constants are in `docs/decisions/0009-trained-reader.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embeddings.domain import Hit

ROUND = 2
"""Passages that are read before it is asked whether they settle the question."""
NEAR = 0.8
"""Share of the best fused score that a passage has to have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOrder:
    """In which passages are read."""

    hits: tuple[Hit, ...]
    promising: int
    """So many of the first are worth reading for a single answer."""

    def next_round(self, read: int) -> int:
        """How many come next: first what is promising, a round at a time, then all the others."""
        return min(ROUND, self.promising - read) if read < self.promising else len(self.hits) - read


def reading_order(hits: Sequence[Hit]) -> ReadingOrder:
    """The promising ones first, both kinds in the order in which they were found."""
    best = max((_score(hit) for hit in hits), default=0.0)
    kinds: tuple[list[Hit], list[Hit]] = ([], [])
    for hit in hits:
        kinds[_score(hit) < NEAR * best].append(hit)
    promising, others = kinds
    return ReadingOrder(hits=(*promising, *others), promising=len(promising))


def _score(hit: Hit) -> float:
    return hit.scores.fused or 0.0
