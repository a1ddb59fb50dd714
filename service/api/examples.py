"""Examples of the OpenAPI document, taken from executed calls; a test executes them again and compares shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    method: str
    path: str
    request: Mapping[str, object] | None = None
    status: int
    response: Mapping[str, object]


@cache
def examples() -> tuple[Example, ...]:
    return tuple(Example(**one) for one in json.loads(Path(__file__).with_suffix(".json").read_text("utf-8")))
