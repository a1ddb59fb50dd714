from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from embeddings import library as upkeep
from embeddings import live_view
from embeddings.checkpoints import Checkpoints
from embeddings.collection import Collection
from embeddings.corpus.database import Database
from embeddings.errors import DiskFull, StoreCorrupt, StoreReadOnly
from embeddings.library import LEISURELY_SHARE, Check, Leisure, Rest
from embeddings.live_view import LiveView, Patience
from tests.integration.conftest import OpenLibrary, happens, plain


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(upkeep, "AT_REST", Patience(rows=5, tail_share=0.0, removed_share=0.0))


def fill(collection: Collection, notes: int) -> None:
    for number in range(notes):
        collection.put(f"note-{number}", plain(f"Entry {number} of the ledger lists {number} eggs."))


@pytest.mark.usefixtures("impatient")
def test_a_checkpoint_follows_when_writing_has_come_to_rest(open_library: OpenLibrary) -> None:
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    fill(notes, 6)
    before = notes.search("eggs of entry 4", top_k=6).hits
    assert happens(lambda: not notes.live.is_dirty)
    assert notes.search("eggs of entry 4", top_k=6).hits == before
    reopened = open_library().collection("notes")
    assert not reopened.live.is_dirty
    assert reopened.search("eggs of entry 4", top_k=6).hits == before


@pytest.mark.usefixtures("impatient")
def test_a_short_tail_stays_when_writing_has_come_to_rest(open_library: OpenLibrary) -> None:
    library = open_library()
    library.create("notes")
    fill(library.collection("notes"), 5)
    time.sleep(0.2)
    assert library.collection("notes").live.current.tail_rows == 5


@pytest.mark.usefixtures("impatient")
def test_a_checkpoint_that_fails_at_rest_is_not_tried_again_and_again(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def full(self: Checkpoints, passages: object, seq: int) -> None:
        tried.append(seq)
        raise DiskFull("The disk is full.")

    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "write", full)
        fill(notes, 6)
        assert happens(lambda: bool(tried))
        time.sleep(0.2)
        assert tried == [notes.seq]
        assert library.checks()["index"] == Check(
            ok=False, detail="the last checkpoint failed: notes (The disk is full.)"
        )
    notes.live.checkpoint()
    assert library.checks()["index"].ok
    assert len(notes.search("eggs", top_k=50).hits) == 6


def test_rest_is_told_once_after_writing_and_not_while_it_goes_on(open_library: OpenLibrary) -> None:
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    rest = Rest(clock=itertools.count().__next__)
    looks = [rest.look({notes: seq}) for seq in (1, 2, 3, 3, 3, 4, 4)]
    assert looks == [[], [], [], [notes], [], [], [notes]]
    assert rest.look({}) == []


def test_writing_has_come_to_rest_when_nothing_came_for_a_while(
    open_library: OpenLibrary,
) -> None:
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    notes.live.checkpoint_seconds = 1.0
    rest = Rest(clock=itertools.count().__next__)
    assert [rest.look({notes: seq}) for seq in (1, 1, 2, 2, 2, 2)] == [[], [], [], [], [notes], []]


def test_work_without_hurry_takes_no_more_than_its_share() -> None:
    closing = Closing()
    leisure = Leisure(closing, others_wait=lambda: False, clock=lambda: closing.time)
    for worked in (0.5, 0.0, 2.0):
        closing.time += worked
        assert not leisure()
    assert pytest.approx(LEISURELY_SHARE * closing.time) == 2.5


def test_work_without_hurry_hurries_while_others_wait() -> None:
    closing = Closing()
    leisure = Leisure(closing, others_wait=lambda: True, clock=lambda: closing.time)
    closing.time += 2.0
    assert not leisure()
    assert closing.time == 2.0


def test_work_without_hurry_ends_when_the_library_closes() -> None:
    closing = threading.Event()
    leisure = Leisure(closing, others_wait=lambda: False, clock=itertools.count(step=3600).__next__)
    threading.Timer(0.05, closing.set).start()
    assert leisure()


@pytest.mark.usefixtures("impatient")
def test_a_checkpoint_hurries_what_is_looked_through_before_it(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def until_it_may_not_rest(self: Collection, is_cancelled: Callable[[], bool]) -> None:
        has_rested = True
        while has_rested and not is_cancelled():
            time.sleep(0.02)
            began = time.monotonic()
            has_rested = not is_cancelled() and time.monotonic() - began > 0.1

    monkeypatch.setattr(Collection, "tidy", until_it_may_not_rest)
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    fill(notes, 6)
    assert happens(lambda: not notes.live.is_dirty)


class Closing(threading.Event):
    """Time passes only while it is waited for, or is made to."""

    time = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.time += timeout or 0.0
        return self.is_set()


def test_checkpoints_leave_writers_the_machine_for_longer_than_they_take(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = Patience(rows=0, tail_share=0.0, removed_share=1.0, rest=4.0)
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    fill(notes, 2)
    assert notes.live.is_checkpoint_due(often)
    notes.live.checkpoint()
    notes.live.checkpoint_seconds = 60.0
    fill(notes, 4)
    assert notes.live.current.tail_rows
    assert not notes.live.is_checkpoint_due(often)
    assert notes.live.is_checkpoint_due(replace(often, rest=0.0))
    monkeypatch.setattr(live_view, "LONGEST_TAIL", 1)
    assert notes.live.is_checkpoint_due(often)


@pytest.mark.usefixtures("impatient")
def test_what_nobody_foresaw_in_a_checkpoint_is_logged_and_told(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(self: Checkpoints, passages: object, seq: int) -> None:
        raise RuntimeError("of a library")

    library = open_library()
    library.create("notes")
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "write", faulty)
        fill(library.collection("notes"), 6)
        assert happens(lambda: not library.checks()["index"].ok)
    assert happens(lambda: "checkpoint failed" in caplog.text)
    assert "of a library" in caplog.text
    assert "RuntimeError" in library.checks()["index"].detail


def test_one_collection_that_cannot_be_closed_in_order_keeps_nothing_open(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_library()
    for name in ("letters", "notes"):
        library.create(name)
        fill(library.collection(name), 3)
    stores = [library.collection(name).database for name in ("letters", "notes")]
    closed: list[Database] = []
    close = Database.close

    def damaged(_: LiveView) -> None:
        raise StoreCorrupt("A vector is damaged.")

    def closing(self: Database) -> None:
        closed.append(self)
        close(self)

    with monkeypatch.context() as patched:
        patched.setattr(LiveView, "checkpoint", damaged)
        patched.setattr(Database, "close", closing)
        library.close()
    assert closed == stores
    assert len(open_library().collections()) == 2


def test_what_was_purged_makes_room_on_a_full_disk(open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    fill(notes, 3)
    notes.put("large", plain("The ledger lists 9 eggs. " * 4_000))
    monkeypatch.setattr(library, "_free_disk_floor", 200_000)
    monkeypatch.setattr(type(library), "free_bytes", 150_000)
    with pytest.raises(DiskFull):
        fill(notes, 1)
    notes.delete("large", purge=True)
    assert notes.database.unused_bytes > 50_000
    fill(notes, 1)


def test_a_data_folder_that_is_gone_is_told_and_takes_nothing(open_library: OpenLibrary, tmp_path: Path) -> None:
    library = open_library()
    library.create("notes")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert not library.checks()["disk"].ok
    with pytest.raises(StoreReadOnly, match="data folder"):
        fill(library.collection("notes"), 1)
    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert library.checks()["disk"].ok
