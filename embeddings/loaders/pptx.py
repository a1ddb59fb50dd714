"""PowerPoint presentations (PPTX): a slide is a page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import InvalidText
from embeddings.loaders.archives import opened_archive
from embeddings.loaders.composing import LINE, PARAGRAPH, Composition, numbers
from embeddings.loaders.office import properties

if TYPE_CHECKING:
    from pptx.slide import Slide

_GROUP = 6
"""MSO_SHAPE_TYPE.GROUP"""
_DEEPEST_GROUP = 8


class PptxLoader:
    """A slide's title is its heading; then its shapes from top to bottom, its tables, and what the speaker notes."""

    media_types: tuple[str, ...] = ("application/vnd.openxmlformats-officedocument.presentationml.presentation",)

    def load(self, source: Source) -> LoadedDocument:
        import pptx

        title, metadata = properties(opened_archive(source.content))
        composition = Composition()
        blank: list[int] = []
        pictures = 0
        try:
            for number, slide in enumerate(pptx.Presentation(io.BytesIO(source.content)).slides, 1):
                composition.begin_page()
                pictures += sum(hasattr(shape, "image") for shape in _shapes(slide.shapes))
                if not _add_slide(composition, slide):
                    blank.append(number)
        except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
            raise InvalidText("The presentation is damaged; save it anew.", field="/text") from error
        warnings = [f"No text on slide(s) {numbers(blank)}: not indexed."] if blank else []
        warnings += [f"Not read: {pictures} picture(s)."] if pictures else []
        return composition.document(title=title, metadata=metadata, warnings=tuple(warnings))


def _add_slide(composition: Composition, slide: Slide) -> bool:
    """Whether the slide holds text."""
    title = slide.shapes.title
    heading = " ".join(title.text_frame.text.split()) if title is not None else ""
    composition.add(heading, level=2)
    lines = [line for shape in _shapes(slide.shapes) if title is None or shape.shape_id != title.shape_id
             for line in _lines(shape)]  # fmt: skip
    notes = (
        slide.notes_slide.notes_text_frame.text if slide.has_notes_slide and slide.notes_slide.notes_text_frame else ""
    )
    is_first = True
    for line in lines:
        composition.add(line, gap=PARAGRAPH if is_first else LINE)
        is_first = False
    for paragraph in notes.splitlines():
        composition.add(paragraph)
    return bool(heading or any(map(str.strip, lines)) or notes.strip())


def _shapes(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    for shape in sorted(shapes, key=lambda one: (one.top or 0, one.left or 0)):
        if shape.shape_type == _GROUP and depth < _DEEPEST_GROUP:
            yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _lines(shape: Any) -> Iterator[str]:
    if shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            text = " ".join(paragraph.text.split())
            yield f"{'  ' * paragraph.level}- {text}" if text and _is_item(shape, paragraph) else text
    elif getattr(shape, "has_table", False):
        for row in shape.table.rows:
            yield " | ".join(" ".join(cell.text.split()) for cell in row.cells).strip()


def _is_item(shape: Any, paragraph: Any) -> bool:
    """Whether the text stands in a list: in a body placeholder of several paragraphs."""
    return bool(shape.is_placeholder) and (paragraph.level > 0 or len(shape.text_frame.paragraphs) > 1)
