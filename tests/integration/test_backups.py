"""A backup is taken of a live library and brought back elsewhere, or in place of what is there; or it is refused."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from embeddings import backups
from embeddings.backups import MANIFEST, Backup, BackupRefused, back_up, restore
from embeddings.collection import Collection
from embeddings.corpus.database import Database, copy_database
from embeddings.domain import DeleteReceipt
from embeddings.errors import LoccitError, StoreLocked, StoreReadOnly
from embeddings.inspection import inspect
from embeddings.library import Library
from tests.integration.conftest import OpenLibrary, parts, plain


def silent(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total, what


def text(number: int) -> str:
    return " ".join(f"Entry {number} of the ledger lists {count} eggs of heron {number}." for count in range(12))


def fill(collection: Collection, numbers: range) -> None:
    for number in numbers:
        collection.put(f"note-{number}", plain(text(number)))


def contents(folder: Path) -> dict[str, dict[str, tuple[int, str, bytes]]]:
    """Version, text and original of every document by collection, after a check of every byte."""
    assert [finding for finding in inspect(folder, parts()) if not finding.ok] == []
    library = Library(folder, parts(), free_disk_floor_bytes=0)
    try:
        return {
            info.collection: {
                record.document_id: (
                    record.version,
                    collection.text(record.document_id).text,
                    collection.original(record.document_id).content,
                )
                for record in collection.documents(limit=1000)
            }
            for info in library.collections()
            for collection in (library.collection(info.collection),)
        }
    finally:
        library.close()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def library(open_library: OpenLibrary) -> Library:
    library = open_library()
    for name in ("notes", "letters"):
        library.create(name)
        fill(library.collection(name), range(10))
    library.collection("notes").put("note-3", plain("Another entry about otters."))
    library.collection("notes").delete("note-4")
    library.collection("notes").delete("note-5", purge=True)
    return library


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def backup(library: Library, data: Path, tmp_path: Path) -> Path:
    made = back_up(data, tmp_path / "backup", silent)
    assert made.collections == ("letters", "notes")
    assert made.missing == ()
    return tmp_path / "backup"


def test_a_backup_of_an_open_library_brings_everything_back(library: Library, backup: Path, tmp_path: Path) -> None:
    before = library.collection("notes").search("entry 7 of the ledger", top_k=20).hits
    restore(backup, tmp_path / "elsewhere", silent)
    again = Library(tmp_path / "elsewhere", parts(), free_disk_floor_bytes=0)
    try:
        notes = again.collection("notes")
        assert notes.search("entry 7 of the ledger", top_k=20).hits == before
        assert notes.seq == library.collection("notes").seq
        assert notes.put("note-3", plain("A third version.")).version == 3
    finally:
        again.close()


def test_a_backup_lies_apart_from_what_it_was_taken_of(library: Library, backup: Path) -> None:
    before = files_of(backup)
    fill(library.collection("notes"), range(20, 30))
    library.delete("letters")
    assert files_of(backup) == before
    assert not [path for path in backup.rglob("*") if path.stat().st_mode & 0o077]


def test_a_backup_under_load_is_of_one_moment(open_library: OpenLibrary, data: Path, tmp_path: Path) -> None:
    library = open_library()
    library.create("notes")
    notes, stop, written = library.collection("notes"), threading.Event(), [0]

    def write() -> None:
        while not stop.is_set():
            number = written[0]
            notes.put(f"note-{number}", plain(text(number)))
            if number % 5 == 4:
                notes.delete(f"note-{number - 2}", purge=True)
            written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            while written[0] < 5 * number and writer.is_alive():
                time.sleep(0.01)
            back_up(data, tmp_path / f"backup-{number}", silent)
    finally:
        stop.set()
        writer.join()
    for number in range(4):
        restore(tmp_path / f"backup-{number}", tmp_path / f"restored-{number}", silent)
        stored = contents(tmp_path / f"restored-{number}")["notes"]
        numbers = sorted(int(name.partition("-")[2]) for name in stored)
        expected = [one for one in range(numbers[-1] + 1) if one % 5 != 2 or one + 2 > numbers[-1]] if numbers else []
        # The last purge may have been made or not.
        assert set(expected) - set(numbers) <= {numbers[-1] - 2} if numbers else True
        assert set(numbers) <= set(expected)


def test_a_folder_that_holds_something_is_restored_only_when_asked(backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "other"
    other = Library(target, parts(), free_disk_floor_bytes=0)
    other.create("mine")
    fill(other.collection("mine"), range(3))
    with pytest.raises(BackupRefused, match="--overwrite"):
        restore(backup, target, silent)
    with pytest.raises(StoreLocked):
        restore(backup, target, silent, overwrite=True)
    other.close()
    restore(backup, target, silent, overwrite=True)
    assert set(contents(target)) == {"letters", "notes"}
    assert len(list((target / "collections").iterdir())) == 2
    restore(backup, target, silent, overwrite=True)
    assert len(contents(target)["notes"]) == 8


def test_what_a_registry_says_is_in_its_one_file_even_where_closing_it_fails(
    library: Library, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = Database.close

    def failing(self: Database) -> None:
        """The disk fails while the log is moved into the database: SQLite keeps both, and says nothing."""
        self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        close(self)

    expected = {info.collection: info.documents for info in library.collections()}
    monkeypatch.setattr(Database, "close", failing)
    back_up(data, tmp_path / "backup", silent)
    assert not (tmp_path / "backup" / "system.db-wal").exists()
    restore(tmp_path / "backup", tmp_path / "restored", silent)
    assert {name: len(stored) for name, stored in contents(tmp_path / "restored").items()} == expected


def test_where_the_disk_fails_under_the_new_registry_the_old_one_stays(
    backup: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    restore(backup, elsewhere, silent)
    before = contents(elsewhere)

    def failing(_: Database) -> None:
        raise StoreReadOnly("A write to disk failed.")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "truncate_log", failing)
        with pytest.raises(StoreReadOnly):
            restore(backup, elsewhere, silent, overwrite=True)
    assert contents(elsewhere) == before


def test_a_damaged_registry_can_be_restored_over(backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "other"
    Library(target, parts(), free_disk_floor_bytes=0).close()
    (target / "system.db").write_bytes(b"no database at all" * 400)
    (target / "system.db-wal").write_bytes(b"nor a log")
    restore(backup, target, silent, overwrite=True)
    assert set(contents(target)) == {"letters", "notes"}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    moved = path.rename(path.with_name("moved"))
    path.symlink_to(moved)


DAMAGES: list[Callable[[Path], object]] = [
    flip,
    link,
    Path.unlink,
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(bytes(path.stat().st_size)),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=["flipped", "linked", "deleted", "truncated", "zeroed"])
def test_a_damaged_backup_is_refused_and_nothing_changes(
    backup: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    target = tmp_path / "other"
    Library(target, parts(), free_disk_floor_bytes=0).close()
    before = files_of(target)
    originals = next(path for path in backup.rglob("originals/??/*"))
    for damaged in (backup / MANIFEST, backup / "system.db", next(backup.rglob("collection.db")), originals):
        broken = tmp_path / "broken"
        shutil.copytree(backup, broken)
        damage(broken / damaged.relative_to(backup))
        # A flipped bit of the manifest may be one of a name or number that nothing depends on.
        if damaged.name != MANIFEST or damage not in (flip, link):
            with pytest.raises(BackupRefused):
                restore(broken, target, silent, overwrite=True)
            assert files_of(target) == before
        shutil.rmtree(broken)


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "collections/../../outside", "index/CURRENT", "a\0b"])
def test_a_manifest_that_names_other_files_is_refused(backup: Path, tmp_path: Path, name: str) -> None:
    manifest = json.loads((backup / MANIFEST).read_bytes())
    manifest["files"][name] = {"bytes": 1, "sha256": "00"}
    (backup / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BackupRefused, match="in no backup"):
        restore(backup, tmp_path / "other", silent)
    assert not (tmp_path / "other").exists()


def test_a_backup_of_a_later_format_is_refused(backup: Path, tmp_path: Path) -> None:
    manifest = json.loads((backup / MANIFEST).read_bytes())
    (backup / MANIFEST).write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(BackupRefused, match="later version"):
        restore(backup, tmp_path / "other", silent)


def test_what_is_damaged_is_left_out_and_named(library: Library, data: Path, tmp_path: Path) -> None:
    letters = library.collection("letters")
    sha = bytes.fromhex(letters.document("note-2").sha256)
    flip(letters.originals.path(sha))
    made = back_up(data, tmp_path / "backup", silent)
    assert made.missing == (f"original {sha.hex()} of letters",)
    restore(tmp_path / "backup", tmp_path / "other", silent)
    unwell = [finding.name for finding in inspect(tmp_path / "other", parts()) if not finding.ok]
    assert unwell == ["letters: originals"]


def test_a_damaged_collection_does_not_keep_the_others_out(data: Path, tmp_path: Path) -> None:
    library = Library(data, parts(), free_disk_floor_bytes=0)
    library.create("notes")
    library.create("letters")
    store = place_of(library, "letters") / "collection.db"
    library.close()
    store.write_bytes(b"no database at all" * 400)
    made = back_up(data, tmp_path / "backup", silent)
    assert (made.collections, made.missing) == (("notes",), ("collection letters",))
    restore(tmp_path / "backup", tmp_path / "other", silent)
    assert set(contents(tmp_path / "other")) == {"notes"}


def place_of(library: Library, name: str) -> Path:
    return library.collection(name).originals.path(b"\0" * 32).parents[2]


@pytest.mark.parametrize("place", ["", "backup"])
def test_a_place_that_is_taken_is_refused(library: Library, data: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "backup").write_text("a letter") if place else None
    with pytest.raises(BackupRefused):
        back_up(data, tmp_path / place, silent)
    assert not list(tmp_path.glob("*.tmp"))


def test_a_folder_without_a_store_gives_no_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="holds no store"):
        back_up(tmp_path / "nothing", tmp_path / "backup", silent)
    assert not (tmp_path / "nothing").exists()


def test_what_is_purged_while_it_is_copied_is_not_in_the_backup(
    library: Library, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = library.collection("notes")
    purged: list[DeleteReceipt] = []

    def purging(source: Path, copy: Path, progress: Callable[[int, int], None]) -> None:
        copy_database(source, copy, progress)
        if not purged and source.parent == place_of(library, "notes"):
            purged.append(notes.delete("note-7", purge=True))

    monkeypatch.setattr(backups, "copy_database", purging)
    made = back_up(data, tmp_path / "backup", silent)
    assert purged
    assert made.missing == ()
    held = b"".join(files_of(tmp_path / "backup" / "collections" / place_of(library, "notes").name).values())
    assert b"Entry 6 of the ledger" in held
    assert b"Entry 7 of the ledger" not in held


@pytest.mark.parametrize("when", ["collection.db", "system.db"])
def test_a_collection_deleted_while_it_is_copied_is_not_in_the_backup(
    library: Library, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    done: list[str] = []

    def deleting(source: Path, copy: Path, progress: Callable[[int, int], None]) -> None:
        if not done and source.name == when:
            done.append("letters")
            library.delete("letters")
        copy_database(source, copy, progress)

    monkeypatch.setattr(backups, "copy_database", deleting)
    made: Backup = back_up(data, tmp_path / "backup", silent)
    assert (made.collections, made.missing) == (("notes",), ())
    assert len(list((tmp_path / "backup" / "collections").iterdir())) == 1
    restore(tmp_path / "backup", tmp_path / "other", silent)
    assert set(contents(tmp_path / "other")) == {"notes"}


def test_a_full_disk_leaves_no_half_backup(
    library: Library, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, copy: Path, progress: Callable[[int, int], None]) -> None:
        copy.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "copy_database", full)
    with pytest.raises(LoccitError, match="disk is full"):
        back_up(data, tmp_path / "backup", silent)
    assert not list(tmp_path.glob("backup*"))
