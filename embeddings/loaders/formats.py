"""All formats as one loader: what the content is says which.

A loader imports its library when it reads: the service, which only hands files on, takes less memory without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import InvalidText, UnsupportedMediaType
from embeddings.loaders.csv import CsvLoader
from embeddings.loaders.detection import media_type_of
from embeddings.loaders.docx import DocxLoader
from embeddings.loaders.email import EmailLoader
from embeddings.loaders.epub import EpubLoader
from embeddings.loaders.html import HtmlLoader
from embeddings.loaders.jsonl import JsonLinesLoader
from embeddings.loaders.markdown import MarkdownLoader
from embeddings.loaders.pdf import PdfLoader
from embeddings.loaders.plain import PlainLoader
from embeddings.loaders.pptx import PptxLoader
from embeddings.loaders.rst import RstLoader
from embeddings.loaders.scans import SECONDS, Tesseract
from embeddings.loaders.xlsx import XlsxLoader
from embeddings.parsing import Limits, ParsingProcesses
from embeddings.ports import Loader


class Formats:
    """Hands a source to the loader for what its content is, else for its media type, and tells which it was."""

    def __init__(self, loaders: Sequence[Loader]) -> None:
        self._by_type = {media_type: loader for loader in loaders for media_type in loader.media_types}
        self.media_types = tuple(self._by_type)

    def load(self, source: Source) -> LoadedDocument:
        if not source.content:
            raise InvalidText("The document is empty.", field="/text")
        media_type = media_type_of(source.content, source.media_type)
        loader = self._by_type.get(media_type)
        if loader is None:
            raise UnsupportedMediaType(
                f"No loader reads {media_type}; send one of {', '.join(self.media_types)}.", field="/media_type"
            )
        loaded = loader.load(replace(source, media_type=media_type))
        return loaded if media_type == source.media_type else replace(loaded, media_type=media_type)


def file_loaders(tesseract: Tesseract | None = None) -> tuple[Loader, ...]:
    """Of all that a third party's parser reads."""
    return (
        MarkdownLoader(),
        HtmlLoader(),
        PdfLoader(tesseract),
        DocxLoader(),
        PptxLoader(),
        XlsxLoader(),
        CsvLoader(),
        RstLoader(),
        EpubLoader(),
        JsonLinesLoader(),
        EmailLoader(),
    )


def file_formats(tesseract: Tesseract | None = None) -> Formats:
    return Formats(file_loaders(tesseract))


def all_formats(tesseract: Tesseract | None = None) -> Formats:
    """Plain text is read here, everything else in processes of their own."""
    limits = Limits() if tesseract is None else Limits(seconds=Limits().seconds + SECONDS)
    settings = {} if tesseract is None else {"tesseract": asdict(tesseract)}
    processes = ParsingProcesses(__package__, file_formats().media_types, limits=limits, settings=settings)
    return Formats((PlainLoader(), processes))
