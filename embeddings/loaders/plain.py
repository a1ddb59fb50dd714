"""Plain text, as it is."""

from __future__ import annotations

from embeddings.domain import LoadedDocument, Source
from embeddings.loaders.decoding import decoded, require_readable


class PlainLoader:
    """Reads characters; trims and collapses nothing, and looks for no structure."""

    media_types: tuple[str, ...] = ("text/plain",)

    def load(self, source: Source) -> LoadedDocument:
        text, warnings = decoded(source)
        require_readable(text)
        return LoadedDocument(text=text, warnings=warnings)
