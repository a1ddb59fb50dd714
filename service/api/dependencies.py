"""What the calls are given: the engine, and ways to ask it off the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, TypeAlias, TypeVar

from fastapi import Depends, Path, Query
from fastapi import Request as HttpRequest
from starlette.types import Receive

from embeddings.collection import Collection
from embeddings.errors import LoccitError, SequenceNotReached, UnknownVersion
from service.access import Caller
from service.answerers.messages import Request
from service.api.gates import Gates
from service.api.leaving import unless_gone
from service.api.own import OwnJobs, OwnLibrary
from service.api.problems import naming
from service.api.schemas.fields import CollectionId, DocumentId, Seq
from service.api.schemas.requests import AskBody, SearchBody
from service.asking import work_out
from service.bootstrap import Engine
from service.metrics import Metrics

Result = TypeVar("Result")
_PARAMETERS: Mapping[type[LoccitError], str] = {SequenceNotReached: "?min_seq", UnknownVersion: "?version"}


@dataclass(frozen=True, slots=True)
class Desk:
    """The engine, seen from the event loop."""

    engine: Engine
    """For what belongs to no collection; collections and jobs are reached through the caller's own view of them."""
    gates: Gates
    metrics: Metrics
    caller: Caller
    receive: Receive
    """Tells when the client is gone, once its request has been read."""
    began: float = field(default_factory=time.perf_counter)

    @property
    def waited_ms(self) -> float:
        """How long the request is here."""
        return 1000 * (time.perf_counter() - self.began)

    @property
    def library(self) -> OwnLibrary:
        return OwnLibrary(self.engine.library, self.caller)

    @property
    def jobs(self) -> OwnJobs:
        return OwnJobs(self.engine.jobs, self.library, self.caller)

    async def look(
        self, name: str, call: Callable[[Collection], Result], *, min_seq: int | None = None
    ) -> tuple[Result, int]:
        """What the call finds in the collection, and the sequence number that it saw at least."""
        with naming(_PARAMETERS):
            await self.reach(name, min_seq)
            return await self.gates.lookups.run(partial(_look, self.library, name, call))

    async def answer(self, body: SearchBody | AskBody, sent: object) -> bytes:
        """JSON. `sent` is the body as it came.

        Raises Busy, and ClientDisconnect where nobody waits for it any more before its turn.
        """
        return await unless_gone(
            self.receive, partial(self.gates.of(body.verb).let_in, partial(self.work_out, body, sent))
        )

    async def work_out(self, body: SearchBody | AskBody, sent: object) -> bytes:
        """For whoever has been let in: by a process that does nothing else, if there is one; in a thread, if not."""
        if self._has_others_beside(body.verb):
            self.engine.answerers.demand.note()
        collection = self.library.collection(body.collection)
        waited_ms = self.waited_ms
        answered = await self.engine.answerers.work_out(
            Request(
                verb=body.verb,
                collection=collection.name,
                place=collection.folder.name,
                seq=collection.seq,
                waited_ms=waited_ms,
                body=sent,
            )
        )
        if answered is None:
            call = partial(work_out, body, collection, self.engine.answering, waited_ms=waited_ms)
            answered = await self.gates.of(body.verb).in_thread(call)
        self.metrics.question(answered.timings_ms)
        if answered.outcome is not None:
            self.metrics.answer(answered.outcome)
        return answered.json

    def _has_others_beside(self, verb: str) -> bool:
        return self.gates.of(verb).has_queue or bool(self.gates.writes.occupied or self.engine.jobs.unfinished)

    async def write(self, call: Callable[[], Result]) -> Result:
        return await self.gates.writes.run(call)

    async def reach(self, name: str, min_seq: int | None) -> None:
        """Waits for the collection to reach a sequence number. Raises SequenceNotReached."""
        if min_seq is not None:
            await self.gates.sequences.run(lambda: self.library.collection(name).wait_for(min_seq))


def _look(library: OwnLibrary, name: str, call: Callable[[Collection], Result]) -> tuple[Result, int]:
    collection = library.collection(name)
    seq = collection.seq
    return call(collection), seq


async def _desk(request: HttpRequest) -> Desk:
    state = request.app.state
    return Desk(state.engine, state.gates, state.metrics, request.state.caller, request.receive)


DeskDep: TypeAlias = Annotated[Desk, Depends(_desk)]
CollectionPath: TypeAlias = Annotated[CollectionId, Path()]
DocumentPath: TypeAlias = Annotated[DocumentId, Path()]
MinSeq: TypeAlias = Annotated[
    Seq | None, Query(description="Wait up to 2 s until the collection has reached this sequence number.")
]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=1000)]
Cursor: TypeAlias = Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")]
Version: TypeAlias = Annotated[int | None, Query(ge=1, lt=2**31, description="The current one where it is not given.")]
