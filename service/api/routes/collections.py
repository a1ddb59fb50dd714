"""Collections: made, listed, looked at, deleted."""

from __future__ import annotations

import time
from functools import partial

from starlette.responses import Response

from embeddings.collection import Collection
from embeddings.domain import CollectionInfo
from embeddings.errors import SequenceNotReached
from service.api.dependencies import CollectionPath, Cursor, DeskDep, Limit, MinSeq
from service.api.own import OwnLibrary
from service.api.problems import NOT_BUILT_YET, Problem, naming
from service.api.replies import json_reply, name_of, page_of, problems
from service.api.routing import CollectionRoute, router
from service.api.schemas.requests import CollectionBody
from service.api.schemas.responses import CollectionModel, CollectionsModel

routes = router(CollectionRoute, tag="Collections")

_WAIT_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 0.05


@routes.get("/v1/collections", response_model=CollectionsModel, responses=problems(409))
async def list_collections(
    desk: DeskDep, limit: Limit = 100, cursor: Cursor = None, min_seq: MinSeq = None
) -> Response:
    """All collections by name."""
    after = name_of(cursor) or ""
    gate = desk.gates.lookups if min_seq is None else desk.gates.sequences
    with naming({SequenceNotReached: "?min_seq"}):
        found = await gate.run(partial(_collections, desk.library, min_seq or 0))
    page, next_cursor = page_of(
        [info for info in found if info.collection > after], limit=limit, name=lambda info: info.collection
    )
    items = [CollectionModel.from_domain(info) for info in page]
    seq = _highest(found)
    return json_reply(CollectionsModel(items=items, next_cursor=next_cursor), seq=seq)


@routes.put(
    "/v1/collections/{collection}",
    response_model=CollectionModel,
    status_code=201,
    responses={200: {"model": CollectionModel, "description": "It was there."}, **problems(400, 413, 415, 501, 507)},
)
async def make_collection(collection: CollectionPath, desk: DeskDep, body: CollectionBody | None = None) -> Response:
    """Makes the collection, or gives the one that is there another title."""
    body = body or CollectionBody()
    if body.encoder not in (None, desk.engine.encoder.name):
        detail = f"All collections use {desk.engine.encoder.name} for now; leave `encoder` out."
        raise Problem(NOT_BUILT_YET, detail)
    info, is_new = await desk.write(partial(desk.library.create, collection, title=body.title))
    return json_reply(CollectionModel.from_domain(info), status=201 if is_new else 200, seq=info.seq)


@routes.get("/v1/collections/{collection}", response_model=CollectionModel, responses=problems(404, 409))
async def get_collection(collection: CollectionPath, desk: DeskDep, min_seq: MinSeq = None) -> Response:
    """What the collection holds."""
    info, seq = await desk.look(collection, Collection.info, min_seq=min_seq)
    return json_reply(CollectionModel.from_domain(info), seq=seq)


@routes.delete("/v1/collections/{collection}", status_code=204, responses=problems(404))
async def delete_collection(collection: CollectionPath, desk: DeskDep) -> Response:
    """Deletes the collection with all its documents and their bytes."""
    await desk.write(partial(desk.library.delete, collection))
    return Response(status_code=204)


def _collections(library: OwnLibrary, min_seq: int) -> list[CollectionInfo]:
    """All of them, once one has reached the sequence number. Raises SequenceNotReached."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while _highest(found := library.collections()) < min_seq:
        if time.monotonic() > deadline:
            raise SequenceNotReached(
                f"No collection has come to seq {min_seq} in {_WAIT_SECONDS:g} s. Try again later."
            )
        time.sleep(_LOOK_EVERY_SECONDS)
    return found


def _highest(found: list[CollectionInfo]) -> int:
    return max((info.seq for info in found), default=0)
