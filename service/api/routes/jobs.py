"""Jobs: looked at, watched, cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import anyio
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from embeddings.errors import Busy
from service.api.dependencies import Desk, DeskDep
from service.api.replies import json_reply, problems
from service.api.routing import JobRoute, router
from service.api.schemas.responses import JobItemModel, JobModel

routes = router(JobRoute, tag="Jobs")

_FINISHED = frozenset({"succeeded", "failed", "cancelled"})
_LOOK_EVERY_SECONDS = 0.2
_SILENCE_SECONDS = 15.0


@routes.get("/v1/jobs/{job_id}", response_model=JobModel, responses=problems(404))
async def get_job(job_id: str, desk: DeskDep) -> Response:
    """How far the job is."""
    return await desk.gates.lookups.run(lambda: json_reply(_found(desk, job_id)))


@routes.delete("/v1/jobs/{job_id}", response_model=JobModel, responses=problems(404))
async def cancel_job(job_id: str, desk: DeskDep) -> Response:
    """Cancels what the job has not done yet. A job that has finished stays as it is."""
    return await desk.write(lambda: json_reply(JobModel.model_validate(desk.jobs.cancel(job_id))))


@routes.get(
    "/v1/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`progress` and `item` as they come, then `end` with the whole job.",
            "content": {"text/event-stream": {}},
        },
        **problems(404),
    },
)
async def watch_job(job_id: str, desk: DeskDep) -> Response:
    """The job as server-sent events."""
    first = await _job(desk, job_id)
    return StreamingResponse(
        _events(desk, first), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


def _found(desk: Desk, job_id: str) -> JobModel:
    """For a thread: a job may have a thousand items."""
    return JobModel.model_validate(desk.jobs.get(job_id))


async def _job(desk: Desk, job_id: str) -> JobModel:
    return await desk.gates.lookups.run(partial(_found, desk, job_id))


async def _later(desk: Desk, job: JobModel) -> JobModel:
    """The job as it is now; as it was, where too much else is looked at: whoever watches can wait."""
    try:
        return await _job(desk, job.job_id)
    except Busy:
        return job


async def _events(desk: Desk, job: JobModel) -> AsyncIterator[str]:
    shown: dict[int, JobItemModel] = {}
    """By their place: a job may take the same document twice."""
    progress: tuple[int, int] | None = None
    silent_seconds = 0.0
    while True:
        for place, item in enumerate(job.items):
            if shown.get(place) != item:
                shown[place] = item
                yield _event("item", item)
        if (job.done, job.total) != progress:
            progress = job.done, job.total
            yield _event("progress", job.model_copy(update={"items": []}))
            silent_seconds = 0.0
        if job.state in _FINISHED:
            yield _event("end", job)
            return
        if silent_seconds > _SILENCE_SECONDS:
            silent_seconds = 0.0
            yield ": still here\n\n"
        await anyio.sleep(_LOOK_EVERY_SECONDS)
        silent_seconds += _LOOK_EVERY_SECONDS
        job = await _later(desk, job)


def _event(name: str, model: BaseModel) -> str:
    return f"event: {name}\ndata: {model.model_dump_json()}\n\n"
