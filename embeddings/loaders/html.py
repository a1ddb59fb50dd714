"""HTML, as it reads when rendered, without what frames the content of a page."""

from __future__ import annotations

import codecs
import re

from embeddings.domain import LoadedDocument, Source
from embeddings.loaders.decoding import decoded
from embeddings.loaders.rendering import render

_XHTML = "application/xhtml+xml"
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_LOOKED_AT = 1024
_VOID = "area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr"
_SELF_CLOSED = re.compile(rf"<(?!(?:{_VOID})[\s/])([a-zA-Z][\w:.-]{{0,40}})([^<>]*)/>", re.IGNORECASE)


class HtmlLoader:
    """Reads HTML and XHTML, however broken; all that can be seen where `whole`."""

    media_types: tuple[str, ...] = ("text/html", _XHTML)

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole

    def load(self, source: Source) -> LoadedDocument:
        html, warnings = decoded(source, inner_charset=_named_charset(source.content))
        if source.media_type == _XHTML:
            html = _SELF_CLOSED.sub(r"<\1\2></\1>", html)
        return render(html, warnings=warnings, content_only=not self._whole)


def _named_charset(content: bytes) -> str | None:
    """The charset that a page names in itself, where it can be true: the name was readable as ASCII."""
    found = _CHARSET.search(content[:_LOOKED_AT])
    if not found:
        return None
    name = found.group(1).decode("ascii", "replace")
    try:
        is_wide = codecs.lookup(name).name.startswith(("utf-16", "utf-32"))
    except LookupError:
        return None
    return "utf-8" if is_wide else name
