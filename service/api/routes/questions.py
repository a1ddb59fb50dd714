"""Search and ask, one at a time or several at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import anyio
from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Scope

from embeddings.errors import LoccitError, SequenceNotReached, UnknownCollection
from service.api.dependencies import Desk, DeskDep
from service.api.gates import Gate
from service.api.leaving import unless_gone
from service.api.problems import NOT_BUILT_YET, Problem, naming, problem_object, problem_of
from service.api.replies import json_reply, problems
from service.api.routing import BatchRoute, QuestionRoute, router
from service.api.schemas.requests import AskBatchBody, AskBody, SearchBatchBody, SearchBody
from service.api.schemas.responses import AnswerBatchModel, AnswerModel, ProblemModel, SearchBatchModel, SearchModel

single = router(QuestionRoute, tag="Questions")
several = router(BatchRoute, tag="Questions")

_log = logging.getLogger("loccit.questions")
_REFUSED = problems(400, 404, 409, 413, 415)
_FIELDS: Mapping[type[LoccitError], str] = {UnknownCollection: "/collection", SequenceNotReached: "/min_seq"}
Asked = TypeVar("Asked", SearchBody, AskBody)
Answered = TypeVar("Answered", bound=BaseModel)


@single.post("/v1/search", response_model=SearchModel, responses=_REFUSED)
async def search(body: SearchBody, desk: DeskDep) -> Response:
    """The passages that fit a question best."""
    with naming(_FIELDS):
        await desk.reach(body.collection, body.min_seq)
        return json_reply(await desk.search(partial(_search, desk, body)))


@single.post("/v1/ask", response_model=AnswerModel, responses={**_REFUSED, **problems(501)})
async def ask(body: AskBody, desk: DeskDep) -> Response:
    """An answer with the quotes that it stands on, or the reason why there is none."""
    _refuse_unbuilt(body)
    with naming(_FIELDS):
        await desk.reach(body.collection, body.min_seq)
        return json_reply(await desk.ask(partial(_ask, desk, body)))


@several.post("/v1/search/batch", response_model=SearchBatchModel, responses=_REFUSED)
async def search_batch(body: SearchBatchBody, desk: DeskDep, request: Request) -> Response:
    """Several searches; a problem stands in the place of one that failed."""
    call = partial(_all, desk, desk.gates.searches, body.requests, partial(_search, desk), request.scope)
    found = await unless_gone(desk.receive, call)
    return json_reply(SearchBatchModel(responses=found))


@several.post("/v1/ask/batch", response_model=AnswerBatchModel, responses=_REFUSED)
async def ask_batch(body: AskBatchBody, desk: DeskDep, request: Request) -> Response:
    """Several questions; a problem stands in the place of one that failed."""
    call = partial(_all, desk, desk.gates.asks, body.requests, partial(_ask, desk), request.scope)
    found = await unless_gone(desk.receive, call)
    return json_reply(AnswerBatchModel(responses=found))


def _search(desk: Desk, body: SearchBody) -> SearchModel:
    result = desk.library.collection(body.collection).search(
        body.question,
        top_k=body.top_k,
        filter=body.filter,
        max_per_document=body.max_per_document,
        explain=body.explain,
    )
    desk.metrics.question(result.timings_ms)
    return SearchModel.from_domain(body.question, result)


def _ask(desk: Desk, body: AskBody) -> AnswerModel:
    _refuse_unbuilt(body)
    answer = desk.engine.answering.answer(
        body.to_domain(waited_ms=desk.waited_ms), desk.library.collection(body.collection)
    )
    desk.metrics.question(answer.timings_ms)
    desk.metrics.answer(answer.no_answer_reason.value if answer.no_answer_reason else "answered")
    return AnswerModel.from_domain(answer)


def _refuse_unbuilt(body: AskBody) -> None:
    if body.mode == "generative":
        raise Problem(NOT_BUILT_YET, "No language model can be used yet; leave `mode` out.")
    if body.stream:
        raise Problem(NOT_BUILT_YET, "Answers are not streamed yet; leave `stream` out.")


async def _all(
    desk: Desk, gate: Gate, requests: Sequence[Asked], call: Callable[[Asked], Answered], scope: Scope
) -> list[Answered | ProblemModel]:
    """Each as if it were alone, as many at a time as the gate lets through."""
    found: list[Answered | ProblemModel | None] = [None] * len(requests)

    async def one(place: int, body: Asked) -> None:
        try:
            with naming(_FIELDS):
                await desk.reach(body.collection, body.min_seq)
                found[place] = await gate.run_admitted(partial(call, body))
        except Exception as error:
            if not isinstance(error, LoccitError | Problem):
                _log.exception("failed in a batch")
            found[place] = ProblemModel.model_validate(problem_object(problem_of(error), scope))

    with gate.admission(len(requests)):
        async with anyio.create_task_group() as tasks:
            for place, body in enumerate(requests):
                tasks.start_soon(one, place, body)
    return [one for one in found if one is not None]
