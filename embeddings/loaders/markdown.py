"""Markdown, as it reads when rendered."""

from __future__ import annotations

import re
from dataclasses import replace

from embeddings.domain import LoadedDocument, Source
from embeddings.loaders.decoding import decoded, require_readable
from embeddings.loaders.frontmatter import described
from embeddings.loaders.rendering import render

_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?=[ \t#]*[\w.\"'-]+[^\n]*:)(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_DEEPEST = 60
_TOO_DEEP = f"The Markdown is nested more than {_DEEPEST} levels deep; it was read as plain text."


class MarkdownLoader:
    """CommonMark with tables; raw HTML in it is read as HTML.

    YAML front matter is no part of the text: its `title` becomes the document's, its dates, authors, tags and
    description become metadata, and its other keys are ignored.
    """

    media_types: tuple[str, ...] = ("text/markdown", "text/x-markdown")

    def load(self, source: Source) -> LoadedDocument:
        from markdown_it import MarkdownIt

        text, warnings = decoded(source)
        front_matter = _FRONT_MATTER.match(text)
        body = text[front_matter.end() :] if front_matter else text
        title, metadata = described(front_matter.group(1)) if front_matter else (None, {})
        parser = MarkdownIt("commonmark", {"html": True, "maxNesting": _DEEPEST}).enable("table")
        tokens = parser.parse(body)
        if any(token.level >= _DEEPEST - 1 for token in tokens):  # the parser leaves out what lies deeper
            require_readable(body)
            return LoadedDocument(text=body, title=title, metadata=metadata, warnings=(*warnings, _TOO_DEEP))
        html = parser.renderer.render(tokens, parser.options, {})
        return replace(render(str(html), title=title, warnings=warnings), metadata=metadata)
