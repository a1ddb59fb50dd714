"""Keys: made, listed, revoked."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from service.api.dependencies import Cursor, DeskDep, Limit
from service.api.problems import NOT_FOUND, Problem
from service.api.replies import json_reply, name_of, page_of, problems
from service.api.routing import AdminRoute, router
from service.api.schemas.keys import KeyBody, KeyModel, KeysModel, NewKeyModel
from service.keys import Key, UnknownKey

routes = router(AdminRoute, tag="Keys")


@routes.post("/v1/keys", response_model=NewKeyModel, status_code=201, responses=problems(400, 401, 403, 413, 415))
async def make_key(body: KeyBody, desk: DeskDep) -> Response:
    """Makes a key. `key` is shown this once: only its hash is kept."""
    key, presented = await desk.write(
        partial(desk.engine.keys.add, body.name, body.grant(), expires_at=body.expires_at)
    )
    return json_reply(NewKeyModel.of_new(key, presented), status=201, headers={"Cache-Control": "no-store"})


@routes.get("/v1/keys", response_model=KeysModel, responses=problems(401, 403))
async def list_keys(desk: DeskDep, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """All keys, oldest first, without what opens."""
    after = name_of(cursor) or ""
    found = [key for key in desk.engine.keys.all() if _place(key) > after]
    page, next_cursor = page_of(found, limit=limit, name=_place)
    return json_reply(KeysModel(items=[KeyModel.of(key) for key in page], next_cursor=next_cursor))


@routes.delete("/v1/keys/{key_id}", status_code=204, responses=problems(401, 403, 404))
async def revoke_key(key_id: Annotated[str, Path(max_length=40)], desk: DeskDep) -> Response:
    """Revokes the key: from then on it opens nothing."""
    try:
        await desk.write(partial(desk.engine.keys.revoke, key_id))
    except UnknownKey as error:
        raise Problem(NOT_FOUND, str(error)) from None
    return Response(status_code=204)


def _place(key: Key) -> str:
    """Where it stands in the list, also once it is revoked."""
    return f"{key.created_at:%Y%m%dT%H%M%S.%f}-{key.key_id}"
