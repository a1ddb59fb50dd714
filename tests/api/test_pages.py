from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.api.examples import examples
from service.api.problems import all_kinds
from service.settings import Settings
from tests.api.conftest import Api

ROOT = Path(__file__).parents[2]
WEB = ROOT / "service" / "web"


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/widget.js", "/static/app.js", "/static/style.css", "/docs/problems/busy"]
)
def test_pages_forbid_what_they_do_not_need(api: Api, path: str) -> None:
    response = api("GET", path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert api("GET", path, headers={"If-None-Match": response.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapi%2Fapp.py", "%2Fetc%2Fpasswd"])
def test_only_the_files_of_the_page_are_served(api: Api, name: str) -> None:
    assert api("GET", f"/static/{name}").status_code == 404
    assert api("GET", f"/docs/problems/{name}").status_code == 404


def test_every_problem_has_a_page_that_is_served(api: Api) -> None:
    for kind in all_kinds():
        response = api("GET", f"/docs/problems/{kind.slug}")
        assert f"<h1>{kind.title}</h1>" in response.text


@pytest.mark.parametrize("path", sorted(WEB.glob("*.[hj]*")), ids=lambda path: path.name)
def test_pages_make_no_markup_of_texts_and_carry_no_inline_code(path: Path) -> None:
    source = path.read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser", source)
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)| on\w+=|style=", source) or path.name == "widget.js"
    assert not re.search(r"https?://(?!www\.w3\.org)", source)


def test_the_openapi_document_names_every_refusal_as_a_problem(api: Api) -> None:
    document = api.json("GET", "/openapi.json")
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert set(response["content"]) - {"application/json"} == {"application/problem+json"}
                    assert status == "503" or "application/json" not in response["content"]


def test_the_openapi_document_names_what_the_doors_of_the_service_refuse(api: Api) -> None:
    for path, operations in api.json("GET", "/openapi.json")["paths"].items():
        for method, operation in operations.items():
            at_the_door = {"421"} if path == "/health/live" else {"401", "403", "421", "503"}
            assert at_the_door <= set(operation["responses"]), (method, path)
            assert ("413" in operation["responses"]) == ("408" in operation["responses"]), (method, path)


def test_the_openapi_document_lets_a_filter_be_null_and_an_original_be_of_any_type(api: Api) -> None:
    document = api.json("GET", "/openapi.json")
    assert document["components"]["schemas"]["AskBody"]["properties"]["filter"]["type"] == ["object", "null"]
    original = document["paths"]["/v1/collections/{collection}/documents/{document_id}/original"]
    assert list(original["get"]["responses"]["200"]["content"]) == ["*/*"]


def test_every_reference_of_the_openapi_document_leads_somewhere(api: Api) -> None:
    text = api("GET", "/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) <= set(schemas)


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items() if name not in ("timings_ms", "metadata")}
    return "list" if isinstance(value, list) else "value"


def test_the_examples_of_the_openapi_document_are_what_the_service_answers(api: Api, collection: str) -> None:
    def own(value: Any) -> Any:
        return json.loads(json.dumps(value).replace('"default"', f'"{collection}"'))

    api("DELETE", f"/v1/collections/{collection}")
    for example in examples():
        place = example.path.format(collection=collection, document_id="harwick.txt")
        sent = {} if example.request is None else {"json": own(dict(example.request))}
        answer = api.json(example.method.upper(), place, status=example.status, **sent)
        assert shape(answer) == shape(example.response), place


def test_every_setting_is_described_with_its_default() -> None:
    described = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = {
        row.split("|")[1].strip(" `"): row.split("|")[2].strip(" `")
        for row in described.split("\n")
        if row.startswith("| `")
    }
    assert set(rows) == {f"LOCCIT_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, str | int):
            assert rows[f"LOCCIT_{name.upper()}"] == str(field.default).lower()
