"""How processes of this program speak to each other: eight bytes of length, big-endian, then that many bytes."""

from __future__ import annotations

import struct
from typing import Protocol

LENGTH = struct.Struct(">Q")
LONGEST = 256 << 20
"""Of a frame, in bytes."""


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Sink(Protocol):
    def write(self, content: bytes, /) -> int: ...

    def flush(self) -> None: ...


def framed(content: bytes) -> bytes:
    return LENGTH.pack(len(content)) + content


def write_frame(stream: Sink, content: bytes) -> None:
    stream.write(LENGTH.pack(len(content)))
    stream.write(content)
    stream.flush()


def read_frame(stream: Source) -> bytes:
    """Raises EOFError where the stream ends before the frame does."""
    length = length_of(_read(stream, LENGTH.size))
    return _read(stream, length)


def length_of(head: bytes) -> int:
    """What the first bytes of a frame say. Raises EOFError where it would be longer than any frame is."""
    (length,) = LENGTH.unpack(head)
    if length > LONGEST:
        raise EOFError
    return int(length)


def _read(stream: Source, length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
