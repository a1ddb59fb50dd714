"""The real application over a real engine, called without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from service import bootstrap
from service.api.app import create_app
from service.bootstrap import Engine
from service.settings import Settings

TEXT = (
    "Harwick Lighthouse stands on the northern cliff of Tolsey Island. Harwick Lighthouse was built in 1874 by the "
    "engineer Edda Thornquist. The tower of Harwick Lighthouse is 41 metres tall."
)


class Api:
    """Calls an application as a client on this machine does."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal = portal
        self._client = client

    def __call__(self, method: str, path: str, **sent: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.request, method, path, **sent))

    def at(self, app: FastAPI, address: str) -> Api:
        """The same application, called from another address."""
        transport = httpx.ASGITransport(app=app, client=(address, 50_000))
        return Api(self._portal, httpx.AsyncClient(transport=transport, base_url=self._client.base_url))

    def json(self, method: str, path: str, *, status: int = 200, **sent: Any) -> Any:
        response = self(method, path, **sent)
        assert response.status_code == status, response.text
        return response.json()


@contextmanager
def calling(app: FastAPI) -> Iterator[Api]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")
        with portal.wrap_async_context_manager(client):
            yield Api(portal, client)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data = tmp_path_factory.mktemp("data")
    return Settings(data=data, seeds=False, threads=2, processes=0, free_disk_floor_bytes=0)


@pytest.fixture(scope="session")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = bootstrap.start(settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def api(settings: Settings, engine: Engine) -> Iterator[Api]:
    with calling(create_app(settings, engine=engine)) as api:
        yield api


@pytest.fixture
def collection(api: Api) -> Iterator[str]:
    name = f"test-{uuid4().hex[:12]}"
    api.json("PUT", f"/v1/collections/{name}", status=201)
    yield name
    api("DELETE", f"/v1/collections/{name}")


@pytest.fixture
def lighthouse(api: Api, collection: str) -> str:
    """A collection with one document."""
    path = f"/v1/collections/{collection}/documents/harwick.txt"
    api.json("PUT", path, status=201, json={"text": TEXT, "title": "Harwick Lighthouse"})
    return collection


@pytest.fixture
def other_settings(settings: Settings) -> Callable[..., Settings]:
    return lambda **changes: settings.model_copy(update=changes)


@pytest.fixture
def new_data(tmp_path: Path) -> Path:
    return tmp_path / "data"
