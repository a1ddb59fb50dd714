"""Keys, route by route: what each scope opens, whose collections are there, how often, from which pages, until when."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from service.access import access_of
from service.api.app import create_app
from service.api.routing import PublicRoute
from service.bootstrap import Engine, has_keys
from service.keys import EVERYTHING, Grant, Keys, Rates, Scope
from service.logs import JsonLines
from service.settings import Settings
from tests.api.conftest import TEXT, Api, calling

SITE = "https://handbook.example"
OPENS = {
    "ask": {
        ("GET", "/v1/collections"),
        ("GET", "/v1/collections/{collection}"),
        ("GET", "/v1/collections/{collection}/documents"),
        ("GET", "/v1/collections/{collection}/documents/{document_id}"),
        ("GET", "/v1/collections/{collection}/documents/{document_id}/text"),
        ("GET", "/v1/collections/{collection}/documents/{document_id}/original"),
        ("GET", "/v1/collections/{collection}/passages/{passage_id}"),
        ("POST", "/v1/ask"),
        ("POST", "/v1/ask/batch"),
        ("POST", "/v1/search"),
        ("POST", "/v1/search/batch"),
        ("POST", "/v1/verify"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"),
        ("POST", "/v1/vector_stores/{collection}/search"),
        ("POST", "/mcp"),
    },
    "ingest": {
        ("PUT", "/v1/collections/{collection}/documents/{document_id}"),
        ("POST", "/v1/collections/{collection}/documents"),
        ("DELETE", "/v1/collections/{collection}/documents/{document_id}"),
        ("GET", "/v1/jobs/{job_id}"),
        ("GET", "/v1/jobs/{job_id}/events"),
        ("DELETE", "/v1/jobs/{job_id}"),
    },
    "admin": {
        ("PUT", "/v1/collections/{collection}"),
        ("DELETE", "/v1/collections/{collection}"),
        ("POST", "/v1/keys"),
        ("GET", "/v1/keys"),
        ("DELETE", "/v1/keys/{key_id}"),
        ("GET", "/metrics"),
    },
    "any": {("GET", "/health/ready"), ("GET", "/openapi.json")},
}
"""Every call that is not public, by the scope that it needs."""

MakeKey = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def app(settings: Settings, engine: Engine) -> FastAPI:
    return create_app(settings, engine=engine)


@pytest.fixture(scope="module")
def keyed(app: FastAPI) -> Iterator[Api]:
    with calling(app) as api:
        yield api


@pytest.fixture
def make_key(keyed: Api, app: FastAPI, engine: Engine) -> Iterator[MakeKey]:
    """Makes a key and gives the headers that present it; revoked at the end."""
    made: list[str] = []

    def make(*scopes: str, **described: Any) -> dict[str, str]:
        operator = {"Authorization": f"Bearer {app.state.access.local_key}"}
        body = {"name": "a test", "scopes": list(scopes), **described}
        key = keyed.json("POST", "/v1/keys", status=201, json=body, headers=operator)
        made.append(key["key_id"])
        return {"Authorization": f"Bearer {key['key']}"}

    yield make
    for key_id in made:
        if key_id in {key.key_id for key in engine.keys.all()}:
            engine.keys.revoke(key_id)


def calls(app: FastAPI) -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, PublicRoute) and route.path is not None:
            yield from ((method, route.path) for method in route.methods or ())


def place(path: str) -> str:
    return path.format(collection="no-such-one", document_id="a", passage_id="a", job_id="a", key_id="a")


@pytest.mark.parametrize("scope", ["ask", "ingest", "admin"])
def test_each_scope_opens_its_calls_and_no_others(app: FastAPI, keyed: Api, make_key: MakeKey, scope: str) -> None:
    headers = make_key(scope, asks_per_minute=None, uploads_per_minute=None)
    assert set(calls(app)) == set().union(*OPENS.values())
    for method, path in calls(app):
        opened = scope == "admin" or (method, path) in OPENS[scope] | OPENS["any"]
        status = keyed(method, place(path), headers=headers).status_code
        assert (status == 403) is not opened, (method, path, status)
        assert status != 401


def test_once_there_is_a_key_nothing_is_open_without_one(app: FastAPI, keyed: Api, make_key: MakeKey) -> None:
    assert keyed("GET", "/v1/collections").status_code == 200
    right = make_key("admin")["Authorization"]
    wrong = [
        {},
        {"Authorization": right + "x"},
        {"Authorization": right[:-1]},
        {"Authorization": right.replace("Bearer ", "")},
        {"Authorization": f"Bearer loccit_{'0' * 12}_{'A' * 43}"},
        {"Authorization": "Bearer \udcff"},
        {"Authorization": "Bearer "},
        {"X-API-Key": right},
        {"Cookie": right},
    ]
    for method, path in calls(app):
        for headers in wrong:
            sent = {name: value.encode("utf-8", "surrogateescape") for name, value in headers.items()}
            assert keyed(method, place(path), headers=sent).status_code == 401, (method, path, headers)
    assert keyed("GET", "/v1/collections", headers={"Authorization": right}).status_code == 200


def test_an_address_that_others_reach_is_never_open(settings: Settings, engine: Engine) -> None:
    assert not engine.keys
    assert access_of(settings, engine.keys).caller(None) is not None
    assert access_of(settings.model_copy(update={"host": "0.0.0.0"}), engine.keys).caller(None) is None


def test_what_is_not_yours_is_as_if_it_were_not_there(
    keyed: Api, lighthouse: str, make_key: MakeKey, collection: str, app: FastAPI, engine: Engine
) -> None:
    document = f"/v1/collections/{lighthouse}/documents/harwick.txt"
    mine = make_key("ask", "ingest", collections=["mine"], uploads_per_minute=None)
    everything = {"Authorization": f"Bearer {app.state.access.local_key}"}
    passages = keyed.json(
        "POST", "/v1/search", json={"question": "Harwick", "collection": lighthouse}, headers=everything
    )["passages"]
    job = keyed.json(
        "POST", f"/v1/collections/{lighthouse}/documents", status=202, headers=everything,
        json={"documents": [{"document_id": "canary", "text": "A canary of another tenant."}]},
    )["job_id"]  # fmt: skip
    for method, path, sent in (
        ("GET", f"/v1/collections/{lighthouse}", {}),
        ("GET", f"/v1/collections/{lighthouse}/documents", {}),
        ("GET", document, {}),
        ("GET", f"{document}/text", {}),
        ("GET", f"{document}/original", {}),
        ("GET", f"/v1/collections/{lighthouse}/passages/{passages[0]['passage_id']}", {}),
        ("PUT", document, {"json": {"text": "Overwritten."}}),
        ("PUT", f"{document}?wait=false", {"json": {"text": "Overwritten."}}),
        ("POST", f"/v1/collections/{lighthouse}/documents", {"json": {"documents": [{"text": "Added."}]}}),
        ("DELETE", document, {}),
        ("POST", "/v1/ask", {"json": {"question": "Harwick?", "collection": lighthouse}}),
        ("POST", "/v1/search", {"json": {"question": "Harwick?", "collection": lighthouse, "min_seq": 1}}),
        ("GET", f"/v1/jobs/{job}", {}),
        ("GET", f"/v1/jobs/{job}/events", {}),
        ("DELETE", f"/v1/jobs/{job}", {}),
    ):
        absent_path = path.replace(lighthouse, "absent").replace(job, "absent")
        absent_sent = json.loads(json.dumps(sent).replace(lighthouse, "absent"))
        hidden = keyed(method, path, headers=mine, **sent)
        absent = keyed(method, absent_path, headers=mine, **absent_sent)
        assert hidden.status_code == absent.status_code == 404, (method, path, hidden.text)
        told = [{**one.json(), "instance": ""} for one in (hidden, absent)]
        assert json.dumps(told[0]).replace(lighthouse, "absent").replace(job, "absent") == json.dumps(told[1])
    listed = keyed.json("GET", "/v1/collections", headers=mine)["items"]
    assert lighthouse not in {item["collection"] for item in listed}
    batch = {"requests": [{"question": "Harwick?", "collection": lighthouse}]}
    refused = keyed.json("POST", "/v1/ask/batch", headers=mine, json=batch)["responses"][0]
    assert refused["status"] == 404
    assert keyed("GET", document, headers=everything).json()["version"] == 1


def test_a_key_bound_to_a_collection_uses_it(keyed: Api, lighthouse: str, make_key: MakeKey) -> None:
    headers = make_key("ask", collections=[lighthouse])
    found = keyed.json("POST", "/v1/search", json={"question": "tower", "collection": lighthouse}, headers=headers)
    assert found["passages"][0]["text"] in TEXT
    assert [one["collection"] for one in keyed.json("GET", "/v1/collections", headers=headers)["items"]] == [lighthouse]


def test_an_admin_of_one_collection_rules_that_one_only(keyed: Api, lighthouse: str, make_key: MakeKey) -> None:
    headers = make_key("admin", collections=[lighthouse, "another-of-mine"])
    assert keyed("PUT", "/v1/collections/another-of-mine", headers=headers).status_code == 201
    assert keyed("DELETE", "/v1/collections/another-of-mine", headers=headers).status_code == 204
    assert keyed("PUT", "/v1/collections/somebody-elses", headers=headers).status_code == 404
    for method, path in (("GET", "/v1/keys"), ("GET", "/metrics"), ("DELETE", "/v1/keys/a")):
        assert keyed(method, path, headers=headers).status_code == 403
    body = {"name": "more than mine", "scopes": ["admin"]}
    assert keyed("POST", "/v1/keys", headers=headers, json=body).status_code == 403


def test_details_of_readiness_are_for_those_who_run_the_service(keyed: Api, make_key: MakeKey) -> None:
    state = keyed.json("GET", "/health/ready", headers=make_key("ask"))
    assert state["checks"]["disk"] == {"ok": True, "detail": ""}
    assert keyed.json("GET", "/health/ready", headers=make_key("admin"))["checks"]["disk"]["detail"]


def test_a_rate_that_is_used_up_answers_429_until_it_is_not(keyed: Api, lighthouse: str, make_key: MakeKey) -> None:
    headers = make_key("ask", asks_per_minute=3)
    body = {"question": "tower", "collection": lighthouse}
    statuses = [keyed("POST", "/v1/search", json=body, headers=headers).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = keyed("POST", "/v1/ask", json=body, headers=headers)
    assert refused.json()["type"].endswith("/too-many-requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert keyed("GET", "/v1/collections", headers=headers).status_code == 200
    assert keyed("POST", "/v1/search", json=body, headers=make_key("ask")).status_code == 200


def test_a_batch_counts_as_many_questions_as_it_holds(keyed: Api, lighthouse: str, make_key: MakeKey) -> None:
    headers = make_key("ask", asks_per_minute=5)
    batch = {"requests": 4 * [{"question": "tower", "collection": lighthouse}]}
    assert keyed("POST", "/v1/search/batch", json=batch, headers=headers).status_code == 200
    assert keyed("POST", "/v1/search/batch", json=batch, headers=headers).status_code == 429


def test_uploads_have_a_rate_of_their_own(keyed: Api, collection: str, make_key: MakeKey) -> None:
    headers = make_key("ingest", uploads_per_minute=2)
    path = f"/v1/collections/{collection}/documents/a"
    assert [
        keyed("PUT", path, json={"text": f"Number {n}."}, headers=headers).status_code for n in range(3)
    ] == [201, 200, 429]  # fmt: skip
    assert keyed("DELETE", path, headers=headers).status_code == 200


def test_two_keys_do_not_share_idempotency_keys(keyed: Api, collection: str, make_key: MakeKey) -> None:
    path = f"/v1/collections/{collection}/documents"
    jobs = [
        keyed.json(
            "POST", path, status=202, json={"documents": [{"text": f"Of caller {number}."}]},
            headers={**make_key("ingest"), "Idempotency-Key": "the-same"},
        )["job_id"]
        for number in range(2)
    ]  # fmt: skip
    assert jobs[0] != jobs[1]


def test_a_key_of_a_site_works_on_its_pages_only(keyed: Api, lighthouse: str, make_key: MakeKey) -> None:
    headers = make_key("ask", origins=[SITE], collections=[lighthouse])
    body = {"question": "tower", "collection": lighthouse}
    at_home = keyed("POST", "/v1/ask", json=body, headers={**headers, "Origin": SITE, "Sec-Fetch-Site": "cross-site"})
    assert at_home.status_code == 200
    assert at_home.headers["access-control-allow-origin"] == SITE
    assert "Origin" in at_home.headers["vary"]
    assert "access-control-allow-credentials" not in at_home.headers
    for origin in (
        "https://evil.example", "null", "https://sub.handbook.example", "http://handbook.example",
        "https://handbook.example.evil.example", "https://handbook.example:444", "http://localhost:8000",
    ):  # fmt: skip
        elsewhere = keyed("POST", "/v1/ask", json=body, headers={**headers, "Origin": origin})
        assert elsewhere.status_code == 403, origin
        assert "access-control-allow-origin" not in elsewhere.headers
    assert keyed("POST", "/v1/ask", json=body, headers=headers).status_code == 403
    assert keyed("GET", "/v1/collections", headers=headers).status_code == 403


def test_a_key_of_no_site_is_refused_from_pages_of_others(keyed: Api, lighthouse: str, make_key: MakeKey) -> None:
    make_key("ask", origins=[SITE])
    headers = {**make_key("ask", "ingest"), "Origin": SITE}
    body = {"question": "tower", "collection": lighthouse}
    assert keyed("POST", "/v1/ask", json=body, headers=headers).status_code == 403


def test_browsers_are_told_beforehand_what_a_site_may_do(keyed: Api, make_key: MakeKey) -> None:
    make_key("ask", origins=[SITE])
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    told = keyed("OPTIONS", "/v1/ask", headers={**asked, "Origin": SITE})
    assert told.status_code == 204
    assert told.headers["access-control-allow-origin"] == SITE
    assert "Authorization" in told.headers["access-control-allow-headers"]
    refused = keyed("OPTIONS", "/v1/ask", headers={**asked, "Origin": "https://evil.example"})
    assert not [name for name in refused.headers if name.startswith("access-control-")]


def test_each_visitor_of_a_site_has_a_rate(keyed: Api, lighthouse: str, make_key: MakeKey) -> None:
    headers = {**make_key("ask", origins=[SITE], visitor_asks_per_minute=2), "Origin": SITE}
    body = {"question": "tower", "collection": lighthouse}
    spoofed = [{**headers, "X-Forwarded-For": f"192.0.2.{number}"} for number in range(3)]
    assert [keyed("POST", "/v1/ask", json=body, headers=one).status_code for one in spoofed] == [200, 200, 429]


def test_what_one_visitor_is_refused_is_not_taken_from_the_others(
    app: FastAPI, keyed: Api, lighthouse: str, make_key: MakeKey
) -> None:
    headers = {**make_key("ask", origins=[SITE], asks_per_minute=5, visitor_asks_per_minute=2), "Origin": SITE}
    body = {"question": "tower", "collection": lighthouse}
    for address, calls_made in (("192.0.2.1", 9), ("192.0.2.2", 2)):
        visitor = keyed.at(app, address)
        statuses = [visitor("POST", "/v1/search", json=body, headers=headers).status_code for _ in range(calls_made)]
        assert statuses == [200, 200] + [429] * (calls_made - 2)


def test_an_expired_or_revoked_key_opens_nothing(keyed: Api, make_key: MakeKey, engine: Engine) -> None:
    make_key("admin")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired, presented = engine.keys.add("a test", Grant(scopes=frozenset({Scope.ASK})), expires_at=yesterday)
    assert keyed("GET", "/v1/collections", headers={"Authorization": f"Bearer {presented}"}).status_code == 401
    engine.keys.revoke(expired.key_id)
    headers = make_key("ask")
    assert keyed("GET", "/v1/collections", headers=headers).status_code == 200
    engine.keys.revoke(headers["Authorization"].split("_")[1])
    assert keyed("GET", "/v1/collections", headers=headers).status_code == 401


def test_a_key_is_shown_once_and_kept_as_a_hash(
    keyed: Api, make_key: MakeKey, engine: Engine, caplog: pytest.LogCaptureFixture, app: FastAPI
) -> None:
    with caplog.at_level(logging.DEBUG):
        headers = make_key("admin")
        secret = headers["Authorization"].split("_", 2)[2]
        listed = keyed("GET", "/v1/keys", headers=headers).text
        metrics = keyed("GET", "/metrics", headers=headers).text
        keyed("GET", "/v1/no-such-call", headers=headers)
    logged = "".join(JsonLines().format(record) for record in caplog.records)
    stored = b"".join(path.read_bytes() for path in engine.settings.data.glob("system.db*"))
    assert secret not in listed + metrics + logged
    assert secret.encode() not in stored
    assert app.state.access.local_key not in listed + metrics + logged + repr(app.state.access)


def test_keys_are_listed_page_by_page(keyed: Api, make_key: MakeKey, engine: Engine) -> None:
    headers, *_ = [make_key("admin", name=f"number {number}") for number in range(3)]
    first = keyed.json("GET", "/v1/keys", params={"limit": 2}, headers=headers)
    engine.keys.revoke(first["items"][1]["key_id"])
    rest = keyed.json("GET", "/v1/keys", params={"limit": 2, "cursor": first["next_cursor"]}, headers=headers)
    assert [one["name"] for one in first["items"] + rest["items"]] == ["number 0", "number 1", "number 2"]
    assert rest["next_cursor"] is None


def test_keys_survive_a_restart_and_are_known_before_it(engine: Engine, make_key: MakeKey) -> None:
    assert not has_keys(engine.settings)
    headers = make_key("ask", collections=["a"], origins=[SITE], asks_per_minute=7)
    assert has_keys(engine.settings)
    found = Keys(engine.library).find(headers["Authorization"].removeprefix("Bearer "))
    assert found is not None
    assert found.grant == Grant(
        scopes=frozenset({Scope.ASK}),
        collections=frozenset({"a"}),
        origins=frozenset({SITE}),
        rates=Rates(asks=7, uploads=10, visitor_asks=10),
    )


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"collections": ["../a"]}, "/collections/0"),
        ({"origins": ["*"]}, "/origins/0"),
        ({"origins": ["https://handbook.example/"]}, "/origins/0"),
        ({"asks_per_minute": 0}, "/asks_per_minute"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"expires_at": 0}, "/expires_at"),
        ({"expires_at": "1900000000"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59.999999Z"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:00"}, "/expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+23:00"}, "/expires_at"),
        ({"secret": "mine"}, "/secret"),
    ],
)
def test_a_key_that_cannot_be_is_refused(keyed: Api, changed: dict[str, object], pointer: str) -> None:
    body = {"name": "a test", "scopes": ["ask"], **changed}
    refused = keyed.json("POST", "/v1/keys", status=422, json=body)
    assert refused["errors"][0]["pointer"] == pointer


def test_everything_is_everything() -> None:
    assert all(EVERYTHING.allows(scope) for scope in Scope)
    assert EVERYTHING.covers("anything")
