from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embeddings.arrays import Rows, Vectors
from embeddings.errors import IndexUnsound
from embeddings.indexes import faiss as faiss_indexes
from embeddings.indexes import inverted as inverted_indexes
from embeddings.indexes.exact import ExactIndexes
from embeddings.indexes.faiss import FlatIndexes, IndexesBySize
from embeddings.indexes.inverted import InvertedIndexes
from embeddings.ports import VectorIndex, VectorIndexes

DIMENSION = 32
ORACLE = ExactIndexes()


def unit_vectors(count: int, seed: int = 7) -> Vectors:
    """Rounded to 16 bits, as the indexes keep them, so that similarities can be compared exactly."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float16).astype(np.float32)


def rows_of(mask: NDArray[np.bool_]) -> Rows:
    return Rows(mask=mask, indexing_keys=np.flatnonzero(mask), is_inclusive=True)


def clustered_vectors(count: int, seed: int = 7) -> Vectors:
    """As texts are: many about the same things, and no two alike."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((60, DIMENSION))
    vectors = centres[random.integers(60, size=count)] + 0.5 * random.standard_normal((count, DIMENSION))
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit.astype(np.float16).astype(np.float32)


def built(indexes: VectorIndexes, vectors: Vectors) -> VectorIndex:
    """In batches of uneven sizes, as a stream may come."""
    cuts = [0, len(vectors) // 7, len(vectors) // 2, len(vectors)]
    batches = [vectors[low:high] for low, high in pairwise(cuts)]
    return indexes.build(batches, rows=len(vectors), dimension=DIMENSION)


class Mapped:
    """As a process has them that only reads, from a file that is replaced meanwhile."""

    kind, for_tails = InvertedIndexes.kind, InvertedIndexes.for_tails

    def build(self, batches: Iterable[Vectors], *, rows: int, dimension: int) -> VectorIndex:
        with tempfile.TemporaryDirectory(prefix="loccit-") as folder:
            made = InvertedIndexes().build(batches, rows=rows, dimension=dimension)
            made.save(Path(folder))
            found = self.load(Path(folder), rows=rows, dimension=dimension)
        found.save = made.save  # type: ignore[method-assign]  # Whoever maps an index never saves it.
        return found

    def load(self, folder: Path, *, rows: int, dimension: int) -> VectorIndex:
        return InvertedIndexes(maps=True).load(folder, rows=rows, dimension=dimension)


BY_SIZE = IndexesBySize(few=FlatIndexes(), many=InvertedIndexes(), most_of_few=60)
EXACT: dict[str, VectorIndexes] = {"faiss-flat": FlatIndexes(), "exact": ExactIndexes()}
ALL: dict[str, VectorIndexes] = {**EXACT, "faiss-inverted": InvertedIndexes(), "mapped": Mapped(), "by-size": BY_SIZE}


@pytest.fixture(params=list(ALL.values()), ids=list(ALL))
def indexes(request: pytest.FixtureRequest) -> VectorIndexes:
    made: VectorIndexes = request.param
    return made


QUESTIONS = clustered_vectors(100, seed=8)[:40]
RANDOM = np.random.default_rng(3).random(6_000)


def far_from_the_questions(share: float) -> NDArray[np.bool_]:
    best = (clustered_vectors(6_000) @ QUESTIONS.T).max(axis=1)
    return np.asarray(best <= np.quantile(best, share))


@pytest.fixture(scope="module")
def inverted() -> VectorIndex:
    return built(InvertedIndexes(), clustered_vectors(6_000))


def assert_as_the_oracle(index: VectorIndex, vectors: Vectors, question: Vectors, k: int, allowed: Rows | None) -> None:
    """Rows whose similarities differ by rounding alone may change places: processors add in orders of their own."""
    oracle = built(ORACLE, vectors)
    rows, similarities = index.search(question, k, allowed)
    expected_rows, expected = oracle.search(question, k, allowed)
    assert len(set(rows.tolist())) == len(expected_rows)
    assert allowed is None or allowed.mask[rows].all()
    np.testing.assert_allclose(similarities, expected, atol=1e-6)
    np.testing.assert_allclose(oracle.similarities(question, rows), expected, atol=1e-6)


@pytest.mark.parametrize("indexes", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("k", [1, 7, 300, 1000])
@pytest.mark.parametrize("share", [None, 0.5, 0.01, 0.0])
def test_rows_and_similarities_equal_the_oracle(indexes: VectorIndexes, k: int, share: float | None) -> None:
    vectors, question = unit_vectors(300), unit_vectors(1, seed=1)[0]
    allowed = None if share is None else rows_of(np.random.default_rng(3).random(300) < share)
    assert_as_the_oracle(built(indexes, vectors), vectors, question, k, allowed)


@pytest.mark.parametrize("indexes", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("k", [1, 7, 5_950, 6_000])
@pytest.mark.parametrize("kept_out", [1, 20, 60], ids=["one", "a few", "more than are looked past"])
def test_where_the_nearest_rows_are_kept_out_the_next_ones_are_found(
    indexes: VectorIndexes, k: int, kept_out: int
) -> None:
    vectors, question = unit_vectors(6_000), unit_vectors(1, seed=1)[0]
    mask = np.ones(6_000, bool)
    mask[np.argsort(-(vectors @ question))[:kept_out]] = False
    allowed = Rows(mask=mask, indexing_keys=np.flatnonzero(~mask), is_inclusive=False)
    assert_as_the_oracle(built(indexes, vectors), vectors, question, k, allowed)


@pytest.mark.parametrize("k", [1, 7, 1000])
@pytest.mark.parametrize("rows", [1, 2, 301])
def test_two_halves_are_searched_as_the_whole(rows: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_indexes, "WORTH_HALVING", 0)
    vectors, question = np.repeat(unit_vectors(rows), 2, axis=0), unit_vectors(1, seed=1)[0]
    found, similarities = built(FlatIndexes(), vectors).search(question, k, None)
    expected_rows, expected = built(ORACLE, vectors).search(question, k, None)
    assert found.tolist() == expected_rows.tolist()
    np.testing.assert_allclose(similarities, expected, atol=1e-6)


def test_of_equal_similarities_the_lower_row_comes_first(indexes: VectorIndexes) -> None:
    vectors = np.repeat(unit_vectors(3), 4, axis=0)
    rows, _ = built(indexes, vectors).search(vectors[0], 12, None)
    assert rows[:4].tolist() == [0, 1, 2, 3]


def test_similarities_do_not_depend_on_the_rows_asked_for_with_them(indexes: VectorIndexes) -> None:
    vectors, question = unit_vectors(100), unit_vectors(1, seed=2)[0]
    index = built(indexes, vectors)
    together = index.similarities(question, np.arange(100))
    alone = [index.similarities(question, np.array([row]))[0] for row in range(100)]
    assert together.tolist() == alone


def test_vectors_come_back_as_they_were_given(indexes: VectorIndexes) -> None:
    vectors, rows = unit_vectors(100), np.array([5, 0, 99, 5])
    index = built(indexes, vectors)
    assert index.vectors(rows).tolist() == vectors[rows].tolist()
    assert index.vectors(rows[:0]).shape == (0, DIMENSION)


def test_a_tail_is_searched_exactly_whatever_its_size(indexes: VectorIndexes) -> None:
    vectors = clustered_vectors(6_000)
    index, oracle = built(indexes.for_tails, vectors), built(ORACLE, vectors)
    for question in QUESTIONS:
        assert index.search(question, 10, None)[0].tolist() == oracle.search(question, 10, None)[0].tolist()


def test_an_empty_index_finds_nothing(indexes: VectorIndexes) -> None:
    rows, similarities = built(indexes, np.empty((0, DIMENSION), np.float32)).search(unit_vectors(1)[0], 5, None)
    assert len(rows) == len(similarities) == 0


def test_an_index_comes_back_from_disk_as_it_was(indexes: VectorIndexes, tmp_path: Path) -> None:
    vectors, question = unit_vectors(50), unit_vectors(1, seed=2)[0]
    original = built(indexes, vectors)
    original.save(tmp_path)
    loaded = indexes.load(tmp_path, rows=50, dimension=DIMENSION)
    assert [part.tolist() for part in loaded.search(question, 9, None)] == [
        part.tolist() for part in original.search(question, 9, None)
    ]


def test_an_index_of_another_size_is_refused(indexes: VectorIndexes, tmp_path: Path) -> None:
    built(indexes, unit_vectors(50)).save(tmp_path)
    with pytest.raises(IndexUnsound):
        indexes.load(tmp_path, rows=51, dimension=DIMENSION)


@pytest.mark.parametrize("kept", [0, 10, 0.5, -100, -1])
def test_a_truncated_file_is_refused(indexes: VectorIndexes, kept: float, tmp_path: Path) -> None:
    built(indexes, unit_vectors(50)).save(tmp_path)
    for file in list(tmp_path.iterdir()):
        content = file.read_bytes()
        file.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else int(kept)])
        with pytest.raises(IndexUnsound):
            indexes.load(tmp_path, rows=50, dimension=DIMENSION)
        file.write_bytes(content)
    indexes.load(tmp_path, rows=50, dimension=DIMENSION)


@pytest.mark.parametrize(("saved", "loaded"), [(FlatIndexes(), InvertedIndexes()), (InvertedIndexes(), FlatIndexes())])
def test_an_index_of_another_kind_is_refused(saved: VectorIndexes, loaded: VectorIndexes, tmp_path: Path) -> None:
    built(saved, unit_vectors(50)).save(tmp_path)
    with pytest.raises(IndexUnsound):
        loaded.load(tmp_path, rows=50, dimension=DIMENSION)


def test_a_disk_that_fails_under_an_index_is_told_as_the_disk_tells_it(
    inverted: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, content: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left") as raised:
        inverted.save(tmp_path)
    assert raised.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("question", [np.full(DIMENSION, np.nan, np.float32), np.zeros(DIMENSION + 1, np.float32)])
@pytest.mark.parametrize("indexes", [FlatIndexes(), InvertedIndexes()], ids=["faiss-flat", "faiss-inverted"])
def test_a_senseless_question_is_refused_before_faiss_sees_it(indexes: VectorIndexes, question: Vectors) -> None:
    with pytest.raises(ValueError, match="finite float32"):
        built(indexes, unit_vectors(5)).search(question, 1, None)


def test_many_threads_search_one_index_alike(indexes: VectorIndexes) -> None:
    vectors, questions = unit_vectors(500), unit_vectors(16, seed=5)
    index = built(indexes, vectors)
    expected = [index.search(question, 10, None)[0].tolist() for question in questions]
    found: dict[int, list[int]] = {}

    def search(number: int) -> None:
        for _ in range(20):
            found[number] = index.search(questions[number], 10, None)[0].tolist()

    threads = [threading.Thread(target=search, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(16)] == expected


def test_indexes_of_different_sizes_load_at_the_same_time(tmp_path: Path) -> None:
    sizes = (4, 2_000)
    for rows in sizes:
        (tmp_path / str(rows)).mkdir()
        vectors = np.random.default_rng(rows).standard_normal((rows, 64)).astype(np.float32)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        FlatIndexes().build([unit], rows=rows, dimension=64).save(tmp_path / str(rows))

    def load(rows: int) -> None:
        for _ in range(400):
            FlatIndexes().load(tmp_path / str(rows), rows=rows, dimension=64)

    with ThreadPoolExecutor(4) as pool:
        for loaded in [pool.submit(load, rows) for rows in sizes * 2]:
            loaded.result()


def recall(index: VectorIndex, vectors: Vectors, questions: Vectors, allowed: Rows | None) -> float:
    """The share of the ten best rows that comes back; as many rows as of the oracle, each with the right similarity."""
    oracle, found, wanted = built(ORACLE, vectors), 0, 0
    for question in questions:
        rows, similarities = index.search(question, 10, allowed)
        expected, _ = oracle.search(question, 10, allowed)
        assert len(rows) == len(expected)
        np.testing.assert_allclose(similarities, oracle.similarities(question, rows), atol=1e-6)
        found += len(set(rows.tolist()) & set(expected.tolist()))
        wanted += len(expected)
    return found / wanted


@pytest.mark.parametrize(
    "allowed",
    [None, rows_of(RANDOM < 0.998), rows_of(RANDOM < 0.99), rows_of(RANDOM < 0.8)],
    ids=["all", "all but a few", "nearly all", "four in five"],
)
def test_an_approximate_search_finds_nearly_all(inverted: VectorIndex, allowed: Rows | None) -> None:
    assert recall(inverted, clustered_vectors(6_000), QUESTIONS, allowed) >= 0.99


@pytest.mark.parametrize(
    "mask",
    [
        RANDOM < 0.6,
        RANDOM < 0.1,
        RANDOM < 0.001,
        np.zeros(6_000, np.bool_),
        far_from_the_questions(0.8),
        far_from_the_questions(0.05),
    ],
    ids=["six tenths", "a tenth", "a few", "none", "far from the questions", "very far"],
)
def test_an_approximate_search_is_exact_under_a_filter_that_keeps_much_out(
    inverted: VectorIndex, mask: NDArray[np.bool_]
) -> None:
    allowed, oracle = rows_of(mask), built(ORACLE, clustered_vectors(6_000))
    for question in QUESTIONS:
        assert inverted.search(question, 10, allowed)[0].tolist() == oracle.search(question, 10, allowed)[0].tolist()


@pytest.mark.parametrize("k", [1, 10, 500, 6_000, 7_000])
def test_an_approximate_search_gives_as_many_rows_as_it_is_asked_for(inverted: VectorIndex, k: int) -> None:
    assert len(inverted.search(QUESTIONS[0], k, None)[0]) == min(k, 6_000)


def test_a_margin_is_fitted_on_the_nearest_of_all_rows(inverted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inverted_indexes, "COMPARED", 500)
    similarities, lists = inverted_indexes._nearest_of_all(inverted._index, QUESTIONS, 10)
    everywhere = QUESTIONS @ clustered_vectors(6_000).T
    nearest = np.argsort(-everywhere, axis=1)[:, :10]
    np.testing.assert_allclose(similarities, np.take_along_axis(everywhere, nearest, axis=1), atol=1e-6)
    assert np.sort(lists).tolist() == np.sort(inverted._list_of_row[nearest]).tolist()


def test_the_same_vectors_make_the_same_files_however_they_come(indexes: VectorIndexes, tmp_path: Path) -> None:
    vectors = clustered_vectors(3_000)
    for name, batches in {"one": [vectors], "many": np.array_split(vectors, 30)}.items():
        (tmp_path / name).mkdir()
        indexes.build(batches, rows=3_000, dimension=DIMENSION).save(tmp_path / name)
    one, other = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("one", "many"))
    assert one == other


def test_the_number_of_rows_decides_which_kind_of_index_is_made() -> None:
    assert [BY_SIZE.kind(rows) for rows in (0, 60, 61)] == ["faiss-flat-fp16", "faiss-flat-fp16", "faiss-ivf-fp16"]
    rows, _ = built(BY_SIZE, unit_vectors(60)).search(unit_vectors(1)[0], 5, None)
    assert rows.tolist() == built(ORACLE, unit_vectors(60)).search(unit_vectors(1)[0], 5, None)[0].tolist()
