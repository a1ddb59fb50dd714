"""The OpenAPI document: what FastAPI knows, with the problems, the key and examples."""

from __future__ import annotations

import json
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.examples import examples
from service.api.schemas.requests import ExchangeBody, NewDocumentBody
from service.api.schemas.responses import ProblemModel

_DESCRIPTION = """\
Give it documents, ask questions, get answers with quotes that stand in the documents, checked to the character.

Offsets count Unicode code points of a version's canonical text, end exclusive. Errors are problem details (RFC 9457).
Where the service has a key, send it as `Authorization: Bearer …`.
"""


@lru_cache(maxsize=4)
def document_of(app: FastAPI) -> bytes:
    document = get_openapi(title="Loccit", version=app.version, description=_DESCRIPTION, routes=app.routes)
    components = document.setdefault("components", {})
    for model in (ProblemModel, NewDocumentBody, ExchangeBody):
        _add_schema(components.setdefault("schemas", {}), model.model_json_schema(ref_template=_REFERENCE))
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}, {}]
    _name_successes(document["paths"])
    _add_examples(document["paths"])
    return json.dumps(document).encode()


_REFERENCE = "#/components/schemas/{model}"


def _add_schema(schemas: dict[str, Any], schema: dict[str, Any]) -> None:
    for name, inner in schema.pop("$defs", {}).items():
        schemas.setdefault(name, inner)
    schemas.setdefault(schema["title"], schema)


def _name_successes(paths: dict[str, Any]) -> None:
    for operations in paths.values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if response["description"] == "Successful Response":
                    response["description"] = HTTPStatus(int(status)).phrase + "."


def _add_examples(paths: dict[str, Any]) -> None:
    for example in examples():
        operation = paths[example.path][example.method]
        if example.request is not None:
            operation["requestBody"]["content"]["application/json"]["example"] = example.request
        operation["responses"][str(example.status)]["content"]["application/json"]["example"] = example.response
