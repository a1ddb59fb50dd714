"""Replies: JSON of a model, the sequence number in the header, and pages of a list."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

from embeddings.errors import InvalidCursor

Item = TypeVar("Item")
AT_THE_DOOR = (400, 401, 403, 421)
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,200}")


def json_reply(
    model: BaseModel, *, status: int = 200, seq: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    seen = {} if seq is None else {"X-Loccit-Seq": str(seq)}
    return as_json(model.model_dump_json(), status=status, headers={**seen, **(headers or {})})


def as_json(content: str | bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, status_code=status, media_type="application/json", headers=headers)


def page_of(found: Sequence[Item], *, limit: int, name: Callable[[Item], str]) -> tuple[Sequence[Item], str | None]:
    """The first `limit` of what was found, and the cursor to the rest if there is any."""
    if len(found) <= limit:
        return found, None
    return found[:limit], base64.urlsafe_b64encode(name(found[limit - 1]).encode()).decode().rstrip("=")


def name_of(cursor: str | None) -> str | None:
    """The name after which a page starts. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        name = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        name = ""
    if not _NAME.fullmatch(name):
        raise InvalidCursor("Send the `next_cursor` of the page before, or none.", field="?cursor")
    return name


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals that a call may answer with, for the OpenAPI document."""
    late = (408,) if 413 in statuses else ()
    return refusals(*sorted({*statuses, *late, *AT_THE_DOOR, 422, 429, 503}))


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _REFUSALS[status] for status in statuses}


def _refusal(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemModel"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


_REFUSALS = {
    400: _refusal("The body is not valid JSON, or the request not HTTP."),
    401: _refusal("A key is needed."),
    403: _refusal("This key does not allow that."),
    404: _refusal("It is not there."),
    408: _refusal("The body comes too slowly."),
    409: _refusal("The sequence number is not reached yet."),
    410: _refusal("The document was deleted."),
    413: _refusal("The body is too large."),
    415: _refusal("This type of content is not read here."),
    421: _refusal("The service does not answer to that host name."),
    422: _refusal("A rule is broken; `errors` names the fields."),
    429: _refusal("The rate of this key is used up; `Retry-After` says when it is not."),
    501: _refusal("This is not built yet."),
    503: _refusal("Too much at once, or the store cannot be used at present."),
    507: _refusal("The disk is full."),
}
