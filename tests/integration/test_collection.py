from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from embeddings import retrieval
from embeddings.arrays import Vectors
from embeddings.collection import Collection
from embeddings.corpus.records import PIECE
from embeddings.domain import SearchResult
from embeddings.errors import (
    DeletedDocument,
    UnknownDocument,
    UnknownVersion,
)
from embeddings.filters import parse_filter
from embeddings.indexes import tantivy
from tests.integration.conftest import OpenLibrary, plain

BIRDS = ["heron", "otter", "wren", "dipper", "swift", "crane", "bittern", "curlew", "plover", "teal", "knot", "rail"]


def sentence(bird: str, place: str = "weir") -> str:
    return f"The {bird} was seen beside the {place} of Aldermoor in the morning."


def fill(collection: Collection) -> None:
    for number, bird in enumerate(BIRDS):
        collection.put(bird, plain(sentence(bird), metadata={"number": number, "even": number % 2 == 0}))


def outline(found: SearchResult) -> list[tuple[object, ...]]:
    return [(hit.passage.passage_id, hit.passage.text, hit.scores, hit.passage.also_at) for hit in found.hits]


def documents_of(found: SearchResult) -> set[str]:
    return {hit.passage.document_id for hit in found.hits} | {
        place.document_id for hit in found.hits for place in hit.passage.also_at
    }


def test_what_was_put_is_found_first_by_its_own_words(collection: Collection) -> None:
    fill(collection)
    for bird in BIRDS:
        assert collection.search(f"Where was the {bird}?", top_k=3).hits[0].passage.document_id == bird


def test_the_same_text_again_makes_no_version_and_encodes_nothing(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = collection.put("bird", plain("A wren sings."))
    monkeypatch.setattr(type(collection._parts.encoder), "encode_passages", None)
    again = collection.put("bird", plain("A wren sings.", metadata={"shelf": "new"}))
    assert (first.version, first.created, first.unchanged) == (1, True, False)
    assert (again.version, again.created, again.unchanged) == (1, False, True)
    assert again.seq > first.seq
    assert collection.document("bird").metadata == {"shelf": "new"}


def test_only_passages_that_changed_are_encoded(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    paragraphs = [f"# {n}\n" + " ".join(f"Word{n}x{i} stands here." for i in range(60)) for n in range(6)]
    collection.put("long", plain("\n\n".join(paragraphs), title="Long"))
    encoded: list[str] = []
    encoder = collection._parts.encoder
    original = encoder.encode_passages

    def counted(self: object, texts: Sequence[str]) -> Vectors:
        encoded.extend(texts)
        return original(texts)

    monkeypatch.setattr(type(encoder), "encode_passages", counted)
    paragraphs[5] += " One more sentence ends it."
    receipt = collection.put("long", plain("\n\n".join(paragraphs), title="Long"))
    assert 0 < len(encoded) < receipt.passages / 2


def test_a_new_title_for_the_same_text_keeps_the_version_and_is_searched_under(collection: Collection) -> None:
    collection.put("bird", plain("It sings in the hedge.", title="Old name"))
    receipt = collection.put("bird", plain("It sings in the hedge.", title="Nightingale"))
    found = collection.search("nightingale", top_k=1).hits[0]
    assert receipt.unchanged
    assert receipt.version == 1
    assert found.passage.title == "Nightingale"
    assert found.scores.bm25 is not None
    assert found.scores.bm25 > 0


def test_a_new_version_replaces_the_old_one_whose_text_stays_readable(collection: Collection) -> None:
    collection.put("bird", plain("The first wording."))
    old = collection.search("wording", top_k=1).hits[0].passage
    assert collection.put("bird", plain("The second wording.")).version == 2
    assert [hit.passage.version for hit in collection.search("wording", top_k=5).hits] == [2]
    assert collection.slice("bird", 1, old.start, old.end) == old.text
    fetched = collection.passage(old.passage_id)
    assert not fetched.current
    assert fetched.text == old.text
    with pytest.raises(UnknownVersion):
        collection.text("bird", 3)


def test_a_deleted_document_is_found_no_more_not_even_through_an_old_view(collection: Collection) -> None:
    fill(collection)
    before = collection.live.current
    receipt = collection.delete("wren")
    assert (receipt.versions, receipt.passages) == (1, 1)
    assert "wren" not in documents_of(collection.search("Where was the wren?", top_k=50))
    collection.live._view = before
    assert "wren" not in documents_of(collection.search("Where was the wren?", top_k=50))
    with pytest.raises(DeletedDocument):
        collection.text("wren")
    with pytest.raises(UnknownDocument):
        collection.delete("wren")


def test_an_old_view_sees_the_old_version_and_never_a_mix(collection: Collection) -> None:
    collection.put("bird", plain("The first wording of the note."))
    before = collection.live.current
    collection.put("bird", plain("The second wording of the note."))
    collection.live._view = before
    found = collection.search("wording of the note", top_k=5)
    assert [hit.passage.text for hit in found.hits] == ["The first wording of the note."]
    assert found.seq == before.seq


def test_version_numbers_are_never_used_again(collection: Collection) -> None:
    for expected in (1, 2, 3):
        assert collection.put("phoenix", plain("Plumage.")).version == expected
        collection.delete("phoenix", purge=expected == 2)


def test_the_same_text_in_other_bytes_replaces_the_original(collection: Collection, tmp_path: Path) -> None:
    collection.put("bird", plain("A wren sings.\r\nIt nests."))
    other = plain("A wren sings.\nIt nests.")
    assert collection.put("bird", other).unchanged
    assert collection.original("bird").content == other.content
    assert collection.document("bird").sha256 == sha256(other.content).hexdigest()
    assert len(list(collection.originals.all())) == 1
    collection.delete("bird", purge=True)
    assert b"A wren sings" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_bytes_that_an_older_version_came_as_stay_when_others_replace_them(collection: Collection) -> None:
    texts = ["A wren sings.\r\nIt nests.", "It left.", "A wren sings.\r\nIt nests.", "A wren sings.\nIt nests."]
    for text in texts:
        collection.put("bird", plain(text))
    assert collection.original("bird", 1).content == texts[0].encode()
    assert collection.original("bird", 3).content == texts[3].encode()


def test_the_same_text_as_another_type_is_described_as_what_came_last(collection: Collection) -> None:
    collection.put("bird", plain("A wren sings."))
    collection.put("bird", replace(plain("A wren sings."), media_type="text/markdown"))
    assert collection.original("bird").media_type == "text/markdown"


def test_repeated_passages_come_once_with_every_place_that_the_filter_lets_through(collection: Collection) -> None:
    for name in ("left", "right", "third"):
        collection.put(name, plain("The copper weathervane was forged by Hester Pyke.", metadata={"side": name}))
    hits = collection.search("Who forged the weathervane?", top_k=5).hits
    assert len(hits) == 1
    assert len(hits[0].passage.also_at) == 2
    filtered = collection.search(
        "Who forged the weathervane?", top_k=5, filter=parse_filter({"side": {"in": ["left", "third"]}})
    )
    assert documents_of(filtered) == {"left", "third"}


def test_repeats_do_not_crowd_out_what_else_there_is(collection: Collection) -> None:
    for number in range(150):
        collection.put(f"copy-{number}", plain("The heron stands in the reeds."))
    collection.put("other", plain("The heron of bronze stands in the market."))
    assert documents_of(collection.search("Where stands the heron?", top_k=2)) >= {"other"}


def test_near_duplicates_come_after_what_else_there_is(collection: Collection) -> None:
    for bird in BIRDS:
        text = f"The {bird} of the weir stands in the reeds at noon and waits for the fish that the stream brings."
        collection.put(bird, plain(text))
    collection.put("bronze", plain("A bronze gull stands in the market."))
    assert "bronze" in documents_of(collection.search("What stands in the reeds?", top_k=2))
    hits = collection.search("What stands in the reeds?", top_k=50).hits
    assert [hit.passage.also_at for hit in hits] == [()] * (len(BIRDS) + 1)
    assert documents_of(collection.search("Do the wren, the otter and the crane stand there?", top_k=3)) == {
        "wren", "otter", "crane"
    }  # fmt: skip


def test_text_that_recurs_over_documents_comes_after_their_own(collection: Collection) -> None:
    def put(bird: str, boats: int = 25) -> None:
        content = f"The {bird} basin holds {' and '.join(f'boat {number}' for number in range(boats))}."
        footer = f"See also {', '.join(f'page {number}' for number in range(25))}."
        collection.put(bird, plain(f"{content}\n\n{footer}", title=f"The {bird} basin"))

    def first() -> str:
        return collection.search("heron basin", top_k=1).hits[0].passage.text.split()[0]

    for bird, boats in (("heron", 25), ("otter", 23), ("otter", 24), ("otter", 25)):
        put(bird, boats)
    assert first() == "See"
    put("wren")
    assert first() == "The"
    collection.delete("wren")
    assert first() == "See"


def test_repeats_spread_over_base_and_tail_do_not_crowd_out_what_else_there_is(collection: Collection) -> None:
    for number in range(80):
        collection.put(f"copy-{number}", plain("The heron stands in the reeds."))
        if number == 40:
            collection.live.checkpoint()
    collection.put("other", plain("Gas fell."))
    assert documents_of(collection.search("Where stands the heron?", top_k=2)) >= {"other"}


@pytest.mark.parametrize(
    "raw",
    [
        {"even": {"eq": True}},
        {"number": {"gte": 8}},
        {"not": {"number": {"lt": 11}}},
        {"@document_id": {"in": ["teal", "crane"]}},
    ],
)
def test_a_filter_is_applied_before_the_search_so_nothing_allowed_is_missed(
    collection: Collection, raw: dict[str, object]
) -> None:
    fill(collection)
    chosen = {record.document_id for record in collection.documents(filter=parse_filter(raw))}
    found = collection.search("Where was the heron?", top_k=50, filter=parse_filter(raw))
    assert documents_of(found) == chosen
    assert found.allowed_passages == len(chosen) < found.live_passages


def test_a_hit_holds_the_text_of_its_span_where_the_store_cut_the_text_within_it(collection: Collection) -> None:
    collection.put("long", plain(" ".join(f"The wren 🐦 sang {n} times in the reeds." for n in range(400))))
    passages = [hit.passage for hit in collection.search("wren", top_k=50).hits]
    assert any(one.start // PIECE < (one.end - 1) // PIECE for one in passages)
    for one in passages:
        assert one.text == collection.slice("long", 1, one.start, one.end)


def test_max_per_document_is_obeyed_while_enough_others_are_found(collection: Collection) -> None:
    long = "\n\n".join(sentence("heron", f"pond {n}") * 8 for n in range(40))
    collection.put("long", plain(long))
    fill(collection)
    found = collection.search("Where was the heron?", top_k=5, max_per_document=1)
    assert len(found.hits) == len({hit.passage.document_id for hit in found.hits}) == 5


@pytest.mark.parametrize("filter", [None, {"@document_id": {"in": ["long", "wren", "teal"]}}])
def test_no_more_is_read_than_a_cap_lets_into_the_list(
    collection: Collection, filter: dict[str, object] | None
) -> None:
    collection.put("long", plain("\n\n".join(sentence("heron", f"pond {n}") * 8 for n in range(120))))
    for bird in ("wren", "teal") if filter is None else BIRDS:
        collection.put(bird, plain(sentence(bird)))
    chosen = None if filter is None else parse_filter(filter)
    question = "Where was the heron, the wren and the teal?"
    found = collection.search(question, top_k=5, max_per_document=1, filter=chosen, explain=True)
    assert documents_of(found) == {"long", "wren", "teal"}
    assert found.explain is not None
    assert found.explain["candidates"] < 110  # type: ignore[operator]


def test_repeats_without_end_do_not_make_a_search_read_everything(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "DEEPEST", 60)
    for number in range(250):
        collection.put(f"copy-{number}", plain("The heron stands in the reeds."))
    found = collection.search("Where stands the heron?", top_k=2, explain=True)
    assert len(found.hits) == 1
    assert found.explain is not None
    assert found.explain["candidates"] <= 200  # type: ignore[operator]


def test_a_restart_a_lost_index_and_a_rebuild_give_the_same_hits_and_scores(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    library = open_library()
    library.create("notes")
    fill(library.collection("notes"))
    library.collection("notes").live.checkpoint()
    library.collection("notes").put("late", plain(sentence("heron", "mill")))
    library.collection("notes").put("wren", plain(sentence("wren", "bridge")))
    library.collection("notes").delete("teal")
    questions = ["Where was the heron?", "wren beside the bridge", "teal", "morning of Aldermoor"]
    expected = [outline(library.collection("notes").search(question, top_k=10)) for question in questions]

    def assert_unchanged() -> None:
        reopened = open_library().collection("notes")
        assert [outline(reopened.search(question, top_k=10)) for question in questions] == expected

    assert_unchanged()
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b""), _flip_a_bit, _halve):
        names = sorted(
            p.relative_to(tmp_path) for p in (tmp_path / "data").rglob("*") if "index" in p.parts and p.is_file()
        )
        for name in [tmp_path / name for name in names if name.suffix != ".lock"]:
            if name.exists():
                damage(name)
                assert_unchanged()


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_search_is_the_same_before_and_after_a_checkpoint(collection: Collection) -> None:
    fill(collection)
    collection.delete("wren")
    before = [outline(collection.search(f"Where was the {bird}?", top_k=20)) for bird in BIRDS]
    collection.live.checkpoint()
    assert not collection.live.is_dirty
    assert [outline(collection.search(f"Where was the {bird}?", top_k=20)) for bird in BIRDS] == before


def test_a_question_without_known_words_or_of_stop_words_still_searches(collection: Collection) -> None:
    fill(collection)
    for question in ("zzz qqq", "the of and", "?!", "鳥"):
        assert collection.search(question, top_k=3).hits


def test_a_disk_that_fails_under_the_word_index_is_told_as_one(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ValueError("An IO error occurred: 'Input/output error (os error 5)'")

    collection.put("first", plain("A canary named heron1 sings."))
    with monkeypatch.context() as patched:
        patched.setattr(tantivy, "Index", failing)
        collection.live.checkpoint()
    assert collection.search("canary", top_k=5).hits
