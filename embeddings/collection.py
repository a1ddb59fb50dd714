"""One collection: its store, its originals, and the view that searches see."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from embeddings.ahead import ahead, grouped
from embeddings.arrays import Vectors
from embeddings.corpus import passages, records, writes
from embeddings.corpus.conditions import condition
from embeddings.corpus.database import Connection, Database
from embeddings.domain import (
    CollectionInfo,
    DeleteReceipt,
    DocumentRecord,
    Original,
    Passage,
    PutReceipt,
    Source,
    VersionText,
)
from embeddings.encoding import PassageEncoding, Progress
from embeddings.erasing import Erasing
from embeddings.errors import Busy, DiskFull, LoccitError, StoreReadOnly, UnknownDocument
from embeddings.files import Originals, make_folder, remove_unfinished
from embeddings.filters import Filter
from embeddings.ingestion import PreparedDocument, encoded_texts
from embeddings.live_view import LiveView
from embeddings.parts import Parts
from embeddings.recutting import FINGERPRINT, Recutting
from embeddings.registry import NAME, STORE
from embeddings.searchable import INDEXES, Searchable, checkpoints_of

logger = logging.getLogger(__name__)

PREPARED_AHEAD = 2
"""Groups prepared while one is committed: while one of them is cut, the other is encoded."""
GROUP = 64
GROUP_BYTES = 256_000
"""Documents that are encoded, committed and synced together: so many, and no more than so large together."""
QUICKLY_INDEXED = 50_000
"""Passages: an index of so many is written in a few seconds."""

Companion = Callable[[Connection, Sequence[int]], None]
"""Writes into the transaction that commits versions, told their numbers in the order of the documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Documents that only have to be committed."""

    documents: Mapping[int, PreparedDocument]
    """By their place among the sources."""
    refusals: Mapping[int, LoccitError]
    """Of the sources that are no documents."""
    vectors: Mapping[bytes, Vectors]
    """By the SHA of the content: those that the store did not hold."""


class Upkeep(Protocol):
    """What looks after the disk and the indexes of many collections."""

    def require_space(self, upload_bytes: int, unused_bytes: int = 0) -> None:
        """Raises DiskFull, StoreReadOnly."""
        ...

    def tend(self, collection: Collection) -> None:
        """Called after each write."""
        ...


class Collection(Searchable):
    """Writes are durable and searchable when they return.

    Only one process may hold a collection, which the library's lease sees to; others may follow it.
    """

    database: Database
    live: LiveView

    def __init__(self, name: str, folder: Path, parts: Parts, upkeep: Upkeep) -> None:
        self.name = name
        self.folder = folder
        self._parts = parts
        self._upkeep = upkeep
        self._retirement: Callable[[], LoccitError] | None = None
        for part in (folder, folder / INDEXES, folder / "originals"):
            make_folder(part)
        remove_unfinished(folder)
        self.originals = Originals(folder / "originals")
        self.database = Database(folder / STORE, schema="collection")
        try:
            self._open()
        except BaseException:
            self.database.close()
            raise

    def _open(self) -> None:
        self._committing = threading.Lock()
        self._encoding = PassageEncoding(self._parts.encoder, self.database, self._committing)
        self._begin()
        Recutting(
            self.name,
            self.database,
            self._parts.ingestion,
            self._encoding,
            fingerprint=self._parts.fingerprint,
            of_the_encoder=self._parts.fingerprints_of_the_encoder,
        ).finish()
        self.live = LiveView(self.database, checkpoints_of(self.folder, self._parts))
        self._erasing = Erasing(self.database, self.originals, self.live, self._committing)
        try:
            self._erasing.finish()
        except (Busy, DiskFull, StoreReadOnly) as error:
            logger.error("a purge is not finished yet", extra={"collection": self.name, "reason": str(error)})

    def _begin(self) -> None:
        with self.database.writing() as connection:
            if records.meta(connection, "seq") is None:
                records.set_meta(connection, "seq", 0)
                records.set_meta(connection, "created_at", records.now_microseconds())
                records.set_meta(connection, FINGERPRINT, self._parts.fingerprint)
            if records.meta(connection, NAME) != self.name:
                records.set_meta(connection, NAME, self.name)

    # Reading

    def wait_for(self, seq: int, *, timeout_seconds: float = 2.0) -> None:
        """Raises SequenceNotReached."""
        self.live.wait_for(seq, timeout_seconds)

    def info(self) -> CollectionInfo:
        view = self.live.current
        with self.database.reading() as connection:
            documents = connection.execute("SELECT count(*) FROM documents WHERE current_key IS NOT NULL").get
            return CollectionInfo(
                collection=self.name,
                title=records.meta(connection, "title"),
                documents=documents,
                passages=view.passages,
                seq=view.seq,
                encoder=self._parts.encoder.name,
                index_kind=self._parts.vectors.kind(0 if view.base is None else len(view.base)),
                index_vectors=view.passages,
                created_at=records.moment(records.meta(connection, "created_at")),
            )

    def document(self, document_id: str) -> DocumentRecord:
        """Raises UnknownDocument, DeletedDocument."""
        with self.database.reading() as connection:
            return records.document(connection, self.name, document_id)

    def documents(
        self, *, prefix: str = "", filter: Filter | None = None, after: str | None = None, limit: int = 100
    ) -> list[DocumentRecord]:
        """Live documents by id, those after `after`; without their versions."""
        with self.database.reading() as connection:
            return records.documents(
                connection, self.name, prefix=prefix, condition=condition(filter), after=after, limit=limit
            )

    def text(self, document_id: str, version: int | None = None) -> VersionText:
        """Raises UnknownDocument, UnknownVersion, DeletedDocument."""
        with self.database.reading() as connection:
            found = records.readable_version(connection, document_id, version)
            return VersionText(
                document_id=document_id,
                version=found.version,
                current=found.is_current,
                text=records.slice_text(connection, found.version_key, 0, found.characters),
                sha256=found.text_sha.hex(),
            )

    def original(self, document_id: str, version: int | None = None) -> Original:
        """Raises UnknownDocument, UnknownVersion, DeletedDocument, StoreCorrupt."""
        with self.database.reading() as connection:
            found = records.readable_version(connection, document_id, version)
        return Original(
            content=self.originals.read(found.source_sha), media_type=found.media_type, sha256=found.source_sha.hex()
        )

    def passage(self, passage_id: str) -> Passage:
        """Of any version. Raises UnknownPassage, DeletedDocument."""
        with self.database.reading() as connection:
            return passages.passage_by_id(connection, self.name, passage_id)

    # Writing

    def require_space(self, upload_bytes: int) -> None:
        """Raises DiskFull, StoreReadOnly."""
        self._upkeep.require_space(upload_bytes, self.database.unused_bytes)

    def set_title(self, title: str) -> None:
        with self._committing, self.database.writing() as connection:
            records.set_meta(connection, "title", title)

    def put(self, document_id: str, source: Source) -> PutReceipt:
        """Store a document, or a new version of it; on disk and searchable when this returns.

        The same text again makes no version and encodes nothing. Raises InvalidText, UnsupportedMediaType, DiskFull,
        StoreReadOnly; then nothing has changed.
        """
        encoded = self.prepare([source])
        for refusal in encoded.refusals.values():
            raise refusal
        return self.commit([document_id], encoded)[0]

    def put_many(self, documents: Iterable[tuple[str, Source]]) -> Iterator[PutReceipt]:
        """Like `put`, in groups, while those that follow are prepared; each is stored when its receipt comes.

        Ends with the first that is refused.
        """
        groups = grouped(documents, weight=lambda one: len(one[1].content), most_items=GROUP, most_weight=GROUP_BYTES)
        for group, prepared in ahead(
            lambda group: self.prepare([one for _, one in group]), groups, threads=PREPARED_AHEAD
        ):
            encoded = prepared.result()
            first_refused = min(encoded.refusals, default=len(group))
            yield from self.commit([name for name, _ in group[:first_refused]], encoded)
            if first_refused < len(group):
                raise encoded.refusals[first_refused]

    def prepare(self, sources: Sequence[Source], *, progress: Progress | None = None) -> Encoded:
        """What of a `put` takes time: load, cut, encode. Nobody sees anything of it before `commit`."""
        self.require_space(sum(len(source.content) for source in sources))
        documents: dict[int, PreparedDocument] = {}
        refusals: dict[int, LoccitError] = {}
        for place, source in enumerate(sources):
            try:
                documents[place] = self._parts.ingestion.prepare(source)
            except LoccitError as refusal:
                refusals[place] = refusal
        with self._forgetting_what_fails(documents.values()):
            self.originals.add([sources[place].content for place in documents])
            texts = encoded_texts(passage for one in documents.values() for passage in one.passages)
            vectors = self._encoding.missing(texts, progress)
        return Encoded(documents=documents, refusals=refusals, vectors=vectors)

    def commit(
        self, document_ids: Sequence[str], encoded: Encoded, *, companion: Companion | None = None
    ) -> list[PutReceipt]:
        """Make each of the documents a version under its id, all in one transaction.

        Where there are fewer ids than documents, those past them are left out.
        """
        named = list(zip(document_ids, encoded.documents.values(), strict=False))
        vectors = dict(encoded.vectors)
        with self._forgetting_what_fails(encoded.documents.values()):
            while (changes := self._commit(named, vectors, companion)) is None:
                texts = encoded_texts(passage for _, one in named for passage in one.passages)
                vectors |= self._encoding.missing(texts)
        left_out = [one.source_sha for one in encoded.documents.values()][len(named) :]
        self.forget({*left_out, *(change.replaced for change in changes if change.replaced)})
        self._upkeep.tend(self)
        return [self._receipt(name, one, change) for (name, one), change in zip(named, changes, strict=True)]

    def _commit(
        self,
        named: Sequence[tuple[str, PreparedDocument]],
        vectors: Mapping[bytes, Vectors],
        companion: Companion | None,
    ) -> list[writes.Change] | None:
        """None where vectors that were known are gone, since the last passage that used them was removed meanwhile."""
        with self._committing:
            # A purge of the same bytes may have removed them since they were prepared.
            self.originals.keep({one.source_sha: one.source.content for _, one in named})
            with self.database.writing() as connection:
                wanted = {passage.content_sha for _, one in named for passage in one.passages}
                writes.store_vectors(connection, {sha: vector for sha, vector in vectors.items() if sha in wanted})
                if len(writes.known_vectors(connection, wanted)) < len(wanted):
                    return None
                now = records.now_microseconds()
                changes = [writes.put_version(connection, self.name, name, one, now) for name, one in named]
                writes.drop_unused_vectors(connection, [key for change in changes for key in change.ended])
                if companion is not None:
                    companion(connection, [change.version for change in changes])
            self.live.follow()
        return changes

    @contextmanager
    def _forgetting_what_fails(self, documents: Iterable[PreparedDocument]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.forget({one.source_sha for one in documents})
            raise

    def _receipt(self, document_id: str, prepared: PreparedDocument, change: writes.Change) -> PutReceipt:
        return PutReceipt(
            collection=self.name,
            document_id=document_id,
            version=change.version,
            created=change.created,
            unchanged=change.unchanged,
            passages=len(prepared.passages),
            seq=change.seq,
            warnings=prepared.loaded.warnings,
        )

    def delete(self, document_id: str, *, purge: bool = False) -> DeleteReceipt:
        """From the return on the document is in no answer; a purge also erases its text and bytes.

        A purge may follow a plain delete. Raises UnknownDocument where there is nothing to delete or to erase, Busy
        where a long read holds the erasing up: then the document is deleted, and the purge can be repeated.
        """
        with self._committing:
            with self.database.writing() as connection:
                found = records.find_version(connection, document_id)
                can_be_erased = purge and found is not None and self._erasing.has_traces(connection, found)
                if found is None or not (found.is_current or can_be_erased):
                    raise UnknownDocument(f"There is no document {document_id!r} in this collection.")
                deletion = writes.delete_document(connection, found)
            self.live.follow()
        if purge:
            with self._unless_retired():
                self._erasing.erase(document_id)
        self._upkeep.tend(self)
        return DeleteReceipt(
            document_id=document_id, versions=deletion.versions, passages=deletion.passages, seq=deletion.seq
        )

    def forget(self, shas: Iterable[bytes]) -> None:
        """Remove the originals that neither a version nor an unfinished job needs.

        Where that fails, the caller's own work stays as it is, and the next start removes them.
        """
        try:
            self._erasing.forget(shas)
        except (LoccitError, OSError) as error:
            logger.error("an original is left over", extra={"collection": self.name, "reason": str(error)})

    def tidy(self, is_cancelled: Callable[[], bool]) -> None:
        """Remove what was left when the process was killed before it could name it."""
        self._erasing.forget_unnamed(is_cancelled)
        self.drop_unused_vectors(is_cancelled)

    def drop_unused_vectors(self, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Those of work that was given up; who still comes to need one encodes it again."""
        self._erasing.drop_unused_vectors(is_cancelled)

    def retire(self, refusal: Callable[[], LoccitError]) -> None:
        """From the return on nothing is written, and nobody is told that it was: who tries is told `refusal`."""
        with self._committing:
            self._retirement = refusal
            self.database.refuse_writes(refusal)
            self.originals.refuse_writes(refusal)

    @contextmanager
    def _unless_retired(self) -> Iterator[None]:
        """Whose files were taken away meanwhile is told that, and not which of them was missed."""
        try:
            yield
        except OSError:
            if self._retirement is None:
                raise
            raise self._retirement() from None

    def close(self) -> None:
        """Checkpoint what has been written, so that the next start is quick; not where that would take minutes."""
        try:
            is_quick = self.live.current.passages <= QUICKLY_INDEXED
            if is_quick and self.live.is_dirty and self.database.is_writable:
                self.live.checkpoint()
        finally:
            self.database.close()
