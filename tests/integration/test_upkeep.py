from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from embeddings import library as upkeep
from embeddings import live_view
from embeddings.checkpoints import Checkpoints
from embeddings.collection import Collection
from embeddings.errors import DiskFull
from embeddings.library import Rest
from embeddings.live_view import Patience
from tests.integration.conftest import OpenLibrary, plain


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(upkeep, "AT_REST", Patience(rows=5, tail_share=0.0, removed_share=0.0))


def fill(collection: Collection, notes: int) -> None:
    for number in range(notes):
        collection.put(f"note-{number}", plain(f"Entry {number} of the ledger lists {number} eggs."))


def happens(condition: Callable[[], bool]) -> bool:
    patience = time.monotonic() + 10
    while not condition() and time.monotonic() < patience:
        time.sleep(0.01)
    return condition()


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
