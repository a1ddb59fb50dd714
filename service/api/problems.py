"""Errors as problem details (RFC 9457): one table of kinds, one writer. Each kind has a page in `docs/problems`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from embeddings import errors
from service.api.pointers import FieldError, field_errors


@dataclass(frozen=True, slots=True)
class Kind:
    slug: str
    title: str
    status: int
    retry_after_seconds: int | None = None


MALFORMED_REQUEST = Kind("malformed-request", "The request is not HTTP, or its head is too large", 400)
MALFORMED_JSON = Kind("malformed-json", "The body is not valid JSON", 400)
MALFORMED_FORM = Kind("malformed-form", "The form cannot be read", 400)
UNAUTHORISED = Kind("unauthorised", "A key is needed", 401)
FORBIDDEN = Kind("forbidden", "This key does not allow that", 403)
FOREIGN_ORIGIN = Kind("foreign-origin", "Another page may not write here", 403)
NOT_FOUND = Kind("not-found", "There is no such call", 404)
METHOD_NOT_ALLOWED = Kind("method-not-allowed", "This call does not take that method", 405)
TOO_SLOW = Kind("too-slow", "The body came too slowly", 408)
FOREIGN_HOST = Kind("foreign-host", "This service does not answer to that host name", 421)
INVALID_REQUEST = Kind("invalid-request", "The request breaks a rule", 422)
TOO_MANY = Kind("too-many-requests", "The rate of this key is used up", 429)
INTERNAL_ERROR = Kind("internal-error", "The service failed", 500)
NOT_BUILT_YET = Kind("not-built-yet", "This is not built yet", 501)

EDGE_KINDS = (
    MALFORMED_REQUEST,
    MALFORMED_JSON,
    MALFORMED_FORM,
    UNAUTHORISED,
    FORBIDDEN,
    FOREIGN_ORIGIN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    TOO_SLOW,
    FOREIGN_HOST,
    INVALID_REQUEST,
    TOO_MANY,
    INTERNAL_ERROR,
    NOT_BUILT_YET,
)

KINDS: dict[type[errors.LoccitError], Kind] = {
    errors.InvalidIdentifier: Kind("invalid-identifier", "An identifier breaks its rule", 422),
    errors.InvalidText: Kind("invalid-text", "The text cannot be used", 422),
    errors.InvalidFilter: Kind("invalid-filter", "The filter cannot be understood", 422),
    errors.InvalidMetadata: Kind("invalid-metadata", "The metadata break a rule", 422),
    errors.InvalidRange: Kind("invalid-range", "The range makes no sense", 422),
    errors.InvalidCursor: Kind("invalid-cursor", "The cursor is not from this service", 422),
    errors.UnsupportedMediaType: Kind("unsupported-media-type", "This type of content is not read", 415),
    errors.TooLarge: Kind("too-large", "The body is too large", 413),
    errors.IdempotencyConflict: Kind("idempotency-conflict", "The key was used for another body", 422),
    errors.UnknownCollection: Kind("unknown-collection", "There is no such collection", 404),
    errors.UnknownDocument: Kind("unknown-document", "There is no such document", 404),
    errors.UnknownVersion: Kind("unknown-version", "There is no such version", 404),
    errors.UnknownPassage: Kind("unknown-passage", "There is no such passage", 404),
    errors.UnknownJob: Kind("unknown-job", "There is no such job", 404),
    errors.DeletedDocument: Kind("deleted-document", "The document was deleted", 410),
    errors.SequenceNotReached: Kind("sequence-not-reached", "That state is not reached yet", 409),
    errors.Busy: Kind("busy", "The service is busy", 503, 1),
    errors.StoreLocked: Kind("store-locked", "Another process holds the store", 503, 5),
    errors.StoreReadOnly: Kind("store-read-only", "Nothing can be written at present", 503, 30),
    errors.StoreTooNew: Kind("store-too-new", "A later version wrote the store", 503, 30),
    errors.StoreCorrupt: Kind("store-corrupt", "The collection is damaged", 503, 30),
    errors.DiskFull: Kind("disk-full", "The disk is full", 507),
    errors.IndexUnsound: Kind("index-unsound", "The index is being rebuilt", 503, 5),
    errors.ModelMissing: Kind("model-missing", "A model is not installed", 503, 30),
    errors.ModelUnsound: Kind("model-unsound", "A model computes wrongly on this machine", 503, 30),
}
"""Each leaf of `embeddings.errors` and what it is over HTTP."""

_STATUS_KINDS = {
    400: (MALFORMED_FORM, "Send a form as multipart/form-data with a file in each part named `file`."),
    404: (NOT_FOUND, "Look at /docs for the calls of this service. An id in a path holds no slash."),
    405: (METHOD_NOT_ALLOWED, "The header Allow names the methods that this call takes."),
    413: (KINDS[errors.TooLarge], "Send less at once."),
}
_INTERNAL_DETAIL = "Something went wrong that should not have. Its cause is in the log under this request id."
_SHOWN_ERRORS = 20


def all_kinds() -> tuple[Kind, ...]:
    return (*EDGE_KINDS, *KINDS.values())


class Problem(Exception):
    """A refusal that is ready to be written. `detail` says what is wrong and how to mend it."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        if kind.retry_after_seconds is not None:
            self.headers.setdefault("Retry-After", str(kind.retry_after_seconds))


def invalid(pointer: str, detail: str) -> Problem:
    return Problem(INVALID_REQUEST, f"{pointer}: {detail}", errors=[FieldError(pointer, detail)])


def problem_of(error: Exception) -> Problem:
    """The problem that an error is; whatever is unknown becomes an internal error that tells nothing."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, errors.LoccitError):
        return _of_engine(error)
    if isinstance(error, RequestValidationError):
        found = field_errors(error.errors())[:_SHOWN_ERRORS]
        return Problem(INVALID_REQUEST, "; ".join(f"{one.pointer or '/'}: {one.detail}" for one in found), errors=found)
    if isinstance(error, HTTPException) and error.status_code in _STATUS_KINDS:
        return Problem(*_STATUS_KINDS[error.status_code], headers=error.headers)
    return Problem(INTERNAL_ERROR, _INTERNAL_DETAIL)


@contextmanager
def naming(fields: Mapping[type[errors.LoccitError], str]) -> Iterator[None]:
    """Says by which field of the request the engine came to an error: it knows what is not there, not who asked how."""
    try:
        yield
    except tuple(fields) as error:
        problem = problem_of(error)
        named = FieldError(fields[type(error)], problem.detail)
        raise Problem(problem.kind, problem.detail, errors=[named], headers=problem.headers) from None


def _of_engine(error: errors.LoccitError) -> Problem:
    kind = next((KINDS[one] for one in type(error).__mro__ if one in KINDS), None)
    if kind is None:
        return Problem(INTERNAL_ERROR, _INTERNAL_DETAIL)
    field = error.field if isinstance(error, errors.InvalidInput) else None
    return Problem(kind, str(error), errors=[FieldError(field, str(error))] if field is not None else ())


def problem_object(problem: Problem, scope: Scope) -> dict[str, object]:
    """The problem as a JSON object; `scope` brings the request id and the service's own address."""
    state = scope["state"]
    written: dict[str, object] = {
        "type": f"{state['base_url']}/docs/problems/{problem.kind.slug}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": _whole(problem.detail),
        "instance": state["request_id"],
    }
    if problem.errors:
        written["errors"] = [{"pointer": _whole(one.pointer), "detail": _whole(one.detail)} for one in problem.errors]
    return written


def problem_response(problem: Problem, scope: Scope) -> Response:
    scope["state"]["problem"] = problem.kind.slug
    return Response(
        # Escaped to ASCII: what a request brought may be quoted here, and this must not fail.
        json.dumps(problem_object(problem, scope), ensure_ascii=True),
        status_code=problem.kind.status,
        media_type="application/problem+json",
        headers=problem.headers,
    )


def _whole(text: str) -> str:
    """The text, with a replacement character for half a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")[:2000]
