"""SHA-256 of files, remembered as long as nothing about them changes, so that a folder is not read twice."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from embeddings.files import make_folder, replace_file
from service.naming import short_hash

_YOUNG_NANOSECONDS = 2_000_000_000
"""A file may change again without its time telling, within so long of the change before."""

_Mark: TypeAlias = list[int]


class Digests:
    """Taken anew where a file's size, times or place on the disk have changed. Losing them costs reading again."""

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self._known: dict[str, tuple[_Mark, str]] = {}
        self._used: dict[str, tuple[_Mark, str]] = {}

    @classmethod
    def of_folders(cls, data: Path, roots: Iterable[Path]) -> Digests:
        """Those that an earlier run over the same folders kept in the data folder, if it did."""
        name = short_hash(b"\0".join(sorted({os.fsencode(root) for root in roots})))
        digests = cls(data / "digests" / f"{name}.json")
        digests._load()
        return digests

    def of(self, path: Path) -> str:
        """In hexadecimal. Raises OSError."""
        mark = _mark(path.stat())
        known = self._known.get(str(path))
        if known is None or known[0] != mark:
            with path.open("rb") as file:
                known = mark, hashlib.file_digest(file, "sha256").hexdigest()
        self._note(path, *known)
        return known[1]

    def read(self, path: Path) -> bytes:
        """The content, whose digest is then known. Raises OSError."""
        with path.open("rb") as file:
            mark = _mark(os.fstat(file.fileno()))
            content = file.read()
        self._note(path, mark, hashlib.sha256(content).hexdigest())
        return content

    def save(self) -> None:
        """Those of the files that have been looked at; where that cannot be, the next run reads the files again."""
        if self._kept is not None:
            with suppress(OSError):
                make_folder(self._kept.parent)
                replace_file(self._kept, json.dumps(self._used).encode())

    def _note(self, path: Path, mark: _Mark, digest: str) -> None:
        if time.time_ns() - mark[1] > _YOUNG_NANOSECONDS:
            self._known[str(path)] = self._used[str(path)] = mark, digest

    def _load(self) -> None:
        try:
            kept = json.loads(self._kept.read_bytes()) if self._kept else {}
            self._known = {str(path): (list(map(int, mark)), str(digest)) for path, (mark, digest) in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._known = {}


def _mark(status: os.stat_result) -> _Mark:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]
