"""Requests that come at their own pace, whether or not those before them are answered."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop

from service.evaluation.served import Request

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *\d+", re.IGNORECASE)
_KEPT_SECONDS = 3.0
"""Less than the service keeps an idle connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one request."""

    status: int | None
    """None where the deadline passed or the connection broke."""
    milliseconds: float
    says_when: bool = False
    """Whether it told after how long to try again."""
    error: str = ""


def offer(
    url: str, requests: Sequence[Request], *, per_second: float, seconds: float, deadline_seconds: float
) -> list[Outcome]:
    """Send the requests over and over, as strangers do: at random moments, so many a second on average.

    Who has no answer at the deadline hangs up.
    """
    drawn = random.Random(1)
    moments: list[float] = []
    while (moment := (moments[-1] if moments else 0.0) + drawn.expovariate(per_second)) < seconds:
        moments.append(moment)
    contents = [_written(url, request) for request in requests]
    return uvloop.run(_offer(url, contents, moments, deadline_seconds))


async def _offer(url: str, contents: Sequence[bytes], moments: Sequence[float], deadline: float) -> list[Outcome]:
    crowd = _Crowd(url, deadline)
    began = time.perf_counter()
    for number, moment in enumerate(moments):
        await asyncio.sleep(began + moment - time.perf_counter())
        crowd.ask(contents[number % len(contents)])
    return await crowd.outcomes()


class _Crowd:
    """Its connections are kept open and used again, the last one first; a new one is made where none is free.

    It has to cost little, since it takes from the same processors as the service that it asks.
    """

    def __init__(self, url: str, deadline_seconds: float) -> None:
        parts = urlsplit(url)
        self.deadline_seconds = deadline_seconds
        self._address = (parts.hostname or "", parts.port or 80)
        self._loop = asyncio.get_running_loop()
        self._free: list[_Connection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._asked = 0
        self._outcomes: list[Outcome] = []
        self._all_have_one = asyncio.Event()

    def ask(self, content: bytes) -> None:
        self._asked += 1
        began = time.perf_counter()
        while self._free:
            connection = self._free.pop()
            if connection.is_fresh:
                connection.ask(content, began)
                return
            connection.hang_up()
        task = self._loop.create_task(self._ask_anew(content, began))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _ask_anew(self, content: bytes, began: float) -> None:
        try:
            _, connection = await self._loop.create_connection(lambda: _Connection(self), *self._address)
        except OSError as broken:
            self.note(began, error=f"{type(broken).__name__}: {broken}")
        else:
            connection.ask(content, began)

    def note(self, began: float, *, status: int | None = None, says_when: bool = False, error: str = "") -> None:
        milliseconds = 1000 * (time.perf_counter() - began)
        self._outcomes.append(Outcome(status=status, milliseconds=milliseconds, says_when=says_when, error=error))
        if len(self._outcomes) == self._asked:
            self._all_have_one.set()

    def keep(self, connection: _Connection) -> None:
        self._free.append(connection)

    async def outcomes(self) -> list[Outcome]:
        """Waits for those that are still asked."""
        while len(self._outcomes) < self._asked:
            self._all_have_one.clear()
            await self._all_have_one.wait()
        for connection in self._free:
            connection.hang_up()
        return self._outcomes


class _Connection(asyncio.Protocol):
    """One request at a time. The head of the answer is read, its body dropped."""

    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._received = bytearray()
        self._began = 0.0
        self._patience: asyncio.TimerHandle | None = None
        """While a request waits for its answer."""
        self._answered = 0.0
        self._is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @property
    def is_fresh(self) -> bool:
        return self._is_open and time.perf_counter() - self._answered < _KEPT_SECONDS

    def ask(self, content: bytes, began: float) -> None:
        self._began = began
        self._received.clear()
        wait = self._crowd.deadline_seconds - (time.perf_counter() - began)
        self._patience = asyncio.get_running_loop().call_later(wait, self._give_up)
        self._transport.write(content)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or self._patience is None:
            return
        length = _LENGTH.search(head)
        if len(body) >= (int(length[1]) if length else 0):
            self._end(status=int(head[9:12]), says_when=_RETRY_AFTER.search(head) is not None)
            self._answered = time.perf_counter()
            self._crowd.keep(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        if self._patience is not None:
            self._end(error="closed without an answer" + (f": {exc}" if exc else ""))

    def hang_up(self) -> None:
        self._transport.abort()

    def _give_up(self) -> None:
        self._end(error="no answer in time")
        self.hang_up()

    def _end(self, *, status: int | None = None, says_when: bool = False, error: str = "") -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._crowd.note(self._began, status=status, says_when=says_when, error=error)


def _written(url: str, request: Request) -> bytes:
    body = b"" if request.body is None else json.dumps(request.body).encode()
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
