"""What is kept in memory: by the collector of garbage, and by the allocator for itself or for the system."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def settle() -> None:
    """What is here by now stays: looking through it for garbage would hold all threads up for some 50 ms."""
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Return freed memory to the system, where the C library can: glibc keeps a whole index that was replaced."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
