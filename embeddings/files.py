"""Files that are whole or absent: written beside, synced, renamed, and the folder synced too."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from embeddings.errors import DiskFull, LoccitError, StoreCorrupt, StoreLocked, StoreReadOnly

UNFINISHED = ".tmp"
_OPEN_AT_ONCE = 64
_SYNCED_AT_ONCE = 8
_SYNCED_TOGETHER = 32 << 20
"""Bytes of a large file: the sync of a commit waits for that of all that others have written before."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what the disk says into what the caller can act on.

    A failed write or sync is never retried on the same file: the kernel may already have dropped the dirty pages
    (PostgreSQL, "fsyncgate", 2018).
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk is full. Free some space; what was acknowledged is kept.") from error
        if error.errno in (errno.EIO, errno.EROFS):
            raise StoreReadOnly("A write to disk failed. Check the disk, then restart the service.") from error
        raise


def sync_folder(folder: Path) -> None:
    _sync_folders([folder])


def _sync_folders(folders: Iterable[Path]) -> None:
    with ExitStack() as opened:
        _sync([opened.enter_context(_opened(folder, os.O_RDONLY | os.O_DIRECTORY)) for folder in folders])


def _sync(descriptors: Sequence[int]) -> None:
    """Many side by side, which the file system then writes with one entry of its log: ten times as quick."""
    if len(descriptors) == 1:
        os.fsync(descriptors[0])
        return
    with ThreadPoolExecutor(_SYNCED_AT_ONCE, thread_name_prefix="sync") as pool:
        list(pool.map(os.fsync, descriptors))


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Write a new file that must not exist, and sync it; on failure nothing of it is left."""
    _write_all_synced({path: content})


@contextmanager
def writing_synced(path: Path) -> Iterator[Callable[[bytes], int]]:
    """Like `write_synced`, piece by piece; what is given takes a piece and returns its size.

    A library between may say of a failed write what it likes: it is raised here as the disk told it.
    """
    failures: list[BaseException] = []
    unsynced = 0

    def write(piece: bytes) -> int:
        nonlocal unsynced
        try:
            written = _write_whole(descriptor, piece)
            unsynced += written
            if unsynced >= _SYNCED_TOGETHER:
                os.fdatasync(descriptor)
                unsynced = 0
            return written
        except OSError as failure:
            failures.append(failure)
            raise

    with _written(path, b"") as descriptor:
        try:
            yield write
            os.fsync(descriptor)
        except BaseException as error:
            raise (failures or [error])[0] from None


def _write_all_synced(contents: Mapping[Path, bytes | memoryview]) -> None:
    """Every file stays open until it is synced: a sync tells of failures only those who had the file open."""
    with ExitStack() as opened:
        _sync([opened.enter_context(_written(path, content)) for path, content in contents.items()])


@contextmanager
def _written(path: Path, content: bytes | memoryview) -> Iterator[int]:
    """Of one that was there before nothing is changed; one that is made here is gone where the block fails."""
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW) as descriptor:
        try:
            _write_whole(descriptor, content)
            yield descriptor
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _write_whole(descriptor: int, content: bytes | memoryview) -> int:
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]
    return len(content)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: a reader sees the old file or the new one."""
    replace_files({path: content})


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Each content at its path, in one step each."""
    unfinished = {path.with_name(path.name + UNFINISHED): content for path, content in contents.items()}
    for path in unfinished:
        path.unlink(missing_ok=True)
    _write_all_synced(unfinished)
    for path, written in zip(contents, unfinished, strict=True):
        os.rename(written, path)
    _sync_folders({path.parent for path in contents})


def sync_tree(folder: Path) -> None:
    """Sync every file and folder below, the files first: each may have been written in full by then."""
    paths = list(folder.rglob("*"))
    for path in (path for path in paths if path.is_file()):
        sync_file(path)
    for path in (folder, *(path for path in paths if path.is_dir())):
        sync_folder(path)


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """With every folder above that is missing; each is the owner's alone, and on disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700)
        sync_folder(folder.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for path in folder.rglob(f"*{UNFINISHED}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Lease:
    """The right to write to a data folder; the kernel frees it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / "lease", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise StoreLocked(
                "Another Loccit process uses this data folder. Stop it, or choose another folder."
            ) from None

    def release(self) -> None:
        os.close(self._descriptor)


class Originals:
    """The bytes that were handed in, each stored once under its SHA-256, in a folder that must be there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changing = threading.Lock()
        self._refusal: Callable[[], LoccitError] | None = None

    def refuse_writes(self, refusal: Callable[[], LoccitError]) -> None:
        """Whoever adds something from now on is told `refusal`; what is being added is there when this returns."""
        with self._changing:
            self._refusal = refusal

    def path(self, sha: bytes) -> Path:
        name = sha.hex()
        return self._folder / name[:2] / name

    def add(self, contents: Sequence[bytes]) -> list[bytes]:
        """Store durably; returns the SHA-256 of each."""
        shas = [hashlib.sha256(content).digest() for content in contents]
        self.keep(dict(zip(shas, contents, strict=True)))
        return shas

    def keep(self, contents: Mapping[bytes, bytes]) -> None:
        """Store durably what has these SHA-256s, where it is not there."""
        named = {self.path(sha): content for sha, content in contents.items()}
        with self._changing, storage_errors():
            if self._refusal is not None:
                raise self._refusal()
            new = [(path, content) for path, content in named.items() if not path.exists()]
            for folder in {path.parent for path, _ in new}:
                folder.mkdir(mode=0o700, exist_ok=True)
            if new:
                sync_folder(self._folder)
            for first in range(0, len(new), _OPEN_AT_ONCE):
                replace_files(dict(new[first : first + _OPEN_AT_ONCE]))

    def read(self, sha: bytes) -> bytes:
        """Raises StoreCorrupt where the bytes are gone or no longer match their name."""
        try:
            content = self.path(sha).read_bytes()
        except FileNotFoundError:
            raise StoreCorrupt("The original of this document is missing from the store.") from None
        if hashlib.sha256(content).digest() != sha:
            raise StoreCorrupt("The original of this document is damaged in the store.")
        return content

    def size(self, sha: bytes) -> int:
        """In bytes; 0 where they are gone."""
        try:
            return self.path(sha).stat().st_size
        except FileNotFoundError:
            return 0

    def remove(self, sha: bytes, *, unless: Callable[[], bool]) -> None:
        """Whoever names an original and then calls `keep` can rely on it: `unless` is asked where no `keep` can run."""
        path = self.path(sha)
        with self._changing, storage_errors():
            if not unless():
                path.unlink(missing_ok=True)
                if path.parent.is_dir():
                    sync_folder(path.parent)

    def all(self) -> Iterator[bytes]:
        for path in self._folder.glob("??/*"):
            if not path.name.endswith(UNFINISHED):
                yield bytes.fromhex(path.name)
