"""From two scores of each passage to one."""

from __future__ import annotations

from collections.abc import Mapping

SIMILARITY_SHARE = 0.4
"""Chosen on the validation half of seven judged collections, see `docs/decisions/0006-fusion.md`."""
DESCRIPTION = f"{SIMILARITY_SHARE} x similarity + {1 - SIMILARITY_SHARE} x bm25 / its upper bound for this question"


def fuse(similarity: Mapping[int, float], bm25: Mapping[int, float], *, bm25_bound: float) -> dict[int, float]:
    """A convex combination of cosine and of BM25 as a share of what it could be at most.

    A passage's fused score depends on nothing but itself, the question and the collection: not on the filter, nor on
    which other passages are candidates. Source of the form: Bruch, Gai and Ingber 2023 (arXiv:2210.11934).
    """
    share = (1 - SIMILARITY_SHARE) / bm25_bound if bm25_bound > 0 else 0.0
    return {key: SIMILARITY_SHARE * similarity[key] + share * bm25[key] for key in similarity}


def ranks(scores: Mapping[int, float]) -> dict[int, int]:
    """1 for the highest score. Equal scores share the better rank, so that no order of arrival matters."""
    first: dict[float, int] = {}
    for rank, score in enumerate(sorted(scores.values(), reverse=True), start=1):
        first.setdefault(score, rank)
    return {key: first[score] for key, score in scores.items()}
