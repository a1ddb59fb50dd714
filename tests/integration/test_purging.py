"""Erased text is in no file any more."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from embeddings.checkpoints import Checkpoints, Generation
from embeddings.collection import Collection
from embeddings.corpus import database
from embeddings.erasing import Erasing
from embeddings.errors import (
    Busy,
    DiskFull,
    IndexUnsound,
    LoccitError,
    StoreReadOnly,
    UnknownCollection,
    UnknownDocument,
)
from embeddings.live_view import LiveView
from embeddings.views import PassageStream
from tests.integration.conftest import OpenLibrary, plain


def test_a_purge_leaves_no_trace_on_disk(collection: Collection, tmp_path: Path) -> None:
    collection.put("heron", plain("The heron was seen at the weir."))
    collection.put("secret", plain("The canaryword is swordfish."))
    collection.live.checkpoint()
    collection.put("secret", plain("The canaryword is cuttlefish."))
    collection.delete("secret", purge=True)
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or not any(
            word in path.read_bytes() for word in (b"swordfish", b"cuttlefish", b"canaryword")
        ), path
    assert collection.search("Where was the heron?", top_k=1).hits[0].passage.document_id == "heron"


def test_bytes_that_are_put_again_while_they_are_purged_stay(collection: Collection) -> None:
    collection.put("first", plain("The heron counts its eggs."))
    again = collection.prepare([plain("The heron counts its eggs.")])
    collection.delete("first", purge=True)
    collection.commit(["second"], again)
    assert collection.original("second").content == b"The heron counts its eggs."


def test_a_purge_that_a_long_read_holds_up_can_be_repeated(
    open_library: OpenLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    notes.put("first", plain("A canary named heron1 sings."))
    with notes.database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM texts").get == 1
        with pytest.raises(Busy, match="repeat"):
            notes.delete("first", purge=True)
        assert notes.documents() == []
    assert notes.delete("first", purge=True).passages == 0
    assert b"heron1" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(UnknownDocument):
        notes.delete("first", purge=True)


@pytest.mark.parametrize("error", [DiskFull("full"), StoreReadOnly("failed"), IndexUnsound("unreadable")])
def test_a_purge_leaves_no_trace_in_old_indexes_where_no_new_one_can_be_written(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: LoccitError
) -> None:
    collection.put("first", plain("A canary named heron1 sings."))
    collection.put("second", plain("A canary named heron2 sings."))
    collection.live.checkpoint()

    def failing(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "write", failing)
        collection.delete("first", purge=True)
        assert [hit.passage.document_id for hit in collection.search("canary", top_k=5).hits] == ["second"]
        assert not list(tmp_path.rglob("MANIFEST.json"))
    assert b"heron1" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_purge_in_a_collection_that_is_deleted_meanwhile_says_so(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_library()
    library.create("ledger")
    collection = library.collection("ledger")
    collection.put("secret", plain("The canaryword is swordfish."))
    forget_the_past = LiveView.forget_the_past

    def after_the_deletion(view: LiveView) -> None:
        library.delete("ledger")
        forget_the_past(view)

    monkeypatch.setattr(LiveView, "forget_the_past", after_the_deletion)
    with pytest.raises(UnknownCollection):
        collection.delete("secret", purge=True)


def test_one_purge_at_a_time_notes_that_it_is_not_finished(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        collection.put(name, plain(f"A canary named {name} sings."))
    begun, go_on = threading.Event(), threading.Event()

    def waiting(_: LiveView) -> None:
        begun.set()
        assert go_on.wait(30)

    monkeypatch.setattr(LiveView, "forget_the_past", waiting)
    purges = [
        threading.Thread(target=collection.delete, args=(name,), kwargs={"purge": True}) for name in ("first", "second")
    ]
    purges[0].start()
    assert begun.wait(30)
    purges[1].start()
    purges[1].join(0.3)
    with collection.database.reading() as connection:
        texts = [row[0] for row in connection.execute("SELECT text FROM texts")]
    go_on.set()
    for purge in purges:
        purge.join()
    assert texts == ["A canary named second sings."]


def test_a_checkpoint_publishes_nothing_that_was_purged_meanwhile(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        collection.put(name, plain(f"A canary named {name} sings."))
    begun, go_on = threading.Event(), threading.Event()
    write = Checkpoints.write

    def slow(self: Checkpoints, passages: PassageStream, seq: int) -> Generation:
        generation = write(self, passages, seq)
        begun.set()
        assert go_on.wait(30)
        return generation

    monkeypatch.setattr(Checkpoints, "write", slow)
    monkeypatch.setattr(Erasing, "_erase_traces", lambda *_: None)
    checkpoint = threading.Thread(target=collection.live.checkpoint)
    purge = threading.Thread(target=collection.delete, args=("first",), kwargs={"purge": True})
    checkpoint.start()
    assert begun.wait(30)
    purge.start()
    purge.join(0.3)
    go_on.set()
    for thread in (checkpoint, purge):
        thread.join()
    assert collection.live.current.passages == 1
