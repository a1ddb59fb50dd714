"""What surrounds every call: a request id, the last resort, security headers, the counting, and who may come in."""

from __future__ import annotations

import logging
import re
import secrets
import time
from functools import partial

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import Access, is_foreign, is_foreign_write
from service.api.problems import FOREIGN_HOST, FOREIGN_ORIGIN, Problem, problem_of, problem_response
from service.logs import request_id as logged_request_id
from service.metrics import Metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
_log = logging.getLogger("loccit.requests")


class Envelope:
    def __init__(self, app: ASGIApp, *, metrics: Metrics, fallback_url: str) -> None:
        self._app = app
        self._metrics = metrics
        self._fallback_url = fallback_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(self._metrics, {**scope, "state": self._state(scope)}, send).pass_through(self._app, receive)

    def _state(self, scope: Scope) -> dict[str, object]:
        request_id = request_id_of(Headers(scope=scope).get("x-request-id", ""))
        return {**scope.get("state", {}), "request_id": request_id, "base_url": self._fallback_url}


def request_id_of(sent: str) -> str:
    """The client's own, where it can be told from anything else."""
    return sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(16)


class _Exchange:
    """One request and its response."""

    def __init__(self, metrics: Metrics, scope: Scope, send: Send) -> None:
        self._metrics = metrics
        self._scope = scope
        self._send = send
        self._status: int | None = None
        self._method = scope["method"]
        self._started = time.perf_counter()
        if self._method == "HEAD":
            # The server leaves the body out; to the routes it is a GET.
            scope["method"] = "GET"

    async def pass_through(self, app: ASGIApp, receive: Receive) -> None:
        token = logged_request_id.set(self._scope["state"]["request_id"])
        try:
            await app(self._scope, receive, self._send_marked)
        except ClientDisconnect:
            _log.debug("client left")
        except Exception as error:
            _log.exception("failed")
            if self._status is None:
                await problem_response(problem_of(error), self._scope)(self._scope, receive, self._send_marked)
        finally:
            self._count()
            logged_request_id.reset(token)

    async def _send_marked(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers["X-Request-Id"] = self._scope["state"]["request_id"]
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    def _count(self) -> None:
        seconds = time.perf_counter() - self._started
        route = getattr(self._scope.get("route"), "path", "unmatched")
        status = self._status or 499
        if (reason := self._scope["state"].get("problem")) is not None:
            self._metrics.rejection(reason)
        self._metrics.request(method=self._method, route=route, status=status, seconds=seconds)
        _log.info(
            "answered",
            extra={"method": self._method, "route": route, "status": status, "ms": round(1000 * seconds, 1)},
        )


class Doorkeeper:
    """Refuses foreign hosts, and writes that a browser sends for a foreign page, unless some key is meant for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        access: Access = scope["app"].state.access
        refusal = self._refusal(access, scope)
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        reply = self._app if refusal is None else problem_response(refusal, scope)
        if origin is None or refusal is not None or not access.serves_page_of(origin):
            await reply(scope, receive, send)
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers={**_PREFLIGHT, **_leave(origin)})(scope, receive, send)
        else:
            await self._app(scope, receive, partial(_send_with_leave, send, origin))

    def _refusal(self, access: Access, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not access.knows_host(hosts[0]):
            return Problem(FOREIGN_HOST, "Call it by localhost, or name the host in LOCCIT_ALLOWED_HOSTS.")
        scope["state"]["base_url"] = f"{scope['scheme']}://{hosts[0]}"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        scope["state"]["is_foreign"] = is_foreign(host=hosts[0], origin=origin, site=site)
        if access.serves_page_of(origin):
            return None  # The call itself sees to it that the key is meant for that page.
        if is_foreign_write(scope["method"], host=hosts[0], origin=origin, site=site):
            return Problem(FOREIGN_ORIGIN, "A browser may write here from this service's own pages only.")
        return None


def _leave(origin: str) -> dict[str, str]:
    """Lets the page of that origin read the answer; never of any other, and never with cookies."""
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


async def _send_with_leave(send: Send, origin: str, message: Message) -> None:
    if message["type"] == "http.response.start":
        MutableHeaders(raw=message.setdefault("headers", [])).update(
            {**_leave(origin), "Access-Control-Expose-Headers": "Retry-After, X-Loccit-Seq, X-Request-Id"}
        )
    await send(message)
