"""What is handed in, as the engine takes it: JSON, a raw body, or the files of a form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePosixPath
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from embeddings.domain import Metadata, Source
from service.api.bodies import parse_json, parse_json_at, reading
from service.api.problems import invalid
from service.api.routing import media_type_of, unsupported
from service.api.schemas.fields import MetadataField
from service.api.schemas.requests import DocumentBody, DocumentsBody, FileBody, NewDocumentBody
from service.jobs import Upload
from service.naming import MEDIA_TYPES, READABLE_TYPES, document_id_of, short_hash

METADATA_HEADER = "X-Loccit-Metadata"
_UNKNOWN = frozenset({"", "application/octet-stream"})
"""Types that tell nothing: the engine looks at the content."""
_READABLE = READABLE_TYPES | _UNKNOWN
_KINDS = "plain text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, CSV, TSV, reStructuredText, EPUB, lines of JSON or e-mail"
_SHOWN_OF_A_NAME = 100
Checked = TypeVar("Checked")
_METADATA = TypeAdapter[Metadata](MetadataField)
_DOCUMENT = TypeAdapter(DocumentBody)
_DOCUMENTS = TypeAdapter(DocumentsBody)
_FILES = TypeAdapter(list[FileBody])


def _source_of_json(body: DocumentBody) -> Source:
    return Source(
        content=body.text.encode(),
        media_type=body.media_type,
        charset="utf-8",
        title=body.title,
        uri=body.uri,
        metadata=body.metadata,
    )


async def source_of_request(request: Request, *, title: str | None, uri: str | None) -> Source:
    """From a body of JSON or of any type that is read. Raises RequestValidationError, Problem."""
    media_type = media_type_of(request)
    body = await request.body()
    if media_type == "application/json":
        beside = {"?title": title, "?uri": uri, METADATA_HEADER: request.headers.get(METADATA_HEADER)}
        refuse_beside(beside, "Beside JSON this is not looked at; send `title`, `uri` and `metadata` in the JSON.")
        return await reading(len(body), lambda: _source_of_json(_checked(_DOCUMENT, parse_json(body), "body")))
    if media_type not in _READABLE:
        raise unsupported(f"Send JSON, or a document of one of these kinds with its own type: {_KINDS}.")
    metadata = _metadata_header(request)
    return Source(
        content=body, media_type=media_type, charset=_charset(request), title=title, uri=uri, metadata=metadata
    )


def refuse_beside(sent: Mapping[str, str | None], mend: str) -> None:
    """What describes a document where the body does so already. Raises Problem."""
    for pointer, value in sent.items():
        if value is not None:
            raise invalid(pointer, mend)


async def uploads_of_json(body: bytes) -> list[Upload]:
    """Raises RequestValidationError, Problem."""
    return await reading(len(body), lambda: [_upload_of_json(one) for one in _new_documents(body)])


def _new_documents(body: bytes) -> list[NewDocumentBody]:
    return _checked(_DOCUMENTS, parse_json(body), "body").documents


def _upload_of_json(body: NewDocumentBody) -> Upload:
    source = _source_of_json(body)
    return Upload(document_id=body.document_id or _id_of_content(source.content), source=source)


def _id_of_content(content: bytes) -> str:
    return f"text-{short_hash(content)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormFile:
    name: str
    media_type: str
    content: bytes


async def uploads_of_files(files: Sequence[FormFile], described: str | None) -> list[Upload]:
    """The files of a form, and its `documents`: a list in JSON that tells more of each, in their order.

    Raises RequestValidationError, Problem.
    """
    size = sum(len(file.content) for file in files) + len(described or "")
    return await reading(size, lambda: _uploads(files, described))


def _uploads(files: Sequence[FormFile], described: str | None) -> list[Upload]:
    told = [FileBody()] * len(files) if described is None else _descriptions(described)
    if len(told) != len(files):
        raise invalid("/documents", f"It describes {len(told)} documents, and there are {len(files)} files.")
    return [_upload_of_file(place, file, body) for place, (file, body) in enumerate(zip(files, told, strict=True))]


def _descriptions(sent: str) -> list[FileBody]:
    return _checked(_FILES, parse_json_at("/documents", sent.encode("utf-8", "surrogatepass")), "body", "documents")


def _upload_of_file(place: int, file: FormFile, told: FileBody) -> Upload:
    """Its name makes the id where none is told and, where the part tells no usable type, the type."""
    by_name = MEDIA_TYPES.get(PurePosixPath(file.name).suffix.lower(), file.media_type)
    known = file.media_type if file.media_type in READABLE_TYPES else by_name
    if known not in _READABLE:
        named = f"/file/{place}"
        detail = f"Each file must be {_KINDS}, by its type or the ending of its name."
        raise unsupported(f"{named} ({file.name[:_SHOWN_OF_A_NAME]}): {detail}", field=named)
    by_file = document_id_of(file.name) if file.name else _id_of_content(file.content)
    source = Source(content=file.content, media_type=known, title=told.title, uri=told.uri, metadata=told.metadata)
    return Upload(document_id=told.document_id or by_file, source=source)


def digest_of(uploads: Iterable[Upload]) -> str:
    """One hash over everything that was handed in: equal means the same request."""
    parts = [
        [one.document_id, hashlib.sha256(source.content).hexdigest(), source.media_type, source.title, source.uri,
         sorted(source.metadata.items())]
        for one in uploads
        for source in (one.source,)
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _metadata_header(request: Request) -> Metadata:
    sent = request.headers.get(METADATA_HEADER)
    if sent is None:
        return {}
    raw = sent.encode("latin-1")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        raw = sent.encode("utf-8")
    return _checked(_METADATA, parse_json_at(METADATA_HEADER, raw), "header", METADATA_HEADER)


def _checked(adapter: TypeAdapter[Checked], value: object, *place: str) -> Checked:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        found = [{**one, "loc": (*place, *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(found) from None


def _charset(request: Request) -> str | None:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    charset = message.get_param("charset")
    return charset if isinstance(charset, str) else None
