"""Search and ask, one at a time or several at once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial

import anyio
from fastapi import Request
from starlette.responses import Response
from starlette.types import Scope

from embeddings.errors import LoccitError, SequenceNotReached, UnknownCollection
from service.api.dependencies import Desk, DeskDep
from service.api.gates import Gate
from service.api.leaving import unless_gone
from service.api.problems import NOT_BUILT_YET, Problem, naming, problem_object, problem_of
from service.api.replies import as_json, problems
from service.api.routing import BatchRoute, QuestionRoute, router
from service.api.schemas.requests import AskBatchBody, AskBody, SearchBatchBody, SearchBody
from service.api.schemas.responses import AnswerBatchModel, AnswerModel, SearchBatchModel, SearchModel

single = router(QuestionRoute, tag="Questions")
several = router(BatchRoute, tag="Questions")

_log = logging.getLogger("loccit.questions")
_REFUSED = problems(400, 404, 409, 413, 415)
_FIELDS: Mapping[type[LoccitError], str] = {UnknownCollection: "/collection", SequenceNotReached: "/min_seq"}


@single.post("/v1/search", response_model=SearchModel, responses=_REFUSED)
async def search(body: SearchBody, desk: DeskDep, request: Request) -> Response:
    """The passages that fit a question best."""
    return await _single(desk, body, request)


@single.post("/v1/ask", response_model=AnswerModel, responses={**_REFUSED, **problems(501)})
async def ask(body: AskBody, desk: DeskDep, request: Request) -> Response:
    """An answer with the quotes that it stands on, or the reason why there is none."""
    return await _single(desk, body, request)


@several.post("/v1/search/batch", response_model=SearchBatchModel, responses=_REFUSED)
async def search_batch(body: SearchBatchBody, desk: DeskDep, request: Request) -> Response:
    """Several searches; a problem stands in the place of one that failed."""
    return await _several(desk, desk.gates.searches, body.requests, request)


@several.post("/v1/ask/batch", response_model=AnswerBatchModel, responses=_REFUSED)
async def ask_batch(body: AskBatchBody, desk: DeskDep, request: Request) -> Response:
    """Several questions; a problem stands in the place of one that failed."""
    return await _several(desk, desk.gates.asks, body.requests, request)


async def _single(desk: Desk, body: SearchBody | AskBody, request: Request) -> Response:
    _refuse_unbuilt(body)
    with naming(_FIELDS):
        await desk.reach(body.collection, body.min_seq)
        return as_json(await desk.answer(body, await request.json()))


async def _several(desk: Desk, gate: Gate, bodies: Sequence[SearchBody | AskBody], request: Request) -> Response:
    sent = (await request.json())["requests"]
    found = await unless_gone(
        desk.receive, partial(_all, desk, gate, list(zip(bodies, sent, strict=True)), request.scope)
    )
    return as_json(b'{"responses":[' + b",".join(found) + b"]}")


async def _all(
    desk: Desk, gate: Gate, questions: Sequence[tuple[SearchBody | AskBody, object]], scope: Scope
) -> list[bytes]:
    """Each as if it were alone, as many at a time as the gate lets through."""
    found = [b""] * len(questions)

    async def one(place: int, body: SearchBody | AskBody, sent: object) -> None:
        try:
            _refuse_unbuilt(body)
            with naming(_FIELDS):
                await desk.reach(body.collection, body.min_seq)
                found[place] = await gate.let_in_admitted(partial(desk.work_out, body, sent))
        except Exception as error:
            if not isinstance(error, LoccitError | Problem):
                _log.exception("failed in a batch")
            found[place] = json.dumps(problem_object(problem_of(error), scope)).encode()

    with gate.admission(len(questions)):
        async with anyio.create_task_group() as tasks:
            for place, (body, sent) in enumerate(questions):
                tasks.start_soon(one, place, body, sent)
    return found


def _refuse_unbuilt(body: SearchBody | AskBody) -> None:
    if not isinstance(body, AskBody):
        return
    if body.mode == "generative":
        raise Problem(NOT_BUILT_YET, "No language model can be used yet; leave `mode` out.")
    if body.stream:
        raise Problem(NOT_BUILT_YET, "Answers are not streamed yet; leave `stream` out.")
