"""How much of what is nearest an index finds, by the vectors of the store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embeddings.arrays import Keys, Rows, Vectors
from embeddings.views import PassageStream, Segment

NEAREST = 10
QUESTIONS = 200
SEED = 3
ROUNDING = 0.001
"""Similarities are compared with some of the index, whose vectors have 16 bits."""


def recall(segment: Segment, stored: PassageStream, questions: Vectors | None = None) -> float:
    """Recall@10 against an exact search of what both hold; 1.0 where both hold nothing.

    Without questions, shape (questions, dimension), it is asked with stored vectors, which are easier: something is
    near them. Of several that are equally near, any will do.
    """
    shared = np.isin(segment.passage_keys, stored.passage_keys)
    if not shared.any():
        return 1.0
    wanted = np.isin(stored.passage_keys, segment.passage_keys)
    if questions is None:
        questions = _drawn(stored, np.flatnonzero(wanted))
    allowed = Rows(mask=shared, indexing_keys=np.empty(0, np.int64), is_inclusive=True)
    found = [_found(segment, question, None if shared.all() else allowed) for question in questions]
    found_similarities, least = _similarities(stored, wanted, questions, found)
    return float(np.mean(found_similarities >= least[:, None] - ROUNDING))


def _drawn(stored: PassageStream, among: Keys) -> Vectors:
    places = np.random.default_rng(SEED).choice(among, min(QUESTIONS, len(among)), replace=False)
    drawn, first = [], 0
    for batch in stored.vectors:
        drawn.append(batch[places[(places >= first) & (places < first + len(batch))] - first])
        first += len(batch)
    return np.concatenate(drawn)


def _found(segment: Segment, question: Vectors, allowed: Rows | None) -> Keys:
    return segment.passage_keys[segment.vectors.search(question, NEAREST, allowed)[0]]


def _similarities(
    stored: PassageStream, wanted: NDArray[np.bool_], questions: Vectors, found: list[Keys]
) -> tuple[Vectors, Vectors]:
    """Of each found passage to its question, and of the last of the nearest; shapes (questions, k) and (questions,)."""
    k = min(NEAREST, int(np.count_nonzero(wanted)))
    nearest = np.full((len(questions), k), -np.inf, np.float32)
    found_similarities = np.full((len(questions), k), -np.inf, np.float32)
    first = 0
    for batch in stored.vectors:
        here = slice(first, first + len(batch))
        similarities = questions @ batch.T
        for number, keys in enumerate(found):
            _, ranks, places = np.intersect1d(keys, stored.passage_keys[here], return_indices=True)
            found_similarities[number, ranks] = similarities[number, places]
        similarities[:, ~wanted[here]] = -np.inf
        best = np.concatenate([nearest, similarities], axis=1)
        nearest = np.partition(best, -k, axis=1)[:, -k:]
        first += len(batch)
    return found_similarities, nearest.min(axis=1)
