"""Exact search over unit vectors with FAISS, and what approximate search (`inverted.py`) shares with it.

FAISS is kept on a short leash: indexes are immutable (concurrent add and search crash it), files are written and
checked by us (`write_index` neither syncs nor reports a failed close), shapes are checked here (FAISS only asserts, and
under `python -O` reads out of bounds).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import faiss
import numpy as np

from embeddings.ahead import meanwhile
from embeddings.arrays import RowNumbers, Rows, Vectors
from embeddings.errors import IndexUnsound
from embeddings.files import writing_synced
from embeddings.ports import VectorIndex, VectorIndexes

FILE = "vectors.faiss"
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
            return self._among(question, k, None if allowed is None else selector_of(allowed))
        halves = faiss.IDSelectorRange(0, rows // 2), faiss.IDSelectorRange(rows // 2, rows)
        return in_two_threads(*(partial(self._among, question, k, half) for half in halves))

    def _among(self, question: Vectors, k: int, chosen: faiss.IDSelector | None) -> tuple[RowNumbers, Vectors]:
        stay_in_this_thread()
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
        stay_in_this_thread()
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
        for batch in checked(batches):
            index.add(batch)
        return FlatIndex(index)

    def load(self, folder: Path, *, rows: int, dimension: int) -> FlatIndex:
        index = read_index(folder / FILE)
        if not isinstance(index, faiss.IndexScalarQuantizer) or not is_expected(index, rows, dimension):
            raise IndexUnsound("the vector index is of another kind or size")
        return FlatIndex(index)


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


def checked(batches: Iterable[Vectors]) -> Iterator[Vectors]:
    for batch in batches:
        if batch.ndim != 2 or batch.dtype != np.float32 or not np.isfinite(batch).all():
            raise ValueError("vectors must be a finite float32 matrix")
        stay_in_this_thread()
        yield np.ascontiguousarray(batch)


def read_index(path: Path, *, maps: bool = False) -> faiss.Index:
    """`maps` leaves inverted lists in the file, which must never be written to."""
    size = path.stat().st_size
    with _LOADING:
        faiss.set_deserialization_vector_byte_limit(max(1, size))
        try:
            return faiss.read_index(str(path), faiss.IO_FLAG_MMAP if maps else 0)
        except RuntimeError as error:
            raise IndexUnsound("the vector index cannot be read") from error


def is_expected(index: faiss.IndexScalarQuantizer | faiss.IndexIVFScalarQuantizer, rows: int, dimension: int) -> bool:
    return (index.ntotal, index.d, index.sq.qtype, index.metric_type) == (
        rows,
        dimension,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
    )


def in_two_threads(
    here: Callable[[], tuple[RowNumbers, Vectors]], there: Callable[[], tuple[RowNumbers, Vectors]]
) -> tuple[RowNumbers, Vectors]:
    """What two searches find together."""
    with meanwhile(there) as found_there:
        (rows, similarities), (others, of_others) = here(), found_there()
    return np.concatenate([rows, others]), np.concatenate([similarities, of_others])


def selector_of(allowed: Rows) -> faiss.IDSelectorBitmap:
    return faiss.IDSelectorBitmap(np.packbits(allowed.mask, bitorder="little"))


def stay_in_this_thread() -> None:
    """Callers bring their own threads; those of OpenMP wait for each other in vain while all processors are busy.

    OpenMP keeps the setting for each calling thread, so it is made before each call; that costs nothing.
    """
    faiss.omp_set_num_threads(1)
