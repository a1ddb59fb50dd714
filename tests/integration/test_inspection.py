"""What `loccit doctor` finds when single values of a store are not what was written."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from embeddings.inspection import inspect
from embeddings.library import Library
from tests.integration.conftest import parts, plain


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with closing(Library(tmp_path / "data", parts(), free_disk_floor_bytes=0)) as library:
        library.create("notes")
        source = replace(
            plain("The heron counts the eggs of the quay."), title="Birds", metadata={"pages": 2, "of": ("a",)}
        )
        library.collection("notes").put("first", source)
    return tmp_path / "data"


def found(data: Path, *, repair: bool = False) -> list[tuple[str, bool]]:
    return [(one.name, one.repaired) for one in inspect(data, parts(), repair=repair) if not one.ok]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("UPDATE texts SET text = replace(text, 'heron', 'crane')", ["notes: texts", "notes: passages"]),
        ("UPDATE versions SET structure = replace(structure, ']', ' ]')", ["notes: texts", "notes: passages"]),
        ("UPDATE versions SET title = 'Boats'", ["notes: passages"]),
        ("UPDATE passages SET words = replace(words, 'heron', 'crane')", ["notes: passages"]),
        ("UPDATE passages SET headings = '[\"Boats\"]'", ["notes: passages"]),
        ("UPDATE passages SET page = 7", ["notes: passages"]),
        ("UPDATE passages SET start = 4", ["notes: passages"]),
        ('UPDATE versions SET metadata = \'{"pages": 3, "of": ["a"]}\'', ["notes: metadata"]),
        ("UPDATE versions SET metadata = '{\"pages'", ["notes: metadata"]),
        ("UPDATE fields SET value = 3 WHERE name = 'pages'", ["notes: metadata"]),
        ("UPDATE fields SET version_key = 9", ["notes: metadata"]),
    ],
)
def test_a_value_that_is_not_what_was_written_is_found(data: Path, change: str, where: list[str]) -> None:
    assert found(data) == []
    with closing(apsw.Connection(str(next(data.rglob("collection.db"))))) as connection:
        connection.pragma("foreign_keys", False)
        connection.execute(change)

    assert [name for name, _ in found(data)] == where


def test_passages_that_are_not_as_they_are_cut_are_made_anew(data: Path) -> None:
    with closing(apsw.Connection(str(next(data.rglob("collection.db"))))) as connection:
        connection.execute("UPDATE passages SET words = 'crane'")

    assert found(data, repair=True) == [("notes: passages", True)]
    with closing(Library(data, parts(), free_disk_floor_bytes=0)) as library:
        assert library.collection("notes").search("heron", top_k=1).hits[0].scores.bm25
    assert found(data) == []
