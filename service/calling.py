"""One way to call the service from the command line: over HTTP to a running one, else to one in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx
from anyio.from_thread import start_blocking_portal

from service.running import running
from service.settings import Settings

_TIMEOUT = httpx.Timeout(600.0, connect=5.0)


class Refused(Exception):
    """The service answered with a problem; the message is for people."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """Of HTTP, where there was an answer."""


Call: TypeAlias = Callable[..., Any]
"""Method, path and what is sent; gives the JSON or the text of a successful answer.

Raises Refused, httpx.HTTPError, LoccitError.
"""


def call(settings: Settings, method: str, path: str, **sent: Any) -> Any:
    with calling(settings) as one:
        return one(method, path, **sent)


@contextmanager
def calling(settings: Settings) -> Iterator[Call]:
    """Several calls to one service."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_client(settings)) as client:
        yield lambda method, path, **sent: _content(portal.call(partial(client.request, method, path, **sent)))


def path_to(collection: str, document_id: str | None = None) -> str:
    """Of a collection, or of one of its documents."""
    path = f"/v1/collections/{quote(collection, safe='')}"
    return path if document_id is None else f"{path}/documents/{quote(document_id, safe='')}"


def listed(call: Call, path: str) -> Iterator[dict[str, Any]]:
    """The items of a list, page by page. Raises Refused."""
    cursor: str | None = ""
    while cursor is not None:
        page = call("GET", path, params={"limit": "1000", **({"cursor": cursor} if cursor else {})})
        yield from page["items"]
        cursor = page["next_cursor"]


def _content(response: httpx.Response) -> Any:
    if response.is_error:
        raise Refused(_detail(response), status=response.status_code)
    if response.status_code == 204:
        return None
    if response.headers.get("Content-Type", "").startswith("text/plain"):
        return response.text
    try:
        return response.json()
    except ValueError:
        raise Refused(
            "What answers at that address is not Loccit; check the URL.", status=response.status_code
        ) from None


def _detail(response: httpx.Response) -> str:
    """What the problem says; a proxy before the service may answer with a page of its own."""
    try:
        return str(response.json()["detail"])
    except (ValueError, TypeError, KeyError):
        return f"The answer was {response.status_code} {response.reason_phrase}, without a reason."


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """With the key of the settings; else, for a service on the same data folder, with the one that it left there."""
    here = None if settings.url else running(settings.data)
    url = settings.url or (here.url if here else None)
    own_key = settings.api_key.get_secret_value() if settings.api_key else None
    if url is not None:
        headers = _authorization(own_key or (here.key if here else None))
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False) as client:
            yield client
        return
    from service.api.app import create_app  # Takes a second: only where no service runs.

    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app):
        headers = _authorization(app.state.access.local_key)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers, timeout=None
        ) as client:
            yield client


def _authorization(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
