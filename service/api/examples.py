"""Examples of the OpenAPI document: a test sends the requests and compares the answers' shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    request: Mapping[str, object] | None = None
    status: int = 200
    response: Mapping[str, object]


EXAMPLES: Mapping[tuple[str, str], Example] = {}
