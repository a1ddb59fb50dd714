"""From two scores of each passage to one ranking."""

from __future__ import annotations

from collections.abc import Mapping

K = 60
DESCRIPTION = f"reciprocal rank fusion of similarity and bm25, k = {K}"


def ranks(scores: Mapping[int, float]) -> dict[int, int]:
    """1 for the highest score. Equal scores share the better rank, so that no order of arrival matters."""
    first: dict[float, int] = {}
    for rank, score in enumerate(sorted(scores.values(), reverse=True), start=1):
        first.setdefault(score, rank)
    return {key: first[score] for key, score in scores.items()}


def fuse(similarity: Mapping[int, float], bm25: Mapping[int, float]) -> dict[int, float]:
    """Reciprocal rank fusion; a passage without any of the words gets nothing from `bm25`.

    Source: Cormack, Clarke and Buettcher, SIGIR 2009.
    """
    by_similarity, by_words = ranks(similarity), ranks(bm25)
    return {
        key: 1 / (K + by_similarity[key]) + (1 / (K + by_words[key]) if bm25[key] > 0 else 0.0) for key in similarity
    }
