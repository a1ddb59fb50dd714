"""Rules that several requests share."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from embeddings.domain import Metadata, MetadataValue
from embeddings.errors import InvalidFilter
from embeddings.filters import Filter, parse_filter
from service.api.pointers import escaped
from service.api.schemas.atmost import AtMost
from service.api.schemas.matching import Matching

_MAX_METADATA_KEYS = 64
_MAX_METADATA_BYTES = 65_536
_METADATA_NAME = r"^(?!(?:and|or|not)$)[^@]"
"""What a filter can name: it takes other names for its own, and those with `@` for the document's fields."""


def _visible(text: str) -> str:
    if not any(unicodedata.category(character)[0] in "LNPS" for character in text):
        raise ValueError("There is nothing to read in this text.")
    return text


def _not_dots(document_id: str) -> str:
    if document_id in (".", ".."):
        raise ValueError("An id must not be `.` or `..`.")
    return document_id


def _filter(raw: object) -> object:
    if raw is None:
        return None
    try:
        return parse_filter(raw)
    except InvalidFilter as error:
        below = (error.field or "").removeprefix("/filter")
        raise PydanticCustomError("invalid_filter", "{detail}", {"detail": str(error), "below": below}) from None


def metadata_of(raw: object) -> object:
    """Raises PydanticCustomError, whose context says `below` which pointer."""
    if not isinstance(raw, dict):
        raise _metadata_error("", "Metadata are a flat JSON object.")
    if len(raw) > _MAX_METADATA_KEYS:
        raise _metadata_error("", f"Metadata have at most {_MAX_METADATA_KEYS} keys; here are {len(raw)}.")
    if len(json.dumps(raw)) > _MAX_METADATA_BYTES:
        raise _metadata_error("", f"Metadata have at most {_MAX_METADATA_BYTES} bytes as JSON.")
    return {_metadata_name(key): _metadata_value(key, value) for key, value in raw.items()}


def _metadata_name(key: str) -> str:
    if not re.match(_METADATA_NAME, key):
        detail = "No filter could name this key: it must not be empty, `and`, `or` or `not`, nor begin with `@`."
        raise _metadata_error(f"/{escaped(key)}", detail)
    return key


def _metadata_value(key: str, value: object) -> MetadataValue:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    if isinstance(value, str | int | float | bool):
        return value
    raise _metadata_error(f"/{escaped(key)}", "A value is a string, a number, a boolean or a list of strings.")


def _metadata_error(below: str, detail: str) -> PydanticCustomError:
    return PydanticCustomError("invalid_metadata", "{detail}", {"detail": detail, "below": below})


_FILTER_SCHEMA = {
    "type": ["object", "null"],
    "description": (
        "`{field: {operator: value}}` with the operators eq, ne, in, gt, gte, lt, lte, exists; fields of one object are"
        " joined by and; `and`, `or` take lists of filters, `not` takes one. `@title`, `@uri`, `@media_type`,"
        " `@document_id`, `@created_at` and `@updated_at` are the document's own fields."
    ),
    "examples": [{"year": {"gte": 2020}, "not": {"kind": {"eq": "draft"}}}],
}
_METADATA_SCHEMA = {
    "type": "object",
    "maxProperties": _MAX_METADATA_KEYS,
    "propertyNames": {"pattern": _METADATA_NAME},
    "additionalProperties": {
        "anyOf": [
            {"type": ["string", "number", "boolean"]},
            {"type": "array", "items": {"type": "string"}},
        ]
    },
    "examples": [{"kind": "report", "year": 2024, "tags": ["energy", "policy"]}],
}

Question: TypeAlias = Annotated[
    str,
    Field(min_length=1, examples=["Who built Harwick Lighthouse?"]),
    AtMost(lambda limits: limits.question_characters),
    AfterValidator(_visible),
]
CollectionId: TypeAlias = Annotated[
    str,
    Field(examples=["default"]),
    Matching(
        r"^[a-z0-9][a-z0-9_-]{0,62}$",
        "A collection is named by small letters, digits, `-` and `_`, at most 63, the first a letter or a digit.",
    ),
]
DocumentId: TypeAlias = Annotated[
    str,
    Field(examples=["harwick.txt"]),
    Matching(r"^[A-Za-z0-9._~-]{1,200}$", "An id has letters, digits, `.`, `_`, `~` and `-` only, at most 200."),
    AfterValidator(_not_dots),
]
IdempotencyKey: TypeAlias = Annotated[
    str, Matching(r"^[\x21-\x7e]{1,200}$", "A key has visible ASCII characters without blanks, at most 200.")
]
FilterField: TypeAlias = Annotated[Filter | None, BeforeValidator(_filter), WithJsonSchema(_FILTER_SCHEMA)]
MetadataField: TypeAlias = Annotated[Metadata, BeforeValidator(metadata_of), WithJsonSchema(_METADATA_SCHEMA)]
TopK: TypeAlias = Annotated[int, Field(ge=1), AtMost(lambda limits: limits.top_k)]
Seq: TypeAlias = Annotated[int, Field(ge=0, lt=2**53)]
Title: TypeAlias = Annotated[str, Field(max_length=1000)]
Uri: TypeAlias = Annotated[str, Field(max_length=2000)]
