"""One way to call the service from the command line: over HTTP to a running one, else to one in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeAlias

import httpx
from anyio.from_thread import start_blocking_portal

from service.serving import running_url
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


def _content(response: httpx.Response) -> Any:
    if response.is_error:
        told = response.json().get("detail", f"The service answered {response.status_code}.")
        raise Refused(told, status=response.status_code)
    is_text = response.headers.get("Content-Type", "").startswith("text/plain")
    return response.text if is_text else response.json()


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    key = settings.api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    url = settings.url or running_url(settings.data)
    if url is not None:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False) as client:
            yield client
        return
    from service.api.app import create_app  # Takes a second: only where no service runs.

    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers, timeout=None) as client,
    ):
        yield client
