"""Documents: handed in, listed, looked at, deleted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from embeddings.errors import InvalidFilter
from embeddings.filters import Filter, parse_filter
from service.api.bodies import parse_json_at
from service.api.dependencies import CollectionPath, Cursor, Desk, DeskDep, DocumentPath, Limit, MinSeq
from service.api.problems import invalid
from service.api.replies import json_reply, name_of, page_of, problems
from service.api.routing import DocumentRoute, media_type_of, router, unsupported
from service.api.schemas.fields import IdempotencyKey, Title, Uri
from service.api.schemas.requests import DocumentBody, DocumentsBody, FileBody
from service.api.schemas.responses import (
    DeleteReceiptModel,
    DocumentModel,
    DocumentsModel,
    JobAcceptedModel,
    ListedDocumentModel,
    PutReceiptModel,
)
from service.api.uploads import (
    METADATA_HEADER,
    FormFile,
    digest_of,
    refuse_beside,
    source_of_request,
    uploads_of_files,
    uploads_of_json,
)
from service.jobs import JobRecord, Upload
from service.naming import READABLE_TYPES

routes = router(DocumentRoute, tag="Documents")

_WAITED_BYTES = 1_000_000
_MAX_FILES = 1000
_MAX_DESCRIPTIONS_BYTES = 4_000_000
_TEXT = {"schema": {"type": "string"}}
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_DOCUMENT_CONTENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": DocumentBody.model_json_schema()},
            **{
                media_type: _TEXT if media_type.startswith("text/") else _BYTES for media_type in sorted(READABLE_TYPES)
            },
        },
    }
}
_DOCUMENTS_CONTENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": DocumentsBody.model_json_schema(ref_template="#/components/schemas/{model}")
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "documents": {
                            "type": "array",
                            "items": FileBody.model_json_schema(),
                            "description": "As JSON: what is said of each file, in their order.",
                        },
                    },
                    "required": ["file"],
                }
            },
        },
    }
}
_REFUSED = problems(400, 404, 413, 415, 507)
_ACCEPTED = {"model": JobAcceptedModel, "description": "On disk, not yet searchable."}


@routes.put(
    "/v1/collections/{collection}/documents/{document_id}",
    response_model=PutReceiptModel,
    status_code=201,
    openapi_extra=_DOCUMENT_CONTENT,
    responses={
        200: {"model": PutReceiptModel, "description": "It was there: replaced or unchanged."},
        202: _ACCEPTED,
        **_REFUSED,
    },
)
async def put_document(
    request: Request,
    collection: CollectionPath,
    document_id: DocumentPath,
    desk: DeskDep,
    wait: Annotated[bool | None, Query(description="The default is true up to 1 MB, false beyond.")] = None,
    title: Annotated[Title | None, Query(description="For bodies other than JSON.")] = None,
    uri: Annotated[Uri | None, Query(description="For bodies other than JSON.")] = None,
    _: Annotated[str | None, Header(alias=METADATA_HEADER, description="JSON, for other bodies.")] = None,
) -> Response:
    """Adds the document or replaces it. Once answered with 200 or 201 it is on disk and searchable."""
    source = await source_of_request(request, title=title, uri=uri)
    if not (len(source.content) <= _WAITED_BYTES if wait is None else wait):
        return await _accept(desk, collection, [Upload(document_id=document_id, source=source)])
    receipt = await desk.write(lambda: desk.library.collection(collection).put(document_id, source))
    model = PutReceiptModel.model_validate(receipt)
    return json_reply(model, status=201 if receipt.created else 200, seq=receipt.seq)


@routes.post(
    "/v1/collections/{collection}/documents",
    response_model=JobAcceptedModel,
    status_code=202,
    openapi_extra=_DOCUMENTS_CONTENT,
    responses=_REFUSED,
)
async def add_documents(
    request: Request,
    collection: CollectionPath,
    desk: DeskDep,
    idempotency_key: Annotated[IdempotencyKey | None, Header(alias="Idempotency-Key")] = None,
) -> Response:
    """Takes many documents as a job. Where an id is missing, one is made from the file's name or the text.

    A form's part `documents` may tell the id, title, uri and metadata of each file."""
    mend = "Here this is not looked at; send `metadata` with each of the `documents`, in the JSON or in the form."
    refuse_beside({METADATA_HEADER: request.headers.get(METADATA_HEADER)}, mend)
    match media_type_of(request):
        case "application/json":
            uploads = await uploads_of_json(await request.body())
        case "multipart/form-data":
            uploads = await _files(request)
        case _:
            raise unsupported("Send application/json or multipart/form-data.")
    return await _accept(desk, collection, uploads, idempotency_key=idempotency_key)


@routes.get("/v1/collections/{collection}/documents", response_model=DocumentsModel, responses=problems(404, 409))
async def list_documents(
    collection: CollectionPath,
    desk: DeskDep,
    prefix: Annotated[str, Query(max_length=200, description="Of the document id.")] = "",
    filter: Annotated[str | None, Query(max_length=8000, description="As in search, as JSON.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    min_seq: MinSeq = None,
) -> Response:
    """The documents by id."""
    chosen, after = _filter(filter), name_of(cursor)
    found, seq = await desk.look(
        collection,
        lambda one: one.documents(prefix=prefix, filter=chosen, after=after, limit=limit + 1),
        min_seq=min_seq,
    )
    page, next_cursor = page_of(found, limit=limit, name=lambda record: record.document_id)
    items = [ListedDocumentModel.model_validate(record) for record in page]
    return json_reply(DocumentsModel(items=items, next_cursor=next_cursor), seq=seq)


@routes.get(
    "/v1/collections/{collection}/documents/{document_id}",
    response_model=DocumentModel,
    responses=problems(404, 409, 410),
)
async def get_document(
    collection: CollectionPath, document_id: DocumentPath, desk: DeskDep, min_seq: MinSeq = None
) -> Response:
    """Everything about the document but its text."""
    record, seq = await desk.look(collection, lambda one: one.document(document_id), min_seq=min_seq)
    return json_reply(DocumentModel.model_validate(record), seq=seq)


@routes.delete(
    "/v1/collections/{collection}/documents/{document_id}", response_model=DeleteReceiptModel, responses=problems(404)
)
async def delete_document(
    collection: CollectionPath,
    document_id: DocumentPath,
    desk: DeskDep,
    purge: Annotated[bool, Query(description="Also erase text and bytes of every version.")] = False,
) -> Response:
    """Deletes the document: from then on it is in no answer."""
    receipt = await desk.write(lambda: desk.library.collection(collection).delete(document_id, purge=purge))
    return json_reply(DeleteReceiptModel.model_validate(receipt), seq=receipt.seq)


async def _files(request: Request) -> list[Upload]:
    async with request.form(max_files=_MAX_FILES, max_fields=1, max_part_size=_MAX_DESCRIPTIONS_BYTES) as form:
        files = [one for one in form.getlist("file") if isinstance(one, UploadFile)]
        described = form.get("documents")
        others = len(form.multi_items()) - len(files) - isinstance(described, str)
        if not files or others:
            raise invalid("/file", "Send files in parts named `file`, and nothing else but one text part `documents`.")
        return await uploads_of_files(
            [
                FormFile(name=one.filename or "", media_type=one.content_type or "", content=await one.read())
                for one in files
            ],
            described if isinstance(described, str) else None,
        )


async def _accept(
    desk: Desk, collection: str, uploads: list[Upload], *, idempotency_key: str | None = None
) -> Response:
    def submit() -> JobRecord:
        digest = digest_of(uploads) if idempotency_key else None
        return desk.jobs.submit(collection, uploads, idempotency_key=idempotency_key, body_sha256=digest)

    job = await desk.write(submit)
    headers = {"Location": f"/v1/jobs/{job.job_id}"}
    return json_reply(JobAcceptedModel(job_id=job.job_id), status=202, headers=headers)


def _filter(sent: str | None) -> Filter | None:
    if sent is None:
        return None
    try:
        return parse_filter(parse_json_at("?filter", sent.encode("utf-8", "surrogatepass")))
    except InvalidFilter as error:
        raise InvalidFilter(str(error), field=f"?filter{(error.field or '').removeprefix('/filter')}") from None
