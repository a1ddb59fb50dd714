"""Files of the store that are gone, empty or cut short: nothing is made anew in their place, nothing else is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from embeddings.errors import StoreCorrupt, StoreTooNew, UnknownCollection
from embeddings.inspection import inspect
from embeddings.library import Library
from tests.integration.conftest import parts, plain


@pytest.fixture
def data(tmp_path: Path) -> Path:
    library = Library(tmp_path / "data", parts(), free_disk_floor_bytes=0)
    for name in ("notes", "letters"):
        library.create(name)
        library.collection(name).put("first", plain(f"The heron counts the eggs of the {name}."))
    library.close()
    return tmp_path / "data"


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [Path.unlink, empty], ids=["deleted", "emptied"])
def test_a_lost_registry_loses_no_collection_and_is_repaired(data: Path, damage: Callable[[Path], None]) -> None:
    damage(data / "system.db")
    with pytest.raises(StoreCorrupt, match="doctor --repair"):
        Library(data, parts(), free_disk_floor_bytes=0)
    assert [finding.name for finding in inspect(data, parts()) if not finding.ok] == ["registry"]
    repaired = [finding for finding in inspect(data, parts(), repair=True) if not finding.ok]
    assert [(finding.name, finding.repaired) for finding in repaired] == [("registry", True)]
    library = Library(data, parts(), free_disk_floor_bytes=0)
    try:
        assert [info.collection for info in library.collections()] == ["letters", "notes"]
        assert "letters" in library.collection("letters").text("first").text
    finally:
        library.close()


def test_a_store_that_lacks_its_last_byte_is_not_served(data: Path) -> None:
    path = next(data.rglob("collection.db"))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    (found,) = [finding for finding in inspect(data, parts()) if not finding.ok]
    assert "cut short" in found.detail
    with closing(Library(data, parts(), free_disk_floor_bytes=0)) as library:
        assert not library.checks()["store"].ok


@pytest.mark.parametrize("name", ["system.db", "collection.db"])
def test_a_store_of_a_later_version_is_left_alone(data: Path, name: str) -> None:
    path = next(data.rglob(name))
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("user_version", 99)
    before = path.read_bytes()
    for _ in range(2):  # the first has given up the lease
        with pytest.raises(StoreTooNew, match="later version"):
            Library(data, parts(), free_disk_floor_bytes=0)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [Path.unlink, empty], ids=["deleted", "emptied"])
def test_a_lost_store_is_not_taken_for_an_empty_collection(data: Path, damage: Callable[[Path], None]) -> None:
    damage(next(path for path in data.rglob("collection.db") if b"of the letters" in path.read_bytes()))
    assert [finding.name for finding in inspect(data, parts()) if not finding.ok] == ["letters: store"]
    library = Library(data, parts(), free_disk_floor_bytes=0)
    try:
        assert [info.collection for info in library.collections()] == ["notes"]
        with pytest.raises(StoreCorrupt, match="backup"):
            library.collection("letters")
    finally:
        library.close()


def test_a_collection_whose_folder_is_gone_can_be_deleted(data: Path) -> None:
    lost = next(path for path in data.rglob("collection.db") if b"of the letters" in path.read_bytes())
    shutil.rmtree(lost.parent)
    with closing(Library(data, parts(), free_disk_floor_bytes=0)) as library:
        library.delete("letters")
        library.create("letters")
        assert [info.documents for info in library.collections()] == [0, 1]


def test_what_is_written_into_a_collection_that_is_deleted_meanwhile_is_refused(data: Path) -> None:
    with closing(Library(data, parts(), free_disk_floor_bytes=0)) as library:
        notes = library.collection("notes")
        prepared = notes.prepare([plain("A wren sings.")])
        library.delete("notes")
        left = sorted(data.rglob("*"))
        for write in (
            lambda: notes.commit(["wren"], prepared),
            lambda: notes.put("teal", plain("A teal swims.")),
            lambda: notes.delete("first", purge=True),
            lambda: notes.set_title("Notes"),
        ):
            with pytest.raises(UnknownCollection, match="meanwhile"):
                write()
        assert sorted(data.rglob("*")) == left
