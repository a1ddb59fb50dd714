from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embeddings.domain import Rows, Vectors
from embeddings.errors import IndexUnsound
from embeddings.indexes.exact import ExactIndexes
from embeddings.indexes.faiss import FlatIndexes
from embeddings.ports import VectorIndexes

DIMENSION = 32
ORACLE = ExactIndexes()


def unit_vectors(count: int, seed: int = 7) -> Vectors:
    """Rounded to 16 bits, as the indexes keep them, so that similarities can be compared exactly."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float16).astype(np.float32)


def rows_of(mask: NDArray[np.bool_]) -> Rows:
    return Rows(mask=mask, indexing_keys=np.flatnonzero(mask), is_inclusive=True)


@pytest.fixture(params=[FlatIndexes(), ExactIndexes()], ids=["faiss-flat", "exact"])
def indexes(request: pytest.FixtureRequest) -> VectorIndexes:
    made: VectorIndexes = request.param
    return made


@pytest.mark.parametrize("k", [1, 7, 300, 1000])
@pytest.mark.parametrize("share", [None, 0.5, 0.01, 0.0])
def test_rows_and_similarities_equal_the_oracle(indexes: VectorIndexes, k: int, share: float | None) -> None:
    vectors, question = unit_vectors(300), unit_vectors(1, seed=1)[0]
    allowed = None if share is None else rows_of(np.random.default_rng(3).random(300) < share)
    rows, similarities = indexes.build(vectors).search(question, k, allowed)
    expected_rows, expected = ORACLE.build(vectors).search(question, k, allowed)
    assert rows.tolist() == expected_rows.tolist()
    np.testing.assert_allclose(similarities, expected, atol=1e-6)


def test_of_equal_similarities_the_lower_row_comes_first(indexes: VectorIndexes) -> None:
    vectors = np.repeat(unit_vectors(3), 4, axis=0)
    rows, _ = indexes.build(vectors).search(vectors[0], 12, None)
    assert rows[:4].tolist() == [0, 1, 2, 3]


def test_similarities_do_not_depend_on_the_rows_asked_for_with_them(indexes: VectorIndexes) -> None:
    vectors, question = unit_vectors(100), unit_vectors(1, seed=2)[0]
    index = indexes.build(vectors)
    together = index.similarities(question, np.arange(100))
    alone = [index.similarities(question, np.array([row]))[0] for row in range(100)]
    assert together.tolist() == alone


def test_an_empty_index_finds_nothing(indexes: VectorIndexes) -> None:
    rows, similarities = indexes.build(np.empty((0, DIMENSION), np.float32)).search(unit_vectors(1)[0], 5, None)
    assert len(rows) == len(similarities) == 0


def test_an_index_comes_back_from_disk_as_it_was(indexes: VectorIndexes, tmp_path: Path) -> None:
    vectors, question = unit_vectors(50), unit_vectors(1, seed=2)[0]
    built = indexes.build(vectors)
    built.save(tmp_path)
    loaded = indexes.load(tmp_path, rows=50, dimension=DIMENSION)
    assert [part.tolist() for part in loaded.search(question, 9, None)] == [
        part.tolist() for part in built.search(question, 9, None)
    ]


def test_an_index_of_another_size_is_refused(indexes: VectorIndexes, tmp_path: Path) -> None:
    indexes.build(unit_vectors(50)).save(tmp_path)
    with pytest.raises(IndexUnsound):
        indexes.load(tmp_path, rows=51, dimension=DIMENSION)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    FlatIndexes().build(unit_vectors(50)).save(tmp_path)
    file = tmp_path / "vectors.faiss"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(IndexUnsound):
        FlatIndexes().load(tmp_path, rows=50, dimension=DIMENSION)


@pytest.mark.parametrize("question", [np.full(DIMENSION, np.nan, np.float32), np.zeros(DIMENSION + 1, np.float32)])
def test_a_senseless_question_is_refused_before_faiss_sees_it(question: Vectors) -> None:
    with pytest.raises(ValueError, match="finite float32"):
        FlatIndexes().build(unit_vectors(5)).search(question, 1, None)


def test_many_threads_search_one_index_alike(indexes: VectorIndexes) -> None:
    vectors, questions = unit_vectors(500), unit_vectors(16, seed=5)
    index = indexes.build(vectors)
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
        FlatIndexes().build(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).save(tmp_path / str(rows))

    def load(rows: int) -> None:
        for _ in range(400):
            FlatIndexes().load(tmp_path / str(rows), rows=rows, dimension=64)

    with ThreadPoolExecutor(4) as pool:
        for loaded in [pool.submit(load, rows) for rows in sizes * 2]:
            loaded.result()
