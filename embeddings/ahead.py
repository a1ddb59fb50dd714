"""Work that is done before its turn comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
