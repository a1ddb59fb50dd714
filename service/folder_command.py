"""What `loccit ingest` does and says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from embeddings.errors import StoreLocked
from service.calling import Call, Refused, calling, path_to
from service.commands.printing import counted
from service.digests import Digests
from service.folders import Choice, Found, Patterns, find
from service.ingesting import Ingesting, Outcome, Plan, patient, planned, stored_documents
from service.progress import Display, in_words
from service.settings import Settings

_POLL_SECONDS = 2.0
_REST = 10
"""A folder that is followed is left alone for so many times as long as it takes to look at it."""
_MOST_KINDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be ingested, and how."""

    names: Sequence[str]
    collection: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hidden: bool = False
    sync: bool = False
    allow_empty: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done, or would be."""

    request: Request
    plan: Plan
    outcome: Outcome
    skipped: Mapping[str, int]
    seconds: float
    is_interrupted: bool = False

    @property
    def is_eventful(self) -> bool:
        return not self.plan.is_done or bool(self.outcome.failures)

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "collection": self.request.collection,
            "dry_run": self.request.dry_run,
            "interrupted": self.is_interrupted,
            **self._counts(),
            "unchanged": self.plan.unchanged,
            "empty": self.plan.empty,
            "skipped": dict(self.skipped),
            "failed": [asdict(one) for one in self.outcome.failures],
            "warnings": [asdict(one) for one in self.outcome.omissions],
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> list[str]:
        """For people."""
        counts = {**self._counts(), "unchanged": self.plan.unchanged, "failed": len(self.outcome.failures)}
        told = _listed(counts) or "no documents"
        place = f"{'Would be in' if self.request.dry_run else 'In'} {self.request.collection!r}"
        lines = [*self._changes(), f"{place}: {told} ({in_words(self.seconds)})."]
        left_out = {**dict(Counter(self.skipped).most_common(_MOST_KINDS)), "empty": self.plan.empty}
        if any(left_out.values()):
            more = " and more" if len(self.skipped) > _MOST_KINDS else ""
            lines.append(f"Left out: {_listed(left_out)}{more}. --include takes text of any ending.")
        if self.outcome.omissions:
            files = len({one.path for one in self.outcome.omissions})
            lines.append(f"In part: {counted(files, 'file')}, named below.")
        if self.is_interrupted:
            lines.append("Stopped. The same command goes on from here.")
        return lines

    def _counts(self) -> dict[str, int]:
        if not self.request.dry_run:
            return {"new": self.outcome.new, "changed": self.outcome.changed, "removed": self.outcome.removed}
        new = sum(one.is_new for one in self.plan.sendings)
        return {"new": new, "changed": len(self.plan.sendings) - new, "removed": len(self.plan.removals)}

    def _changes(self) -> list[str]:
        """What a dry run would do to each file."""
        if not self.request.dry_run:
            return []
        sent = [f"{'new     ' if one.is_new else 'changed '} {one.file.path}" for one in self.plan.sendings]
        return [*sent, *(f"removed  {one.path}" for one in self.plan.removals)]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def run(settings: Settings, request: Request) -> Report:
    """Brings the collection into step once. Raises Refused, LoccitError, httpx.HTTPError."""
    begun = time.monotonic()
    found = _found(settings, request)
    digests = Digests.of_folders(settings.data, (one.root for one in found.files))
    with calling(settings) as call:
        plan = _plan(call, found, request, digests)
        outcome, is_interrupted = _carried_out(call, plan, request, digests, settings.max_document_bytes)
    digests.save()
    return Report(
        request=request,
        plan=plan,
        outcome=outcome,
        skipped=found.skipped,
        seconds=time.monotonic() - begun,
        is_interrupted=is_interrupted,
    )


def follow(settings: Settings, request: Request, told: Callable[[Report], None]) -> None:
    """Goes on until it is interrupted, bringing the collection into step whenever files have come to rest.

    Between two rounds it holds neither the data folder nor a connection, so a service may start and stop meanwhile.
    """
    done: Mapping[Path, object] | None = None
    before: Mapping[Path, object] = {}
    while True:
        began = time.monotonic()
        now = _marks(_found(settings, request))
        looked = time.monotonic() - began
        if now != done and (now == before or done is None):
            # A service that cannot be reached, or is just stopping, is tried again in the next round.
            with suppress(httpx.TransportError, StoreLocked):
                report = run(settings, request)
                told(report)
                done = now
        before = now
        time.sleep(max(_POLL_SECONDS, _REST * looked if now == done else 0.0))


def _found(settings: Settings, request: Request) -> Found:
    choice = Choice(
        include=Patterns(request.include),
        exclude=Patterns(request.exclude),
        hidden=request.hidden,
        never=(settings.data.absolute(),),
    )
    return find(request.names, choice)


def _marks(found: Found) -> dict[Path, object]:
    """What changes when a file does."""
    marks: dict[Path, object] = {}
    for file in found.files:
        with suppress(OSError):
            status = file.path.stat()
            marks[file.path] = status.st_size, status.st_mtime_ns, status.st_ino
    return marks


def _plan(call: Call, found: Found, request: Request, digests: Digests) -> Plan:
    stored = stored_documents(call, request.collection)
    with Display("files compared", items=len(found.files), weight=len(found.files)) as display:
        plan = planned(found, stored, digests, sync=request.sync, noticed=lambda done: display.show(done, done))
    if plan.removals and not found.files and not request.allow_empty:
        raise Refused(
            f"No file is left in {', '.join(map(str, found.roots))}: {len(plan.removals):,} documents would be removed."
            " If the folder is really meant to be empty, add --allow-empty."
        )
    return plan


def _carried_out(call: Call, plan: Plan, request: Request, digests: Digests, most_bytes: int) -> tuple[Outcome, bool]:
    """What was done, and whether it was interrupted."""
    if request.dry_run or plan.is_done:
        return Outcome(failures=list(plan.failures)), False
    patient(call)("PUT", path_to(request.collection), json={})
    weight = sum(one.size for one in plan.sendings)
    with Display("documents", items=len(plan.sendings), weight=weight) as display:
        ingesting = Ingesting(call, request.collection, digests, most_bytes=most_bytes, told=display.show)
        try:
            return ingesting.run(plan), False
        except KeyboardInterrupt:
            return ingesting.outcome, True
