from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from embeddings.arrays import Rows
from embeddings.errors import IndexUnsound
from embeddings.indexes import tantivy
from embeddings.indexes.exact import ExactWordIndex, ExactWordIndexes
from embeddings.indexes.tantivy import TantivyIndexes
from embeddings.ports import WordIndex, WordIndexes
from embeddings.postings import MemoryWordIndex

VOCABULARY = [f"w{number}" for number in range(40)] + ["鳥が", "zoe", "2310", "3.6"]
ROWS = 200


def texts() -> list[str]:
    random = np.random.default_rng(11)
    return [" ".join(random.choice(VOCABULARY, size=random.integers(0, 9))) for _ in range(ROWS)]


INDEXING_KEYS = np.repeat(np.arange(ROWS // 4), 4)


@pytest.fixture(params=["tantivy", "memory", "exact"])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[list[str]], WordIndex]:
    def made(words: list[str]) -> WordIndex:
        keys = INDEXING_KEYS[: len(words)]
        if request.param == "tantivy":
            return TantivyIndexes().build(tmp_path, words, keys)
        return MemoryWordIndex(words) if request.param == "memory" else ExactWordIndexes().build(tmp_path, words, keys)

    return made


def allowed(kept: set[int], *, is_inclusive: bool) -> Rows:
    mask = np.isin(INDEXING_KEYS, sorted(kept))
    named = kept if is_inclusive else set(INDEXING_KEYS.tolist()) - kept
    return Rows(mask=mask, indexing_keys=np.array(sorted(named), np.int64), is_inclusive=is_inclusive)


@pytest.mark.parametrize(
    "words", [["w1"], ["w1", "w2", "鳥が"], ["zoe", "absent"], ["absent"], [], ["2310", "3.6", "w1", "w1"]]
)
@pytest.mark.parametrize("restriction", ["none", "let in", "kept out"])
def test_with_room_for_all_exactly_the_rows_that_hold_a_word_are_candidates(
    build: Callable[[list[str]], WordIndex], words: list[str], restriction: str
) -> None:
    rows = None if restriction == "none" else allowed({1, 5, 6, 30}, is_inclusive=restriction == "let in")
    found = build(texts()).candidates(words, ROWS, rows)
    assert sorted(found.tolist()) == ExactWordIndex(texts()).candidates(words, ROWS, rows).tolist()


def test_document_frequencies_equal_the_oracle(build: Callable[[list[str]], WordIndex]) -> None:
    index, oracle = build(texts()), ExactWordIndex(texts())
    for word in [*VOCABULARY, "absent"]:
        assert index.document_frequency(word) == oracle.document_frequency(word)


def test_an_empty_index_has_no_candidates(build: Callable[[list[str]], WordIndex]) -> None:
    assert build([]).candidates(["w1"], 5, None).tolist() == []


def test_a_row_with_the_rarer_word_is_preferred_when_there_is_room_for_one(tmp_path: Path) -> None:
    words = ["common rare", *["common other"] * 50]
    for index in (MemoryWordIndex(words), TantivyIndexes().build(tmp_path, words, np.arange(51))):
        assert index.candidates(["common", "rare"], 1, None).tolist() == [0]


@pytest.mark.parametrize("indexes", [TantivyIndexes(), ExactWordIndexes()], ids=["tantivy", "exact"])
def test_an_index_comes_back_from_disk_and_another_size_is_refused(indexes: WordIndexes, tmp_path: Path) -> None:
    built = indexes.build(tmp_path, texts(), INDEXING_KEYS)
    loaded = indexes.load(tmp_path, rows=ROWS)
    assert sorted(loaded.candidates(["w3"], ROWS, None)) == sorted(built.candidates(["w3"], ROWS, None))
    with pytest.raises(IndexUnsound):
        indexes.load(tmp_path, rows=ROWS + 1)


@pytest.mark.parametrize("kept", [set(range(2, 50)), {1, 5, 30}], ids=["few kept out", "many kept out"])
@pytest.mark.parametrize("spare", [0, 3, 50])
def test_the_best_rows_are_the_same_whether_others_are_kept_out_or_they_are_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: set[int], spare: int
) -> None:
    monkeypatch.setattr(tantivy, "SPARE", spare)
    index = TantivyIndexes().build(tmp_path, texts(), INDEXING_KEYS)
    for words in (["w1"], ["w1", "w2", "w3"], ["zoe", "3.6"]):
        out, let_in = (
            index.candidates(words, 6, allowed(kept, is_inclusive=is_inclusive)) for is_inclusive in (False, True)
        )
        assert out.tolist() == let_in.tolist()


def test_among_many_rows_a_word_that_nearly_all_hold_is_looked_up_only_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tantivy, "MANY_ROWS", 50)
    words = ["common rare", *["common other"] * 5, *["common"] * 45]
    index = TantivyIndexes().build(tmp_path, words, np.arange(51))
    assert index.candidates(["common", "rare"], 9, None).tolist() == [0]
    assert len(index.candidates(["common"], 9, None)) == 9
