"""Approximate search over unit vectors with FAISS, where exact search would be slow: as far as a question asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from embeddings.ahead import grouped
from embeddings.arrays import RowNumbers, Rows, Vectors
from embeddings.errors import IndexUnsound
from embeddings.files import write_synced
from embeddings.indexes.faiss import (
    FILE,
    FlatIndex,
    FlatIndexes,
    checked,
    in_two_threads,
    is_expected,
    read_index,
    selector_of,
    stay_in_this_thread,
)
from embeddings.ports import VectorIndexes

MARGIN = "margin.json"
LISTS = 4
"""For each square root of the number of rows; more are slower to make, fewer to search."""
POINTS_PER_LIST = 32
"""Rows that the centroid of a list is learned from."""
ROUNDS = 10
SEED = 1
FITTED_ON = 1000
"""Rows whose neighbours tell how far a search has to look."""
COMPARED = 16_384
"""Rows that are compared with those together."""
NEIGHBOURS = 10
FITTED_RECALL = 0.998
"""Of the neighbours of stored rows; questions lie farther from all of them, and lose more."""
SEEN_FIRST = 0.02
"""Of all rows, before it is decided how much farther to look."""
ROWS_PER_RESULT = 16
"""Compared at least, for each row that is asked for."""
MOST_ON_THE_WAY = 1.5
"""Rows in the lists that are looked into for each that may come back; beyond, what a filter leaves lies elsewhere."""


class InvertedIndex(FlatIndex):
    """The rows in lists by their nearest centroid; a search looks into the lists nearest to the question.

    The lists hold what a flat index holds, so every similarity is exact, and only rows of lists that are not looked
    into can be missed. A search looks into some of the nearest lists first, and then into all whose centroids are less
    similar to the question than the tenth best row so far by no more than `margin`: where there is much that answers,
    it soon ends, and where little does, it looks far. It looks into all lists, and is exact, where a filter keeps out
    many of the rows on the way.
    """

    def __init__(self, index: faiss.IndexIVFScalarQuantizer, margin: float) -> None:
        super().__init__(index)
        self._margin = margin
        self._centroids = faiss.downcast_index(index.quantizer)
        self._list_of_row = _list_of_each_row(index)
        self._sizes = np.bincount(self._list_of_row, minlength=index.nlist)

    def save(self, folder: Path) -> None:
        super().save(folder)
        write_synced(folder / MARGIN, json.dumps({"margin": self._margin}).encode())

    def _found(self, question: Vectors, k: int, allowed: Rows | None) -> tuple[RowNumbers, Vectors]:
        """The best k rows, and maybe more."""
        way = self._way(question)
        near = self._near(way, k, allowed)
        selector = None if allowed is None else selector_of(allowed)
        rows, similarities = self._in_both_threads(question, k, way.part(0, near), selector)
        far = self._far(way, similarities, k)
        if far <= near:
            return rows, similarities
        others, of_others = self._in_both_threads(question, k, way.part(near, far), selector)
        return np.concatenate([rows, others]), np.concatenate([similarities, of_others])

    def _way(self, question: Vectors) -> _Lists:
        """All lists, nearest first."""
        asked, similarities = np.ascontiguousarray(question), np.empty(self._index.nlist, np.float32)
        faiss.fvec_inner_products_ny(
            *map(faiss.swig_ptr, (similarities, asked)), self._centroids.get_xb(), self._index.d, self._index.nlist
        )
        order = np.argsort(-similarities)
        return _Lists(numbers=order, similarities=similarities[order])

    def _near(self, way: _Lists, k: int, allowed: Rows | None) -> int:
        """How many lists are looked into first."""
        sizes = self._allowed_sizes(allowed)[way.numbers]
        near = int(_lists_until(max(SEEN_FIRST * self._index.ntotal, ROWS_PER_RESULT * k), sizes))
        if allowed is not None and self._sizes[way.numbers[:near]].sum() > MOST_ON_THE_WAY * sizes[:near].sum():
            return len(sizes)
        return near

    def _far(self, way: _Lists, found: Vectors, k: int) -> int:
        """How many lists are looked into altogether."""
        wanted = min(k, NEIGHBOURS)
        if len(found) < wanted:
            return len(way.numbers)
        least = np.partition(found, len(found) - wanted)[len(found) - wanted] - self._margin
        return int(np.searchsorted(-way.similarities, -least, side="right"))

    def _in_both_threads(
        self, question: Vectors, k: int, lists: _Lists, selector: faiss.IDSelectorBitmap | None
    ) -> tuple[RowNumbers, Vectors]:
        """What the lists hold. Every second one is looked into by another thread."""
        halves = (lists.every_second(first) for first in (0, 1))
        return in_two_threads(*(partial(self._in_lists, question, k, half, selector) for half in halves))

    def _in_lists(
        self, question: Vectors, k: int, lists: _Lists, selector: faiss.IDSelectorBitmap | None
    ) -> tuple[RowNumbers, Vectors]:
        stay_in_this_thread()
        asked, keys, distances = (np.ascontiguousarray(each) for each in (question, lists.numbers, lists.similarities))
        rows, similarities = np.full(k, -1, np.int64), np.empty(k, np.float32)
        if len(keys):
            # The method of FAISS's wrapper takes no parameters, and so neither a number of lists nor a selector.
            self._index.search_preassigned_c(
                1,
                faiss.swig_ptr(asked),
                k,
                *map(faiss.swig_ptr, (keys, distances, similarities, rows)),
                False,
                faiss.SearchParametersIVF(nprobe=len(keys), sel=selector),
            )
        found = rows >= 0
        return rows[found], similarities[found]

    def _allowed_sizes(self, allowed: Rows | None) -> NDArray[np.int64]:
        """Of each list the rows that may come back."""
        if allowed is None:
            return self._sizes
        if 2 * np.count_nonzero(allowed.mask) > len(allowed.mask):
            return self._sizes - self._counted(np.flatnonzero(~allowed.mask))
        return self._counted(np.flatnonzero(allowed.mask))

    def _counted(self, rows: RowNumbers) -> NDArray[np.int64]:
        return np.bincount(self._list_of_row[rows], minlength=self._index.nlist)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Lists:
    """Of an inverted index, nearest first."""

    numbers: RowNumbers
    similarities: Vectors
    """Of the question and each one's centroid."""

    def part(self, first: int, end: int) -> _Lists:
        return _Lists(numbers=self.numbers[first:end], similarities=self.similarities[first:end])

    def every_second(self, first: int) -> _Lists:
        return _Lists(numbers=self.numbers[first::2], similarities=self.similarities[first::2])


@dataclass(frozen=True, slots=True)
class InvertedIndexes:
    """Makes inverted indexes, the same one of the same vectors: rows are drawn and centroids begun by a fixed seed."""

    maps: bool = False
    """Of those that are loaded, the lists stay in their file, whose pages all processes share: for those that only
    read. A process ends where such a page cannot be read."""

    @property
    def for_tails(self) -> VectorIndexes:
        return FlatIndexes()

    def kind(self, rows: int) -> str:
        return "faiss-ivf-fp16"

    def build(self, batches: Iterable[Vectors], *, rows: int, dimension: int) -> InvertedIndex:
        lists = max(1, min(rows, round(LISTS * math.sqrt(rows))))
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dimension),
            dimension,
            lists,
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
            False,
        )
        _train(index, batches, rows)
        _fill(index, batches)
        index.make_direct_map()
        return InvertedIndex(index, _fitted_margin(index))

    def load(self, folder: Path, *, rows: int, dimension: int) -> InvertedIndex:
        index = read_index(folder / FILE, maps=self.maps)
        if not isinstance(index, faiss.IndexIVFScalarQuantizer) or not is_expected(index, rows, dimension):
            raise IndexUnsound("the vector index is of another kind or size")
        if index.direct_map.array.size() != rows:
            raise IndexUnsound("the lists of the vector index are incomplete")
        if self.maps:
            # FAISS would read ahead with 32 threads, as for lists that lie on a disk only.
            faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0
        return InvertedIndex(index, _read_margin(folder / MARGIN))


def _train(index: faiss.IndexIVFScalarQuantizer, batches: Iterable[Vectors], rows: int) -> None:
    index.cp.seed, index.cp.niter, index.cp.spherical = SEED, ROUNDS, True
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, POINTS_PER_LIST
    wanted = _drawn(rows, POINTS_PER_LIST * index.nlist)
    stay_in_this_thread()
    if len(wanted):
        index.train(_chosen(batches, wanted, index.d))
    else:
        index.quantizer.add(np.zeros((1, index.d), np.float32))
        index.is_trained = True


def _drawn(rows: int, most: int) -> RowNumbers:
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(SEED).choice(rows, most, replace=False))


def _chosen(batches: Iterable[Vectors], rows: RowNumbers, dimension: int) -> Vectors:
    """The given rows, ascending, out of all batches together."""
    chosen = np.empty((len(rows), dimension), np.float32)
    first = 0
    for batch in batches:
        low, high = np.searchsorted(rows, [first, first + len(batch)])
        chosen[low:high] = batch[rows[low:high] - first]
        first += len(batch)
    return chosen


def _fitted_margin(index: faiss.IndexIVFScalarQuantizer) -> float:
    """How much less similar the centroids of lists may be than the tenth best row, to find nearly all of the ten."""
    drawn = _drawn(index.ntotal, FITTED_ON)
    if not len(drawn):
        return 0.0
    stay_in_this_thread()
    questions = index.reconstruct_batch(drawn)
    similarities, their_lists = _nearest_of_all(index, questions, min(NEIGHBOURS, index.ntotal))
    of_nearest_lists, lists = index.quantizer.search(questions, index.nlist)
    of_lists = np.empty_like(of_nearest_lists)
    np.put_along_axis(of_lists, lists, of_nearest_lists, axis=1)
    sizes = np.array([index.invlists.list_size(number) for number in range(index.nlist)])[lists]
    seen_first = _lists_until(SEEN_FIRST * index.ntotal, sizes)[:, np.newaxis]
    of_their_lists = np.take_along_axis(of_lists, their_lists, axis=1)
    are_seen_first = of_their_lists >= np.take_along_axis(of_nearest_lists, seen_first - 1, axis=1)
    behind = np.where(are_seen_first, 0.0, similarities[:, -1:] - of_their_lists)
    return round(float(np.quantile(behind, FITTED_RECALL, method="higher")), 4)


def _nearest_of_all(
    index: faiss.IndexIVFScalarQuantizer, questions: Vectors, k: int
) -> tuple[Vectors, NDArray[np.int64]]:
    """For each question the similarities of the k best of all rows, best first, and the lists that those are in.

    As products of whole matrices: for many questions some fourteen times as quick as one search after another.
    """
    best = np.full((len(questions), k), -np.inf, np.float32)
    lists_of_best = np.zeros((len(questions), k), np.int64)
    numbers = [number for number in range(index.nlist) if index.invlists.list_size(number)]
    for group in grouped(numbers, weight=index.invlists.list_size, most_items=index.nlist, most_weight=COMPARED):
        rows = [_rows_of_list(index, number) for number in group]
        lists = np.repeat(group, [len(own) for own in rows])
        similarities, found = faiss.knn(
            questions, np.concatenate(rows), min(k, len(lists)), metric=faiss.METRIC_INNER_PRODUCT
        )
        best = np.concatenate([best, similarities], axis=1)
        lists_of_best = np.concatenate([lists_of_best, lists[found]], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(best, order, axis=1)
        lists_of_best = np.take_along_axis(lists_of_best, order, axis=1)
    return best, lists_of_best


def _rows_of_list(index: faiss.IndexIVFScalarQuantizer, number: int) -> Vectors:
    size = index.invlists.list_size(number)
    codes = faiss.rev_swig_ptr(index.invlists.get_codes(number), size * index.code_size)
    rows: Vectors = codes.view("<f2").reshape(size, index.d).astype(np.float32)
    return rows


def _lists_until(rows: float, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the first lists, of these sizes along the last axis, hold so many rows together; all, if too few."""
    fewer: NDArray[np.int64] = (np.cumsum(sizes, axis=-1) < rows).sum(axis=-1)
    return np.minimum(fewer + 1, sizes.shape[-1])


def _read_margin(path: Path) -> float:
    try:
        margin = float(json.loads(path.read_bytes())["margin"])
    except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
        raise IndexUnsound("the file that tells how far to look in the vector index cannot be read") from error
    if not math.isfinite(margin):
        raise IndexUnsound("the file that tells how far to look in the vector index holds no finite number")
    return margin


def _list_of_each_row(index: faiss.IndexIVFScalarQuantizer) -> NDArray[np.int64]:
    bits_of_the_place_in_its_list = 32
    places: NDArray[np.int64] = faiss.vector_to_array(index.direct_map.array)
    return places >> bits_of_the_place_in_its_list


def _fill(index: faiss.IndexIVFScalarQuantizer, batches: Iterable[Vectors]) -> None:
    """Each list is made as long as it will be before it is filled: those that grow take half as much memory again."""
    assigned = [index.quantizer.search(batch, 1)[1].ravel() for batch in checked(batches)]
    for number, size in enumerate(np.bincount(np.concatenate([_NO_ROWS, *assigned]), minlength=index.nlist).tolist()):
        index.invlists.resize(number, size)
        index.invlists.resize(number, 0)
    for batch, lists in zip(checked(batches), assigned, strict=True):
        index.add_core(len(batch), faiss.swig_ptr(batch), None, faiss.swig_ptr(lists))


_NO_ROWS = np.empty(0, np.int64)
