from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embeddings.collection import Collection
from embeddings.domain import Source
from embeddings.encoders.hashing import HashingEncoder
from embeddings.indexes.faiss import FlatIndexes
from embeddings.indexes.tantivy import TantivyIndexes
from embeddings.ingestion import Ingestion
from embeddings.library import Library
from embeddings.loaders.plain import PlainLoader
from embeddings.parts import Parts


def parts() -> Parts:
    encoder = HashingEncoder()
    return Parts(
        encoder=encoder,
        ingestion=Ingestion(PlainLoader(), encoder.tokenizer),
        vectors=FlatIndexes(),
        words=TantivyIndexes(),
    )


def plain(text: str, **described: object) -> Source:
    return Source(content=text.encode(), media_type="text/plain", **described)  # type: ignore[arg-type]


def happens(condition: Callable[[], bool]) -> bool:
    patience = time.monotonic() + 30
    while not condition() and time.monotonic() < patience:
        time.sleep(0.01)
    return condition()


OpenLibrary = Callable[[], Library]


@pytest.fixture
def open_library(tmp_path: Path) -> Iterator[OpenLibrary]:
    """Opens the same folder again and again; whatever is still open is closed at the end."""
    opened: list[Library] = []

    def open_again() -> Library:
        if opened:
            opened.pop().close()
        opened.append(Library(tmp_path / "data", parts(), free_disk_floor_bytes=0))
        return opened[-1]

    yield open_again
    for library in opened:
        library.close()


@pytest.fixture
def collection(open_library: OpenLibrary) -> Collection:
    library = open_library()
    library.create("notes")
    return library.collection("notes")
