"""Passages with the same text share a vector, whoever else encodes it at the same time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embeddings.arrays import Vectors
from embeddings.collection import Collection
from embeddings.encoders.hashing import HashingEncoder
from embeddings.inspection import inspect
from embeddings.library import Library
from service.jobs import Jobs, Upload
from tests.integration.conftest import OpenLibrary, parts, plain

FOOTER = "All rights are reserved by the keepers of the light."


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often the encoder was given each text."""
    counted: Counter[str] = Counter()
    original = HashingEncoder.encode_passages

    def counting(self: HashingEncoder, passages: Sequence[str]) -> Vectors:
        counted.update(passages)
        time.sleep(0.001)  # so that others come while it works
        return original(self, passages)

    monkeypatch.setattr(HashingEncoder, "encode_passages", counting)
    yield counted
    assert set(counted.values()) <= {1}


def page(number: int) -> str:
    return f"{FOOTER}\n\nPage {number} tells of lamp {number}."


def test_many_documents_with_the_same_words(collection: Collection, encoded: Counter[str]) -> None:
    receipts = list(collection.put_many((f"copy-{number}", plain(FOOTER)) for number in range(300)))
    assert len(receipts) == 300
    assert encoded == {next(iter(encoded)): 1}
    assert collection.search("rights reserved", top_k=5).live_passages == 300


def test_writers_that_come_at_once(collection: Collection, encoded: Counter[str]) -> None:
    together = threading.Barrier(8)

    def put(writer: int) -> None:
        together.wait()
        for number in range(20):
            collection.put(f"{writer}-{number}", plain(f"Lamp {number}. {FOOTER}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(8)))
    assert len(encoded) == 20


def test_what_was_deleted_is_encoded_anew_but_what_is_left_is_not(
    collection: Collection, encoded: Counter[str]
) -> None:
    collection.put("first", plain("One lamp."))
    collection.put("second", plain("One lamp."))
    collection.delete("first")
    collection.put("third", plain("One lamp."))
    assert sum(encoded.values()) == 1


def test_a_text_that_moves_within_a_group_keeps_its_vector(tmp_path: Path, encoded: Counter[str]) -> None:
    library = Library(tmp_path / "data", parts(), free_disk_floor_bytes=0)
    library.create("notes")
    notes = library.collection("notes")
    notes.put("first", plain("One lamp."))
    list(notes.put_many([("first", plain("Two lamps.")), ("second", plain("One lamp."))]))
    assert sum(encoded.values()) == 2
    assert [hit.passage.document_id for hit in notes.search("One lamp", top_k=1).hits] == ["second"]
    library.close()
    assert [finding for finding in inspect(tmp_path / "data", parts()) if not finding.ok] == []


def test_the_documents_of_jobs(open_library: OpenLibrary, encoded: Counter[str]) -> None:
    library: Library = open_library()
    library.create("notes")
    jobs = Jobs(library)
    uploads = [Upload(document_id=f"page-{number}", source=plain(f"Lamp {number % 50}.")) for number in range(400)]
    accepted = [jobs.submit("notes", uploads[first : first + 100]) for first in range(0, 400, 100)]
    while not jobs.get(accepted[-1].job_id).is_finished:
        time.sleep(0.01)
    jobs.close()
    assert len(encoded) == 50
    assert library.collection("notes").info().documents == 400


def test_what_could_not_be_encoded_is_encoded_by_who_waited_for_it(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = HashingEncoder.encode_passages
    begun = threading.Event()
    failures = [RuntimeError("out of luck")]

    def failing_once(self: HashingEncoder, passages: Sequence[str]) -> Vectors:
        if failures:
            failure = failures.pop()
            begun.set()
            time.sleep(0.05)
            raise failure
        return original(self, passages)

    monkeypatch.setattr(HashingEncoder, "encode_passages", failing_once)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(collection.put, "first", plain("One lamp."))
        begun.wait(10)
        second = pool.submit(collection.put, "second", plain("One lamp."))
        assert isinstance(first.exception(10), RuntimeError)
        assert second.result(10).passages == 1
