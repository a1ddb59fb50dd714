"""SQLite as the truth: one connection writes, others read snapshots."""

from __future__ import annotations

import ctypes
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import apsw
import apsw.sqlite_extra

from embeddings.errors import Busy, DiskFull, LoccitError, StoreCorrupt, StoreReadOnly, StoreTooNew

BUSY_TIMEOUT_MS = 5_000
CHECKED_AT_ONCE_BYTES = 500_000_000
"""Looking at every page of a larger file takes longer than a start should: that is left to `check`."""
READER_CACHE_KIB = 16_000
"""Of pages, for each connection that reads: of 40,000 passages, a search spends a quarter less time in the store."""
CHECK_STEPS = 10_000
"""Of SQLite's machine, or pages of a table, between two looks at whether to go on."""
LOG_BYTES = 8 << 20
"""What stays of the write-ahead log's file once all of it has been moved into the store."""
LONGEST_LOG_BYTES = 32 << 20
"""What the log may grow by while a table is looked at; a commit that has as much to move takes up to 90 ms."""
LOG_LOOK_SECONDS = 0.5
CHECKSUM_BYTES = 8
"""At the end of each page; https://www.sqlite.org/cksumvfs.html."""
PAGE_SIZE_AT = 16
"""In the file: two bytes, big-endian. The SQLite database file format, 1.3.2."""
COPIED_PAGES = 2_048
"""Of a backup, between two reports of progress: 8 MiB."""
DAMAGED = "The store of this collection is damaged. Run `loccit doctor --repair`, or restore a backup."


class Connection(Protocol):
    """What the rest of the engine does with a connection of `apsw`; rows are tuples of whatever the schema says."""

    def execute(self, statements: str, bindings: Any = None) -> Any: ...

    def executemany(self, statements: str, sequenceofbindings: Any) -> Any: ...

    def changes(self) -> int: ...


def _with_checksums() -> str:
    """The name of the file system layer that keeps a checksum with each page and looks at it in each read."""
    with closing(apsw.Connection(":memory:")) as connection:
        apsw.sqlite_extra.load(connection, "cksumvfs")
    return "cksmvfs"


VFS = _with_checksums()


def _open(path: Path, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) -> apsw.Connection:
    return apsw.Connection(str(path), flags=flags, vfs=VFS)


def _is_other_than_written(error: BaseException) -> bool:
    """Whether a page was read that its checksum does not fit."""
    return isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except apsw.FullError as error:
        raise DiskFull("The disk is full. Free some space; what was acknowledged is kept.") from error
    except (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError) as error:
        raise StoreCorrupt(DAMAGED) from error
    except (apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError) as error:
        if _is_other_than_written(error):
            raise StoreCorrupt(DAMAGED) from error
        raise StoreReadOnly("A write to disk failed. Check the disk, then restart the service.") from error


class Snapshots:
    """One file, only to be read, while this process or another one writes to it."""

    def __init__(self, path: Path, *, verifies: bool = True) -> None:
        """`verifies` False reads what can be read at all, whatever the checksums of its pages say."""
        self._path = path
        self._verification = "on" if verifies else "off"
        self._idle: queue.LifoQueue[apsw.Connection] = queue.LifoQueue()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot: everything read in the block is of one moment."""
        with _store_errors():
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                connection = self._open_reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._idle.put(connection)

    def _open_reader(self) -> apsw.Connection:
        connection = _open_reader(self._path)
        connection.pragma("checksum_verification", self._verification)
        return connection

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().close()


class Database(Snapshots):
    """One file. Writes are serialised and durable when `writing` ends; reads never wait for them.

    Exactly one connection writes and checkpoints, so the WAL-reset corruption of SQLite before 3.51.3 cannot occur
    whichever SQLite is in use. After a failed sync nothing more is written until the process starts again.
    """

    def __init__(self, path: Path, *, schema: str, verifies: bool = True) -> None:
        super().__init__(path, verifies=verifies)
        self._lock = threading.RLock()
        self._refusal: Callable[[], LoccitError] | None = None
        with _store_errors():
            existed = path.exists()
            if existed and _is_cut_short(path):
                raise StoreCorrupt("The store of this collection is cut short. Restore it from a backup.")
            self._writer = _open(path)
            try:
                self._begin(schema, existed=existed)
            except BaseException:
                self._writer.close()
                raise

    def _begin(self, schema: str, *, existed: bool) -> None:
        self._path.chmod(0o600)
        if not existed:
            _reserve_checksums(self._writer)
        _prepare(self._writer)
        self._writer.pragma("checksum_verification", self._verification)
        self._writer.pragma("journal_mode", "wal")
        self._writer.pragma("journal_size_limit", LOG_BYTES)
        self._writer.pragma("synchronous", "full")
        self._writer.pragma("secure_delete", True)
        self._writer.pragma("foreign_keys", True)
        self.is_checked = not existed or self._path.stat().st_size <= CHECKED_AT_ONCE_BYTES
        if existed and self.is_checked:
            _require_sound(self._writer)
        self._migrate(schema)

    def _migrate(self, schema: str) -> None:
        """Forward only: each numbered script once, in one transaction with its number. Raises StoreTooNew."""
        scripts = sorted(
            (
                script
                for script in resources.files("embeddings.corpus.migrations").iterdir()
                if script.name.endswith(f"_{schema}.sql")
            ),
            key=lambda script: script.name,
        )
        if self._writer.pragma("user_version") > len(scripts):
            raise StoreTooNew("A later version of Loccit wrote this store. Use that version, or restore a backup.")
        for number, script in enumerate(scripts, start=1):
            if self._writer.pragma("user_version") < number:
                with self.writing() as connection:
                    connection.execute(script.read_text("utf-8"))
                    connection.execute(f"PRAGMA user_version = {number}")

    @property
    def is_writable(self) -> bool:
        return self._refusal is None

    @property
    def unused_bytes(self) -> int:
        """Of the file: what was erased is written over before the file grows."""
        with self.reading() as connection:
            pages = connection.execute("PRAGMA freelist_count").get
            return int(pages * connection.execute("PRAGMA page_size").get)

    def refuse_writes(self, refusal: Callable[[], LoccitError]) -> None:
        """Whoever writes from now on is told `refusal`; what is being written ends before this returns."""
        with self._lock:
            self._refusal = refusal

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on disk when the block ends, and leaves no trace when it raises."""
        with self._changing():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One change at a time, and none after one that the disk failed."""
        with self._lock, _store_errors():
            if self._refusal is not None:
                raise self._refusal()
            try:
                yield
            except apsw.IOError as error:
                if not _is_other_than_written(error):
                    self._refusal = _failed_before
                raise

    def _open_reader(self) -> apsw.Connection:
        try:
            return super()._open_reader()
        except apsw.CantOpenError:
            if self._refusal is not None:
                raise self._refusal() from None
            raise

    def check(self, is_cancelled: Callable[[], bool]) -> None:
        """Look at every page that is in use, while others read and write. Raises StoreCorrupt.

        Each table has a snapshot of its own, so that the log can be moved into the store in between. One during which
        very much is written is given up, and looked at anew.
        """
        with _store_errors(), closing(_open_reader(self._path)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
            waiting = deque(["sqlite_schema", *(name for (name,) in tables)])
            while waiting and not is_cancelled():
                connection.set_progress_handler(self._has_to_stop(is_cancelled), CHECK_STEPS)
                try:
                    _require_sound(connection, f'("{waiting[0]}")')
                    waiting.popleft()
                except apsw.InterruptError:
                    self._let_the_log_be_moved(is_cancelled)

    def _has_to_stop(self, is_cancelled: Callable[[], bool]) -> Callable[[], bool]:
        longest = self.log_bytes + LONGEST_LOG_BYTES
        return lambda: is_cancelled() or self.log_bytes > longest

    def _let_the_log_be_moved(self, is_cancelled: Callable[[], bool]) -> None:
        """Waits until the next commit has done so, or nobody writes any more."""
        grows = True
        while grows and not is_cancelled():
            before = self.log_bytes
            time.sleep(LOG_LOOK_SECONDS)
            grows = self.log_bytes > before

    @property
    def log_bytes(self) -> int:
        """Of its file, which grows while nothing can be moved into the store; once all is, it is cut to `LOG_BYTES`."""
        try:
            return _log_of(self._path).stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def has_long_log(self) -> bool:
        """Whether it waits for a snapshot to end."""
        return self.log_bytes > 2 * LOG_BYTES

    def truncate_log(self) -> None:
        """Move the write-ahead log into the database, so that erased text is in neither. Raises Busy."""
        with self._changing():
            try:
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError as error:
                raise Busy("A long read or a backup still needs what is to be erased; repeat this later.") from error

    def has_written_bytes(self) -> bool:
        """Whether all pages hold what was written, those that list free ones among them."""
        try:
            with _store_errors(), closing(_open_reader(self._path)) as connection:
                _require_sound(connection)
        except StoreCorrupt:
            return False
        return True

    def write_anew(self) -> None:
        """Every page as it can be read, with the checksum of that."""
        with self._changing():
            self._writer.execute("VACUUM")

    def integrity_problems(self) -> list[str]:
        with self.reading() as connection:
            return [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]

    def close(self) -> None:
        super().close()
        with self._lock:
            self._writer.close()


def _failed_before() -> StoreReadOnly:
    return StoreReadOnly("An earlier write to disk failed. Check the disk, then restart the service.")


def _prepare(connection: apsw.Connection) -> None:
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.pragma("mmap_size", 0)
    connection.pragma("trusted_schema", False)


def _open_reader(path: Path) -> apsw.Connection:
    connection = _open(path, apsw.SQLITE_OPEN_READONLY)
    _prepare(connection)
    connection.pragma("query_only", True)
    connection.pragma("cache_size", -READER_CACHE_KIB)
    return connection


def _reserve_checksums(connection: apsw.Connection) -> None:
    """Has to come before the first write; a database that was made without goes on without."""
    room = ctypes.c_int(CHECKSUM_BYTES)
    connection.file_control("main", apsw.SQLITE_FCNTL_RESERVE_BYTES, ctypes.addressof(room))


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _is_cut_short(path: Path) -> bool:
    """Whether the last page is not whole; SQLite would fill it with zeros. A log left by a kill may still hold it."""
    log = _log_of(path)
    if log.exists() and log.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(PAGE_SIZE_AT)
        page_size = int.from_bytes(file.read(2), "big")
    return page_size > 1 and path.stat().st_size % page_size > 0


def _require_sound(connection: apsw.Connection, table: str = "") -> None:
    if connection.execute(f"PRAGMA quick_check{table}").get != "ok":
        raise StoreCorrupt(DAMAGED)


@contextmanager
def reading_file(path: Path) -> Iterator[Connection]:
    """A snapshot of a database that another process may be writing to."""
    with _store_errors(), closing(_open_reader(path)) as connection:
        connection.execute("BEGIN")
        yield connection


def copy_database(source: Path, copy: Path, progress: Callable[[int, int], None]) -> None:
    """Copy what the database holds at one moment, while another process may go on writing to it.

    The copy is a single synced file, checked page by page; `progress` is told bytes done and in total.
    Raises StoreCorrupt, DiskFull.
    """
    with _store_errors():
        with (
            closing(_open_reader(source)) as reader,
            closing(_open(copy)) as writer,
        ):
            copy.chmod(0o600)
            page_bytes = reader.pragma("page_size")
            # A snapshot taken before the first step: otherwise each foreign commit would start the copy over.
            reader.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()
            writer.pragma("synchronous", "full")
            with writer.backup("main", reader, "main") as backup:
                while not backup.done:
                    backup.step(COPIED_PAGES)
                    total = backup.page_count * page_bytes
                    progress(total - backup.remaining * page_bytes, total)
            writer.pragma("journal_mode", "delete")
            problems = [row[0] for row in writer.execute("PRAGMA integrity_check") if row[0] != "ok"]
        if problems:
            raise StoreCorrupt("The store is damaged: `loccit doctor` tells how; a copy of it would be, too.")
