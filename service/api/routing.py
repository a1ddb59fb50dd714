"""Route classes: what happens to every call before its function, in this order: key, query names, size, type, JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import anyio
from fastapi import APIRouter, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from embeddings.errors import TooLarge, UnsupportedMediaType
from service.api.bodies import parse_json
from service.api.pointers import FieldError
from service.api.problems import INVALID_REQUEST, KINDS, TOO_SLOW, UNAUTHORISED, Problem
from service.api.schemas.requests import BATCH_SIZE
from service.settings import Settings

_PATIENCE_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 50_000
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class CountedRequest(Request):
    """A request whose body is counted while it is read, and whose JSON is read strictly."""

    def __init__(self, scope: Scope, receive: Receive, *, limit: int) -> None:
        super().__init__(scope, _InTime(receive))
        self._limit = limit
        self._parsed: object = None

    async def stream(self) -> AsyncGenerator[bytes, None]:
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
            self._parsed = parse_json(body)
        return self._parsed

    async def json(self) -> object:
        return self._parsed

    def _refuse_above(self, received: int) -> None:
        if received > self._limit:
            raise TooLarge(f"This call takes at most {self._limit:,} bytes.")


class ContractRoute(APIRoute):
    """A call of the contract: it needs the key where one is set."""

    @staticmethod
    def limit(settings: Settings) -> int:
        return settings.max_question_bytes

    def get_route_handler(self) -> _Handler:
        handle = super().get_route_handler()
        names = {one.alias for one in get_flat_params(self.dependant) if isinstance(one.field_info, params.Query)}

        async def checked(request: Request) -> Response:
            self._authorise(request)
            _refuse_unknown(request, names)
            counted = CountedRequest(request.scope, request.receive, limit=self.limit(request.app.state.settings))
            if self.body_field is not None:
                await counted.read_json()
            return await handle(counted)

        return checked

    def _authorise(self, request: Request) -> None:
        if not request.app.state.access.admits(request.headers.get("authorization")):
            detail = "Send the header `Authorization: Bearer …` with the key of this service."
            raise Problem(UNAUTHORISED, detail, headers={"WWW-Authenticate": "Bearer"})


class BatchRoute(ContractRoute):
    @staticmethod
    def limit(settings: Settings) -> int:
        return BATCH_SIZE * settings.max_question_bytes


class DocumentRoute(ContractRoute):
    @staticmethod
    def limit(settings: Settings) -> int:
        return settings.max_document_bytes


class PublicRoute(ContractRoute):
    """What anybody may see: liveness, the page and its files."""

    def _authorise(self, request: Request) -> None:
        pass


def router(route_class: type[ContractRoute], *, tag: str) -> APIRouter:
    return APIRouter(route_class=route_class, tags=[tag], strict_content_type=False)


def media_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(detail: str) -> Problem:
    return Problem(KINDS[UnsupportedMediaType], detail)


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


def _refuse_unknown(request: Request, names: set[str]) -> None:
    unknown = [name for name in request.query_params if name not in names]
    if unknown and request.url.path.startswith("/v1/"):
        found = [FieldError(f"?{name}", "There is no such parameter here; mind the spelling.") for name in unknown]
        raise Problem(INVALID_REQUEST, f"?{unknown[0]}: {found[0].detail}", errors=found)
