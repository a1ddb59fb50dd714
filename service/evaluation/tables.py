"""Tables in Markdown, and their places between markers in a page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

Cell = str | int | float


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """The first column is text; numbers stand to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *[[_shown(cell) for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return "–" if math.isnan(cell) else f"{cell:.1f}" if abs(cell) < 1000 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def percent(value: float) -> float:
    return 100 * value


def with_section(page: str, name: str, content: str) -> str:
    """The page with the content between its markers of that name; they are put at the end where there are none."""
    opening, closing = f"<!-- {name}: written by a script -->", f"<!-- end of {name} -->"
    section = f"{opening}\n{content.strip()}\n{closing}"
    pattern = re.compile(re.escape(opening) + ".*?" + re.escape(closing), re.DOTALL)
    if pattern.search(page):
        return pattern.sub(lambda _: section, page)
    return f"{page.rstrip()}\n\n{section}\n".lstrip()


def write_section(page: Path, name: str, content: str) -> None:
    """Into a page that may be there already."""
    written = page.read_text("utf-8") if page.exists() else ""
    page.write_text(with_section(written, name, content), "utf-8")
