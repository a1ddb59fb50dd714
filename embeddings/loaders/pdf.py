"""PDF: its text as it is laid out on the pages. Read by PDFium."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from embeddings.domain import LoadedDocument, MetadataValue, Source
from embeddings.errors import InvalidText
from embeddings.loaders.composing import LINE, PARAGRAPH, SPACE, Composition, numbers
from embeddings.loaders.layout import (
    Block,
    Fragment,
    Line,
    blocks_of,
    heading_sizes,
    in_reading_order,
    lines_of,
    settled,
    usual_size,
    without_margins,
)
from embeddings.loaders.scans import Recognition, Tesseract

if TYPE_CHECKING:
    import pypdfium2

_BOLD = 600
_HYPHEN, _NO_BREAK_SPACE = 0x02, 0xA0
"""The first is what PDFium makes of a hyphen at the end of a line."""
_WORD_GAP = 0.5
_CELL_GAP = 0.95
"""In sizes of the type: a gap between two words, and between two cells."""
_LONGEST_TITLE = 200
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?")
_NO_TITLE = re.compile(
    r"(?i)untitled|microsoft |.*\.(?:docx?|pdf|indd|xlsx?|pptx?|qxd|tmp|rtf)$|.{0,3}$|[\w-]*\d{4,}[\w-]*$"
)
_ENCRYPTED = "The PDF is encrypted; save it without a password."
_SCANNED = "The PDF holds no text, as scans do; send it with recognised text, or turn OCR on."


class PdfLoader:
    """Reads the pages in order, columns one after another, without running headers, footers and page numbers."""

    media_types: tuple[str, ...] = ("application/pdf",)

    def __init__(self, tesseract: Tesseract | None = None) -> None:
        """Without Tesseract a scanned page has no text."""
        self._tesseract = tesseract

    def load(self, source: Source) -> LoadedDocument:
        recognition = None if self._tesseract is None else Recognition(self._tesseract)
        with closing(_opened(source.content)) as pdf:
            pages = [lines_of(_fragments(pdf, number, recognition)) for number in range(len(pdf))]
            recognised = recognition.pages if recognition else []
            return _composed(without_margins(pages), pdf.get_metadata_dict(skip_empty=True), recognised)


def _opened(content: bytes) -> pypdfium2.PdfDocument:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        told = str(error).lower()
        # Where PDFium gives no reason, it still tells that of the file before.
        is_encrypted = b"/Encrypt" in content and ("password" in told or "security" in told)
        message = _ENCRYPTED if is_encrypted else "The PDF is damaged or cut off; send the whole file."
        raise InvalidText(message, field="/text") from error


def _composed(pages: list[list[Line]], described: dict[str, str], recognised: list[int]) -> LoadedDocument:
    body_size = usual_size(pages)
    levels = heading_sizes((line for lines in pages for line in lines), body_size)
    read = [
        [block for part in in_reading_order(lines) for block in blocks_of(part, body_size=body_size, levels=levels)]
        for lines in pages
    ]
    settled_blocks = iter(settled([block for blocks in read for block in blocks]))
    composition = Composition()
    last: Block | None = None
    for blocks in read:
        composition.begin_page()
        for at, block in enumerate(islice(settled_blocks, len(blocks))):
            composition.add(block.text, level=block.level, gap=_gap(last, block, is_first=at == 0))
            last = block
    if not any(read):
        raise InvalidText(_SCANNED, field="/text")
    blank = [number for number, blocks in enumerate(read, 1) if not blocks]
    return composition.document(
        title=_title(described) or _largest(read[0]),
        metadata=_metadata(described),
        warnings=tuple(_warnings(blank, recognised)),
    )


def _warnings(blank: list[int], recognised: list[int]) -> Iterator[str]:
    if blank:
        yield f"No text on page(s) {numbers(blank)} (a scan or a picture?): not indexed."
    if recognised:
        yield f"The text of page(s) {numbers(recognised)} was recognised in pictures, which makes mistakes."


def _gap(last: Block | None, block: Block, *, is_first: bool) -> str:
    if last is None or last.level or block.level:
        return PARAGRAPH
    if last.is_table and block.is_table and not is_first:
        return LINE
    runs_on = is_first and not (last.is_table or block.is_table) and last.text[-1].isalpha() and block.text[0].islower()
    return SPACE if runs_on else PARAGRAPH


def _title(described: dict[str, str]) -> str | None:
    title = " ".join(described.get("Title", "").split())
    return None if _NO_TITLE.match(title) else title


def _largest(blocks: list[Block]) -> str | None:
    """What a page sets in its largest type."""
    headings = [block for block in blocks if block.level]
    level = min((block.level for block in headings), default=0)
    return ", ".join(block.text for block in headings if block.level == level)[:_LONGEST_TITLE] or None


def _metadata(described: dict[str, str]) -> dict[str, MetadataValue]:
    dates = {
        "created_at": _moment(described.get("CreationDate", "")),
        "updated_at": _moment(described.get("ModDate", "")),
    }
    words = {"author": described.get("Author", "").strip(), "subject": described.get("Subject", "").strip()}
    return {name: value for name, value in (dates | words).items() if value}


def _moment(date: str) -> str:
    """ISO 8601 of a date as PDF writes it (ISO 32000-1, 7.9.4); its time zone is left out where there is none."""
    found = _DATE.match(date)
    if not found:
        return ""
    year, month, day, *time = found.groups()
    zone = re.search(r"([+-])(\d\d)'?(\d\d)|Z", date[2:])
    offset = "" if zone is None else "Z" if zone.group() == "Z" else f"{zone[1]}{zone[2]}:{zone[3]}"
    clock = f"T{time[0]}:{time[1] or '00'}:{time[2] or '00'}{offset}" if time[0] else ""
    return f"{year}-{month or '01'}-{day or '01'}{clock}"


# Characters to fragments -----------------------------------------------------------------------------------------


def _fragments(pdf: pypdfium2.PdfDocument, number: int, recognition: Recognition | None) -> list[Fragment]:
    import pypdfium2

    try:
        page = pdf[number]
    except pypdfium2.PdfiumError:
        return []
    with closing(page), closing(page.get_textpage()) as text:
        found = list(_runs(text.raw))
        return recognition.fragments(page, number + 1) if recognition and not found else found


def _runs(text: Any) -> Iterator[Fragment]:
    """Characters in their order, cut where the line ends or a gap is wide."""
    import pypdfium2.raw as pdfium

    box = [ctypes.c_double() for _ in range(4)]
    places = [ctypes.byref(one) for one in box]
    run: _Run | None = None
    for at in range(pdfium.FPDFText_CountChars(text)):
        code = pdfium.FPDFText_GetUnicode(text, at)
        if (code <= 32 and code != _HYPHEN) or code == _NO_BREAK_SPACE:
            if run is not None:
                run.is_after_space = True
            continue
        pdfium.FPDFText_GetCharBox(text, at, *places)
        place = (box[0].value, box[1].value, box[2].value, box[3].value)
        if run is None or not run.takes(*place):
            if run is not None:
                yield run.fragment(is_bold=_is_bold(text, run.first) and _is_bold(text, run.last))
            size = pdfium.FPDFText_GetFontSize(text, at) * _scale(text, at, pdfium)
            run = _Run(at, size or place[3] - place[2])
        run.add(at, chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "", *place)
    if run is not None:
        yield run.fragment(is_bold=_is_bold(text, run.first) and _is_bold(text, run.last))


def _is_bold(text: Any, at: int) -> bool:
    import pypdfium2.raw as pdfium

    return bool(pdfium.FPDFText_GetFontWeight(text, at) >= _BOLD)


def _scale(text: Any, at: int, pdfium: Any) -> float:
    """How much the page's matrix enlarges the type: some files set everything in size 1."""
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFText_GetMatrix(text, at, ctypes.byref(matrix)):
        return 1.0
    return float((matrix.c**2 + matrix.d**2) ** 0.5) or 1.0


class _Run:
    def __init__(self, first: int, size: float) -> None:
        self.first = self.last = first
        self._size = size
        self._characters: list[str] = []
        self._left = self._bottom = float("inf")
        self._right = self._top = float("-inf")
        self.is_after_space = False

    def takes(self, left: float, right: float, bottom: float, top: float) -> bool:
        """Whether a character stands on this line and close behind."""
        gap = left - self._right
        is_level = min(top, self._top) - max(bottom, self._bottom) > -0.25 * self._size
        return is_level and -1.5 * self._size < gap < _CELL_GAP * self._size

    def add(self, at: int, character: str, left: float, right: float, bottom: float, top: float) -> None:
        if self._characters and (self.is_after_space or left - self._right > _WORD_GAP * self._size):
            self._characters.append(" ")
        self.is_after_space = False
        self.last = at
        self._characters.append(character)
        self._left, self._right = min(self._left, left), max(self._right, right)
        self._bottom, self._top = min(self._bottom, bottom), max(self._top, top)

    def fragment(self, *, is_bold: bool) -> Fragment:
        return Fragment(
            text="".join(self._characters).strip(),
            left=self._left,
            right=self._right,
            bottom=self._bottom,
            top=max(self._top, self._bottom + 0.5 * self._size),
            size=self._size,
            is_bold=is_bold,
        )
