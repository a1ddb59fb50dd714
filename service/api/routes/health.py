"""Whether the service lives, is ready, and what it counts."""

from __future__ import annotations

from starlette.responses import Response

from service.api.dependencies import Desk, DeskDep
from service.api.replies import AT_THE_DOOR, json_reply, refusals
from service.api.routing import AdminRoute, AnyKeyRoute, PublicRoute, router
from service.api.schemas.responses import CheckModel, LiveModel, ReadyModel
from service.metrics import CONTENT_TYPE

public = router(PublicRoute, tag="Health")
routes = router(AnyKeyRoute, tag="Health")
watching = router(AdminRoute, tag="Health")


@public.get("/health/live", response_model=LiveModel, responses=refusals(400, 421))
async def live() -> Response:
    """Answers while the event loop turns."""
    return json_reply(LiveModel())


@routes.get(
    "/health/ready",
    response_model=ReadyModel,
    responses={
        **refusals(*AT_THE_DOOR),
        503: {**refusals(503)[503], "model": ReadyModel, "description": "A part is not well, or too many look."},
    },
)
async def ready(desk: DeskDep) -> Response:
    """The state of every part."""
    state = await desk.gates.lookups.run(lambda: _state(desk))
    return json_reply(state, status=200 if state.ready else 503, seq=state.seq)


@watching.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **refusals(*AT_THE_DOOR, 503),
    },
)
async def metrics(desk: DeskDep) -> Response:
    """What the service counts, for Prometheus."""
    return Response(await desk.gates.lookups.run(lambda: _metrics(desk)), headers={"Content-Type": CONTENT_TYPE})


def _state(desk: Desk) -> ReadyModel:
    checks = {name: CheckModel.model_validate(check) for name, check in desk.library.checks().items()}
    checks["encoder"] = CheckModel(ok=True, detail=desk.engine.encoder.name)
    checks["reader"] = CheckModel(ok=True, detail=desk.engine.reader.name)
    answerers = desk.engine.answerers
    if answerers.most:
        # Well without them too: what they cannot answer is worked out here.
        detail = f"{answerers.ready} of at most {answerers.most} answer"
        checks["processes"] = CheckModel(ok=True, detail=detail)
    return ReadyModel(ready=all(check.ok for check in checks.values()), checks=checks, seq=desk.library.seq)


def _metrics(desk: Desk) -> bytes:
    infos = desk.library.collections()
    views = desk.engine.library.views()
    checks = desk.library.checks()
    desk.metrics.queued({**desk.gates.occupied(), "jobs": desk.engine.jobs.unfinished})
    desk.metrics.processes(desk.engine.answerers.ready)
    desk.metrics.parts({name: check.ok for name, check in checks.items()}, free_bytes=desk.engine.library.free_bytes)
    desk.metrics.indexes(
        tail=sum(view.tail_rows for view in views),
        dead=sum(view.removed for view in views),
        passages=sum(view.passages for view in views),
    )
    desk.metrics.contents(
        collections=len(infos),
        documents=sum(info.documents for info in infos),
        passages=sum(info.passages for info in infos),
        seq=max((info.seq for info in infos), default=0),
    )
    return desk.metrics.text()
