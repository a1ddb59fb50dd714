"""Makes all passages of a collection anew, where another encoder or another way of cutting made them."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator

from embeddings.corpus import records, writes
from embeddings.corpus.database import Connection, Database
from embeddings.encoding import HELD, PassageEncoding, Texts
from embeddings.ingestion import Ingestion, PreparedPassage, encoded_texts, restore

FINGERPRINT = "fingerprint"
"""In `meta`: what made the live passages; empty where they are to be made anew."""
ENCODED_FOR = "encoded_for"
"""In `meta`: what made the vectors, while the live passages are still to be made."""
LOG_SECONDS = 10.0

logger = logging.getLogger(__name__)


def demand(connection: Connection, fingerprint: str) -> None:
    """Have all passages made anew when the collection is opened next; vectors of this fingerprint are kept."""
    if records.meta(connection, FINGERPRINT) == fingerprint:
        records.set_meta(connection, ENCODED_FOR, fingerprint)
        records.set_meta(connection, FINGERPRINT, "")


class Recutting:
    """Encodes first, storing vectors as they come, so that a start that is killed goes on where it was; then cuts.

    For a collection that nobody reads or writes yet.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        ingestion: Ingestion,
        encoding: PassageEncoding,
        *,
        fingerprint: str,
        of_the_encoder: Collection[str],
    ) -> None:
        self._name = name
        self._database = database
        self._ingestion = ingestion
        self._encoding = encoding
        self._fingerprint = fingerprint
        self._of_the_encoder = of_the_encoder

    def finish(self) -> None:
        """Nothing where the live passages are as they should be."""
        with self._database.reading() as connection:
            if records.meta(connection, FINGERPRINT) == self._fingerprint:
                return
            live = records.live_versions(connection)
        self._keep_vectors_of_this_encoder_only()
        for texts in self._texts(live):
            vectors = self._encoding.missing(texts)
            with self._database.writing() as connection:
                writes.store_vectors(connection, vectors)
        self._cut(live)

    def _keep_vectors_of_this_encoder_only(self) -> None:
        with self._database.writing() as connection:
            made_by = records.meta(connection, ENCODED_FOR) or records.meta(connection, FINGERPRINT)
            if made_by not in self._of_the_encoder:
                connection.execute("DELETE FROM vectors")
            records.set_meta(connection, ENCODED_FOR, self._fingerprint)
            records.set_meta(connection, FINGERPRINT, "")

    def _texts(self, live: list[records.StoredVersion]) -> Iterator[Texts]:
        """Of all versions, in parts of about as many as are held in memory."""
        told = -LOG_SECONDS
        part: dict[bytes, str] = {}
        for done, version in enumerate(live):
            if time.monotonic() - told > LOG_SECONDS:
                told = time.monotonic()
                logger.warning(
                    "making all passages anew",
                    extra={"collection": self._name, "documents": len(live), "done": done},
                )
            with self._database.reading() as connection:
                part |= encoded_texts(self._passages(connection, version))
            if len(part) >= HELD:
                yield part
                part = {}
        yield part

    def _cut(self, live: list[records.StoredVersion]) -> None:
        with self._database.writing() as connection:
            seq = writes.advance(connection)
            for version in live:
                writes.end_indexings(connection, version.version_key, seq)
                writes.add_indexing(connection, self._name, version, self._passages(connection, version), seq)
            records.set_meta(connection, FINGERPRINT, self._fingerprint)
            connection.execute("DELETE FROM meta WHERE name = ?", (ENCODED_FOR,))

    def _passages(self, connection: Connection, version: records.StoredVersion) -> tuple[PreparedPassage, ...]:
        text = records.slice_text(connection, version.version_key, 0, version.characters)
        loaded = restore(text, records.structure(connection, version.version_key))
        return self._ingestion.cut(loaded, version.title)
