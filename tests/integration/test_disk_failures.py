"""A disk fails or is full: nothing is acknowledged that is not there, reads go on, a restart finds a sound store."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from embeddings.corpus.database import Database
from embeddings.errors import StoreReadOnly
from embeddings.files import write_synced, writing_synced
from embeddings.inspection import inspect
from embeddings.library import Library
from tests.integration.conftest import parts

WRITER = """
import sys
from pathlib import Path
from embeddings.errors import StoreUnavailable
from embeddings.library import Library
from tests.integration.conftest import parts, plain

library = Library(Path(sys.argv[1]), parts(), free_disk_floor_bytes=0)
library.create("notes")
notes = library.collection("notes")
for number in range(12):
    try:
        notes.put(f"note-{number}", plain(f"Entry {number} of the ledger lists eggs."))
        print("put", number, flush=True)
    except StoreUnavailable as error:
        print(type(error).__name__, number, flush=True)
    found = notes.search("eggs of the ledger", top_k=50)
    assert len(found.hits) == found.live_passages, "a search failed while the disk did"
"""


def run_with_failing(call: str, error: str, nth: int, data: Path) -> list[list[str]]:
    """What the writer acknowledged and what it was refused, while the nth call and every later one fails."""
    finished = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
         "-e", f"inject={call}:error={error}:when={nth}+", sys.executable, "-c", WRITER, str(data)],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert finished.returncode == 0 or not finished.stdout, finished.stderr
    return [line.split() for line in finished.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: no disk failures can be injected")
@pytest.mark.parametrize(
    ("call", "error", "refusal"),
    [("fdatasync", "EIO", "StoreReadOnly"), ("pwrite64", "ENOSPC", "DiskFull"), ("fsync", "EIO", "StoreReadOnly")],
)
def test_a_failing_disk_refuses_writes_and_keeps_every_acknowledged_one(
    tmp_path: Path, call: str, error: str, refusal: str
) -> None:
    refused = 0
    for nth in (20, 60, 120):
        data = tmp_path / str(nth)
        outcome = run_with_failing(call, error, nth, data)
        acknowledged = {f"note-{number}" for what, number in outcome if what == "put"}
        refused += sum(what == refusal for what, _ in outcome)
        assert {what for what, _ in outcome} <= {"put", refusal}
        assert [finding for finding in inspect(data, parts()) if not finding.ok] == []
        library = Library(data, parts(), free_disk_floor_bytes=0)
        library.create("notes")
        stored = {record.document_id for record in library.collection("notes").documents()}
        library.close()
        assert acknowledged <= stored
        assert len(stored - acknowledged) <= 1
    assert refused, "no call failed: the test injects too late"


def test_a_file_that_must_not_exist_stays_as_it_is_where_it_does(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"before")
    with pytest.raises(FileExistsError):
        write_synced(there, b"after")
    with pytest.raises(FileExistsError), writing_synced(there) as write:
        write(b"after")
    assert there.read_bytes() == b"before"


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError), writing_synced(tmp_path / "new") as write:
        write("no bytes")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


class FailingDisk:
    """A connection whose disk fails under whatever is not a transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def wal_checkpoint(self, *_: object, **__: object) -> None:
        raise apsw.IOError("disk I/O error")

    def execute(self, statements: str, *bindings: Any) -> Any:
        if statements == "VACUUM":
            raise apsw.IOError("disk I/O error")
        return self._connection.execute(statements, *bindings)


@pytest.mark.parametrize("change", [Database.truncate_log, Database.write_anew])
def test_nothing_is_written_after_any_write_that_failed(tmp_path: Path, change: Callable[[Database], None]) -> None:
    with closing(Database(tmp_path / "collection.db", schema="collection")) as database:
        database._writer = FailingDisk(database._writer)  # type: ignore[assignment]
        with pytest.raises(StoreReadOnly):
            change(database)
        assert not database.is_writable
        with pytest.raises(StoreReadOnly, match="earlier"), database.writing():
            pass
