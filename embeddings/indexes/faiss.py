"""Search over unit vectors with FAISS: exact, or approximate where exact search would be slow.

FAISS is kept on a short leash: indexes are immutable (concurrent add and search crash it), files are written and
checked by us (`write_index` neither syncs nor reports a failed close), shapes are checked here (FAISS only asserts, and
under `python -O` reads out of bounds).
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from embeddings.ahead import meanwhile
from embeddings.arrays import RowNumbers, Rows, Vectors
from embeddings.errors import IndexUnsound
from embeddings.files import write_synced, writing_synced
from embeddings.ports import VectorIndex, VectorIndexes

FILE = "vectors.faiss"
MARGIN = "margin.json"
WORTH_HALVING = 16_384
"""Rows: comparing half of them takes longer than handing them to another thread."""
SPARE = 50
"""Rows beyond those that are wanted, in case a few of them are kept out."""
FEW = 0.01
"""Of all rows: where no more are kept out, it is quicker to look past them than to judge every row."""
_LOADING = threading.Lock()
"""The limit of what FAISS reads is one for the whole process: that of a small index would refuse a large one."""


class FlatIndex:
    """Inner products with every row, its numbers kept in 16 bits; of equal similarities the lower row comes first.

    A search reads every row, so half the bytes are half the time; a similarity changes by some 0.0002 at most.
    """

    def __init__(self, index: faiss.IndexScalarQuantizer | faiss.IndexIVFScalarQuantizer) -> None:
        self._index = index

    def search(self, question: Vectors, k: int, allowed: Rows | None) -> tuple[RowNumbers, Vectors]:
        self._check(question)
        k = min(k, self._index.ntotal)
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows, similarities = self._permitted(question, k, allowed)
        order = np.lexsort((rows, -similarities))[:k]
        return rows[order], similarities[order]

    def _permitted(self, question: Vectors, k: int, allowed: Rows | None) -> tuple[RowNumbers, Vectors]:
        """The best k rows, and maybe more. Where few are kept out, they are looked past."""
        if allowed is not None and np.count_nonzero(~allowed.mask) <= FEW * len(allowed.mask):
            rows, similarities = self._found(question, min(k + SPARE, self._index.ntotal), None)
            kept = allowed.mask[rows]
            if np.count_nonzero(kept) >= k:
                return rows[kept], similarities[kept]
        return self._found(question, k, allowed)

    def _found(self, question: Vectors, k: int, allowed: Rows | None) -> tuple[RowNumbers, Vectors]:
        """The best k rows, and maybe more. All rows are compared; where they are many, half by another thread."""
        rows = self._index.ntotal
        if allowed is not None or rows < WORTH_HALVING:
            return self._among(question, k, None if allowed is None else _selector(allowed))
        halves = faiss.IDSelectorRange(0, rows // 2), faiss.IDSelectorRange(rows // 2, rows)
        return _in_two_threads(*(partial(self._among, question, k, half) for half in halves))

    def _among(self, question: Vectors, k: int, chosen: faiss.IDSelector | None) -> tuple[RowNumbers, Vectors]:
        _stay_in_this_thread()
        parameters = None if chosen is None else faiss.SearchParameters(sel=chosen)
        similarities, rows = self._index.search(question[None, :], k, params=parameters)
        found = rows[0] >= 0
        return rows[0][found], similarities[0][found]

    def similarities(self, question: Vectors, rows: RowNumbers) -> Vectors:
        self._check(question)
        # Summed row by row, so that a similarity does not depend on which rows it is asked for with.
        result: Vectors = (self.vectors(rows) * question).sum(axis=1, dtype=np.float32)
        return result

    def vectors(self, rows: RowNumbers) -> Vectors:
        if not len(rows):
            return np.empty((0, self._index.d), np.float32)
        _stay_in_this_thread()
        held: Vectors = self._index.reconstruct_batch(rows)
        return held

    def save(self, folder: Path) -> None:
        with writing_synced(folder / FILE) as write:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(write))

    def _check(self, question: Vectors) -> None:
        if question.shape != (self._index.d,) or question.dtype != np.float32 or not np.isfinite(question).all():
            raise ValueError(f"a question must be {self._index.d} finite float32 numbers")


class FlatIndexes:
    """Makes flat indexes."""

    @property
    def for_tails(self) -> VectorIndexes:
        return self

    def kind(self, rows: int) -> str:
        return "faiss-flat-fp16"

    def build(self, batches: Iterable[Vectors], *, rows: int, dimension: int) -> FlatIndex:
        index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        # Made as long as it will be before it is filled: what grows takes up to twice the memory.
        index.codes.resize(rows * index.code_size)
        index.codes.resize(0)
        for batch in _checked(batches):
            index.add(batch)
        return FlatIndex(index)

    def load(self, folder: Path, *, rows: int, dimension: int) -> FlatIndex:
        index = _read(folder / FILE)
        if not isinstance(index, faiss.IndexScalarQuantizer) or not _is_expected(index, rows, dimension):
            raise IndexUnsound("the vector index is of another kind or size")
        return FlatIndex(index)


LISTS = 4
"""For each square root of the number of rows; more are slower to make, fewer to search."""
POINTS_PER_LIST = 32
"""Rows that the centroid of a list is learned from."""
ROUNDS = 10
SEED = 1
FITTED_ON = 1000
"""Rows whose neighbours tell how far a search has to look."""
NEIGHBOURS = 10
FITTED_RECALL = 0.999
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
        selector = None if allowed is None else _selector(allowed)
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
        seen = np.cumsum(self._allowed_sizes(allowed)[way.numbers])
        wanted = max(SEEN_FIRST * self._index.ntotal, ROWS_PER_RESULT * k)
        near = min(int(np.searchsorted(seen, wanted)) + 1, len(seen))
        if allowed is not None and self._sizes[way.numbers[:near]].sum() > MOST_ON_THE_WAY * seen[near - 1]:
            return len(seen)
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
        return _in_two_threads(*(partial(self._in_lists, question, k, half, selector) for half in halves))

    def _in_lists(
        self, question: Vectors, k: int, lists: _Lists, selector: faiss.IDSelectorBitmap | None
    ) -> tuple[RowNumbers, Vectors]:
        _stay_in_this_thread()
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


class InvertedIndexes:
    """Makes inverted indexes, the same one of the same vectors: rows are drawn and centroids begun by a fixed seed."""

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
        index = _read(folder / FILE)
        if not isinstance(index, faiss.IndexIVFScalarQuantizer) or not _is_expected(index, rows, dimension):
            raise IndexUnsound("the vector index is of another kind or size")
        if index.direct_map.array.size() != rows:
            raise IndexUnsound("the lists of the vector index are incomplete")
        return InvertedIndex(index, _read_margin(folder / MARGIN))


class IndexesBySize:
    """Those for few rows up to a number of rows, those for many beyond."""

    def __init__(self, *, few: VectorIndexes, many: VectorIndexes, most_of_few: int) -> None:
        self._few = few
        self._many = many
        self._most_of_few = most_of_few

    @property
    def for_tails(self) -> VectorIndexes:
        return self._few.for_tails

    def _for(self, rows: int) -> VectorIndexes:
        return self._few if rows <= self._most_of_few else self._many

    def kind(self, rows: int) -> str:
        return self._for(rows).kind(rows)

    def build(self, batches: Iterable[Vectors], *, rows: int, dimension: int) -> VectorIndex:
        return self._for(rows).build(batches, rows=rows, dimension=dimension)

    def load(self, folder: Path, *, rows: int, dimension: int) -> VectorIndex:
        return self._for(rows).load(folder, rows=rows, dimension=dimension)


def _train(index: faiss.IndexIVFScalarQuantizer, batches: Iterable[Vectors], rows: int) -> None:
    index.cp.seed, index.cp.niter, index.cp.spherical = SEED, ROUNDS, True
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, POINTS_PER_LIST
    wanted = _drawn(rows, POINTS_PER_LIST * index.nlist)
    _stay_in_this_thread()
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
    _stay_in_this_thread()
    questions = index.reconstruct_batch(drawn)
    everywhere = faiss.SearchParametersIVF(nprobe=index.nlist)
    similarities, nearest = index.search(questions, min(NEIGHBOURS, index.ntotal), params=everywhere)
    of_nearest_lists, lists = index.quantizer.search(questions, index.nlist)
    of_lists = np.empty_like(of_nearest_lists)
    np.put_along_axis(of_lists, lists, of_nearest_lists, axis=1)
    list_of_row = _list_of_each_row(index)
    seen = np.cumsum(np.bincount(list_of_row, minlength=index.nlist)[lists], axis=1)
    last_of_first = np.minimum((seen < SEEN_FIRST * index.ntotal).sum(axis=1, keepdims=True), index.nlist - 1)
    of_their_lists = np.take_along_axis(of_lists, list_of_row[nearest], axis=1)
    are_seen_first = of_their_lists >= np.take_along_axis(of_nearest_lists, last_of_first, axis=1)
    behind = np.where(are_seen_first, 0.0, similarities[:, -1:] - of_their_lists)
    return round(float(np.quantile(behind, FITTED_RECALL, method="higher")), 4)


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
    assigned = [index.quantizer.search(batch, 1)[1].ravel() for batch in _checked(batches)]
    for number, size in enumerate(np.bincount(np.concatenate([_NO_ROWS, *assigned]), minlength=index.nlist).tolist()):
        index.invlists.resize(number, size)
        index.invlists.resize(number, 0)
    for batch, lists in zip(_checked(batches), assigned, strict=True):
        index.add_core(len(batch), faiss.swig_ptr(batch), None, faiss.swig_ptr(lists))


_NO_ROWS = np.empty(0, np.int64)


def _checked(batches: Iterable[Vectors]) -> Iterator[Vectors]:
    for batch in batches:
        if batch.ndim != 2 or batch.dtype != np.float32 or not np.isfinite(batch).all():
            raise ValueError("vectors must be a finite float32 matrix")
        _stay_in_this_thread()
        yield np.ascontiguousarray(batch)


def _read(path: Path) -> faiss.Index:
    size = path.stat().st_size
    with _LOADING:
        faiss.set_deserialization_vector_byte_limit(max(1, size))
        try:
            return faiss.read_index(str(path))
        except RuntimeError as error:
            raise IndexUnsound("the vector index cannot be read") from error


def _is_expected(index: faiss.IndexScalarQuantizer | faiss.IndexIVFScalarQuantizer, rows: int, dimension: int) -> bool:
    return (index.ntotal, index.d, index.sq.qtype, index.metric_type) == (
        rows,
        dimension,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
    )


def _in_two_threads(
    here: Callable[[], tuple[RowNumbers, Vectors]], there: Callable[[], tuple[RowNumbers, Vectors]]
) -> tuple[RowNumbers, Vectors]:
    """What two searches find together."""
    with meanwhile(there) as found_there:
        (rows, similarities), (others, of_others) = here(), found_there()
    return np.concatenate([rows, others]), np.concatenate([similarities, of_others])


def _selector(allowed: Rows) -> faiss.IDSelectorBitmap:
    return faiss.IDSelectorBitmap(np.packbits(allowed.mask, bitorder="little"))


def _stay_in_this_thread() -> None:
    """Callers bring their own threads; those of OpenMP wait for each other in vain while all processors are busy.

    OpenMP keeps the setting for each calling thread, so it is made before each call; that costs nothing.
    """
    faiss.omp_set_num_threads(1)
