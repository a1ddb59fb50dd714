"""An immutable picture of a collection's live passages: what one search sees, whatever is written meanwhile.

A view is a base (an index on disk, write-once) and a tail of small segments in memory, newest last. A write makes a new
view that shares all it can with the old one; readers hold the view that they began with, and no one waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embeddings.arrays import Keys, RowNumbers, Rows, Vectors
from embeddings.bm25 import WordStatistics
from embeddings.ports import VectorIndex, VectorIndexes, WordIndex
from embeddings.postings import MemoryWordIndex, best_rows

BATCH = 4096
"""Rows whose vectors are handed on together."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class IndexedPassages:
    """Passages as an index takes them, those of an indexing side by side, in ascending order of its key."""

    passage_keys: Keys
    indexing_keys: Keys
    words: Sequence[str]
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.passage_keys)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PassageStream:
    """Passages as an index takes them, too many to hold: words and vectors are read anew whenever they are iterated."""

    passage_keys: Keys
    indexing_keys: Keys
    words: Iterable[str]
    vectors: Iterable[Vectors]
    """In batches."""

    def __len__(self) -> int:
        return len(self.passage_keys)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Segment:
    """Two indexes over the same rows, and which of the rows are still live."""

    passage_keys: Keys
    indexings: Keys
    """Each once, ascending; its rows lie side by side."""
    rows_of_indexings: NDArray[np.int64]
    """How many each has."""
    vectors: VectorIndex
    words: WordIndex
    removed: Keys
    """Indexings that are no longer live, ascending."""
    live: Rows | None
    """None: all rows."""

    def __len__(self) -> int:
        return len(self.passage_keys)

    @property
    def indexing_keys(self) -> Keys:
        """One a row, ascending."""
        return np.repeat(self.indexings, self.rows_of_indexings)

    def without(self, indexing_keys: Keys) -> Segment:
        """The keys must ascend, each once."""
        gone = self._own(indexing_keys)
        if not len(np.setdiff1d(gone, self.removed, assume_unique=True)):
            return self
        removed = np.union1d(self.removed, gone)
        return replace(self, removed=removed, live=self._rows(~np.isin(self.indexings, removed)))

    def rows(self, allowed: Keys | None) -> Rows | None:
        """The live rows whose indexing is among the allowed ones; None means all rows."""
        if allowed is None:
            return self.live
        return self._rows(np.isin(self.indexings, allowed) & ~np.isin(self.indexings, self.removed))

    def count_indexings(self, rows: Rows | None) -> int:
        """How many have the given rows; None means all rows."""
        if rows is None:
            return len(self.indexings)
        named = len(rows.indexing_keys)
        return named if rows.is_inclusive else len(self.indexings) - named

    def _own(self, indexing_keys: Keys) -> Keys:
        """Those of the given ones that it holds. Looked up one by one: mostly a few among very many."""
        places = np.searchsorted(self.indexings, indexing_keys)
        within = places < len(self.indexings)
        places, keys = places[within], indexing_keys[within]
        own: Keys = keys[self.indexings[places] == keys]
        return own

    def _rows(self, are_in: NDArray[np.bool_]) -> Rows:
        mask = np.repeat(are_in, self.rows_of_indexings)
        is_inclusive = bool(2 * np.count_nonzero(are_in) <= len(are_in))
        named = self.indexings[are_in if is_inclusive else ~are_in]
        return Rows(mask=mask, indexing_keys=named, is_inclusive=is_inclusive)


def segment_of(passage_keys: Keys, indexing_keys: Keys, vectors: VectorIndex, words: WordIndex) -> Segment:
    """All rows live; `indexing_keys`, one a row, must ascend."""
    indexings, rows_of_indexings = np.unique(indexing_keys, return_counts=True)
    return Segment(
        passage_keys=passage_keys,
        indexings=indexings,
        rows_of_indexings=rows_of_indexings,
        vectors=vectors,
        words=words,
        removed=np.empty(0, np.int64),
        live=None,
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TailSegment:
    """A segment in memory, whose indexes can be joined with those of another one into larger ones."""

    segment: Segment
    words: MemoryWordIndex
    """Those of the segment."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class View:
    seq: int
    passages: int
    """Live ones."""
    words: int
    """Of all live passages together."""
    base: Segment | None
    tail: tuple[TailSegment, ...]
    removed_words: tuple[Counter[str], ...]
    """Document frequencies of passages that are still in a segment but no longer live."""
    settled: tuple[int, int] = (0, 0)
    """So many of `tail`, and of `removed_words`, are not joined with what comes after them."""

    @property
    def segments(self) -> list[Segment]:
        base = [] if self.base is None else [self.base]
        return [*base, *(one.segment for one in self.tail)]

    @property
    def removed(self) -> int:
        """Rows in segments that are no longer live."""
        return sum(len(segment) for segment in self.segments) - self.passages

    @property
    def tail_rows(self) -> int:
        return sum(len(one.segment) for one in self.tail)

    def word_candidates(self, words: Sequence[str], k: int, rows: Sequence[Rows | None]) -> list[RowNumbers]:
        """About the k best rows by words of the base, and of the whole tail; `rows` and the result are by segment."""
        base = [] if self.base is None else [self.base.words.candidates(words, k, rows[0])]
        tail = [(one.words, allowed) for one, allowed in zip(self.tail, rows[len(base) :], strict=True)]
        return [*base, *best_rows(tail, words, k)] if tail else base

    def statistics(self, words: Sequence[str]) -> WordStatistics:
        return WordStatistics(
            passages=self.passages,
            mean_length=self.words / self.passages if self.passages else 0.0,
            document_frequency={word: self._document_frequency(word) for word in words},
        )

    def _document_frequency(self, word: str) -> int:
        held = sum(segment.words.document_frequency(word) for segment in self.segments)
        return held - sum(counter[word] for counter in self.removed_words)

    def including(self, added: IndexedPassages, indexes: VectorIndexes) -> View:
        if not len(added):
            return self
        apart = self.settled[0]
        return replace(
            self,
            passages=self.passages + len(added),
            words=self.words + count_words(added.words),
            tail=self.tail[:apart] + _with_few_segments((*self.tail[apart:], _tail_segment(added, indexes)), indexes),
        )

    def without(self, removed: IndexedPassages) -> View:
        """`removed` holds whole indexings."""
        if not len(removed):
            return self
        keys = np.unique(removed.indexing_keys)
        apart = self.settled[1]
        counters = _joined_counters((*self.removed_words[apart:], _frequencies(removed.words)))
        return replace(
            self,
            passages=self.passages - len(removed),
            words=self.words - count_words(removed.words),
            base=None if self.base is None else self.base.without(keys),
            tail=tuple(replace(one, segment=one.segment.without(keys)) for one in self.tail),
            removed_words=self.removed_words[:apart] + counters,
        )

    def settling(self) -> View:
        """The same, so that what is taken in from now on can be moved onto another base."""
        return replace(self, settled=(len(self.tail), len(self.removed_words)))

    def unsettled(self) -> View:
        return replace(self, settled=(0, 0))

    def onto(self, base: Segment) -> View:
        """The same on another base, of what was live when the view settled. Nothing is read or indexed for it."""
        segments, counters = self.settled
        replaced = [one.segment for one in self.tail[:segments]]
        gone = [one.removed for one in (replaced if self.base is None else [self.base, *replaced])]
        return replace(
            self,
            base=base.without(np.unique(np.concatenate(gone))) if gone else base,
            tail=self.tail[segments:],
            removed_words=self.removed_words[counters:],
            settled=(0, 0),
        )


def base_view(seq: int, segment: Segment, words: int) -> View:
    """A view of one whole segment, everything in it live; `words` counts those of all its passages."""
    return View(seq=seq, passages=len(segment), words=words, base=segment, tail=(), removed_words=())


def empty_view(seq: int) -> View:
    return View(seq=seq, passages=0, words=0, base=None, tail=(), removed_words=())


def count_words(lists: Iterable[str]) -> int:
    return sum(words.count(" ") + 1 for words in lists if words)


def _frequencies(words: Sequence[str]) -> Counter[str]:
    counter: Counter[str] = Counter()
    for listed in words:
        counter.update(set(listed.split()))
    return counter


def _tail_segment(added: IndexedPassages, indexes: VectorIndexes) -> TailSegment:
    vectors = indexes.for_tails.build([added.vectors], rows=len(added), dimension=added.vectors.shape[1])
    words = MemoryWordIndex(added.words)
    return TailSegment(
        segment=segment_of(added.passage_keys, added.indexing_keys, vectors, words),
        words=words,
    )


def _with_few_segments(tail: tuple[TailSegment, ...], indexes: VectorIndexes) -> tuple[TailSegment, ...]:
    """Join the newest segments while the older is not four times as large, so that there are never many."""
    while len(tail) > 1 and len(tail[-2].segment) < 4 * len(tail[-1].segment):
        tail = (*tail[:-2], _joined(tail[-2], tail[-1], indexes))
    return tail


def _joined(older: TailSegment, newer: TailSegment, indexes: VectorIndexes) -> TailSegment:
    segments = older.segment, newer.segment
    indexing_keys = np.concatenate([one.indexing_keys for one in segments])
    order = np.argsort(indexing_keys, kind="stable")
    words = older.words.followed_by(newer.words)
    if not (np.diff(order) > 0).all():
        words = words.reordered(order)
    vectors = _Together(older.segment, newer.segment, order)
    joined = segment_of(
        np.concatenate([one.passage_keys for one in segments])[order],
        indexing_keys[order],
        indexes.for_tails.build(vectors, rows=len(order), dimension=vectors.dimension),
        words,
    )
    removed = np.union1d(older.segment.removed, newer.segment.removed)
    return TailSegment(segment=joined.without(removed), words=words)


@dataclass(frozen=True, slots=True)
class _Together:
    """The vectors of two segments in one order, in batches."""

    older: Segment
    newer: Segment
    order: RowNumbers
    """Rows of the newer one count on from those of the older."""

    @property
    def dimension(self) -> int:
        return int(self.older.vectors.vectors(np.arange(1)).shape[1])

    def __iter__(self) -> Iterator[Vectors]:
        for first in range(0, len(self.order), BATCH):
            rows = self.order[first : first + BATCH]
            are_older = rows < len(self.older)
            batch = np.empty((len(rows), self.dimension), np.float32)
            batch[are_older] = self.older.vectors.vectors(rows[are_older])
            batch[~are_older] = self.newer.vectors.vectors(rows[~are_older] - len(self.older))
            yield batch


def _joined_counters(counters: tuple[Counter[str], ...]) -> tuple[Counter[str], ...]:
    while len(counters) > 1 and len(counters[-2]) < 2 * len(counters[-1]):
        counters = (*counters[:-2], counters[-2] + counters[-1])
    return counters
