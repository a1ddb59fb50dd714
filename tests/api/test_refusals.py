"""Every refusal has one shape, names what is wrong, and tells nothing about the inside."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest

from embeddings.errors import Busy, DiskFull, LoccitError, StoreCorrupt
from service.api import routing
from service.api.app import create_app
from service.bootstrap import Engine
from service.settings import Settings
from tests.api.conftest import Api, calling

INTERNALS = re.compile(r'Traceback|File "/|site-packages|\w+\.py\b|sqlite|apsw|pydantic', re.IGNORECASE)
JSON = {"Content-Type": "application/json"}


def problem(response: httpx.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    written = response.json()
    assert written["status"] == status
    assert written["instance"] == response.headers["x-request-id"]
    assert re.fullmatch(r"http://localhost:8000/docs/problems/[a-z-]+", written["type"])
    assert written["title"]
    assert written["detail"]
    assert not INTERNALS.search(response.text)
    return written


def pointers(response: httpx.Response) -> list[str]:
    return [error["pointer"] for error in problem(response, 422)["errors"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/question"),
        ({"question": ""}, "/question"),
        ({"question": "\u200b \u0301"}, "/question"),
        ({"question": "w" * 2001}, "/question"),
        ({"question": 7}, "/question"),
        ({"question": "Why?", "topk": 3}, "/topk"),
        ({"question": "Why?", "a/b~c": 3}, "/a~1b~0c"),
        ({"question": "Why?", "top_k": True}, "/top_k"),
        ({"question": "Why?", "top_k": "5"}, "/top_k"),
        ({"question": "Why?", "top_k": 51}, "/top_k"),
        ({"question": "Why?", "collection": "Default"}, "/collection"),
        ({"question": "Why?", "filter": {"and": [{"a": {"about": 1}}]}}, "/filter/and/0/a/about"),
        ({"question": "Why?", "min_seq": -1}, "/min_seq"),
        ({"question": "Why?", "min_confidence": 1.1}, "/min_confidence"),
        ({"question": "Why?", "min_confidence": True}, "/min_confidence"),
        ({"question": "Why?", "max_latency_ms": 0}, "/max_latency_ms"),
        ({"question": "Why?", "mode": "telepathic"}, "/mode"),
        ({"question": "Why?", "history": [{"question": "So?"}]}, "/history/0/answer"),
        ({"question": "Why?", "history": [{"question": "So?", "answer": "Yes"}] * 21}, "/history"),
        ([], ""),
    ],
    ids=str,
)
def test_a_broken_rule_is_named_by_its_place(api: Api, body: object, pointer: str) -> None:
    assert pointer in pointers(api("POST", "/v1/ask", json=body))


@pytest.mark.parametrize(
    ("method", "path", "pointer"),
    [
        ("GET", "/v1/collections?limit=0", "?limit"),
        ("GET", "/v1/collections?limit=many", "?limit"),
        ("GET", "/v1/collections?limitt=5", "?limitt"),
        ("GET", "/v1/collections?cursor=%21%21", "?cursor"),
        ("GET", "/v1/collections/default/documents?cursor=Li4vYQ", "?cursor"),
        ("GET", "/v1/collections/default/documents?filter=%7B%22a%22%3A3%7D", "?filter/a"),
        ("GET", "/v1/collections/default/documents?filter=%5B%5D", "?filter"),
        ("GET", "/v1/collections/default/documents?filter=0%200", "?filter"),
        ("GET", "/v1/collections/Default", "{collection}"),
        ("GET", "/v1/collections/default/documents/a:b", "{document_id}"),
        ("GET", "/v1/collections/default/documents/%2E%2E", "{document_id}"),
        ("GET", "/v1/collections/default/documents/a/text?start=3&end=2", "?start"),
        ("GET", "/v1/collections/default/documents/a/text?version=0", "?version"),
        ("GET", "/v1/collections/default/documents/a/text?unit=bytes", "?unit"),
    ],
)
def test_a_broken_parameter_is_named(api: Api, method: str, path: str, pointer: str) -> None:
    assert pointer in pointers(api(method, path))


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/v1/collections/New%20One", "A collection is named by small letters, digits,"),
        ("/v1/collections/default%0A", "A collection is named by small letters, digits,"),
        ("/v1/collections/default/documents/a%20b", "An id has letters, digits,"),
    ],
)
def test_a_name_that_is_none_is_told_the_rule_in_words(api: Api, path: str, rule: str) -> None:
    [error] = problem(api("GET", path), 422)["errors"]
    assert error["detail"].startswith(rule)
    assert "^" not in error["detail"]


def test_a_batch_is_refused_by_the_place_of_the_malformed_request(api: Api) -> None:
    body = {"requests": [{"question": "Why?"}, {"question": "Why?", "filter": {"a": 3}}]}
    assert pointers(api("POST", "/v1/search/batch", json=body)) == ["/requests/1/filter/a"]


@pytest.mark.parametrize("body", [b"{", b"null,", b"\xff", b'{"a":' * 3000], ids=repr)
def test_malformed_json_answers_400(api: Api, body: bytes) -> None:
    problem(api("POST", "/v1/ask", content=body[:100], headers=JSON), 400)


def test_lone_surrogates_cannot_break_the_writer(api: Api) -> None:
    response = api("POST", "/v1/ask", content=rb'{"\udfff": 1, "question": "Why?"}', headers=JSON)
    assert "\\ud" not in response.text
    problem(response, 422)


def test_unknown_paths_and_methods_answer_problems(api: Api) -> None:
    problem(api("GET", "/v1/nothing"), 404)
    response = api("PATCH", "/v1/collections/default/documents/a")
    problem(response, 405)
    assert response.headers["allow"] == "DELETE, GET, HEAD, PUT"


def test_other_media_types_answer_415(api: Api, collection: str) -> None:
    problem(api("POST", "/v1/ask", content=b"{}", headers={"Content-Type": "text/plain"}), 415)
    path = f"/v1/collections/{collection}/documents"
    problem(api("PUT", f"{path}/film", content=b"..", headers={"Content-Type": "video/mp4"}), 415)
    problem(api("POST", path, content=b"..", headers={"Content-Type": "text/plain"}), 415)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_compressed_body_is_refused_by_its_header(api: Api, collection: str, method: str) -> None:
    path = f"/v1/collections/{collection}/documents" + ("/a" if method == "PUT" else "")
    for place in (path, f"/v1/collections/{collection}" if method == "PUT" else "/v1/ask"):
        refused = problem(api(method, place, content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": "gzip"}), 415)
        assert refused["errors"][0]["pointer"] == "Content-Encoding"
        assert "send it uncompressed" in refused["detail"]
    body = {"question": "Why?", "collection": collection}
    assert api("POST", "/v1/search", json=body, headers={"Content-Encoding": "identity"}).status_code == 200


def test_a_body_over_its_limit_answers_413_whether_or_not_it_says_its_length(api: Api) -> None:
    async def pieces() -> Any:
        for _ in range(100):
            yield b" " * 1000

    problem(api("POST", "/v1/ask", content=b" " * 65_537, headers=JSON), 413)
    problem(api("POST", "/v1/ask", content=pieces(), headers=JSON), 413)


def test_a_body_that_stops_coming_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces() -> Any:
        yield b"{"
        await anyio.sleep(5)
        yield b"}"

    monkeypatch.setattr(routing, "_PATIENCE_SECONDS", 0.05)
    problem(api("POST", "/v1/ask", content=pieces(), headers=JSON), 408)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/verify", {"text": "It was built in 1874."}),
        ("POST", "/v1/chat/completions", {"model": "loccit/default", "messages": [{}], "unknown": 1}),
        ("POST", "/v1/embeddings", {"model": "loccit/default", "input": ["a"]}),
        ("GET", "/v1/models", None),
        ("POST", "/v1/vector_stores/default/search", {"query": "Why?"}),
        ("POST", "/mcp", {}),
        ("POST", "/v1/ask", {"question": "Why?", "stream": True}),
        ("POST", "/v1/ask", {"question": "Why?", "mode": "generative"}),
    ],
)
def test_what_is_not_built_yet_says_so(api: Api, method: str, path: str, body: object) -> None:
    problem(api(method, path, json=body), 501)


@pytest.mark.parametrize("path", ["/v1/verify", "/v1/chat/completions", "/v1/embeddings"])
def test_what_is_not_built_yet_still_refuses_what_is_malformed(api: Api, path: str) -> None:
    problem(api("POST", path, json={}), 422)


@pytest.mark.parametrize("sent", ["x" * 101, "<script>", "a b", "ü"], ids=repr)
def test_a_malformed_request_id_is_replaced(api: Api, sent: str) -> None:
    written = problem(api("GET", "/v1/nothing", headers={"X-Request-Id": sent.encode("latin-1")}), 404)
    assert re.fullmatch(r"[0-9a-f]{32}", written["instance"])


def test_a_wellformed_request_id_comes_back(api: Api) -> None:
    assert api("GET", "/", headers={"X-Request-Id": "call-1"}).headers["x-request-id"] == "call-1"


class FailingAnswering:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def answer(self, *_: object) -> None:
        raise self._error


@pytest.fixture
def failing(settings: Settings, engine: Engine) -> Callable[[Exception], httpx.Response]:
    def ask(error: Exception) -> httpx.Response:
        broken = replace(engine, answering=FailingAnswering(error))  # type: ignore[arg-type]
        with calling(create_app(settings, engine=broken)) as api:
            api("PUT", "/v1/collections/default")
            return api("POST", "/v1/ask", json={"question": "Why?"})

    return ask


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (Busy("Full."), 503, "1"),
        (DiskFull("Full."), 507, None),
        (StoreCorrupt("Damaged."), 503, "30"),
        (RuntimeError("/srv/secret.py: sqlite"), 500, None),
        (LoccitError("/srv/secret.py: sqlite"), 500, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_fails_inside_has_the_same_shape(
    failing: Callable[[Exception], httpx.Response], error: Exception, status: int, retry_after: str | None
) -> None:
    response = failing(error)
    problem(response, status)
    assert response.headers.get("retry-after") == retry_after


def test_more_than_may_wait_is_refused_at_once(
    other_settings: Callable[..., Settings], engine: Engine, collection: str
) -> None:
    asked = {"question": "Why?", "collection": collection}
    app = create_app(other_settings(threads=1, waiting_reads=1), engine=engine)
    with calling(app) as api:
        with app.state.gates.searches.admission(), app.state.gates.searches.admission():
            response = api("POST", "/v1/search", json=asked)
            problem(response, 503)
            assert response.headers["retry-after"] == "1"
        assert api("POST", "/v1/search", json=asked).status_code == 200


def test_a_deployment_says_how_much_a_request_may_ask_for(
    other_settings: Callable[..., Settings], engine: Engine, collection: str
) -> None:
    settings = other_settings(max_question_characters=12, max_top_k=60, max_batch=2)
    asked = {"question": "Who built it", "collection": collection, "top_k": 60}
    refused: list[tuple[str, dict[str, Any], str, str]] = [
        ("/v1/search", {**asked, "question": "Who built it?"}, "/question", "12"),
        ("/v1/ask", {**asked, "top_k": 61}, "/top_k", "60"),
        ("/v1/search", {**asked, "max_per_document": 61}, "/max_per_document", "60"),
        ("/v1/search/batch", {"requests": [asked] * 3}, "/requests", "2"),
        ("/v1/ask/batch", {"requests": [asked, {**asked, "top_k": 61}]}, "/requests/1/top_k", "60"),
    ]
    with calling(create_app(settings, engine=engine)) as api:
        for path, body, pointer, most in refused:
            [error] = problem(api("POST", path, json=body), 422)["errors"]
            assert (error["pointer"], most in error["detail"]) == (pointer, True)
        assert api("POST", "/v1/search", json=asked).status_code == 200
        assert api("POST", "/v1/ask/batch", json={"requests": [asked] * 2}).status_code == 200
        schemas = api.json("GET", "/openapi.json")["components"]["schemas"]

    assert schemas["SearchBody"]["properties"]["question"]["maxLength"] == 12
    assert schemas["AskBody"]["properties"]["top_k"]["maximum"] == 60
    assert schemas["AskBatchBody"]["properties"]["requests"]["maxItems"] == 2
