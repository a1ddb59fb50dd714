"""Bytes of a store that are not those that were written are seen, whatever they mean."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from embeddings.corpus import database
from embeddings.corpus.database import Database, copy_database
from embeddings.errors import StoreCorrupt
from embeddings.inspection import inspect
from embeddings.library import Library
from tests.integration.conftest import parts, plain

HOST = "harbour.example"
LINK = f"https://{HOST}/ledger"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A collection with a document whose link was damaged on disk: still a link, but another."""
    folder = tmp_path / "data"
    with closing(opened(folder)) as library:
        library.create("notes")
        library.create("letters")
        library.collection("notes").put("first", plain("The heron counts the eggs of the quay.", uri=LINK))
    return folder


def opened(folder: Path) -> Library:
    return Library(folder, parts(), free_disk_floor_bytes=0)


def store(data: Path) -> Path:
    return next(path for path in data.rglob("collection.db") if HOST.encode() in path.read_bytes())


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(LINK.encode(), LINK.replace("ledger", "lodger").encode()))


def test_a_damaged_page_closes_its_collection_and_no_other(data: Path) -> None:
    damage(store(data))
    with closing(opened(data)) as library:
        with pytest.raises(StoreCorrupt, match="doctor --repair"):
            library.collection("notes")
        assert library.collection("letters").documents(limit=1) == []


def test_a_page_that_is_damaged_while_it_serves_is_not_served(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKED_AT_ONCE_BYTES", 0)
    with closing(Database(store(data), schema="collection")) as notes:
        damage(store(data))
        with pytest.raises(StoreCorrupt), notes.reading() as connection:
            connection.execute("SELECT uri FROM versions").fetchall()
        with pytest.raises(StoreCorrupt), notes.writing() as connection:
            connection.execute("UPDATE versions SET title = 'Birds'")
        assert notes.is_writable


def tables() -> list[str]:
    with (
        TemporaryDirectory() as folder,
        closing(Database(Path(folder) / "some.db", schema="collection")) as some,
        some.reading() as connection,
    ):
        rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return [name for (name,) in rows]


@pytest.mark.parametrize("table", tables())
def test_a_check_while_it_serves_looks_at_every_table(data: Path, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    monkeypatch.setattr(database, "CHECKED_AT_ONCE_BYTES", 0)
    with closing(Database(store(data), schema="collection")) as notes:
        notes.check(lambda: False)
        with notes.reading() as connection:
            page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).get
        notes.truncate_log()
        with store(data).open("r+b") as file:
            file.seek(4096 * page - 100)
            file.write(b"\xff" * 50)
        with pytest.raises(StoreCorrupt):
            notes.check(lambda: False)


def test_a_damaged_page_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    damage(store(data))
    with pytest.raises(StoreCorrupt):
        copy_database(store(data), tmp_path / "copy.db", lambda done, total: None)


def test_a_copy_has_checksums_too(data: Path, tmp_path: Path) -> None:
    copy_database(store(data), tmp_path / "copy.db", lambda done, total: None)
    damage(tmp_path / "copy.db")
    with pytest.raises(StoreCorrupt):
        Database(tmp_path / "copy.db", schema="collection")


def test_the_doctor_names_damaged_pages_and_writes_them_anew_on_demand(data: Path) -> None:
    path = store(data)
    damage(path)
    for repair in (False, True):
        found = [one for one in inspect(data, parts(), repair=repair) if not one.ok]
        assert [(one.name, one.repaired) for one in found] == [("notes: pages", repair)]
    assert all(one.ok for one in inspect(data, parts()))
    with closing(opened(data)) as library:
        assert library.collection("notes").document("first").characters
