"""Fields that hold no more than a deployment lets them, as their description says too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from service.limits import Limits, limits_in_force

Limit: TypeAlias = Callable[[Limits], int]


class AtMost:
    """Metadata of a field whose value is a text, a list or a number: its length, or itself, is bounded.

    What is too much is refused before anything else is looked at, so that a long list costs no more than a short one.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        keyword = {"string": "maxLength", "array": "maxItems", "integer": "maximum"}[described["type"]]
        return {**described, keyword: self._limit(limits_in_force())}

    def _checked(self, value: Any) -> Any:
        most = self._limit(limits_in_force())
        match value:
            case str() if len(value) > most:
                raise _beyond(f"This has {len(value):,} characters; at most {most:,} are taken.")
            case list() if len(value) > most:
                raise _beyond(f"These are {len(value):,}; at most {most:,} are taken.")
            case int() if value > most:
                raise _beyond(f"This is more than {most:,}.")
        return value


def _beyond(detail: str) -> PydanticCustomError:
    return PydanticCustomError("beyond_limit", "{detail}", {"detail": detail})
