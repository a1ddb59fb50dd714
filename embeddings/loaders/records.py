"""Rows of cells as text: every row tells the names of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from embeddings.loaders.composing import Composition

MOST_ROWS = 100_000
_LOOKED_AT_ROWS = 25
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s*\d[\d,.\s]*%?\)?")


def add_rows(composition: Composition, rows: Iterable[Sequence[str]]) -> bool:
    """Each row as a record, "Segment: Data Center; Q4 2023: 2,282", until 100,000; whether there were more.

    The first row that is half as wide as the table, if it holds only words, gives the names; those above it are text.
    """
    coming = iter(rows)
    beginning = [row for row, _ in zip(coming, range(_LOOKED_AT_ROWS), strict=False)]
    header = _header(beginning)
    names = [name.strip() for name in beginning[header]] if header is not None else []
    for row in beginning[: header or 0]:
        composition.add("; ".join(filter(None, map(_single_line, row))))
    count = 0
    for row in chain(beginning[(-1 if header is None else header) + 1 :], coming):
        if count == MOST_ROWS:
            return True
        composition.add_record(_told(row, names))
        count += 1
    if not count and header is not None:
        composition.add_record("; ".join(filter(None, names)))
    return False


def _header(rows: Sequence[Sequence[str]]) -> int | None:
    width = max((sum(map(bool, row)) for row in rows), default=0)
    for at, row in enumerate(rows[:-1] if len(rows) > 1 else rows):
        filled = [cell for cell in row if cell.strip()]
        if 2 * len(filled) > width and len(filled) >= min(2, width):
            return at if _is_header(filled) else None
    return None


def _is_header(filled: Sequence[str]) -> bool:
    figures = sum(bool(_NUMBER.fullmatch(cell.strip())) and not _is_year(cell) for cell in filled)
    return not figures and len(set(filled)) == len(filled) and max(map(len, filled)) < 200


def _is_year(cell: str) -> bool:
    return bool(re.fullmatch(r"(?:19|20)\d\d", cell.strip()))


def _told(row: Sequence[str], names: Sequence[str]) -> str:
    parts = []
    for at, cell in enumerate(row):
        text = _single_line(cell)
        name = _single_line(names[at]) if at < len(names) else ""
        if text:
            parts.append(f"{name}: {text}" if name else text)
    return "; ".join(parts)


def _single_line(text: str) -> str:
    return " ".join(text.split())
