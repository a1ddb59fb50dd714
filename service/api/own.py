"""The library and the jobs as one caller may see them: what belongs to others is not there.

Calls are given these and never the whole, so that none can forget to ask whose a collection is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embeddings.collection import Collection
from embeddings.domain import CollectionInfo
from embeddings.errors import UnknownCollection, UnknownJob
from embeddings.library import Check, Library
from service.access import Caller
from service.jobs import JobRecord, Jobs, Upload
from service.keys import Scope


@dataclass(frozen=True, slots=True)
class OwnLibrary:
    _library: Library
    _caller: Caller

    @property
    def seq(self) -> int:
        """The highest of all collections."""
        return self._library.seq

    def collections(self) -> list[CollectionInfo]:
        return [info for info in self._library.collections() if self._caller.grant.covers(info.collection)]

    def collection(self, name: str) -> Collection:
        """Raises UnknownCollection, StoreCorrupt."""
        self._require(name)
        return self._library.collection(name)

    def create(self, name: str, *, title: str | None = None) -> tuple[CollectionInfo, bool]:
        self._require(name)
        return self._library.create(name, title=title)

    def delete(self, name: str) -> None:
        self._require(name)
        self._library.delete(name)

    def checks(self) -> Mapping[str, Check]:
        """Details are for those who run the service: they name collections."""
        checks = self._library.checks()
        if self._caller.grant.allows(Scope.ADMIN) and self._caller.grant.collections is None:
            return checks
        return {name: Check(ok=check.ok, detail="") for name, check in checks.items()}

    def _require(self, name: str) -> None:
        if not self._caller.grant.covers(name):
            raise UnknownCollection(Library.unknown(name))


@dataclass(frozen=True, slots=True)
class OwnJobs:
    _jobs: Jobs
    _library: OwnLibrary
    _caller: Caller

    def submit(
        self,
        collection: str,
        uploads: Sequence[Upload],
        *,
        idempotency_key: str | None = None,
        body_sha256: str | None = None,
    ) -> JobRecord:
        self._library.collection(collection)
        # The same word of two callers is not the same key.
        own_key = f"{self._caller.key_id}/{idempotency_key}" if self._caller.key_id and idempotency_key else None
        return self._jobs.submit(
            collection, uploads, idempotency_key=own_key or idempotency_key, body_sha256=body_sha256
        )

    def get(self, job_id: str) -> JobRecord:
        """Raises UnknownJob."""
        job = self._jobs.get(job_id)
        if not self._caller.grant.covers(job.collection):
            raise UnknownJob("There is no such job.")
        return job

    def cancel(self, job_id: str) -> JobRecord:
        """Raises UnknownJob."""
        self.get(job_id)
        return self._jobs.cancel(job_id)
