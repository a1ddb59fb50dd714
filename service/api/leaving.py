"""Work is for somebody: what still waits for its turn is given up when the client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio import CancelScope
from starlette.requests import ClientDisconnect
from starlette.types import Receive

Result = TypeVar("Result")


async def unless_gone(receive: Receive, work: Callable[[], Awaitable[Result]]) -> Result:
    """Raises ClientDisconnect where the client leaves before the work is done; a call in a thread ends all the same."""
    with CancelScope() as scope:
        watch = asyncio.create_task(_cancel_when_gone(receive, scope))
        try:
            return await work()
        finally:
            watch.cancel()
    raise ClientDisconnect


async def _cancel_when_gone(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
