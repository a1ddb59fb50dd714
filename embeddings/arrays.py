"""What encoders and indexes hand each other: apart from `domain`, so that what reads files needs no NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""Unit vectors, one a row: shape (n, dimension), C-contiguous."""

Keys: TypeAlias = NDArray[np.int64]
RowNumbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rows:
    """Which rows of an index may come back."""

    mask: NDArray[np.bool_]
    """One flag a row."""
    indexing_keys: Keys
    """The same choice by indexing: those let in, or those kept out, whichever is shorter."""
    is_inclusive: bool
