"""Where in a request something is wrong: RFC 6901 into the body, `?name` of the query, `{name}` of the path, a header.

What is JSON within a parameter or a header has its own place behind that name: `?filter/year`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_WORDING = {
    "missing": "This field is needed.",
    "extra_forbidden": "There is no such field here; mind the spelling.",
    "json_type": "This must be a JSON value.",
    "model_attributes_type": "This must be a JSON object.",
    "model_type": "This must be a JSON object.",
    "dict_type": "This must be a JSON object.",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    pointer: str
    detail: str


def escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def pointer_to(path: Iterable[str | int]) -> str:
    return "".join(f"/{escaped(str(key))}" for key in path)


def field_errors(found: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Validation errors as pydantic lists them, in its order, without its vocabulary."""
    return [FieldError(_pointer(one), _WORDING.get(one["type"]) or _sentence(one["msg"])) for one in found]


def _pointer(error: Mapping[str, Any]) -> str:
    place, *path = error["loc"]
    below: str = error.get("ctx", {}).get("below", "")
    match place:
        case "body":
            return pointer_to(path) + below
        case "query":
            return f"?{path[0]}" + below
        case "path":
            return f"{{{path[0]}}}"
        case _:
            return (str(path[0]) if path else "") + below


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message if message.endswith(".") else f"{message}."
