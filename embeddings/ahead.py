"""Work that is done before its turn comes, beside other work, and in groups."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int
) -> Generator[tuple[Item, Future[Result]], None, None]:
    """Each item in its order, once the work on it has ended, well or not.

    While the caller has one in hand, those that follow are worked on, one a thread; closing waits for them.
    """
    coming = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        begun = deque((item, pool.submit(work, item)) for item in islice(coming, threads))
        try:
            while begun:
                item, future = begun.popleft()
                wait([future])
                begun.extend((following, pool.submit(work, following)) for following in islice(coming, 1))
                yield item, future
        finally:
            for _, future in begun:
                future.cancel()


MEANWHILE = "meanwhile"
"""What the names of threads begin with that work beside others."""
_BESIDE = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix=MEANWHILE)


@contextmanager
def meanwhile(work: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """Works in another thread, if one is free, while the block does something else; calling what it gives waits for it.

    When the block ends, the work has ended or is never begun.
    """
    future = _BESIDE.submit(work)
    try:
        yield lambda: work() if future.cancel() else future.result()
    finally:
        if not future.cancel():
            wait([future])


def grouped(
    items: Iterable[Item], *, weight: Callable[[Item], int], most_items: int, most_weight: int
) -> Iterator[list[Item]]:
    """The items in their order, as many together as stay within both bounds, and at least one."""
    group: list[Item] = []
    held = 0
    for item in items:
        weighed = weight(item)
        if group and (len(group) >= most_items or held + weighed > most_weight):
            yield group
            group, held = [], 0
        group.append(item)
        held += weighed
    if group:
        yield group
