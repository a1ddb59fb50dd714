"""Index generations that are made while others write."""

from __future__ import annotations

import threading

import pytest

from embeddings.checkpoints import Checkpoints, Generation
from embeddings.collection import Collection
from embeddings.corpus.passages import live
from embeddings.errors import StoreCorrupt
from embeddings.live_view import Patience
from embeddings.views import PassageStream, View
from tests.integration.conftest import OpenLibrary, plain


def shown(view: View) -> tuple[object, ...]:
    return view.seq, view.passages, view.words, view.base, view.tail, view.removed_words


def test_while_an_index_is_made_the_log_can_be_moved_into_the_store(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.put("first", plain("A canary named first sings."))
    write = Checkpoints.write

    def meanwhile(self: Checkpoints, passages: PassageStream, seq: int) -> Generation:
        for _ in passages.vectors:
            collection.put("second", plain("A canary named second sings."))
            collection.database.truncate_log()  # refused where anybody still reads what was before
        return write(self, passages, seq)

    monkeypatch.setattr(Checkpoints, "write", meanwhile)
    collection.live.checkpoint()
    assert collection.live.current.passages == 2


def test_what_is_replaced_while_an_index_is_made_has_no_vector_in_it_and_is_not_found(collection: Collection) -> None:
    for name in ("first", "second"):
        collection.put(name, plain(f"A canary named {name} sings."))
    with collection.database.reading() as connection:
        stream = live(connection, collection.database.reading, dimension=collection._parts.encoder.dimension)
    collection.delete("first")
    (vectors,) = stream.vectors
    assert [bool(vector.any()) for vector in vectors] == [False, True]
    assert list(stream.words) == ["a canari name first sing", "a canari name second sing"]
    with collection.database.writing() as connection:
        connection.execute("DELETE FROM vectors")
    with pytest.raises(StoreCorrupt, match="vector"):
        list(stream.vectors)


NEVER_ENOUGH = Patience(rows=0, tail_share=0.0, removed_share=0.0)


def test_what_is_written_while_an_index_is_made_is_shown_as_if_it_had_been_made_in_peace(
    open_library: OpenLibrary, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "third"):
        collection.put(name, plain(f"A canary named {name} sings."))
    write = Checkpoints.write

    def meanwhile(self: Checkpoints, passages: PassageStream, seq: int) -> Generation:
        generation = write(self, passages, seq)
        collection.delete("first")
        collection.put("second", plain("A wren named second sings louder."))
        collection.put("fourth", plain("A canary named fourth sings."))
        collection.put("fifth", plain("A canary named fifth sings."))
        collection.delete("fifth")
        return generation

    monkeypatch.setattr(Checkpoints, "write", meanwhile)
    collection.live.checkpoint()
    view = collection.live.current
    assert view.base is not None
    collection.live.follow()
    assert shown(collection.live.current) == shown(view)
    reopened = open_library().collection(collection.name).live.current
    words = ["canari", "wren", "name", "sing", "louder", "fifth"]
    assert (view.seq, view.passages, view.words) == (reopened.seq, reopened.passages, reopened.words)
    assert view.statistics(words) == reopened.statistics(words)


def test_of_several_that_were_due_at_once_only_the_first_is_made(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.put("first", plain("A canary named first sings."))
    made: list[int] = []
    write = Checkpoints.write

    def counted(self: Checkpoints, passages: PassageStream, seq: int) -> Generation:
        made.append(seq)
        return write(self, passages, seq)

    monkeypatch.setattr(Checkpoints, "write", counted)
    with collection.live.between_generations():
        waiting = [threading.Thread(target=collection.live.checkpoint, args=(NEVER_ENOUGH,)) for _ in range(3)]
        for thread in waiting:
            thread.start()
    for thread in waiting:
        thread.join()
    assert made == [collection.seq]


def test_one_that_nobody_wants_any_more_is_given_up_and_leaves_no_trace(collection: Collection) -> None:
    collection.put("first", plain("A canary named first sings."))
    view, files = collection.live.current, names(collection)
    looks = iter([False, False, True])
    collection.live.checkpoint(is_cancelled=lambda: next(looks))
    assert shown(collection.live.current) == shown(view)
    assert names(collection) == files
    assert collection.live.checkpoint_failure == ""
    collection.live.checkpoint()
    assert names(collection) != files


def names(collection: Collection) -> list[str]:
    return sorted(path.name for path in collection.live._checkpoints.folder.iterdir())


@pytest.mark.parametrize(("most", "is_written"), [(1, False), (2, True)])
def test_a_large_collection_is_closed_without_an_index_of_what_was_written_last(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch, most: int, is_written: bool
) -> None:
    monkeypatch.setattr("embeddings.collection.QUICKLY_INDEXED", most)
    library = open_library()
    library.create("notes")
    notes = library.collection("notes")
    notes.put("first", plain("A canary named first sings."))
    notes.live.checkpoint()
    notes.put("second", plain("A canary named second sings."))
    library.close()
    notes = open_library().collection("notes")
    assert notes.live.current.tail_rows == (0 if is_written else 1)
    assert len(notes.search("canary", top_k=5).hits) == 2
