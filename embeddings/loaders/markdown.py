"""Markdown, as it reads when rendered."""

from __future__ import annotations

import json
import re

from markdown_it import MarkdownIt

from embeddings.domain import LoadedDocument, Source
from embeddings.loaders.decoding import decoded, require_readable
from embeddings.loaders.rendering import render
from embeddings.text import canonical

_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?=[ \t#]*[\w.\"'-]+[^\n]*:)(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_DEEPEST = 60
_TOO_DEEP = f"The Markdown is nested more than {_DEEPEST} levels deep; it was read as plain text."
_TITLE = re.compile(r"^title:[ \t]+(\S[^\n]*)$", re.MULTILINE)


class MarkdownLoader:
    """CommonMark with tables; raw HTML in it is read as HTML.

    YAML front matter is no part of the text: its `title`, where it is one plain or quoted line, becomes the
    document's, and its other keys are ignored.
    """

    media_types: tuple[str, ...] = ("text/markdown", "text/x-markdown")

    def load(self, source: Source) -> LoadedDocument:
        text, warnings = decoded(source)
        front_matter = _FRONT_MATTER.match(text)
        body = text[front_matter.end() :] if front_matter else text
        title = _title(front_matter.group(1)) if front_matter else None
        parser = MarkdownIt("commonmark", {"html": True, "maxNesting": _DEEPEST}).enable("table")
        tokens = parser.parse(body)
        if any(token.level >= _DEEPEST - 1 for token in tokens):  # the parser leaves out what lies deeper
            require_readable(body)
            return LoadedDocument(text=body, title=title, warnings=(*warnings, _TOO_DEEP))
        html = parser.renderer.render(tokens, parser.options, {})
        return render(str(html), title=title, warnings=warnings)


def _title(front_matter: str) -> str | None:
    found = _TITLE.search(front_matter)
    if not found:
        return None
    value = found.group(1).strip()
    if value[0] == '"':
        return _double_quoted(value)
    if value[0] == "'":
        return value.strip("'").replace("''", "'")
    return value.partition(" #")[0].strip()


def _double_quoted(value: str) -> str:
    try:
        return canonical(str(json.loads(value)))
    except ValueError:
        return value.strip('"')
