"""Passages that another encoder made are made anew when the collection is opened, whatever comes between."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from embeddings import recutting
from embeddings.arrays import Vectors
from embeddings.encoders.hashing import HashingEncoder
from embeddings.ingestion import CUTS
from embeddings.inspection import inspect
from embeddings.library import Library
from embeddings.parts import Parts
from tests.integration.conftest import parts, plain

NOTES = 12


class Another(HashingEncoder):
    """Counts what it encodes, and fails when it has encoded enough."""

    def __init__(self, name: str = "another", most: int = 1000) -> None:
        super().__init__()
        self._another = name
        self._most = most
        self.encoded = 0

    @property
    def fingerprint(self) -> str:
        return self._another

    def encode_questions(self, questions: Sequence[str]) -> Vectors:
        return super().encode_passages(questions)

    def encode_passages(self, passages: Sequence[str]) -> Vectors:
        if self.encoded + len(passages) > self._most:
            raise MemoryError("killed")
        self.encoded += len(passages)
        return super().encode_passages(passages)


def opened(folder: Path, encoder: HashingEncoder | None = None) -> Library:
    made: Parts = parts() if encoder is None else replace(parts(), encoder=encoder)
    return Library(folder, made, free_disk_floor_bytes=0)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(recutting, "HELD", 3)
    with closing(opened(tmp_path / "data")) as library:
        library.create("notes")
        for number in range(NOTES):
            library.collection("notes").put(f"note-{number}", plain(f"Heron {number} sings at the quay."))
    return tmp_path / "data"


def assert_whole(library: Library) -> None:
    notes = library.collection("notes")
    assert notes.info().passages == NOTES
    assert notes.search("Heron 7 sings", top_k=1).hits[0].passage.document_id == "note-7"


def test_another_encoder_makes_all_vectors_anew_once(data: Path) -> None:
    first, second = Another(), Another()
    for encoder in (first, second):
        with closing(opened(data, encoder)) as library:
            assert_whole(library)
    assert (first.encoded, second.encoded) == (NOTES, 0)


def test_another_way_of_cutting_keeps_the_vectors_of_texts_that_stay(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Another(), Another()
    opened(data, first).close()
    monkeypatch.setattr("embeddings.parts.CUTS", (*CUTS, "another"))
    with closing(opened(data, second)) as library:
        assert_whole(library)
        assert library.collection("notes").info().seq == NOTES + 2  # for each time that all passages were made anew
    assert second.encoded == 0
    assert all(one.ok for one in inspect(data, replace(parts(), encoder=second)))


def test_a_start_that_was_killed_goes_on_where_it_was(data: Path) -> None:
    killed, patient = Another(most=7), Another()
    with pytest.raises(MemoryError):
        opened(data, killed)
    with closing(opened(data, patient)) as library:
        assert_whole(library)
    assert killed.encoded > 0
    assert killed.encoded + patient.encoded == NOTES


def test_back_to_the_old_encoder_after_a_killed_start(data: Path) -> None:
    with pytest.raises(MemoryError):
        opened(data, Another(most=7))
    with closing(opened(data)) as library:
        assert_whole(library)
    assert all(one.ok for one in inspect(data, parts()))


def test_to_a_third_encoder_after_a_killed_start(data: Path) -> None:
    third = Another("third")
    with pytest.raises(MemoryError):
        opened(data, Another(most=7))
    with closing(opened(data, third)) as library:
        assert_whole(library)
    assert third.encoded == NOTES


def test_a_repair_encodes_only_what_is_damaged(data: Path) -> None:
    encoder = Another()
    opened(data, encoder).close()
    with closing(opened(data, encoder)) as library, library.collection("notes").database.writing() as connection:
        connection.execute("UPDATE vectors SET crc32 = crc32 + 1 WHERE vector_key = 5")
    encoder.encoded = 0
    found = [one for one in inspect(data, replace(parts(), encoder=encoder), repair=True) if not one.ok]
    assert [(one.name, one.repaired) for one in found] == [("notes: vectors", True)]
    with closing(opened(data, encoder)) as library:
        assert_whole(library)
    assert encoder.encoded == 1
