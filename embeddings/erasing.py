"""Purges: what is erased leaves no trace in the store, its log, the indexes and the originals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import takewhile

from embeddings.ahead import grouped
from embeddings.corpus import records, writes
from embeddings.corpus.database import Connection, Database
from embeddings.files import Originals
from embeddings.live_view import PURGES, LiveView

ERASING = "erasing"
"""In the store's own notes while traces of what was purged are left."""
LOOKED_UP = 1_000
"""Originals, or vectors, at once: writers need not wait long for those that are dropped."""


class Erasing:
    """Of one collection. What is cut short, by a kill or a long read, is finished by the next purge or start."""

    def __init__(self, database: Database, originals: Originals, live: LiveView, committing: threading.Lock) -> None:
        self._database = database
        self._originals = originals
        self._live = live
        self._committing = committing
        self._one_at_a_time = threading.Lock()
        """The note that a purge is not finished is of one purge."""

    @staticmethod
    def has_traces(connection: Connection, found: records.StoredVersion) -> bool:
        """Whether there may be something left to erase of a document that has been deleted."""
        return bool(found.source_sha or records.meta(connection, ERASING))

    def erase(self, document_id: str) -> None:
        """A document that has been deleted. Raises Busy where a long read holds it up."""
        with self._one_at_a_time:
            # A generation that is being written was read before: it would not learn what is erased under it.
            with self._live.between_generations(), self._committing, self._database.writing() as connection:
                is_overdue = records.meta(connection, ERASING)
                unnamed = writes.erase_document(connection, document_id)
                records.set_meta(connection, ERASING, 1)
                records.set_meta(connection, PURGES, (records.meta(connection, PURGES) or 0) + 1)
            if is_overdue:
                self.finish()
            else:
                self._erase_traces(unnamed)

    def finish(self) -> None:
        """What an earlier purge has left. Raises Busy, DiskFull, StoreReadOnly."""
        with self._database.reading() as connection:
            if not records.meta(connection, ERASING):
                return
        self._erase_traces(self._unnamed())

    def _erase_traces(self, unnamed: Iterable[bytes]) -> None:
        """In the store's log, the index generations and the originals, in this order."""
        with self._live.between_generations():
            self._database.truncate_log()
        self._live.forget_the_past()
        self.forget(unnamed)
        with self._committing, self._database.writing() as connection:
            records.set_meta(connection, ERASING, 0)

    def forget(self, shas: Iterable[bytes]) -> None:
        """Remove the originals that neither a version nor an unfinished job needs.

        None after a write that failed: what it wrote may be found at the next start, which also removes what is left.
        """
        for sha in shas:
            with self._committing:
                if self._database.is_writable:
                    self._originals.remove(sha, unless=partial(self._is_named, sha))

    def forget_unnamed(self, is_cancelled: Callable[[], bool]) -> None:
        """What work that was cut short has left; what goes on keeps its bytes again when it names them."""
        self.forget(takewhile(lambda _: not is_cancelled(), self._unnamed()))

    def drop_unused_vectors(self, is_cancelled: Callable[[], bool]) -> None:
        last: bytes | None = b""
        while last is not None and not is_cancelled():
            with self._database.reading() as connection:
                unused, last = writes.unused_vectors(connection, last, LOOKED_UP)
            if unused:
                with self._committing, self._database.writing() as connection:
                    writes.drop_vectors(connection, unused)

    def _unnamed(self) -> Iterator[bytes]:
        for shas in grouped(self._originals.all(), weight=lambda _: 0, most_items=LOOKED_UP, most_weight=0):
            with self._database.reading() as connection:
                unnamed = records.unnamed_originals(connection, shas)
            yield from unnamed

    def _is_named(self, sha: bytes) -> bool:
        with self._database.reading() as connection:
            return not records.unnamed_originals(connection, [sha])
