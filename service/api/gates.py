"""Bounded ways into the synchronous engine: so many calls at a time, so many waiting, and the rest is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from embeddings.errors import Busy
from service.settings import Settings

Result = TypeVar("Result")


class Gate:
    def __init__(self, *, width: int, waiting: int) -> None:
        self._limiter = CapacityLimiter(width)
        self._room = self._size = width + waiting

    @property
    def occupied(self) -> int:
        """Calls that are worked on or wait."""
        return self._size - self._room

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Takes one place of the queue. Raises Busy where there is none."""
        if self._room <= 0:
            raise Busy("Too many requests are waiting; try again in a moment.")
        self._room -= 1
        try:
            yield
        finally:
            self._room += 1

    async def run(self, call: Callable[[], Result]) -> Result:
        """Runs the call in a thread. Raises Busy."""
        with self.admission():
            return await self.run_admitted(call)

    async def run_admitted(self, call: Callable[[], Result]) -> Result:
        return await to_thread.run_sync(call, limiter=self._limiter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    questions: Gate
    """Those that compute: encode, search, read."""
    lookups: Gate
    """Those that only read the store."""
    writes: Gate
    sequences: Gate
    """Those that sleep until a sequence number is reached."""

    def occupied(self) -> dict[str, int]:
        return {each.name: getattr(self, each.name).occupied for each in fields(self)}


def gates_of(settings: Settings) -> Gates:
    return Gates(
        questions=Gate(width=settings.threads, waiting=settings.waiting_reads),
        lookups=Gate(width=4, waiting=settings.waiting_reads),
        writes=Gate(width=4, waiting=settings.waiting_writes),
        sequences=Gate(width=32, waiting=0),
    )
