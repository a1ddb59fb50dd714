"""Accepted work: on disk when accepted, done in the background, taken up again after a restart."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeAlias

from embeddings.ahead import ahead, grouped
from embeddings.collection import GROUP, GROUP_BYTES, PREPARED_AHEAD, Collection, Encoded
from embeddings.corpus import jobs as stored
from embeddings.corpus.database import Connection
from embeddings.corpus.records import moment
from embeddings.domain import Source
from embeddings.errors import Busy, IdempotencyConflict, LoccitError, NotThere, StoreCorrupt, UnknownJob
from embeddings.library import Library
from embeddings.registry import add_job, forget_jobs, jobs_of

logger = logging.getLogger(__name__)

QUEUE_LENGTH = 1_000
_OUR_FAULT = "The document could not be read, by a fault of the service. Its log says more."


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    document_id: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    job_id: str
    collection: str
    state: str
    """queued, running, succeeded (every item did), failed (at least one did), cancelled."""
    done: int
    total: int
    unit: str
    """documents; bytes, where the job is a single document."""
    items: tuple[stored.StoredItem, ...]
    created_at: datetime
    finished_at: datetime | None
    rate_per_s: float | None
    eta_s: float | None

    @property
    def is_finished(self) -> bool:
        return self.state in stored.FINISHED


class _Cancelled(Exception):
    pass


class Jobs:
    """One worker: encoding already uses every core."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._unfinished = 0
        self._share_done: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        for holder in library.opened():
            try:
                self._take_up(holder)
            except StoreCorrupt as damage:
                # One so large that it is still being checked, and is going to be quarantined.
                logger.error("jobs not taken up", extra={"collection": holder.name, "reason": str(damage)})
        self._worker = threading.Thread(target=self._work, name="jobs")
        self._worker.start()

    def _take_up(self, holder: Collection) -> None:
        """What was not finished when the service ended."""
        with holder.database.reading() as connection:
            known = set(stored.all_jobs(connection))
            for job_id in stored.unfinished_jobs(connection):
                self._enqueue(job_id)
        forget_jobs(self._library.system, set(jobs_of(self._library.system, holder.name)) - known)

    @property
    def unfinished(self) -> int:
        return self._unfinished

    def submit(
        self,
        collection: str,
        uploads: Sequence[Upload],
        *,
        idempotency_key: str | None = None,
        body_sha256: str | None = None,
    ) -> JobRecord:
        """Accept documents: on disk when this returns, searchable when the job says so.

        Raises UnknownCollection, Busy, DiskFull, IdempotencyConflict.
        """
        if self._unfinished >= QUEUE_LENGTH:
            raise Busy(f"{QUEUE_LENGTH} jobs are waiting already. Try again later.")
        holder = self._library.collection(collection)
        with holder.database.reading() as connection:
            repeated = _repeated(connection, idempotency_key, body_sha256)
        if repeated is not None:
            return self.get(repeated)
        holder.require_space(sum(len(upload.source.content) for upload in uploads))
        items = _stored_items(holder, uploads)
        job_id = secrets.token_hex(12)
        accepted = None
        try:
            accepted = self._accept(holder, job_id, items, idempotency_key, body_sha256)
        finally:
            # After a write that the disk failed, the job may be found to be there at the next start.
            if accepted != job_id and holder.database.is_writable:
                forget_jobs(self._library.system, [job_id])
                holder.forget({item.source_sha for item in items})
        if accepted == job_id:
            # Only now that the job names them are they safe from a purge of the same bytes.
            holder.originals.keep(
                {item.source_sha: upload.source.content for upload, item in zip(uploads, items, strict=True)}
            )
            self._enqueue(job_id)
        return self.get(accepted)

    def _accept(
        self, holder: Collection, job_id: str, items: Sequence[stored.StoredItem], key: str | None, body: str | None
    ) -> str:
        """The job, or an earlier one of the same request that came at the same time."""
        add_job(self._library.system, job_id, holder.name)
        with holder.database.writing() as connection:
            repeated = _repeated(connection, key, body)
            if repeated is None:
                stored.add_job(connection, job_id, items)
                if key is not None and body is not None:
                    stored.remember(connection, key, body, job_id)
        return repeated or job_id

    def get(self, job_id: str) -> JobRecord:
        """Raises UnknownJob."""
        holder = self._holder(job_id)
        with holder.database.reading() as connection:
            job = stored.find_job(connection, job_id)
        if job is None:
            raise UnknownJob("There is no such job.")
        return self._record(holder, job)

    def cancel(self, job_id: str) -> JobRecord:
        """What the job has not committed by now it never commits. A finished job stays as it is. Raises UnknownJob."""
        self._finish(self._holder(job_id), job_id, "cancelled")
        return self.get(job_id)

    def _finish(self, holder: Collection, job_id: str, state: str) -> None:
        with holder.database.writing() as connection:
            forgotten = stored.finish_job(connection, job_id, state)
        if forgotten:
            forget_jobs(self._library.system, forgotten)

    def close(self) -> None:
        """Stop between two batches; unfinished jobs go on at the next start."""
        self._stopping.set()
        self._waiting.put(None)
        self._worker.join()

    def _holder(self, job_id: str) -> Collection:
        with self._library.system.reading() as connection:
            name = connection.execute("SELECT collection FROM jobs WHERE job_id = ?", (job_id,)).get
        if name is None:
            raise UnknownJob("There is no such job.")
        return self._library.collection(name)

    def _enqueue(self, job_id: str) -> None:
        with self._lock:
            self._unfinished += 1
        self._waiting.put(job_id)

    def _work(self) -> None:
        while (job_id := self._waiting.get()) is not None and not self._stopping.is_set():
            try:
                self._run(job_id)
            except (_Cancelled, NotThere):
                pass  # nobody waits for it any more
            except Exception:
                # Whatever one job meets, those behind it still run; it is taken up again at the next start.
                logger.exception("job stopped", extra={"job": job_id})
            finally:
                self._share_done.pop(job_id, None)
                with self._lock:
                    self._unfinished -= 1

    def _run(self, job_id: str) -> None:
        holder = self._holder(job_id)
        with holder.database.writing() as connection:
            stored.start_job(connection, job_id)
        with holder.database.reading() as connection:
            job = stored.find_job(connection, job_id)
        if job is None:
            return
        try:
            if job.state == "running":
                self._do(holder, job)
        finally:
            with holder.database.reading() as connection:
                done = stored.find_job(connection, job_id)
            items = () if done is None else done.items
            holder.forget({item.source_sha for item in items if item.state in ("failed", "cancelled")})
            if any(item.state == "cancelled" for item in items):
                holder.drop_unused_vectors()
        self._finish(holder, job_id, "failed" if any(item.state == "failed" for item in items) else "succeeded")

    def _do(self, holder: Collection, job: stored.StoredJob) -> None:
        job_id = job.job_id
        prepare = partial(self._prepare, holder, job_id)
        with closing(ahead(prepare, _groups(holder, job), threads=PREPARED_AHEAD)) as prepared:
            for group, encoded in prepared:
                try:
                    self._commit(holder, job_id, group, encoded.result())
                except _Cancelled:
                    raise
                except Exception:
                    self._do_one_by_one(holder, job_id, group)

    def _prepare(self, holder: Collection, job_id: str, group: _Group) -> Encoded:
        def note_progress(done: int, total: int) -> None:
            self._share_done[job_id] = done / total
            with holder.database.reading() as connection:
                self._require_running(connection, job_id)

        sources = [stored.described(item.source, holder.originals.read(item.source_sha)) for _, item in group]
        return holder.prepare(sources, progress=note_progress)

    def _commit(self, holder: Collection, job_id: str, group: _Group, encoded: Encoded) -> None:
        """The documents of the group, and what became of its items, in one transaction."""

        def finish(connection: Connection, versions: Sequence[int]) -> None:
            self._require_running(connection, job_id)
            for place, version in zip(encoded.documents, versions, strict=True):
                stored.finish_item(connection, job_id, group[place][0], version=version)
            for place, refusal in encoded.refusals.items():
                stored.finish_item(connection, job_id, group[place][0], problem=str(refusal))

        holder.commit([group[place][1].document_id for place in encoded.documents], encoded, companion=finish)

    def _do_one_by_one(self, holder: Collection, job_id: str, group: _Group) -> None:
        """After one of a group has met something unforeseen, so that those beside it don't suffer."""
        for position, item in group:
            try:
                self._commit(holder, job_id, [(position, item)], self._prepare(holder, job_id, [(position, item)]))
            except _Cancelled:
                raise
            except Exception as error:
                problem = str(error) if isinstance(error, LoccitError) else _OUR_FAULT
                logger.warning("item failed", extra={"job": job_id, "item": position}, exc_info=True)
                with holder.database.writing() as connection:
                    stored.finish_item(connection, job_id, position, problem=problem)

    def _require_running(self, connection: Connection, job_id: str) -> None:
        state = connection.execute("SELECT state FROM jobs WHERE job_id = ?", (job_id,)).get
        if state != "running" or self._stopping.is_set():
            raise _Cancelled

    def _record(self, holder: Collection, job: stored.StoredJob) -> JobRecord:
        done, total, unit = self._progress(holder, job)
        end = job.finished_at or time.time_ns() // 1000
        seconds = (end - job.started_at) / 1_000_000 if job.started_at else 0.0
        rate = done / seconds if seconds > 0 else None
        return JobRecord(
            job_id=job.job_id,
            collection=holder.name,
            state=job.state,
            done=done,
            total=total,
            unit=unit,
            items=job.items,
            created_at=moment(job.created_at),
            finished_at=moment(job.finished_at) if job.finished_at else None,
            rate_per_s=None if rate is None else round(rate, 3),
            eta_s=round((total - done) / rate, 3) if rate and job.finished_at is None else None,
        )

    def _progress(self, holder: Collection, job: stored.StoredJob) -> tuple[int, int, str]:
        settled = sum(item.state in ("succeeded", "failed") for item in job.items)
        if len(job.items) != 1:
            return settled, len(job.items), "documents"
        total = holder.originals.size(job.items[0].source_sha) or 1
        return int(total * (1.0 if settled else self._share_done.get(job.job_id, 0.0))), total, "bytes"


_Group: TypeAlias = list[tuple[int, stored.StoredItem]]
"""Items of a job with their positions."""


def _groups(holder: Collection, job: stored.StoredJob) -> Iterator[_Group]:
    """What is still to be done of the job, as it is committed together."""
    queued = ((position, item) for position, item in enumerate(job.items) if item.state == "queued")
    return grouped(
        queued, weight=lambda one: holder.originals.size(one[1].source_sha), most_items=GROUP, most_weight=GROUP_BYTES
    )


def _stored_items(holder: Collection, uploads: Sequence[Upload]) -> list[stored.StoredItem]:
    shas = holder.originals.add([upload.source.content for upload in uploads])
    return [
        stored.StoredItem(
            document_id=upload.document_id,
            source_sha=sha,
            source=stored.description(upload.source),
            state="queued",
            version=None,
            problem=None,
        )
        for upload, sha in zip(uploads, shas, strict=True)
    ]


def _repeated(connection: Connection, key: str | None, body_sha256: str | None) -> str | None:
    """The job of an earlier request with the same key. Raises IdempotencyConflict where its body was another."""
    earlier = None if key is None else stored.find_repeated(connection, key)
    if earlier is None:
        return None
    if earlier[0] != body_sha256:
        raise IdempotencyConflict(
            "This Idempotency-Key was used with another body. Send a new key.", field="Idempotency-Key"
        )
    return earlier[1]
