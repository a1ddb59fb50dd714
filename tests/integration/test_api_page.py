from __future__ import annotations

import asyncio
import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def examples() -> ModuleType:
    described = importlib.util.spec_from_file_location("api_examples", ROOT / "scripts" / "api_examples.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def outline(page: str) -> list[str]:
    """Titles, requests and statuses; the answers' numbers may differ a little on another processor."""
    return re.findall(r"^## .+|^```http\n.+?^```|^\d{3}$", page, re.MULTILINE | re.DOTALL)


def test_the_page_of_examples_shows_the_requests_that_are_executed_today() -> None:
    module = examples()
    written = module.PAGE.read_text("utf-8")
    assert outline(written) == outline(asyncio.run(module.page()))
    assert len(outline(written)) == 3 * len(module.EXAMPLES)
