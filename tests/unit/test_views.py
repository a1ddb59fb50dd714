"""A view that has grown by steps is that of everything that is live, taken in at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.arrays import Rows
from embeddings.indexes.exact import ExactIndexes
from embeddings.indexes.faiss import FlatIndexes, IndexesBySize
from embeddings.indexes.inverted import InvertedIndexes
from embeddings.ports import VectorIndexes
from embeddings.postings import MemoryWordIndex
from embeddings.views import IndexedPassages, Segment, View, empty_view, segment_of

DIMENSION = 8
VOCABULARY = ["heron", "otter", "wren", "crane", "eggs"]
QUESTION = np.eye(1, DIMENSION, dtype=np.float32)[0]


@dataclass(frozen=True)
class Change:
    key: int
    """Of an indexing: taken in at first, removed then, and never there again."""
    passages: tuple[tuple[str, ...], ...]
    """Their words."""


CHANGES = st.lists(
    st.builds(
        Change,
        key=st.integers(0, 40),
        passages=st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=4).map(tuple), min_size=1, max_size=3).map(
            tuple
        ),
    ),
    max_size=60,
)


def indexed(change: Change) -> IndexedPassages:
    """What the passages are told from: each key has vectors of its own."""
    rows = len(change.passages)
    vectors = np.random.default_rng(change.key).standard_normal((3, DIMENSION))[:rows].astype(np.float16)
    return IndexedPassages(
        passage_keys=10 * change.key + np.arange(rows),
        indexing_keys=np.full(rows, change.key),
        words=[" ".join(words) for words in change.passages],
        vectors=vectors.astype(np.float32),
    )


NEVER = range(0)
RENEWALS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda places: range(min(places), max(places)))


def grown(changes: list[Change], indexes: VectorIndexes, renewed: range = NEVER) -> tuple[View, dict[int, Change]]:
    """A new base is made of what is live before the change where `renewed` starts, and is there where it stops."""
    view, live, known = empty_view(0), dict[int, Change](), set[int]()
    base: Segment | None = None
    for number, change in enumerate(changes):
        if renewed and number == renewed.start:
            base, view = based_on(live, indexes), view.settling()
        if change.key in live:
            view = view.without(indexed(live.pop(change.key)))
        elif change.key not in known:
            view = view.including(indexed(change), indexes)
            live[change.key] = change
        known.add(change.key)
        if base is not None and number == renewed.stop:
            view, base = view.onto(base), None
    return view if base is None else view.onto(base), live


def based_on(live: Mapping[int, Change], indexes: VectorIndexes) -> Segment:
    every = [indexed(live[key]) for key in sorted(live)]
    nothing = np.empty(0, np.int64)
    passage_keys = np.concatenate([nothing, *(one.passage_keys for one in every)])
    return segment_of(
        passage_keys,
        np.concatenate([nothing, *(one.indexing_keys for one in every)]),
        indexes.build([one.vectors for one in every], rows=len(passage_keys), dimension=DIMENSION),
        MemoryWordIndex([words for one in every for words in one.words]),
    )


def similarities(view: View) -> dict[int, float]:
    """Of each live passage by its key."""
    found: dict[int, float] = {}
    for segment in view.segments:
        rows, near = segment.vectors.search(QUESTION, max(1, len(segment)), segment.live)
        found |= dict(zip(segment.passage_keys[rows].tolist(), near.tolist(), strict=True))
    return found


BY_SIZE = IndexesBySize(few=FlatIndexes(), many=InvertedIndexes(), most_of_few=2)


@pytest.mark.parametrize("indexes", [FlatIndexes(), ExactIndexes(), BY_SIZE], ids=["flat", "exact", "by size"])
@given(changes=CHANGES, renewed=RENEWALS)
def test_it_holds_what_is_live_with_its_vectors(indexes: VectorIndexes, changes: list[Change], renewed: range) -> None:
    view, live = grown(changes, indexes, renewed)
    expected = {
        key: near
        for one in map(indexed, live.values())
        for key, near in zip(one.passage_keys.tolist(), (one.vectors @ QUESTION).tolist(), strict=True)
    }
    assert similarities(view) == pytest.approx(expected, abs=1e-6)
    assert view.passages == len(expected)
    for segment in view.segments:
        assert (np.diff(segment.indexing_keys) >= 0).all()


@given(changes=CHANGES, renewed=RENEWALS)
def test_its_words_are_those_of_what_is_live(changes: list[Change], renewed: range) -> None:
    view, live = grown(changes, ExactIndexes(), renewed)
    lists = [words for change in live.values() for words in change.passages]
    found = view.statistics(VOCABULARY)
    frequency = Counter(word for words in lists for word in set(words))
    assert found.document_frequency == {word: frequency[word] for word in VOCABULARY}
    assert view.words == sum(map(len, lists))
    for word in VOCABULARY:
        rows = view.word_candidates([word], 1_000, [segment.live for segment in view.segments])
        keys = [segment.passage_keys[own] for segment, own in zip(view.segments, rows, strict=True)]
        holding = [
            key
            for change in live.values()
            for key, words in zip(indexed(change).passage_keys.tolist(), change.passages, strict=True)
            if word in words
        ]
        assert sorted(key for own in keys for key in own.tolist()) == sorted(holding)


def test_what_is_taken_in_while_a_base_is_made_is_all_that_is_beside_it() -> None:
    """It is not joined with what was there before, so that it need not be read or indexed again."""
    changes = [Change(key=key, passages=(("heron",),)) for key in range(30)]
    view, _ = grown(changes, ExactIndexes(), range(20, 29))

    assert [len(one.segment) for one in view.tail] == [8, 2]
    assert view.base is not None
    assert len(view.base) == 20


def test_joined_lists_of_words_are_those_of_all_texts_together() -> None:
    texts = ["heron otter", "", "otter wren wren", "heron", "crane otter"]
    order = np.array([2, 0, 4, 1, 3])
    joined = MemoryWordIndex(texts[:2]).followed_by(MemoryWordIndex(texts[2:]))
    allowed = Rows(mask=np.array([1, 1, 0, 1, 1], bool), indexing_keys=np.arange(0), is_inclusive=True)
    for found, whole in (
        (joined, MemoryWordIndex(texts)),
        (joined.reordered(order), MemoryWordIndex([texts[row] for row in order])),
    ):
        assert len(found) == len(whole)
        for word in ("heron", "otter", "wren", "crane", "absent"):
            assert found.document_frequency(word) == whole.document_frequency(word)
            for rows in (None, allowed):
                assert found.candidates([word], 9, rows).tolist() == whole.candidates([word], 9, rows).tolist()
