"""All formats as one loader: the media type says which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import UnsupportedMediaType
from embeddings.loaders.html import HtmlLoader
from embeddings.loaders.markdown import MarkdownLoader
from embeddings.loaders.plain import PlainLoader
from embeddings.ports import Loader

_UNKNOWN = ("", "application/octet-stream")
_HTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!--[^>]*>\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)


class Formats:
    """Hands a source to the loader for its media type; a source without one is read as HTML or as plain text."""

    def __init__(self, loaders: Sequence[Loader]) -> None:
        self._by_type = {media_type: loader for loader in loaders for media_type in loader.media_types}
        self.media_types = tuple(self._by_type)

    def load(self, source: Source) -> LoadedDocument:
        if source.media_type in _UNKNOWN:
            source = replace(source, media_type=sniffed(source.content))
        loader = self._by_type.get(source.media_type)
        if loader is None:
            readable = ", ".join(self.media_types)
            raise UnsupportedMediaType(
                f"No loader reads {source.media_type}; send one of {readable}.", field="/media_type"
            )
        return loader.load(source)


def sniffed(content: bytes) -> str:
    """The media type that content without one most likely has."""
    return "text/html" if _HTML_START.match(content[:1024]) else "text/plain"


def text_formats() -> Formats:
    """Plain text, Markdown and HTML."""
    return Formats((PlainLoader(), MarkdownLoader(), HtmlLoader()))
