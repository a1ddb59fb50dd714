"""A collection against the plainest model of one: a dictionary of texts, and brute force over what it holds."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from embeddings.backups import back_up, restore
from embeddings.collection import Collection
from embeddings.encoders.hashing import HashingEncoder
from embeddings.following import FollowedLibrary
from embeddings.library import Library
from tests.integration.conftest import parts, plain

HALF_PRECISION = 2e-3
"""Vectors of the index have 16 bits, those of the store 32."""
NAMES = st.sampled_from(["a", "b", "c", "d"])
WORDS = st.sampled_from(["heron", "otter", "wren", "weir", "bridge", "mill", "morning", "eggs"])
TEXTS = st.lists(st.lists(WORDS, min_size=2, max_size=6), min_size=1, max_size=40).map(
    lambda sentences: " ".join(f"{' '.join(sentence).capitalize()}." for sentence in sentences)
)


class CollectionMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="loccit-model-"))
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.lives = 1
        self.backup = self.folder.with_name(self.folder.name + "-backup")
        self.kept: tuple[dict[str, str], dict[str, int]] | None = None
        self.has_purged = False

    @initialize()
    def open(self) -> None:
        self.library = Library(self.folder, parts(), free_disk_floor_bytes=0)
        self.library.create("notes")
        self.notes: Collection = self.library.collection("notes")
        self.followers = FollowedLibrary(self.folder, parts())
        self.follower = self.followers.collection("notes", self.notes.folder.name)

    def close(self) -> None:
        self.followers.close()
        self.library.close()

    @rule(name=NAMES, text=TEXTS)
    def put(self, name: str, text: str) -> None:
        unchanged = self.texts.get(name) == text
        receipt = self.notes.put(name, plain(text))
        self.versions[name] = self.versions.get(name, 0) + (not unchanged)
        assert (receipt.unchanged, receipt.version) == (unchanged, self.versions[name])
        self.texts[name] = text

    @rule(documents=st.lists(st.tuples(NAMES, TEXTS), max_size=5))
    def put_many(self, documents: list[tuple[str, str]]) -> None:
        receipts = self.notes.put_many((name, plain(text)) for name, text in documents)
        for (name, text), receipt in zip(documents, receipts, strict=True):
            unchanged = self.texts.get(name) == text
            self.versions[name] = self.versions.get(name, 0) + (not unchanged)
            assert (receipt.unchanged, receipt.version) == (unchanged, self.versions[name])
            self.texts[name] = text

    @rule(name=NAMES, purge=st.booleans())
    def delete(self, name: str, purge: bool) -> None:
        if name in self.texts:
            self.notes.delete(name, purge=purge)
            self.has_purged |= purge
            del self.texts[name]

    @rule()
    def checkpoint(self) -> None:
        self.notes.live.checkpoint()

    @rule()
    def reopen(self) -> None:
        self.close()
        self.open()

    @rule()
    def kill_and_reopen(self) -> None:
        """Go on with a copy of the files as they are at this moment, which is what a killed process leaves."""
        left = self.folder.with_name(f"{self.folder.name}-{self.lives}")
        self.lives += 1
        shutil.copytree(self.folder, left)
        self.close()
        shutil.rmtree(self.folder)
        self.folder = left
        self.open()

    @rule()
    def back_up(self) -> None:
        shutil.rmtree(self.backup, ignore_errors=True)
        back_up(self.folder, self.backup, lambda *_: None)
        self.kept = dict(self.texts), dict(self.versions)

    @precondition(lambda self: self.kept is not None)
    @rule()
    def restore(self) -> None:
        assert self.kept is not None
        self.close()
        restore(self.backup, self.folder, lambda *_: None, overwrite=True)
        self.texts, self.versions = dict(self.kept[0]), dict(self.kept[1])
        self.open()

    @rule(words=st.lists(WORDS, min_size=1, max_size=3))
    def search_finds_the_nearest_by_brute_force(self, words: list[str]) -> None:
        question = " ".join(words)
        with self.notes.database.reading() as connection:
            rows = connection.execute(
                "SELECT p.passage_id, p.text_sha, v.vector FROM live_passages p JOIN vectors v USING (content_sha)"
            ).fetchall()
        if not rows:
            return
        vectors = np.stack([np.frombuffer(vector, "<f4") for _, _, vector in rows])
        similarities = vectors @ HashingEncoder().encode_questions([question])[0]
        by_id = {passage_id: one for (passage_id, _, _), one in zip(rows, similarities, strict=True)}
        hits = self.notes.search(question, top_k=50).hits
        found = np.array([hit.scores.similarity for hit in hits], np.float32)
        expected = np.array([by_id[hit.passage.passage_id] for hit in hits])
        assert np.allclose(found, expected, atol=HALF_PRECISION)
        assert abs(found.max() - similarities.max()) < HALF_PRECISION

    @rule(words=st.lists(WORDS, min_size=1, max_size=3))
    def search(self, words: list[str]) -> None:
        found = self.notes.search(" ".join(words), top_k=50)
        for hit in found.hits:
            passage = hit.passage
            assert self.texts[passage.document_id][passage.start : passage.end] == passage.text
            for place in passage.also_at:
                assert self.texts[place.document_id][place.start : place.end] == passage.text
        held = {hit.passage.document_id for hit in found.hits} | {
            p.document_id for hit in found.hits for p in hit.passage.also_at
        }
        assert held == set(self.texts) or len(found.hits) == 50

    @rule()
    def follow(self) -> None:
        self.follower.look()

    @rule(words=st.lists(WORDS, min_size=1, max_size=3))
    def who_follows_finds_the_same(self, words: list[str]) -> None:
        question = " ".join(words)
        if self.has_purged:
            self.follower.look()
            self.has_purged = False
        self.follower.reach(self.notes.seq)
        found, expected = (one.search(question, top_k=50) for one in (self.follower, self.notes))
        assert (found.seq, found.live_passages, found.hits) == (expected.seq, expected.live_passages, expected.hits)

    @invariant()
    def documents_are_those_of_the_model(self) -> None:
        if hasattr(self, "notes"):
            listed = {record.document_id: record.version for record in self.notes.documents()}
            assert listed == {name: self.versions[name] for name in self.texts}

    @invariant()
    def statistics_are_those_of_a_fresh_count(self) -> None:
        if hasattr(self, "notes"):
            view = self.notes.live.current
            with self.notes.database.reading() as connection:
                rows = [
                    row[0].split()
                    for row in connection.execute(
                        "SELECT words FROM passages p JOIN indexings i USING (indexing_key) WHERE i.removed_seq IS NULL"
                    )
                ]
            assert (view.passages, view.words) == (len(rows), sum(map(len, rows)))
            vocabulary = {word for row in rows for word in row}
            frequency = view.statistics(sorted(vocabulary)).document_frequency
            assert frequency == {word: sum(word in row for row in rows) for word in vocabulary}

    def teardown(self) -> None:
        self.close()
        shutil.rmtree(self.folder)
        shutil.rmtree(self.backup, ignore_errors=True)


TestCollectionMachine = CollectionMachine.TestCase
TestCollectionMachine.settings = settings(max_examples=8, stateful_step_count=25, deadline=None)
