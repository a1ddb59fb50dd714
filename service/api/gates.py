"""Bounded ways into the synchronous engine: so many calls at a time, so many waiting, and the rest is refused."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, Semaphore, fail_after, to_thread

from embeddings.errors import Busy
from service.answerers.lanes import at_once
from service.settings import Settings

Result = TypeVar("Result")
TOO_MANY_WAIT = "Too many requests are waiting; try again in a moment."
_WEIGHT_OF_NEW = 0.1


class Gate:
    """First come, first served."""

    def __init__(self, *, width: int, waiting: int, longest_wait_seconds: float | None = None) -> None:
        self._width = width
        self._turns = Semaphore(width, fast_acquire=True)
        self._threads = CapacityLimiter(width)
        self._longest_wait_seconds = longest_wait_seconds
        self._seconds_a_call = 0.0
        self._room = self._size = width + waiting

    @property
    def occupied(self) -> int:
        """Calls that are worked on or wait."""
        return self._size - self._room

    @property
    def has_queue(self) -> bool:
        return self.occupied > self._width

    @property
    def expected_wait_seconds(self) -> float:
        """Until the turn of a call that came now, as calls go at present."""
        return max(0, self.occupied - self._width + 1) * self._seconds_a_call / self._width

    def require_room(self, places: int = 1) -> None:
        """Raises Busy where the queue has not so many places left, or would take longer than one may wait."""
        if not self.has_room(places):
            raise Busy(TOO_MANY_WAIT)

    def has_room(self, places: int = 1) -> bool:
        is_slow = self._longest_wait_seconds is not None and self.expected_wait_seconds > self._longest_wait_seconds
        return self._room >= places and not is_slow

    @contextmanager
    def admission(self, calls: int = 1) -> Iterator[None]:
        """Takes a place of the queue for each call, or all there are. Raises Busy where too few are left."""
        places = min(calls, self._size)
        self.require_room(places)
        self._room -= places
        try:
            yield
        finally:
            self._room += places

    async def run(self, call: Callable[[], Result]) -> Result:
        """Runs the call in a thread. Raises Busy where there is no place, or its turn does not come in time."""
        return await self.let_in(partial(self.in_thread, call))

    async def let_in(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Awaits the work. Raises Busy where there is no place, or its turn does not come in time."""
        with self.admission():
            try:
                with fail_after(self._longest_wait_seconds):
                    await self._turns.acquire()
            except TimeoutError:
                raise Busy("Those that came before take too long; try again in a moment.") from None
            return await self._take_turn(work)

    async def let_in_admitted(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """One of several that were let in together; they wait for each other."""
        await self._turns.acquire()
        return await self._take_turn(work)

    async def in_thread(self, call: Callable[[], Result]) -> Result:
        """For whoever has been let in."""
        return await to_thread.run_sync(call, limiter=self._threads)

    async def _take_turn(self, work: Callable[[], Awaitable[Result]]) -> Result:
        began = time.perf_counter()
        try:
            return await work()
        finally:
            self._turns.release()
            self._seconds_a_call += _WEIGHT_OF_NEW * (time.perf_counter() - began - self._seconds_a_call)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    asks: Gate
    """Those that encode, search and read."""
    searches: Gate
    """Those that encode and search: they don't wait for the others, which take many times as long."""
    lookups: Gate
    """Those that only read the store."""
    writes: Gate
    sequences: Gate
    """Those that sleep until a sequence number is reached."""

    def before(self, path: str) -> Gate:
        """The one that questions at this path have to pass."""
        return self.searches if path.startswith("/v1/search") else self.asks

    def of(self, verb: str) -> Gate:
        return {"ask": self.asks, "search": self.searches}[verb]

    def occupied(self) -> dict[str, int]:
        return {each.name: getattr(self, each.name).occupied for each in fields(self)}


def gates_of(settings: Settings) -> Gates:
    reading = partial(Gate, waiting=settings.waiting_reads, longest_wait_seconds=settings.longest_wait_seconds)
    width = at_once(settings)
    return Gates(
        asks=reading(width=width["ask"]),
        searches=reading(width=width["search"]),
        lookups=reading(width=4),
        writes=Gate(width=4, waiting=settings.waiting_writes),
        sequences=Gate(width=32, waiting=0),
    )
