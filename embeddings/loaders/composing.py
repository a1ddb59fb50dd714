"""Puts the text of a document together, and notes where its headings, pages and records stand."""

from __future__ import annotations

from embeddings.domain import Heading, LoadedDocument, Metadata, Span
from embeddings.errors import TooLarge
from embeddings.loaders.decoding import require_readable
from embeddings.text import canonical

MOST_CHARACTERS = 20_000_000
PARAGRAPH, LINE, SPACE = "\n\n", "\n", " "


class Composition:
    """Text in the order in which it is added. Raises TooLarge where it grows past 20 million characters."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._pages: list[int] = []
        self._pages_to_come = 0
        self._records: list[Span] = []

    @property
    def main_heading(self) -> str | None:
        return next((one.text for one in self._headings if one.level == 1), None)

    def add(self, text: str, *, level: int = 0, gap: str = PARAGRAPH) -> None:
        """A paragraph, or a heading where `level` is not 0; blank text adds nothing."""
        text = canonical(text).strip("\n").rstrip()
        if not text or text.isspace():
            return
        start = self._append(text, gap)
        if level:
            self._headings.append(Heading(Span(start, self._length), level, " ".join(text.split())))

    def add_record(self, text: str) -> None:
        text = canonical(text).strip()
        if text:
            start = self._append(text, PARAGRAPH)
            self._records.append(Span(start, self._length))

    def add_document(self, document: LoadedDocument) -> None:
        """A whole document."""
        start = self._append(document.text, PARAGRAPH)
        self._headings += (
            Heading(Span(start + one.span.start, start + one.span.end), one.level, one.text)
            for one in document.headings
        )

    def begin_page(self) -> None:
        self._pages_to_come += 1

    def document(
        self, *, title: str | None = None, metadata: Metadata | None = None, warnings: tuple[str, ...] = ()
    ) -> LoadedDocument:
        """Raises InvalidText where nothing is to be read."""
        text = "".join(self._pieces)
        require_readable(text)
        starts = [*self._pages, *([self._length] * self._pages_to_come)]
        ends = [*starts[1:], self._length]
        return LoadedDocument(
            text=text,
            title=title or self.main_heading,
            headings=tuple(self._headings),
            pages=tuple(map(Span, starts, ends)) if starts else None,
            records=tuple(self._records),
            metadata=metadata or {},
            warnings=warnings,
        )

    def _append(self, text: str, gap: str) -> int:
        gap = gap if self._pieces else ""
        start = self._length + len(gap)
        self._pages += [start] * self._pages_to_come
        self._pages_to_come = 0
        self._pieces += gap, text
        self._length = start + len(text)
        if self._length > MOST_CHARACTERS:
            raise TooLarge(f"The document holds more than {MOST_CHARACTERS:,} characters; send it in parts.")
        return start


def numbers(found: list[int]) -> str:
    """Numbers in words: "1, 2 and 5 to 9"."""
    runs: list[list[int]] = []
    for number in found:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    told = [" to ".join(map(str, run)) if run[-1] - run[0] > 1 else ", ".join(map(str, run)) for run in runs[:20]]
    if len(runs) > 20:
        told.append("more")
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
