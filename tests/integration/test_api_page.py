from __future__ import annotations

import asyncio
import importlib
import re
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def outline(page: str) -> list[str]:
    """Titles, requests and statuses; the answers' numbers may differ a little on another processor."""
    return re.findall(r"^## [^\n]+|^```http\n.+?^```|^\d{3}$", page, re.MULTILINE | re.DOTALL)


def test_the_page_of_examples_shows_the_requests_that_are_executed_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module = importlib.import_module("api_examples")
    written = module.PAGE.read_text("utf-8")
    assert outline(written) == outline(asyncio.run(module.page()))
    assert len(outline(written)) == 3 * len(module.EXAMPLES)
