"""The text of a document, its original bytes, and single passages."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Header, Query
from starlette.responses import Response

from embeddings.collection import Collection
from embeddings.domain import Original, VersionText
from embeddings.errors import InvalidRange
from service.api.dependencies import CollectionPath, DeskDep, DocumentPath, MinSeq, Version
from service.api.replies import json_reply, problems
from service.api.routing import ReadRoute, router
from service.api.schemas.fields import Seq
from service.api.schemas.responses import PassageModel
from service.api.utf16 import code_points

routes = router(ReadRoute, tag="Texts and passages")

_PLAIN = "text/plain; charset=utf-8"


@routes.get(
    "/v1/collections/{collection}/documents/{document_id}/text",
    responses={
        200: {
            "description": "The text, or the part asked for.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        304: {"description": "It is what `If-None-Match` names."},
        **problems(404, 409, 410),
    },
    response_class=Response,
)
async def get_text(
    collection: CollectionPath,
    document_id: DocumentPath,
    desk: DeskDep,
    version: Version = None,
    start: Annotated[Seq, Query(description="The first character.")] = 0,
    end: Annotated[Seq | None, Query(description="After the last character; clamped to the end of the text.")] = None,
    unit: Annotated[
        Literal["codepoint", "utf16"], Query(description="What start and end count; utf16 suits JavaScript.")
    ] = "codepoint",
    min_seq: MinSeq = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The canonical text, in which all offsets of passages and citations count."""
    if end is not None and start > end:
        raise InvalidRange("`start` lies after `end`.", field="?start")

    def look(one: Collection) -> tuple[str, str]:
        text = one.text(document_id, version)
        return _slice(text, start, end, unit=unit)

    (text, etag), seq = await desk.look(collection, look, min_seq=min_seq)
    headers = {"ETag": etag, "X-Loccit-Seq": str(seq), "Cache-Control": "private, no-cache"}
    if _names(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(text.encode(), headers={**headers, "Content-Type": _PLAIN})


@routes.get(
    "/v1/collections/{collection}/documents/{document_id}/original",
    responses={
        200: {
            "description": "The bytes as they were sent.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(404, 409, 410),
    },
    response_class=Response,
)
async def get_original(
    collection: CollectionPath,
    document_id: DocumentPath,
    desk: DeskDep,
    version: Version = None,
    min_seq: MinSeq = None,
) -> Response:
    """The bytes that were handed in, always as an attachment. Of a JSON body: its text in UTF-8."""

    def look(one: Collection) -> tuple[bytes, str]:
        original = one.original(document_id, version)
        return original.content, _content_type(original)

    (content, content_type), seq = await desk.look(collection, look, min_seq=min_seq)
    return Response(
        content,
        headers={
            "Content-Type": content_type,
            # The alphabet of document ids needs no quoting.
            "Content-Disposition": f'attachment; filename="{document_id}"',
            "X-Loccit-Seq": str(seq),
        },
    )


@routes.get(
    "/v1/collections/{collection}/passages/{passage_id}", response_model=PassageModel, responses=problems(404, 409, 410)
)
async def get_passage(collection: CollectionPath, passage_id: str, desk: DeskDep, min_seq: MinSeq = None) -> Response:
    """One passage as in search, without scores; also of an old version, with `"current": false`."""
    passage, seq = await desk.look(collection, lambda one: one.passage(passage_id), min_seq=min_seq)
    return json_reply(PassageModel.model_validate(passage), seq=seq)


def _slice(found: VersionText, start: int, end: int | None, *, unit: str) -> tuple[str, str]:
    """The part asked for and its entity tag."""
    if unit == "utf16":
        start = code_points(found.text, start, field="?start")
        end = None if end is None else code_points(found.text, end, field="?end")
    part = found.text[start:end]
    return part, f'"{found.sha256[:32]}-{start}-{len(part)}"'


def _content_type(original: Original) -> str:
    """With its encoding where that is plain to see; HTML and other types say it themselves."""
    if original.media_type not in ("text/plain", "text/markdown") or b"\0" in original.content:
        return original.media_type
    try:
        original.content.decode("utf-8")
    except UnicodeDecodeError:
        return original.media_type
    return f"{original.media_type}; charset=utf-8"


def _names(if_none_match: str | None, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or etag in tags
