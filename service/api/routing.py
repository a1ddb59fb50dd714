"""Route classes: what happens to every call before its function, in this order: key, query names, size, type, JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable
from typing import Any, Literal
from urllib.parse import parse_qsl

import anyio
from fastapi import APIRouter, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive
from starlette.types import Scope as AsgiScope

from embeddings.errors import TooLarge, UnsupportedMediaType
from service.access import Access, Caller
from service.api.bodies import fault_of, is_whole, parse_json, reading
from service.api.pointers import FieldError
from service.api.problems import (
    FORBIDDEN,
    FOREIGN_ORIGIN,
    INVALID_REQUEST,
    KINDS,
    TOO_MANY,
    TOO_SLOW,
    UNAUTHORISED,
    Problem,
)
from service.keys import Grant, Scope
from service.limits import limited
from service.rates import network_of
from service.settings import Settings

_PATIENCE_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 50_000
_NO_SUCH_PARAMETER = "There is no such parameter here; mind the spelling."
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class CountedRequest(Request):
    """A request whose body is counted while it is read, and whose JSON is read strictly."""

    def __init__(self, scope: AsgiScope, receive: Receive, *, limit: int) -> None:
        super().__init__(scope, _InTime(receive))
        self._limit = limit
        self._parsed: object = None

    async def stream(self) -> AsyncGenerator[bytes, None]:
        self._refuse_encoded()
        declared = self.headers.get("content-length", "0")
        received = int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else 0
        self._refuse_above(received)
        received = 0
        async for chunk in super().stream():
            received += len(chunk)
            self._refuse_above(received)
            yield chunk

    async def read_json(self) -> object:
        """Raises Problem where there is a body that is not JSON."""
        body = await self.body()
        if body:
            if media_type_of(self) != "application/json":
                raise unsupported("Send application/json.")
            self._parsed = await reading(len(body), lambda: parse_json(body))
        return self._parsed

    async def json(self) -> object:
        return self._parsed

    def _refuse_encoded(self) -> None:
        encoding = self.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            raise unsupported("Compressed bodies are not read; send it uncompressed.", field="Content-Encoding")

    def _refuse_above(self, received: int) -> None:
        if received > self._limit:
            raise TooLarge(f"This call takes at most {self._limit:,} bytes.")


class ContractRoute(APIRoute):
    """A call of the contract. The classes below say what it asks of a key; one that says nothing asks for all."""

    reading: Scope | None = Scope.ADMIN
    """What GET needs; None: any key."""
    writing: Scope | None = Scope.ADMIN
    is_about_everything = False
    """Whether a key that is bound to collections is not enough."""
    rated: Literal["asks", "uploads"] | None = None
    """The rate that POST and PUT count for."""

    @staticmethod
    def limit(settings: Settings) -> int:
        return settings.max_question_bytes

    @staticmethod
    def cost(parsed: object) -> int:
        """How many calls a body stands for."""
        return 1

    def get_route_handler(self) -> _Handler:
        handle = super().get_route_handler()
        names = {one.alias for one in get_flat_params(self.dependant) if isinstance(one.field_info, params.Query)}

        async def checked(request: Request) -> Response:
            self._admit(request)
            _refuse_unusable(request, names)
            counted = CountedRequest(request.scope, request.receive, limit=self.limit(request.app.state.settings))
            if self.body_field is not None:
                self._charge(request, self.cost(await counted.read_json()) - 1)
            with limited(request.app.state.settings.limits):
                return await handle(counted)

        return checked

    def _admit(self, request: Request) -> None:
        access: Access = request.app.state.access
        caller = access.caller(request.headers.get("authorization"))
        if caller is None:
            detail = "Send the header `Authorization: Bearer …` with a key of this service."
            raise Problem(UNAUTHORISED, detail, headers={"WWW-Authenticate": "Bearer"})
        self._require(caller.grant, request)
        request.state.caller = caller
        self._charge(request, 1)

    def _require(self, grant: Grant, request: Request) -> None:
        origin = request.headers.get("origin")
        if grant.origins and origin not in grant.origins:
            raise Problem(FOREIGN_ORIGIN, "This key is for the pages of certain sites, and this is none of them.")
        if not grant.origins and request.state.is_foreign and request.app.state.access.serves_page_of(origin):
            raise Problem(FOREIGN_ORIGIN, "Use a key that is meant for the pages of this site.")
        scope = self.reading if request.method == "GET" else self.writing
        if scope is not None and not grant.allows(scope):
            raise Problem(FORBIDDEN, f"This call needs a key with the scope `{scope}`.")
        if self.is_about_everything and grant.collections is not None:
            raise Problem(FORBIDDEN, "This call needs a key that is not bound to collections.")

    def _charge(self, request: Request, calls: int) -> None:
        caller: Caller = request.state.caller
        if self.rated is None or caller.key_id is None or calls < 1 or request.method not in ("POST", "PUT"):
            return
        rates = caller.grant.rates
        limits: list[tuple[Hashable, int | None]] = []
        if self.rated == "asks":
            # Before the key's own: what is refused to one visitor must not be taken from the others.
            address = network_of(request.client.host if request.client else "")
            limits.append(((caller.key_id, self.rated, address), rates.visitor_asks))
        limits.append(((caller.key_id, self.rated), getattr(rates, self.rated)))
        for who, per_minute in limits:
            waiting = request.app.state.limiter.take(who, per_minute, calls) if per_minute is not None else 0
            if waiting:
                detail = f"This key allows {per_minute} {self.rated} a minute. Try again in {waiting} s."
                raise Problem(TOO_MANY, detail, headers={"Retry-After": str(waiting)})


class QuestionRoute(ContractRoute):
    reading = writing = Scope.ASK
    rated = "asks"

    def _admit(self, request: Request) -> None:
        """Before all else: a refusal has to cost little where there are many."""
        request.app.state.gates.before(self.path).require_room()
        super()._admit(request)


class BatchRoute(QuestionRoute):
    @staticmethod
    def limit(settings: Settings) -> int:
        return settings.max_batch * settings.max_question_bytes

    @staticmethod
    def cost(parsed: object) -> int:
        requests = parsed.get("requests") if isinstance(parsed, dict) else None
        return len(requests) if isinstance(requests, list) else 1


class ReadRoute(ContractRoute):
    reading = Scope.ASK


class CollectionRoute(ContractRoute):
    reading = Scope.ASK


class DocumentRoute(ContractRoute):
    reading = Scope.ASK
    writing = Scope.INGEST
    rated = "uploads"

    @staticmethod
    def limit(settings: Settings) -> int:
        return settings.max_document_bytes


class JobRoute(ContractRoute):
    reading = writing = Scope.INGEST


class AnyKeyRoute(ContractRoute):
    """What every key may see: whether the service is ready, and its description."""

    reading = None


class AdminRoute(ContractRoute):
    is_about_everything = True


class PublicRoute(ContractRoute):
    """What anybody may see: liveness, the page and its files."""

    def _admit(self, request: Request) -> None:
        pass


def router(route_class: type[ContractRoute], *, tag: str) -> APIRouter:
    return APIRouter(route_class=route_class, tags=[tag], strict_content_type=False)


def media_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(detail: str, *, field: str = "Content-Type") -> Problem:
    return Problem(KINDS[UnsupportedMediaType], detail, errors=[FieldError(field, detail)])


class _InTime:
    """Receives a body that has to come within a minute, and a second more for each 50 kB of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline = anyio.current_time() + _PATIENCE_SECONDS
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()
        try:
            with anyio.fail_after(self._deadline - anyio.current_time()):
                message = await self._receive()
        except TimeoutError:
            raise Problem(TOO_SLOW, "The body came too slowly; send it in one go, or in parts.") from None
        self._deadline += len(message.get("body", b"")) / _SLOWEST_BYTES_PER_SECOND
        self._is_whole = not message.get("more_body", False)
        return message


def _refuse_unusable(request: Request, names: set[str]) -> None:
    """Parameters that the call does not have, or whose value is no text."""
    if not request.url.path.startswith("/v1/"):
        return
    # Read once more, since the framework takes what is not UTF-8 for a question mark in a diamond.
    sent = parse_qsl(request.url.query, keep_blank_values=True, errors="surrogateescape")
    faults = [(name, _fault_of_parameter(value) if name in names else _NO_SUCH_PARAMETER) for name, value in sent]
    found = [FieldError(f"?{name}", fault) for name, fault in faults if fault is not None]
    if found:
        raise Problem(INVALID_REQUEST, f"{found[0].pointer}: {found[0].detail}", errors=found)


def _fault_of_parameter(value: str) -> str | None:
    return fault_of(value) if is_whole(value) else "This is not UTF-8."
