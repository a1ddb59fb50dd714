"""Excel workbooks (XLSX): a sheet is a section, a row a record that tells the names of its columns."""

from __future__ import annotations

import io
import re
import warnings as python_warnings
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import chain
from typing import Any
from zipfile import BadZipFile

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import InvalidText
from embeddings.loaders.archives import opened_archive
from embeddings.loaders.composing import Composition
from embeddings.loaders.office import properties
from embeddings.loaders.records import MOST_ROWS, add_rows

_MOST_COLUMNS = 1_000
_MOST_BLANK_ROWS = 1_000
_QUOTED = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[[^\]]*\]')


class XlsxLoader:
    """Values as the sheet shows them (percentages, thousands, dates), formulas as what was last computed."""

    media_types: tuple[str, ...] = (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.ms-excel.sheet.macroenabled.12",
    )

    def load(self, source: Source) -> LoadedDocument:
        import openpyxl

        title, metadata = properties(opened_archive(source.content))
        composition = Composition()
        warnings: list[str] = []
        try:
            with python_warnings.catch_warnings():
                python_warnings.simplefilter("ignore")
                workbook = openpyxl.load_workbook(io.BytesIO(source.content), read_only=True, data_only=True)
                for sheet in workbook.worksheets:
                    if sheet.sheet_state != "visible":
                        warnings.append(f"Not read: the hidden sheet {sheet.title}.")
                        continue
                    rows = _rows(sheet)
                    if (first := next(rows, None)) is None:
                        continue
                    composition.add(sheet.title, level=1)
                    if add_rows(composition, chain([first], rows)):
                        warnings.append(f"Not read: the rows of {sheet.title} after the first {MOST_ROWS:,}.")
        except (KeyError, ValueError, IndexError, AttributeError, TypeError, BadZipFile) as error:
            raise InvalidText("The workbook is damaged; save it anew.", field="/text") from error
        return composition.document(title=title, metadata=metadata, warnings=tuple(warnings))


def _rows(sheet: Any) -> Iterator[list[str]]:
    """Rows that hold anything; a thousand blank ones end the sheet."""
    blank = 0
    sheet.reset_dimensions()
    for row in sheet.iter_rows(max_col=_MOST_COLUMNS):
        cells = [_shown(cell.value, cell.number_format) if cell.value is not None else "" for cell in row]
        blank = 0 if any(cells) else blank + 1
        if blank > _MOST_BLANK_ROWS:
            return
        if any(cells):
            yield cells


def _shown(value: object, number_format: str) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ") if value.time() != time() else value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int | float):
        return _number(value, number_format.split(";")[0])
    return str(value)


def _number(value: float, number_format: str) -> str:
    """Percentages, thousands, decimals and the currency in front, as the format has them; otherwise all digits."""
    plain = _QUOTED.sub("", number_format)
    digits = re.search(r"[0#][0#,]*(?:\.([0#]+))?", plain)
    if digits is None or "E" in plain or "/" in plain:
        return f"{value:.15g}"
    decimals = len(digits[1] or "")
    shown = 100 * value if "%" in plain else value
    text = f"{abs(shown):{',' if ',' in digits[0] else ''}.{decimals}f}"
    currency = re.search(r"[$€£¥]", number_format)
    sign = "-" if shown < 0 and float(text.replace(",", "")) else ""
    return f"{sign}{currency[0] if currency else ''}{text}{'%' if '%' in plain else ''}"
