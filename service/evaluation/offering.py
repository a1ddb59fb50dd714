"""Requests that come at their own pace, whether or not those before them are answered."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
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
    connections = _Connections(url)
    began = time.perf_counter()
    tasks = []
    for number, moment in enumerate(moments):
        await asyncio.sleep(began + moment - time.perf_counter())
        tasks.append(asyncio.create_task(_ask(connections, contents[number % len(contents)], deadline)))
    outcomes = await asyncio.gather(*tasks)
    connections.close()
    return outcomes


async def _ask(connections: _Connections, content: bytes, deadline: float) -> Outcome:
    began = time.perf_counter()
    status, says_when, error = None, False, ""
    try:
        async with asyncio.timeout(deadline):
            head = await connections.exchange(content)
            status, says_when = int(head[9:12]), _RETRY_AFTER.search(head) is not None
    except TimeoutError:
        error = "no answer in time"
    except (OSError, EOFError) as broken:
        error = f"{type(broken).__name__}: {broken}"
    return Outcome(status=status, milliseconds=1000 * (time.perf_counter() - began), says_when=says_when, error=error)


class _Connections:
    """Kept open and used again, the last one first; a new one is made where none is free."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._free: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def exchange(self, content: bytes) -> bytes:
        """The head of the answer; its body is read and dropped."""
        reader, writer = await self._take()
        try:
            writer.write(content)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
        except BaseException:
            writer.close()
            raise
        self._free.append((time.perf_counter(), reader, writer))
        return head

    async def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            since, reader, writer = self._free.pop()
            if time.perf_counter() - since < _KEPT_SECONDS and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._address)

    def close(self) -> None:
        for _, _, writer in self._free:
            writer.close()


def _written(url: str, request: Request) -> bytes:
    body = b"" if request.body is None else json.dumps(request.body).encode()
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
