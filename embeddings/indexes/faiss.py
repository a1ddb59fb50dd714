"""Exact search over unit vectors with FAISS.

FAISS is kept on a short leash: indexes are immutable (concurrent add and search crash it), files are written and
checked by us (`write_index` neither syncs nor reports a failed close), shapes are checked here (FAISS only asserts, and
under `python -O` reads out of bounds).
"""

from __future__ import annotations

import threading
from pathlib import Path

import faiss
import numpy as np

from embeddings.domain import RowNumbers, Rows, Vectors
from embeddings.errors import IndexUnsound
from embeddings.files import write_synced

FILE = "vectors.faiss"
_LOADING = threading.Lock()
"""The limit of what FAISS reads is one for the whole process: that of a small index would refuse a large one."""


class FlatIndex:
    """Inner products with every row, its numbers kept in 16 bits; of equal similarities the lower row comes first.

    A search reads every row, so half the bytes are half the time; a similarity changes by some 0.0002 at most.
    """

    def __init__(self, index: faiss.IndexScalarQuantizer) -> None:
        self._index = index

    def search(self, question: Vectors, k: int, allowed: Rows | None) -> tuple[RowNumbers, Vectors]:
        self._check(question)
        k = min(k, self._index.ntotal)
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        _stay_in_this_thread()
        similarities, rows = self._index.search(question[None, :], k, params=self._parameters(allowed))
        found = rows[0] >= 0
        rows, similarities = rows[0][found], similarities[0][found]
        order = np.lexsort((rows, -similarities))
        return rows[order], similarities[order]

    def similarities(self, question: Vectors, rows: RowNumbers) -> Vectors:
        self._check(question)
        if not len(rows):
            return np.empty(0, np.float32)
        _stay_in_this_thread()
        # Summed row by row, so that a similarity does not depend on which rows it is asked for with.
        result: Vectors = (self._index.reconstruct_batch(rows) * question).sum(axis=1, dtype=np.float32)
        return result

    def save(self, folder: Path) -> None:
        write_synced(folder / FILE, faiss.serialize_index(self._index).data)

    def _check(self, question: Vectors) -> None:
        if question.shape != (self._index.d,) or question.dtype != np.float32 or not np.isfinite(question).all():
            raise ValueError(f"a question must be {self._index.d} finite float32 numbers")

    @staticmethod
    def _parameters(allowed: Rows | None) -> faiss.SearchParameters | None:
        if allowed is None:
            return None
        bits = np.packbits(allowed.mask, bitorder="little")
        return faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))


class FlatIndexes:
    """Makes flat indexes."""

    kind = "faiss-flat-fp16"

    def build(self, vectors: Vectors) -> FlatIndex:
        if vectors.ndim != 2 or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
            raise ValueError("vectors must be a finite float32 matrix")
        index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        _stay_in_this_thread()
        index.add(np.ascontiguousarray(vectors))
        return FlatIndex(index)

    def load(self, folder: Path, *, rows: int, dimension: int) -> FlatIndex:
        content = np.fromfile(folder / FILE, dtype=np.uint8)
        with _LOADING:
            faiss.set_deserialization_vector_byte_limit(max(1, len(content)))
            try:
                index = faiss.deserialize_index(content)
            except RuntimeError as error:
                raise IndexUnsound("the vector index cannot be read") from error
        if not _is_expected(index) or (index.ntotal, index.d) != (rows, dimension):
            raise IndexUnsound("the vector index is of another kind or size")
        return FlatIndex(index)


def _stay_in_this_thread() -> None:
    """Callers bring their own threads; those of OpenMP wait for each other in vain while all processors are busy.

    OpenMP keeps the setting for each calling thread, so it is made before each call; that costs nothing.
    """
    faiss.omp_set_num_threads(1)


def _is_expected(index: faiss.Index) -> bool:
    return (
        isinstance(index, faiss.IndexScalarQuantizer)
        and index.sq.qtype == faiss.ScalarQuantizer.QT_fp16
        and index.metric_type == faiss.METRIC_INNER_PRODUCT
    )
