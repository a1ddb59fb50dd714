"""What must hold of a store, whatever was done to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from embeddings.arrays import Vectors
from embeddings.inspection import inspect
from embeddings.library import Library
from tests.integration.conftest import parts

QUESTIONS = [
    f"Which eggs does entry {number} of the ledger list for {bird}?"
    for number in range(10)
    for bird in ("heron", "otter")
]
SCORE_TOLERANCE = 1e-6

Answers = dict[str, list[tuple[str, float | None]]]
"""Passages with their similarity for each question of each collection."""


def text_of(number: int) -> str:
    birds = ("heron", "otter", "wren", "dipper", "crane")
    return " ".join(
        f"Entry {number} of the ledger lists {line} eggs of the {birds[(number + line) % 5]} at weir {number * line}."
        for line in range(number % 17 + 1)
    )


def findings(data: Path) -> list[str]:
    """What `loccit doctor` would report."""
    return [f"{one.name}: {one.detail}" for one in inspect(data, parts()) if not one.ok]


@contextmanager
def opened(data: Path) -> Iterator[Library]:
    library = Library(data, parts(), free_disk_floor_bytes=0)
    try:
        yield library
    finally:
        library.close()


def texts(library: Library) -> dict[str, dict[str, tuple[int, str]]]:
    """Version and text of each document of each collection."""
    return {
        info.collection: {
            record.document_id: (record.version, collection.text(record.document_id).text)
            for record in collection.documents(limit=10_000)
        }
        for info in library.collections()
        for collection in (library.collection(info.collection),)
    }


def answers(library: Library, questions: Sequence[str] = QUESTIONS) -> Answers:
    return {
        f"{info.collection}: {question}": [
            (hit.passage.passage_id, hit.scores.similarity)
            for hit in library.collection(info.collection).search(question, top_k=20).hits
        ]
        for info in library.collections()
        for question in questions
    }


def same(one: Answers, other: Answers) -> bool:
    """Whether the same passages come in the same order, with scores that differ by rounding at most."""
    return one.keys() == other.keys() and all(
        [key for key, _ in hits] == [key for key, _ in other[question]]
        and np.allclose(scores(hits), scores(other[question]), atol=SCORE_TOLERANCE)
        for question, hits in one.items()
    )


def scores(hits: Sequence[tuple[str, float | None]]) -> Vectors:
    return np.array([score for _, score in hits], np.float32)


def equals_a_rebuild(data: Path, workplace: Path, questions: Sequence[str] = QUESTIONS) -> bool:
    """Whether a copy answers from its indexes as another copy does that has lost all of them."""
    shutil.rmtree(workplace, ignore_errors=True)
    with_indexes, without = workplace / "with", workplace / "without"
    for copy in (with_indexes, without):
        shutil.copytree(data, copy)
    for index in without.glob("collections/*/index"):
        shutil.rmtree(index)
    with opened(with_indexes) as one, opened(without) as other:
        equal = same(answers(one, questions), answers(other, questions))
    shutil.rmtree(workplace)
    return equal
