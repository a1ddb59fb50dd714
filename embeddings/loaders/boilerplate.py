"""Which parts of a web page are its content, and which its menus, notices and footers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
_MOST_CHARACTERS = 5_000_000
_HELD = 0.6
"""Share of a part's words, in threes, that the content holds where the part belongs to it."""
_LEAST_CONTENT = 200
"""In characters: from less than this nothing is concluded."""


def content_flags(html: str, texts: Sequence[str], *, framed: Sequence[bool]) -> list[bool]:
    """For each text of a page, in order, whether it belongs to the content.

    Trafilatura finds the content. What it passes over is dropped only before and after the content, and where the page
    itself marks it as a frame (`framed`); so tables and lists within the content stay whole.
    """
    content = _content(html)
    if len(content) < _LEAST_CONTENT:
        return [not one for one in framed] if not all(framed) else [True] * len(texts)
    known = _threes(content)
    held = [_share(text, known) >= _HELD for text in texts]
    if True not in held:
        return [True] * len(texts)
    first, last = held.index(True), len(held) - 1 - held[::-1].index(True)
    return [
        is_held or (first < at < last and not is_framed)
        for at, (is_held, is_framed) in enumerate(zip(held, framed, strict=True))
    ]


def _content(html: str) -> str:
    if len(html) > _MOST_CHARACTERS:
        return ""
    import trafilatura

    return trafilatura.extract(html, include_tables=True, include_comments=False, favor_recall=True) or ""


def _threes(text: str) -> set[tuple[str, ...]]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return {tuple(words[at : at + size]) for size in (1, 2, 3) for at in range(len(words) - size + 1)}


def _share(text: str, known: set[tuple[str, ...]]) -> float:
    words = [word.casefold() for word in _WORD.findall(text)]
    if not words:
        return 0.0
    size = min(3, len(words))
    found = [tuple(words[at : at + size]) in known for at in range(len(words) - size + 1)]
    return sum(found) / len(found)
