"""Runs the application with uvicorn and leaves its address where the command line finds it."""

from __future__ import annotations

import logging
import os
import signal
import socket
from contextlib import closing
from types import FrameType
from typing import NoReturn

import typer
import uvicorn
from fastapi import FastAPI

from embeddings.memory import settle
from service import bootstrap
from service.api.app import create_app
from service.receiving import PatientProtocol
from service.running import Running, announce, withdraw
from service.settings import Settings

logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 5


def serve(settings: Settings) -> None:
    """Returns when the service was told to stop. Raises LoccitError or OSError where it cannot start."""
    with _listening_socket(settings) as listening, closing(bootstrap.start(settings)) as engine:
        app = create_app(settings, engine=engine)
        server = _Server(configuration(settings, app), app, settings=settings)
        for stop in (signal.SIGINT, signal.SIGTERM):
            # The server listens to them by itself while it runs, but the engine is closed only afterwards.
            signal.signal(stop, server.handle_exit)
        settle()
        server.run(sockets=[listening])


def configuration(settings: Settings, app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.graceful_stop_seconds,
        http=PatientProtocol,
        ws="none",
        loop="uvloop",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: FastAPI, *, settings: Settings) -> None:
        super().__init__(config)
        self._app = app
        self._data = settings.data

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal stops gracefully, a second one at once.

        uvicorn's own would send the first once more when it is done, before the engine is closed.
        """
        if self.should_exit:
            _stop_at_once(sig)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and sockets:
            url = _url(sockets[0])
            announce(self._data, Running(url, self._app.state.access.local_key))
            typer.echo(f"Loccit answers at {url} — stop it with Ctrl+C.")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        withdraw(self._data)
        await super().shutdown(sockets=sockets)


def _stop_at_once(sig: int) -> NoReturn:
    """Loses nothing that was acknowledged: that is on disk."""
    try:
        logger.warning("stops at once, as it was told to twice")
    finally:
        os._exit(128 + sig)


def _listening_socket(settings: Settings) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.set_inheritable(False)
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    name = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"
