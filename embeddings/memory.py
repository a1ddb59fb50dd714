"""What is kept in memory, by the collector of garbage and by the allocator, and how much room there is."""

from __future__ import annotations

import ctypes
import gc
import math
import os
from contextlib import suppress
from pathlib import Path


def settle() -> None:
    """What is here by now stays: looking through it for garbage would hold all threads up for some 50 ms."""
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Return freed memory to the system, where the C library can: glibc keeps a whole index that was replaced."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


_SYSTEM = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
"""Of a container, in its own view; of the whole system, which has no limit, otherwise. See Linux, cgroup-v2."""


def resident_bytes() -> int:
    """Of this process. Raises OSError where the system does not tell it as Linux does."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def has_room_for_as_much_again() -> bool:
    """Whether there is memory for another process of this one's size, and as much left then. True if none can tell."""
    try:
        return min(_available_in_system(), _available_in_group()) >= 2 * resident_bytes()
    except (OSError, ValueError, KeyError):
        return True


def _available_in_system() -> float:
    named = dict(line.split(":") for line in _SYSTEM.read_text("ascii").splitlines())
    return int(named["MemAvailable"].removesuffix("kB")) * 1024


def _available_in_group() -> float:
    most = _GROUP / "memory.max"
    limit = most.read_text("ascii").strip() if most.is_file() else "max"
    if limit == "max":
        return math.inf
    counted = dict(line.split() for line in (_GROUP / "memory.stat").read_text("ascii").splitlines())
    taken = int((_GROUP / "memory.current").read_text("ascii"))
    return int(limit) - taken + int(counted["inactive_file"])  # Which are given up when memory is short.
