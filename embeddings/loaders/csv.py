"""CSV and TSV: a row is a record that tells the names of its columns."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import InvalidText
from embeddings.loaders.composing import Composition
from embeddings.loaders.decoding import decoded, require_readable
from embeddings.loaders.records import MOST_ROWS, add_rows

_TSV = "text/tab-separated-values"
_DELIMITERS = ",;\t|"
_LOOKED_AT_LINES = 20
_LONGEST_CELL = 1_000_000


class CsvLoader:
    """RFC 4180 and its kin: commas, semicolons, tabs or bars, whichever parts the lines most evenly."""

    media_types: tuple[str, ...] = ("text/csv", _TSV)

    def load(self, source: Source) -> LoadedDocument:
        text, warnings = decoded(source)
        require_readable(text)
        delimiter = "\t" if source.media_type == _TSV else _delimiter(text)
        composition = Composition()
        if add_rows(composition, _rows(text, delimiter)):
            warnings = (*warnings, f"Not read: the rows after the first {MOST_ROWS:,}.")
        return composition.document(warnings=warnings)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from (row for row in reader if any(cell.strip() for cell in row))
    except csv.Error as error:
        raise InvalidText(
            f"Line {reader.line_num} holds a cell of more than {_LONGEST_CELL:,} characters; is a quote left open?",
            field="/text",
        ) from error


def _delimiter(text: str) -> str:
    lines = [line for line in text[:100_000].split("\n")[:_LOOKED_AT_LINES] if line.strip()]

    def evenness(delimiter: str) -> tuple[int, int]:
        ((columns, times),) = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter)).most_common(1)
        return (times if columns > 1 else 0), columns

    return max(_DELIMITERS, key=evenness)
