from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from service.api import uploads
from service.api.routes import collections
from tests.api.conftest import TEXT, Api
from tests.api.test_refusals import pointers, problem


def test_a_document_goes_in_and_comes_back(api: Api, collection: str) -> None:
    path = f"/v1/collections/{collection}/documents/a"
    made = api("PUT", path, json={"text": TEXT, "title": "T", "uri": "file:a", "metadata": {"year": 1874, "on": True}})
    assert made.status_code == 201
    assert made.headers["x-loccit-seq"] == str(made.json()["seq"])
    assert api.json("PUT", path, json={"text": TEXT, "title": "T"})["unchanged"] is True
    record = api.json("GET", path)
    assert (record["title"], record["version"], record["media_type"]) == ("T", 1, "text/plain")
    original = api("GET", f"{path}/original")
    assert (original.content, original.headers["content-type"]) == (TEXT.encode(), "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("media_type", "body", "expected"),
    [
        ("text/plain; charset=latin-1", b"Caf\xe9 noir.", "Café noir."),
        ("text/markdown", b"# Head\n\nBody *text*.", "Body text."),
        ("text/html", b"<p>One &amp; two</p>", "One & two"),
        ("", b"Plain words.", "Plain words."),
    ],
    ids=["latin-1", "markdown", "html", "no type"],
)
def test_raw_bodies_are_read_by_their_type(
    api: Api, collection: str, media_type: str, body: bytes, expected: str
) -> None:
    path = f"/v1/collections/{collection}/documents/raw"
    headers = {"Content-Type": media_type} if media_type else {}
    api.json("PUT", path, status=201, content=body, headers=headers, params={"title": "T", "uri": "u"})
    assert expected in api("GET", f"{path}/text").text
    assert api.json("GET", path)["title"] == "T"
    if "latin-1" in media_type:
        assert api("GET", f"{path}/original").headers["content-type"] == "text/plain"


@pytest.mark.parametrize(
    "header", [b'{"a": "r\\u00e9serve"}', '{"a": "réserve"}'.encode(), '{"a": "réserve"}'.encode("latin-1")]
)
def test_the_metadata_header_is_read_in_any_usual_encoding(api: Api, collection: str, header: bytes) -> None:
    path = f"/v1/collections/{collection}/documents/raw"
    headers: Any = {b"X-Loccit-Metadata": header, b"Content-Type": b"text/plain"}
    api.json("PUT", path, status=201, content=b"Words.", headers=headers)
    assert api.json("GET", path)["metadata"] == {"a": "réserve"}


@pytest.mark.parametrize(
    ("metadata", "pointer"),
    [
        ({"a": {"b": 1}}, "/metadata/a"),
        ({"a/b": [1]}, "/metadata/a~1b"),
        ({"a": None}, "/metadata/a"),
        ({"": 1}, "/metadata/"),
        ({"and": 1}, "/metadata/and"),
        ({"not": 1}, "/metadata/not"),
        ({"@title": 1}, "/metadata/@title"),
        ({str(n): n for n in range(65)}, "/metadata"),
        ([], "/metadata"),
        ({"a": "x" * 70_000}, "/metadata"),
    ],
    ids=["nested", "numbers", "null", "no name", "and", "not", "own field", "65 keys", "list", "large"],
)
def test_metadata_outside_the_rules_are_refused_by_name(
    api: Api, collection: str, metadata: object, pointer: str
) -> None:
    path = f"/v1/collections/{collection}/documents/a"
    assert pointers(api("PUT", path, json={"text": "Words.", "metadata": metadata})) == [pointer]
    header = {"X-Loccit-Metadata": json.dumps(metadata), "Content-Type": "text/plain"}
    in_header = pointer.replace("/metadata", "X-Loccit-Metadata")
    assert pointers(api("PUT", path, content=b"Words.", headers=header)) == [in_header]


@pytest.mark.parametrize(
    ("sent", "pointer"), [("nope", "X-Loccit-Metadata"), ('{"a": {"b": NaN}}', "X-Loccit-Metadata/a/b")]
)
def test_a_metadata_header_that_is_no_json_is_named(api: Api, collection: str, sent: str, pointer: str) -> None:
    headers = {"X-Loccit-Metadata": sent, "Content-Type": "text/plain"}
    response = api("PUT", f"/v1/collections/{collection}/documents/a", content=b"Words.", headers=headers)
    assert pointers(response) == [pointer]
    assert "The body" not in response.text


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"params": {"title": "T"}}, "?title"),
        ({"params": {"uri": "u"}}, "?uri"),
        ({"headers": {"X-Loccit-Metadata": "{}"}}, "X-Loccit-Metadata"),
    ],
    ids=["title", "uri", "metadata"],
)
def test_what_would_be_dropped_beside_a_body_of_json_is_refused(
    api: Api, collection: str, sent: dict[str, Any], pointer: str
) -> None:
    path = f"/v1/collections/{collection}/documents"
    assert pointers(api("PUT", f"{path}/a", json={"text": "Words."}, **sent)) == [pointer]
    if "headers" in sent:
        for body in ({"json": {"documents": [{"text": "Words."}]}}, {"files": {"file": ("a.txt", b"Words.")}}):
            assert pointers(api("POST", path, **body, **sent)) == [pointer]


@pytest.mark.parametrize(
    ("query", "pointer"), [("title=x%00a", "?title"), ("uri=%FF", "?uri"), ("title=%ED%A0%80", "?title")]
)
def test_a_parameter_is_whole_text_as_a_body_is(api: Api, collection: str, query: str, pointer: str) -> None:
    path = f"/v1/collections/{collection}/documents/a?{query}"
    assert pointers(api("PUT", path, content=b"Words.", headers={"Content-Type": "text/plain"})) == [pointer]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_large_json_is_parsed_beside_the_loop(
    api: Api, collection: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def parse(_: bytes) -> object:
        seen.append(threading.current_thread().name)
        return {}

    monkeypatch.setattr(uploads, "parse_json", parse)
    path = f"/v1/collections/{collection}/documents" + ("/a" if method == "PUT" else "")
    for size in (1_000_000, 1_000_001):
        problem(api(method, path, content=b" " * size, headers={"Content-Type": "application/json"}), 422)
    on_the_loop, beside = seen
    assert "AnyIO worker" in beside
    assert "AnyIO worker" not in on_the_loop


def test_a_list_is_paged_narrowed_and_filtered(api: Api, collection: str) -> None:
    path = f"/v1/collections/{collection}/documents"
    for name, shelf in (("a-1", "x"), ("a-2", "y"), ("b-1", "x")):
        api.json("PUT", f"{path}/{name}", status=201, json={"text": f"This is {name}.", "metadata": {"shelf": shelf}})
    first = api.json("GET", path, params={"limit": 2})
    rest = api.json("GET", path, params={"limit": 2, "cursor": first["next_cursor"]})
    assert [item["document_id"] for item in first["items"] + rest["items"]] == ["a-1", "a-2", "b-1"]
    assert rest["next_cursor"] is None
    assert "versions" not in first["items"][0]
    chosen = api.json("GET", path, params={"prefix": "a", "filter": '{"shelf": {"eq": "x"}}'})
    assert [item["document_id"] for item in chosen["items"]] == ["a-1"]


def test_a_deleted_document_is_gone_for_good(api: Api, lighthouse: str) -> None:
    path = f"/v1/collections/{lighthouse}/documents/harwick.txt"
    receipt = api.json("DELETE", path, params={"purge": "true"})
    assert (receipt["document_id"], receipt["versions"]) == ("harwick.txt", 1)
    for part in ("", "/text", "/original"):
        problem(api("GET", path + part), 410)
    problem(api("DELETE", path), 404)


def test_the_original_is_an_attachment_that_no_browser_opens(api: Api, collection: str) -> None:
    path = f"/v1/collections/{collection}/documents/page.html"
    body = b"<script>alert(1)</script><p>Words.</p>"
    api.json("PUT", path, status=201, content=body, headers={"Content-Type": "text/html"})
    response = api("GET", f"{path}/original")
    assert response.content == body
    assert response.headers["content-disposition"] == 'attachment; filename="page.html"'
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


def test_text_is_sliced_in_code_points_and_in_units_of_javascript(api: Api, collection: str) -> None:
    path = f"/v1/collections/{collection}/documents/a"
    api.json("PUT", path, status=201, json={"text": "🐦 a bird"})
    for params, expected in (
        ({"start": 2, "end": 3}, "a"),
        ({"start": 3, "end": 4, "unit": "utf16"}, "a"),
        ({"start": 4, "end": 999}, "bird"),
        ({"start": 999}, ""),
    ):
        response = api("GET", f"{path}/text", params=params)
        assert response.text == expected
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert pointers(api("GET", f"{path}/text", params={"start": 1, "unit": "utf16"})) == ["?start"]
    assert pointers(api("GET", f"{path}/text", params={"end": 1, "unit": "utf16"})) == ["?end"]


def test_a_version_that_is_not_there_is_named_by_its_parameter(api: Api, lighthouse: str) -> None:
    path = f"/v1/collections/{lighthouse}/documents/harwick.txt"
    for part in ("text", "original"):
        missing = problem(api("GET", f"{path}/{part}", params={"version": 99}), 404)
        assert missing["errors"][0]["pointer"] == "?version"


def test_a_text_that_is_known_already_answers_304(api: Api, lighthouse: str) -> None:
    path = f"/v1/collections/{lighthouse}/documents/harwick.txt/text"
    etag = api("GET", path).headers["etag"]
    known = api("GET", path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
    assert api("GET", path, params={"end": 5}, headers={"If-None-Match": etag}).status_code == 200


def test_a_read_that_waits_in_vain_answers_409(api: Api, lighthouse: str) -> None:
    late = problem(api("GET", f"/v1/collections/{lighthouse}", params={"min_seq": 10_000}), 409)
    assert late["errors"][0]["pointer"] == "?min_seq"


def test_the_list_of_collections_waits_too(api: Api, lighthouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seq = api.json("GET", f"/v1/collections/{lighthouse}")["seq"]
    assert int(api("GET", "/v1/collections", params={"min_seq": seq}).headers["x-loccit-seq"]) >= seq
    monkeypatch.setattr(collections, "_WAIT_SECONDS", 0.1)
    late = problem(api("GET", "/v1/collections", params={"min_seq": 2**40}), 409)
    assert late["errors"][0]["pointer"] == "?min_seq"


def test_a_collection_is_made_renamed_listed_and_deleted(api: Api, collection: str) -> None:
    path = f"/v1/collections/{collection}"
    assert api.json("PUT", path, json={"title": "New"})["title"] == "New"
    assert collection in {item["collection"] for item in api.json("GET", "/v1/collections")["items"]}
    problem(api("PUT", path, json={"encoder": "another"}), 501)
    assert api("DELETE", path).status_code == 204
    problem(api("GET", path), 404)


def test_head_answers_as_get_does(api: Api, lighthouse: str) -> None:
    path = f"/v1/collections/{lighthouse}/documents/harwick.txt/text"
    assert api("HEAD", path).headers["etag"] == api("GET", path).headers["etag"]
