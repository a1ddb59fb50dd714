"""Reads hostile files at arm's length: in another process, with little memory and time, and no network.

A request is a frame of JSON and one of content, an answer one of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from embeddings.domain import Heading, LoadedDocument, Source, Span
from embeddings.errors import InvalidInput, InvalidText, TooLarge, UnsupportedMediaType
from embeddings.frames import read_frame, write_frame
from embeddings.text import canonical

_DOCUMENTS_EACH = 500
"""After so many a worker is replaced, so that what its libraries do not free is freed."""
_SPARE_SECONDS = 10.0
"""How long a process beyond the one that stays is kept; to begin one takes as long as to read dozens of documents."""
_FAILURES = (OSError, EOFError, ValueError, TypeError, RecursionError)
"""Of a process that ends, or answers what it should not."""
_REFUSALS = {one.__name__: one for one in (InvalidInput, InvalidText, TooLarge, UnsupportedMediaType)}
_GAVE_UP = (
    "The file could not be read within the limits of time and memory; it is damaged or too complex. Send it in parts."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may use."""

    memory_bytes: int = 1 << 30
    processor_seconds: int = 60
    seconds: float = 120.0
    open_files: int = 64


class ParsingProcesses:
    """A loader whose work is done by `python -m MODULE`, which answers with `serve`.

    At most `most` processes read, begun when needed; one stays, the others until there is nothing to do. Safe to
    call from many threads. Raises what the loaders there raise, and InvalidText where they crash, hang or use too much.
    """

    def __init__(
        self,
        module: str,
        media_types: Sequence[str],
        *,
        most: int = 2,
        limits: Limits | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """`settings` is what the module is told beside its limits, as JSON can hold it."""
        self.media_types = tuple(media_types)
        self._limits = limits or Limits()
        self._command = ["-m", module, json.dumps({**asdict(self._limits), **(settings or {})})]
        self._free = threading.BoundedSemaphore(most)
        self._idle: list[_Worker] = []
        """The one that rests longest first."""
        self._keeping = threading.Lock()
        self._spares_end: threading.Timer | None = None
        weakref.finalize(self, _end_all, self._idle)

    def load(self, source: Source) -> LoadedDocument:
        with self._free:
            worker = self._taken()
            try:
                answer = worker.ask(source, seconds=self._limits.seconds)
            except _FAILURES as error:
                worker.end()
                raise InvalidText(_GAVE_UP, field="/text") from error
            except BaseException:
                worker.end()
                raise
            self._keep(worker if worker.asked < _DOCUMENTS_EACH else worker.renewed(source, self._limits.seconds))
        return _loaded(answer)

    def _taken(self) -> _Worker:
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                return _Worker(self._command)
            if worker.is_alive:
                return worker
            worker.end()

    def _keep(self, worker: _Worker) -> None:
        with self._keeping:
            worker.rests_since = time.monotonic()
            self._idle.append(worker)
            if len(self._idle) > 1 and self._spares_end is None:
                self._look_for_spares_later()

    def _look_for_spares_later(self) -> None:
        self._spares_end = threading.Timer(_SPARE_SECONDS, self._end_spares)
        self._spares_end.daemon = True
        self._spares_end.start()

    def _end_spares(self) -> None:
        with self._keeping:
            with contextlib.suppress(IndexError):  # Taken by those who need them meanwhile: so much the better.
                while len(self._idle) > 1 and time.monotonic() - self._idle[0].rests_since >= _SPARE_SECONDS:
                    self._idle.pop(0).end()
            self._spares_end = None
            if len(self._idle) > 1:
                self._look_for_spares_later()


def _end_all(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().end()


class _Worker:
    def __init__(self, command: Sequence[str]) -> None:
        self.asked = 0
        self.rests_since = 0.0
        self._command = command
        self._successor: tuple[_Worker, threading.Thread] | None = None
        """And the thread that waits for its first answer."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-B", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": ":".join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
            close_fds=True,
            start_new_session=True,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def renewed(self, source: Source, seconds: float) -> _Worker:
        """This one until another has begun, which takes as long as to read a hundred documents; then that one.

        The other one reads `source` first, for nobody, and so imports what reading such documents takes.
        """
        try:
            successor, trial = self._successor = self._successor or self._begun(source, seconds)
        except OSError:  # There is no room for another process: this one can go on.
            return self
        if trial.is_alive():
            return self
        self._successor = None
        self.end()
        return successor

    def _begun(self, source: Source, seconds: float) -> tuple[_Worker, threading.Thread]:
        successor = _Worker(self._command)
        trial = threading.Thread(target=successor._try, args=(source, seconds), daemon=True)
        trial.start()
        return successor, trial

    def _try(self, source: Source, seconds: float) -> None:
        with contextlib.suppress(*_FAILURES):
            self.ask(source, seconds=seconds)

    def ask(self, source: Source, *, seconds: float) -> dict[str, Any]:
        """Raises OSError or EOFError where the process ends before it has answered."""
        self.asked += 1
        request, answer = self._process.stdin, self._process.stdout
        if request is None or answer is None:
            raise EOFError
        with _deadline(self._process, seconds):
            described = {"media_type": source.media_type, "charset": source.charset}
            write_frame(request, json.dumps(described).encode())
            write_frame(request, source.content)
            return dict(json.loads(read_frame(answer)))

    def end(self) -> None:
        if self._successor is not None:
            self._successor[0].end()
        _kill(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With what it has started: its session is its own."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, _kill, (process,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def answer_of(loaded: LoadedDocument) -> bytes:
    told = {
        "text": loaded.text,
        "title": loaded.title,
        "headings": [(one.span.start, one.span.end, one.level, one.text) for one in loaded.headings],
        "pages": None if loaded.pages is None else [(one.start, one.end) for one in loaded.pages],
        "records": [(one.start, one.end) for one in loaded.records],
        "metadata": dict(loaded.metadata),
        "media_type": loaded.media_type,
        "warnings": loaded.warnings,
    }
    return json.dumps({"loaded": told}, ensure_ascii=False).encode()


def refusal_of(error: InvalidInput) -> bytes:
    kind = next((name for name in _REFUSALS if type(error).__name__ == name), InvalidText.__name__)
    return json.dumps({"refused": [kind, str(error), error.field]}).encode()


def _loaded(answer: dict[str, Any]) -> LoadedDocument:
    """Believes nothing of a process that has read a hostile file. Raises what it refused with, or InvalidText."""
    try:
        return _understood(answer)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InvalidText(_GAVE_UP, field="/text") from error


def _understood(answer: dict[str, Any]) -> LoadedDocument:
    if "refused" in answer:
        kind, message, field = answer["refused"]
        raise _REFUSALS.get(str(kind), InvalidText)(str(message), field=None if field is None else str(field))
    told = answer["loaded"]
    text = str(told["text"])
    if canonical(text) != text:
        raise InvalidText(_GAVE_UP, field="/text")
    pages = None if told["pages"] is None else _spans(told["pages"], len(text))
    return LoadedDocument(
        text=text,
        title=None if told["title"] is None else canonical(str(told["title"])),
        headings=tuple(
            Heading(_spans([(start, end)], len(text))[0], int(level), str(heading))
            for start, end, level, heading in told["headings"]
        ),
        pages=pages,
        records=_spans(told["records"], len(text)),
        metadata={
            canonical(str(key)): tuple(map(str, value)) if isinstance(value, list) else value
            for key, value in told["metadata"].items()
        },
        media_type=told["media_type"],
        warnings=tuple(map(str, told["warnings"])),
    )


def _spans(pairs: Sequence[Sequence[int]], length: int) -> tuple[Span, ...]:
    spans = tuple(Span(int(start), int(end)) for start, end in pairs)
    if any(not 0 <= one.start <= one.end <= length for one in spans):
        raise InvalidText(_GAVE_UP, field="/text")
    return spans
