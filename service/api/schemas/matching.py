"""Fields that match a pattern, with the rule in words for whoever breaks it."""

from __future__ import annotations

import re

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Matching:
    """Metadata of a field whose value is a text."""

    def __init__(self, pattern: str, rule: str) -> None:
        self._pattern = pattern
        self._rule = rule

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self._pattern}

    def _checked(self, value: str) -> str:
        if not re.fullmatch(self._pattern, value):
            raise PydanticCustomError("does_not_match", "{rule}", {"rule": self._rule})
        return value
