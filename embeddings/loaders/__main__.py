"""The other end of `embeddings.parsing`: confines itself, then reads one document after another."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from typing import IO, Any

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_REFUSED_EVENTS = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.spawn",
    "socket.",
    "subprocess.Popen",
)


def main() -> None:
    told = json.loads(sys.argv[1])
    tesseract = told.get("tesseract")
    requests, answers = _streams()
    _leave_the_network(tesseract["program"] if tesseract else None)
    _limit(told)
    _serve(requests, answers, int(told["processor_seconds"]), tesseract)


def _streams() -> tuple[IO[bytes], IO[bytes]]:
    """The two pipes, out of the way of what a library may print."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    return os.fdopen(os.dup(0), "rb"), answers


def _leave_the_network(allowed_program: str | None) -> None:
    """By the kernel where it lets us, which binds the allowed program too; in any case by Python's own audit."""
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    if unshare(_NEW_NETWORK) != 0:
        unshare(_NEW_USER | _NEW_NETWORK)

    def refuse(event: str, told: tuple[Any, ...]) -> None:
        is_allowed = event == "subprocess.Popen" and allowed_program is not None and told[0] == allowed_program
        if event.startswith(_REFUSED_EVENTS) and not is_allowed:
            raise PermissionError(f"{event} is not allowed while a document is read")

    sys.addaudithook(refuse)


def _limit(limits: dict[str, float]) -> None:
    memory, files = int(limits["memory_bytes"]), int(limits["open_files"])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _serve(requests: IO[bytes], answers: IO[bytes], processor_seconds: int, tesseract: dict[str, str] | None) -> None:
    from embeddings.domain import Source
    from embeddings.errors import InvalidInput, InvalidText
    from embeddings.frames import read_frame, write_frame
    from embeddings.loaders.formats import file_formats
    from embeddings.loaders.scans import Tesseract
    from embeddings.parsing import answer_of, refusal_of

    formats = file_formats(Tesseract(**tesseract) if tesseract else None)
    while True:
        try:
            described = json.loads(read_frame(requests))
            content = read_frame(requests)
        except EOFError:
            return
        _allow(processor_seconds)
        try:
            answer = answer_of(formats.load(Source(content=content, **described)))
        except InvalidInput as error:
            answer = refusal_of(error)
        except MemoryError:
            return
        except Exception:  # whatever a parser meets in a hostile file
            answer = refusal_of(InvalidText("The file is damaged and could not be read; save it anew.", field="/text"))
        write_frame(answers, answer)


def _allow(seconds: int) -> None:
    """So much more time of the processor, from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (allowed if most < 0 else min(allowed, most), most))


if __name__ == "__main__":
    main()
