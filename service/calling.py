"""One way to call the service from the command line: over HTTP to a running one, else to one in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx

from service.serving import running_url
from service.settings import Settings

_TIMEOUT = httpx.Timeout(600.0, connect=5.0)


class Refused(Exception):
    """The service answered with a problem; the message is for people."""


def call(settings: Settings, method: str, path: str, **sent: Any) -> dict[str, Any]:
    """The JSON of a successful answer. Raises Refused, httpx.HTTPError, LoccitError."""
    return anyio.run(_call, settings, method, path, sent)


async def _call(settings: Settings, method: str, path: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    async with _client(settings) as client:
        response = await client.request(method, path, **sent)
    answer: dict[str, Any] = response.json()
    if response.is_error:
        raise Refused(answer.get("detail", f"The service answered {response.status_code}."))
    return answer


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
