"""What changes when a collection grows large, with the limits set so low that a handful of notes is beyond them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from embeddings import library as libraries
from embeddings.arrays import Vectors
from embeddings.corpus import database
from embeddings.corpus.database import Database
from embeddings.errors import StoreCorrupt
from embeddings.indexes.exact import ExactIndexes
from embeddings.indexes.faiss import FlatIndexes, IndexesBySize
from embeddings.indexes.inverted import InvertedIndexes
from embeddings.inspection import inspect
from embeddings.library import Library
from embeddings.parts import Parts
from embeddings.postings import MemoryWordIndex
from embeddings.recall import recall
from embeddings.views import PassageStream, segment_of
from tests.integration.conftest import happens, parts, plain
from tests.integration.test_upkeep import fill

FEW = 5


def by_size() -> Parts:
    indexes = IndexesBySize(few=FlatIndexes(), many=InvertedIndexes(), most_of_few=FEW)
    return replace(parts(), vectors=indexes)


@contextmanager
def opened(data: Path, made_of: Parts | None = None) -> Iterator[Library]:
    library = Library(data, made_of or by_size(), free_disk_floor_bytes=0)
    try:
        yield library
    finally:
        library.close()


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    with opened(data) as library:
        library.create("notes")
        fill(library.collection("notes"), 3 * FEW)
    return data


def test_a_collection_that_grows_is_searched_approximately_after_a_checkpoint(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as library:
        library.create("notes")
        notes = library.collection("notes")
        kinds, before = [notes.info().index_kind], []
        for number in (FEW, 3 * FEW):
            fill(notes, number)
            before = list(notes.search("eggs of entry 4", top_k=FEW).hits)
            notes.live.checkpoint()
            kinds.append(notes.info().index_kind)
        assert kinds == ["faiss-flat-fp16", "faiss-flat-fp16", "faiss-ivf-fp16"]
        assert list(notes.search("eggs of entry 4", top_k=FEW).hits) == before


def test_an_index_of_the_wrong_kind_is_made_anew(grown: Path) -> None:
    with opened(grown, parts()) as library:
        notes = library.collection("notes")
        assert notes.info().index_kind == "faiss-flat-fp16"
        expected = notes.search("eggs of entry 4", top_k=FEW).hits
    with opened(grown) as library:
        assert library.collection("notes").info().index_kind == "faiss-ivf-fp16"
        assert library.collection("notes").search("eggs of entry 4", top_k=FEW).hits == expected


def test_a_damaged_approximate_index_is_reported_and_made_anew(grown: Path) -> None:
    (file,) = grown.rglob("vectors.faiss")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    unwell = [finding for finding in inspect(grown, by_size()) if not finding.ok]
    assert [(finding.name, finding.detail) for finding in unwell] == [("notes: index", "vectors.faiss is damaged")]
    with opened(grown) as library:
        assert len(library.collection("notes").search("eggs", top_k=50).hits) == 3 * FEW


def test_the_doctor_tells_how_much_of_what_is_nearest_the_index_finds(grown: Path) -> None:
    with opened(grown) as library:
        assert library.collection("notes").live.recall() == 1.0
    (finding,) = (finding for finding in inspect(grown, by_size()) if finding.name == "notes: index")
    assert finding.ok
    assert finding.detail.endswith("faiss-ivf-fp16, recall@10 100.0 %")


def stream(vectors: Vectors) -> PassageStream:
    keys = np.arange(len(vectors))
    return PassageStream(passage_keys=keys, indexing_keys=keys, words=[], vectors=np.array_split(vectors, 7))


@pytest.mark.parametrize(("shuffled", "share"), [(0, 1.0), (150, 0.5), (300, 0.1)])
def test_recall_is_low_where_the_index_holds_other_vectors_than_the_store(shuffled: int, share: float) -> None:
    vectors = np.random.default_rng(1).standard_normal((300, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = np.concatenate([np.roll(np.arange(shuffled), 1), np.arange(shuffled, 300)])
    keys = np.arange(300)
    index = ExactIndexes().build([vectors[order]], rows=300, dimension=16)
    found = recall(segment_of(keys, keys, index, MemoryWordIndex([])), stream(vectors))
    assert found == 1.0 if not shuffled else found == pytest.approx(share, abs=0.1)


def test_recall_of_given_questions_is_that_of_those_alone() -> None:
    vectors = np.eye(30, dtype=np.float32)
    keys, exchanged = np.arange(30), np.arange(30)
    exchanged[[0, 20]] = 20, 0
    index = ExactIndexes().build([vectors[exchanged]], rows=30, dimension=30)
    segment = segment_of(keys, keys, index, MemoryWordIndex([]))
    rising = np.arange(1, 31, dtype=np.float32)
    assert recall(segment, stream(vectors), (rising * (rising <= 15))[None]) == 1.0
    assert recall(segment, stream(vectors), rising[None]) == pytest.approx(0.9)


def test_recall_leaves_out_what_only_the_index_or_only_the_store_holds() -> None:
    vectors = np.eye(30, dtype=np.float32)
    stored = stream(vectors)
    index = ExactIndexes().build([vectors[10:]], rows=20, dimension=30)
    segment = segment_of(stored.passage_keys[10:], stored.passage_keys[10:], index, MemoryWordIndex([]))
    assert recall(segment, stored) == 1.0
    assert recall(segment, stream(vectors[:10])) == 1.0


def damage_a_page(data: Path) -> None:
    """One that nothing reads when the collection is opened."""
    (path,) = (path for path in data.rglob("collection.db"))
    connection = apsw.Connection(str(path))
    page, size = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'idempotency'").get, 4096
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def test_a_large_store_is_checked_while_it_serves_and_quarantined_if_damaged(
    grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKED_AT_ONCE_BYTES", 0)
    damage_a_page(grown)
    with opened(grown) as library:
        assert happens(lambda: not library.checks()["store"].ok)
        with pytest.raises(StoreCorrupt, match="damaged"):
            library.collection("notes")


def test_nothing_more_is_written_into_a_store_that_was_found_damaged(
    grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKED_AT_ONCE_BYTES", 0)
    damage_a_page(grown)
    check, began = Database.check, threading.Event()

    def late(self: Database, is_cancelled: Callable[[], bool]) -> None:
        began.wait()
        check(self, is_cancelled)

    monkeypatch.setattr(Database, "check", late)
    with opened(grown) as library:
        notes = library.collection("notes")
        notes.put("early", plain("An early entry."))
        began.set()
        assert happens(lambda: not library.checks()["store"].ok)
        with pytest.raises(StoreCorrupt, match="'notes' is damaged"):
            notes.put("late", plain("A late entry."))


def test_the_log_of_what_is_written_during_a_check_stays_short(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first to write afterwards would wait until all of it is moved into the store."""
    monkeypatch.setattr(database, "LOG_BYTES", 100_000)
    monkeypatch.setattr(database, "LONGEST_LOG_BYTES", 500_000)
    monkeypatch.setattr(database, "CHECK_STEPS", 10)
    writes = threading.Event()
    writes.set()

    def slowly_while_somebody_writes() -> bool:
        time.sleep(0.02 if writes.is_set() else 0)
        return False

    with opened(grown) as library, ThreadPoolExecutor(1) as pool:
        notes = library.collection("notes")
        looking = pool.submit(notes.database.check, slowly_while_somebody_writes)
        longest = 0
        for number in range(100):
            notes.put(f"meanwhile-{number}", plain(f"A late entry, number {number}. " * 1_000))
            longest = max(longest, notes.database.log_bytes)
            assert not looking.done()
        writes.clear()
        looking.result(timeout=30)
        assert longest < 8_000_000  # Of 17 MB, if none were moved; SQLite does that whenever there are 4 MB.


class Prompt(ThreadPoolExecutor):
    """Has done what it is given before it gives back a future."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        future = super().submit(work, *given, **named)
        wait([future])
        return future


def test_damage_that_is_found_while_the_library_still_opens_does_not_keep_it_from_opening(
    grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKED_AT_ONCE_BYTES", 0)
    monkeypatch.setattr(libraries, "ThreadPoolExecutor", Prompt)
    damage_a_page(grown)
    with opened(grown) as library:
        assert not library.checks()["store"].ok


def test_a_large_store_that_is_sound_goes_on_serving(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKED_AT_ONCE_BYTES", 0)
    with opened(grown) as library:
        notes = library.collection("notes")
        assert not notes.database.is_checked
        notes.database.check(lambda: False)
        notes.database.check(lambda: True)
        notes.put("late", plain("A late entry."))
        assert library.checks()["store"].ok
