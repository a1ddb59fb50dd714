from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr

from service.access import access_of, is_foreign_write
from service.api.app import create_app
from service.api.routing import ContractRoute, PublicRoute
from service.bootstrap import Engine
from service.settings import Settings
from tests.api.conftest import Api, calling

KEY = "a-key-of-many-characters"
PUBLIC = {
    "/",
    "/docs",
    "/widget.js",
    "/favicon.ico",
    "/static/{name}",
    "/docs/problems/{slug}",
    "/health/live",
}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000"])
def test_the_names_of_this_machine_are_known(settings: Settings, host: str) -> None:
    assert access_of(settings).knows_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a/?x=", "localhost:80:80", "[::2]"],
)
def test_other_names_are_not(settings: Settings, host: str) -> None:
    assert not access_of(settings).knows_host(host)


def test_further_names_can_be_allowed(other_settings: Callable[..., Settings]) -> None:
    access = access_of(other_settings(host="0.0.0.0", allowed_hosts=("loccit.example",)))
    assert access.knows_host("Loccit.Example:443")
    assert not access.knows_host("other.example")


@pytest.mark.parametrize(
    ("method", "origin", "site", "foreign"),
    [
        ("PUT", None, None, False),
        ("PUT", "http://localhost:8000", "same-origin", False),
        ("PUT", "https://localhost:8000", None, False),
        ("PUT", "http://localhost:3000", None, True),
        ("PUT", "null", None, True),
        ("PUT", "http://localhost:8000.evil.example", None, True),
        ("POST", None, "cross-site", True),
        ("DELETE", None, "same-site", True),
        ("GET", "https://evil.example", "cross-site", False),
    ],
)
def test_a_write_for_a_foreign_page_is_seen(method: str, origin: str | None, site: str | None, foreign: bool) -> None:
    assert is_foreign_write(method, host="localhost:8000", origin=origin, site=site) is foreign


def test_a_foreign_host_is_refused_without_being_repeated(api: Api) -> None:
    response = api("GET", "/v1/collections", headers={"Host": "evil.example"})
    assert response.status_code == 421
    assert response.json()["type"].startswith("http://localhost:8000/docs/problems/")
    assert "evil" not in response.text


def test_every_call_that_is_not_public_needs_the_key(other_settings: Callable[..., Settings], engine: Engine) -> None:
    app = create_app(other_settings(api_key=SecretStr(KEY)), engine=engine)
    seen = set()
    with calling(app) as api:
        for route in iter_route_contexts(app.routes):
            assert isinstance(route.original_route, ContractRoute)
            assert route.path is not None
            path = route.path.format(
                collection="default",
                document_id="a",
                passage_id="a",
                job_id="a",
                key_id="a",
                name="app.js",
                slug="busy",
            )
            for method in route.methods or ():
                for headers in ({}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": KEY}, {"X-API-Key": KEY}):
                    response = api(method, path, headers=headers)
                    is_public = isinstance(route.original_route, PublicRoute)
                    assert (response.status_code == 401) is not is_public, path
                    assert is_public == (route.path in PUBLIC)
            seen.add(route.path)
        assert api("GET", "/v1/collections", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert seen > PUBLIC


def test_a_body_is_not_read_for_somebody_without_the_key(
    other_settings: Callable[..., Settings], engine: Engine
) -> None:
    with calling(create_app(other_settings(api_key=SecretStr(KEY)), engine=engine)) as api:
        response = api("PUT", "/v1/collections/default/documents/a", content=b"x" * 60_000_000)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"


def test_no_answer_gives_another_origin_leave(api: Api) -> None:
    for method in ("GET", "OPTIONS", "POST"):
        response = api(method, "/v1/collections", headers={"Origin": "https://evil.example"})
        assert not [name for name in response.headers if name.startswith("access-control-")]
