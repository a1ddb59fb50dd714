"""What an answer is made from: the passages of one collection, and the text that they were cut from."""

from __future__ import annotations

from pathlib import Path

from embeddings import retrieval
from embeddings.checkpoints import Checkpoints
from embeddings.corpus import records
from embeddings.corpus.database import Snapshots
from embeddings.domain import SearchResult
from embeddings.filters import Filter
from embeddings.live_view import StoreView
from embeddings.parts import Parts

INDEXES = "index"
"""The folder of a collection's index generations."""


def checkpoints_of(folder: Path, parts: Parts) -> Checkpoints:
    """Those of the collection in this folder."""
    return Checkpoints(
        folder=folder / INDEXES,
        fingerprint=parts.fingerprint,
        dimension=parts.encoder.dimension,
        vectors=parts.vectors,
        words=parts.words,
    )


class Searchable:
    """Reads are of one moment and wait for nothing. Safe to call from many threads."""

    name: str
    database: Snapshots
    live: StoreView
    _parts: Parts

    @property
    def seq(self) -> int:
        """What a search that begins now sees at least."""
        return self.live.current.seq

    def search(
        self,
        question: str,
        *,
        top_k: int,
        filter: Filter | None = None,
        max_per_document: int | None = None,
        explain: bool = False,
    ) -> SearchResult:
        query = retrieval.Query(
            question=question, top_k=top_k, filter=filter, max_per_document=max_per_document, explain=explain
        )
        return retrieval.search(query, self.live.current, self.database, self._parts.encoder, self.name)

    def slice(self, document_id: str, version: int, start: int, end: int) -> str:
        """Text between two offsets, clamped. Raises UnknownDocument, UnknownVersion, DeletedDocument."""
        with self.database.reading() as connection:
            found = records.readable_version(connection, document_id, version)
            return records.slice_text(connection, found.version_key, max(0, start), min(end, found.characters))
