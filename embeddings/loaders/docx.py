"""Word documents (DOCX), as they read: mammoth makes HTML of them."""

from __future__ import annotations

import io
from dataclasses import replace

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import InvalidText
from embeddings.loaders.archives import opened_archive
from embeddings.loaders.office import properties
from embeddings.loaders.rendering import render

_STYLES = """p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh"""


class DocxLoader:
    """Headings, lists, tables, notes and text boxes, with all changes accepted; no headers and footers."""

    media_types: tuple[str, ...] = ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",)

    def load(self, source: Source) -> LoadedDocument:
        import mammoth

        archive = opened_archive(source.content)
        title, metadata = properties(archive)
        try:
            html = mammoth.convert_to_html(
                io.BytesIO(source.content), style_map=_STYLES, convert_image=mammoth.images.img_element(lambda _: {})
            ).value
        except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
            raise InvalidText("The Word document is damaged; save it anew.", field="/text") from error
        return replace(render(html, title=title), metadata=metadata)
