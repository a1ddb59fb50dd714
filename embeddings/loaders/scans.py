"""The words of scanned pages, recognised by Tesseract: the only program that a parser may run."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from embeddings.errors import ModelMissing
from embeddings.loaders.layout import Fragment

if TYPE_CHECKING:
    import pypdfium2

SECONDS = 600.0
"""For one document: at some two seconds a page, three hundred pages."""
_DOTS_PER_INCH = 300
_POINTS_PER_INCH = 72
_MOST_PIXELS = 25_000_000
_LEAST_CONFIDENCE = 30.0
"""Of a word, in percent: what is below is mostly specks and lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tesseract:
    program: str
    languages: str
    """As Tesseract names them, joined by "+"."""

    @classmethod
    def find(cls, languages: str) -> Tesseract:
        """Raises ModelMissing where the program or one of the languages is not installed."""
        program = shutil.which("tesseract")
        if program is None:
            raise ModelMissing("recognising scans needs Tesseract: install it, or leave LOCCIT_OCR out")
        listed = subprocess.run([program, "--list-langs"], capture_output=True, text=True, timeout=30, check=False)
        missing = set(languages.split("+")).difference(listed.stdout.split())
        if missing:
            raise ModelMissing(f"Tesseract has no data for {', '.join(sorted(missing))}: install its language package")
        return cls(program=program, languages=languages)


class Recognition:
    """Of one document's pages, as long as its time lasts."""

    def __init__(self, tesseract: Tesseract) -> None:
        self._tesseract = tesseract
        self._deadline = time.monotonic() + SECONDS
        self.pages: list[int] = []
        """Numbers, from 1, of those that words were recognised on."""

    def fragments(self, page: pypdfium2.PdfPage, number: int) -> list[Fragment]:
        """One for each line, in points; none where nothing can be read or no time is left."""
        if time.monotonic() >= self._deadline:
            return []
        width, height = page.get_size()
        dots = min(_DOTS_PER_INCH, _POINTS_PER_INCH * (_MOST_PIXELS / max(1.0, width * height)) ** 0.5)
        found = list(_lines(self._read(_image(page, dots), dots), _POINTS_PER_INCH / dots, height))
        if found:
            self.pages.append(number)
        return found

    def _read(self, image: bytes, dots: float) -> str:
        command = [self._tesseract.program, "stdin", "stdout", "-l", self._tesseract.languages]
        try:
            done = subprocess.run(
                [*command, "--dpi", f"{dots:.0f}", "tsv"],
                input=image,
                capture_output=True,
                timeout=max(0.0, self._deadline - time.monotonic()),
                env={"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout.decode("utf-8", "replace")


def _image(page: pypdfium2.PdfPage, dots: float) -> bytes:
    """The page in shades of grey, as a portable graymap."""
    bitmap = page.render(scale=dots / _POINTS_PER_INCH, grayscale=True)
    content, stride, width = memoryview(bitmap.buffer).cast("B"), bitmap.stride, bitmap.width
    rows = b"".join(content[row * stride : row * stride + width] for row in range(bitmap.height))
    return b"P5 %d %d 255\n%b" % (width, bitmap.height, rows)


def _lines(table: str, scale: float, height: float) -> Iterator[Fragment]:
    """From Tesseract's table of words: level, page, block, paragraph, line, word, left, top, width, height, confidence,
    text; in dots, from the upper left corner."""
    lines: defaultdict[tuple[str, ...], list[tuple[float, float, float, float, str]]] = defaultdict(list)
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) == 12 and cells[11].strip() and float(cells[10]) >= _LEAST_CONFIDENCE:
            left, top, wide, high = (scale * float(cell) for cell in cells[6:10])
            lines[tuple(cells[2:5])].append((left, left + wide, height - top - high, height - top, cells[11]))
    # Recognised heights vary with the letters: they tell no heading from a line.
    size = median([top - bottom for words in lines.values() for _, _, bottom, top, _ in words] or [0.0])
    for words in lines.values():
        lefts, rights, bottoms, tops, texts = zip(*words, strict=True)
        yield Fragment(
            text=" ".join(texts),
            left=min(lefts),
            right=max(rights),
            bottom=min(bottoms),
            top=max(tops),
            size=size,
            is_bold=False,
        )
