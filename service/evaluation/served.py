"""A real service in a process of its own, and requests to it from several clients at once."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, takewhile
from pathlib import Path
from urllib.parse import urlsplit

from service.evaluation.circumstances import ROOT
from service.running import running_url

START_SECONDS = 600
REQUEST_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    url: str
    process_id: int
    start_seconds: float
    """From the command to the first answer that says it is ready."""

    def memory_megabytes(self, field: str = "VmRSS") -> float:
        """`VmHWM` gives the most there ever was."""
        return _memory_megabytes(self.process_id, field)

    def memory_of_all_megabytes(self) -> float:
        """Of the processes that it has begun, too; what they share counts once."""
        return sum(_memory_megabytes(one, "Pss", told_in="smaps_rollup") for one in self._all())

    def most_memory_of_all_megabytes(self) -> float:
        """The most that each ever had, whether at the same time or not; what they share counts in each."""
        return sum(_memory_megabytes(one, "VmHWM") for one in self._all())

    def _all(self) -> list[int]:
        return [self.process_id, *begun_by(self.process_id)]


def begun_by(process_id: int) -> list[int]:
    """Processes that one of its threads has begun."""
    begun = (one.read_text("utf-8") for one in Path(f"/proc/{process_id}/task").glob("*/children"))
    return [int(number) for numbers in begun for number in numbers.split()]


def _memory_megabytes(process_id: int, field: str, told_in: str = "status") -> float:
    told = Path(f"/proc/{process_id}/{told_in}").read_text("utf-8")
    found = re.search(rf"^{field}:\s+(\d+) kB$", told, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc tells no {field}")
    return int(found.group(1)) * 1024 / 1e6


@contextmanager
def served(data: Path, **settings: object) -> Iterator[Served]:
    """Run scripts/serve until the block ends. It replaces itself with the service: the process id stays."""
    set_otherwise = (f"LOCCIT_{name.upper()}={value}" for name, value in settings.items())
    command: list[str | Path] = ["env", *set_otherwise, ROOT / "scripts" / "serve", "--port", "0", "--data", data]
    with started(
        command, log=data.with_suffix(".log"), address=lambda: running_url(data), ready="/health/ready"
    ) as found:
        yield found


@contextmanager
def started(
    command: Sequence[str | Path], *, log: Path, address: Callable[[], str | None], ready: str
) -> Iterator[Served]:
    """Run a service until the block ends. It is ready once the path `ready` answers; what it says goes into the log."""
    began = time.perf_counter()
    with log.open("ab") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, cwd=ROOT)
    try:
        url = _wait_until_ready(process, log, address, ready)
        yield Served(url=url, process_id=process.pid, start_seconds=time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_ready(
    process: subprocess.Popen[bytes], log: Path, address: Callable[[], str | None], ready: str
) -> str:
    patience = time.monotonic() + START_SECONDS
    while time.monotonic() < patience:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {log.read_text('utf-8')[-1000:]}")
        url = address()
        if url is not None and _answers(url, ready):
            return url
        time.sleep(0.01)
    raise TimeoutError(f"{process.args!r} was not ready within {START_SECONDS} s")


def _answers(url: str, path: str) -> bool:
    with _Client(url) as client:
        try:
            return client.send("GET", path)[0] == http.HTTPStatus.OK
        except OSError:
            return False


class _Client:
    """One connection that is kept open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=REQUEST_SECONDS)

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        return response.status, response.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    body: object = None
    """Sent as JSON, unless it is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    clients: int
    seconds: float
    milliseconds: tuple[float, ...]
    """Of each request."""
    replies: tuple[bytes, ...]

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds


def until(end: float, requests: Iterable[Request]) -> Iterator[Request]:
    """Over and over, as long as the monotonic clock is not past the end."""
    return takewhile(lambda _: time.monotonic() <= end, cycle(requests))


def drive(url: str, requests: Iterable[Request], *, clients: int) -> Load:
    """Send each request once; a client sends its next when it has the answer. Raises RuntimeError where one fails."""
    waiting = iter(requests)
    taking = threading.Lock()
    taken: list[tuple[float, bytes]] = []
    failures: list[str] = []

    def work() -> None:
        with _Client(url) as client:
            while not failures:
                with taking:
                    request = next(waiting, None)
                if request is None:
                    return
                began = time.perf_counter()
                try:
                    status, reply = client.send(request.method, request.path, request.body)
                except (OSError, http.client.HTTPException) as error:
                    failures.append(f"{request.method} {request.path}: {error}")
                    return
                if status >= http.HTTPStatus.MULTIPLE_CHOICES:
                    failures.append(f"{request.method} {request.path}: {status} {reply[:300]!r}")
                taken.append((1000 * (time.perf_counter() - began), reply))

    began = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    return Load(
        clients=clients,
        seconds=time.perf_counter() - began,
        milliseconds=tuple(each for each, _ in taken),
        replies=tuple(reply for _, reply in taken),
    )
