"""Brings a collection into step with files: what is new or changed is sent, what is gone is deleted.

Nothing is kept beside the collection. Which file a document is of, its `uri` says; that it came from there, its id,
which is made of the end of that path; whether it is what the file holds, the SHA-256 of its original.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embeddings.ahead import grouped
from service.calling import Call, Refused, listed, path_to
from service.digests import Digests
from service.folders import Found, FoundFile, is_gone, path_of_uri
from service.naming import document_id_of_path, is_made_of_path, media_type_of_name

FILES_SENT = 256
BYTES_SENT = 8_000_000
"""Together in one request: so many files, and no more than so large together."""
JOBS_AHEAD = 2
"""Jobs that wait while one is worked on."""
_LOOK_SECONDS = 0.25
_OVERLOADED = (429, 503)
_NOT_THERE = 404
_PATIENCE_SECONDS = 600.0
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Stored:
    document_id: str
    uri: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Failure:
    path: str
    problem: str


@dataclass(frozen=True, slots=True)
class Omission:
    """Of a file that was taken in."""

    path: str
    warning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    file: FoundFile
    document_id: str
    size: int
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    document_id: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What has to be done for the collection to be in step."""

    sendings: tuple[Sending, ...]
    removals: tuple[Removal, ...]
    unchanged: int
    empty: int
    """Files with nothing in them, which are no documents."""
    failures: tuple[Failure, ...]

    @property
    def is_done(self) -> bool:
        return not self.sendings and not self.removals


@dataclass(slots=True)
class Outcome:
    """What has been done so far."""

    new: int = 0
    changed: int = 0
    removed: int = 0
    failures: list[Failure] = field(default_factory=list)
    omissions: list[Omission] = field(default_factory=list)


def patient(call: Call) -> Call:
    """Waits while the service is too busy."""

    def one(method: str, path: str, **sent: Any) -> Any:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return call(method, path, **sent)
            except Refused as refusal:
                if refusal.status not in _OVERLOADED or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)

    return one


def stored_documents(call: Call, collection: str) -> list[Stored]:
    """Every live document of the collection; none where there is no such collection. Raises Refused."""
    try:
        documents = listed(patient(call), f"{path_to(collection)}/documents")
        return [Stored(one["document_id"], one["uri"], one["sha256"]) for one in documents]
    except Refused as refusal:
        if refusal.status == _NOT_THERE:
            return []
        raise


def planned(
    found: Found, stored: Iterable[Stored], digests: Digests, *, sync: bool, noticed: Callable[[int], None]
) -> Plan:
    """Compares files and documents; with `sync`, documents of walked folders whose files are gone are to be removed.

    `noticed` is told how many files have been compared.
    """
    documents = _Documents(stored)
    sendings: list[Sending] = []
    failures = [Failure(path, problem) for path, problem in found.unreadable]
    empty: set[Path] = set()
    unchanged = 0
    for number, file in enumerate(found.files, start=1):
        noticed(number)
        document = documents.of_file(file)
        try:
            size = file.path.stat().st_size
            is_same = document is not None and size and document.sha256 == digests.of(file.path)
        except OSError as error:
            failures.append(Failure(str(file.path), f"{error.strerror}."))
            continue
        if not size:
            empty.add(file.path)
        elif is_same:
            unchanged += 1
        else:
            document_id = documents.id_for(file) if document is None else document.document_id
            is_new = document_id not in documents
            sendings.append(Sending(file=file, document_id=document_id, size=size, is_new=is_new))
    return Plan(
        sendings=tuple(sendings),
        removals=tuple(documents.gone_from(found, empty)) if sync else (),
        unchanged=unchanged,
        empty=len(empty),
        failures=tuple(failures),
    )


class _Documents:
    """What the collection holds, by id, and by file where the id says that it came from one."""

    def __init__(self, stored: Iterable[Stored]) -> None:
        self._by_id = {one.document_id: one for one in stored}
        self._by_path: dict[Path, Stored] = {}
        for one in self._by_id.values():
            path = path_of_uri(one.uri)
            if path is not None and is_made_of_path(one.document_id, path):
                self._by_path[path] = one
        self._given: set[str] = set()

    def __contains__(self, document_id: str) -> bool:
        return document_id in self._by_id

    def of_file(self, file: FoundFile) -> Stored | None:
        return self._by_path.get(file.path)

    def id_for(self, file: FoundFile) -> str:
        """Of its path within the folder; where another document has that id, of more of its path."""
        whole, within = file.path.parts[1:], len(file.parts)
        ids = (document_id_of_path(whole[-length:]) for length in range(within, len(whole) + 1))
        document_id = next((one for one in ids if self._is_free(one)), document_id_of_path((*whole, "")))
        self._given.add(document_id)
        return document_id

    def _is_free(self, document_id: str) -> bool:
        """Nobody has it, or a file that has been moved away, with its folder perhaps, to where the new one is."""
        if document_id in self._given:
            return False
        holder = self._by_id.get(document_id)
        if holder is None:
            return True
        path = path_of_uri(holder.uri)
        return path in self._by_path and is_gone(path)

    def gone_from(self, found: Found, empty: Set[Path]) -> Iterator[Removal]:
        """Documents of files that were in one of the folders and are no longer, or that hold nothing any more."""
        present = {one.path for one in found.files} - empty
        for path, document in sorted(self._by_path.items()):
            is_within = any(root in path.parents for root in found.roots)
            is_taken_over = document.document_id in self._given
            if is_within and path not in present and not is_taken_over and (path in empty or is_gone(path)):
                yield Removal(document_id=document.document_id, path=str(path))


class Ingesting:
    """Carries out a plan with jobs of the service, a few ahead of the one that is worked on.

    Files larger than `most_bytes` are not even read. `told` is called with the number of files that are done, and their
    bytes. When the run is stopped, what was accepted and is not done is cancelled.
    """

    def __init__(
        self, call: Call, collection: str, digests: Digests, *, most_bytes: int, told: Callable[[int, int], None]
    ) -> None:
        self._most_bytes = most_bytes
        self._call = call
        self._call_patiently = patient(call)
        self._digests = digests
        self._collection = collection
        self._told = told
        self._jobs: deque[tuple[str, list[Sending]]] = deque()
        self.outcome = Outcome()
        self._settled = self._bytes_settled = 0

    def run(self, plan: Plan) -> Outcome:
        """Raises Refused where the service can take nothing more, httpx.HTTPError where it has gone."""
        self.outcome.failures += plan.failures
        try:
            for group in grouped(
                plan.sendings, weight=lambda one: one.size, most_items=FILES_SENT, most_weight=BYTES_SENT
            ):
                self._send(group)
                while len(self._jobs) > JOBS_AHEAD:
                    self._settle_next()
            while self._jobs:
                self._settle_next()
        except BaseException:
            self._cancel_all()
            raise
        # Last, so that a file that was renamed finds the vectors of its old name.
        for removal in plan.removals:
            self._remove(removal)
        return self.outcome

    def _send(self, group: list[Sending]) -> None:
        contents = [(one, content) for one in group if (content := self._content(one)) is not None]
        if not contents:
            return
        try:
            accepted = self._call_patiently(
                "POST", f"{path_to(self._collection)}/documents", files=[*_form(contents)], timeout=_PATIENCE_SECONDS
            )
        except Refused as refusal:
            self._send_apart([one for one, _ in contents], refusal)
        else:
            self._jobs.append((accepted["job_id"], [one for one, _ in contents]))

    def _send_apart(self, group: list[Sending], refusal: Refused) -> None:
        """What the service says of many it may say of one of them only; what it cannot do at all ends the run."""
        if refusal.status is None or refusal.status >= 500 or refusal.status in (401, 403, _NOT_THERE):
            raise refusal
        if len(group) == 1:
            self._fail(group[0], str(refusal))
            return
        for half in (group[: len(group) // 2], group[len(group) // 2 :]):
            self._send(half)

    def _content(self, sending: Sending) -> bytes | None:
        if sending.size > self._most_bytes:
            limit = f"at most {self._most_bytes:,} are taken (LOCCIT_MAX_DOCUMENT_BYTES)"
            self._fail(sending, f"The file has {sending.size:,} bytes, and {limit}.")
            return None
        try:
            return self._digests.read(sending.file.path)
        except OSError as error:
            self._fail(sending, f"{error.strerror}.")
            return None

    def _settle_next(self) -> None:
        job_id, group = self._jobs[0]
        settled: set[int] = set()
        while True:
            job = self._call_patiently("GET", f"/v1/jobs/{job_id}")
            for place, item in enumerate(job["items"]):
                if place not in settled and item["state"] != "queued":
                    settled.add(place)
                    self._settle(group[place], item)
            if job["finished_at"] is not None:
                break
            self._told(self._settled, self._bytes_settled)
            time.sleep(_LOOK_SECONDS)
        self._jobs.popleft()

    def _settle(self, sending: Sending, item: Mapping[str, Any]) -> None:
        if item["state"] != "succeeded":
            self._fail(sending, item["problem"] or f"The job was {item['state']}.")
            return
        self.outcome.omissions += (Omission(str(sending.file.path), warning) for warning in item["warnings"])
        if sending.is_new:
            self.outcome.new += 1
        else:
            self.outcome.changed += 1
        self._progress(sending)

    def _fail(self, sending: Sending, problem: str) -> None:
        self.outcome.failures.append(Failure(str(sending.file.path), problem))
        self._progress(sending)

    def _progress(self, sending: Sending) -> None:
        self._settled += 1
        self._bytes_settled += sending.size
        self._told(self._settled, self._bytes_settled)

    def _remove(self, removal: Removal) -> None:
        try:
            self._call_patiently("DELETE", path_to(self._collection, removal.document_id))
        except Refused as refusal:
            if refusal.status != _NOT_THERE:
                raise
        self.outcome.removed += 1

    def _cancel_all(self) -> None:
        """What is left of the jobs is sent again by the next run."""
        for job_id, _ in self._jobs:
            try:
                self._call("DELETE", f"/v1/jobs/{job_id}")
            except Exception:
                return  # The reason why the run ended says more.


def _form(contents: Iterable[tuple[Sending, bytes]]) -> Iterator[tuple[str, tuple[str | None, Any, str]]]:
    """The parts of a form: the files, and what is said of them."""
    told = []
    for sending, content in contents:
        file = sending.file
        told.append({"document_id": sending.document_id, "uri": file.uri})
        yield "file", (sending.document_id, content, media_type_of_name(file.path.name))
    yield "documents", (None, json.dumps(told).encode(), "application/json")
