"""Lines of JSON, each an object with its own `text`."""

from __future__ import annotations

import json

from embeddings.domain import LoadedDocument, Source
from embeddings.errors import InvalidText
from embeddings.loaders.composing import Composition, numbers
from embeddings.loaders.decoding import decoded
from embeddings.loaders.records import MOST_ROWS


class JsonLinesLoader:
    """A line's `title`, where it has one, is its heading. Other members are not read."""

    media_types: tuple[str, ...] = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")

    def load(self, source: Source) -> LoadedDocument:
        text, warnings = decoded(source)
        composition = Composition()
        without: list[int] = []
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            if number > MOST_ROWS:
                warnings = (*warnings, f"Not read: the lines after the first {MOST_ROWS:,}.")
                break
            title, said = _read(line, number)
            if not said.strip():
                without.append(number)
                continue
            composition.add(title, level=1)
            composition.add_record(said)
        if without:
            warnings = (*warnings, f"No text on line(s) {numbers(without)}: not indexed.")
        return composition.document(warnings=warnings)


def _read(line: str, number: int) -> tuple[str, str]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidText(f"Line {number} is not JSON; each line is to be one object.", field="/text") from error
    if not isinstance(value, dict):
        raise InvalidText(f"Line {number} is no JSON object; each line is to be one.", field="/text")
    title, text = value.get("title"), value.get("text")
    return (title if isinstance(title, str) else ""), (text if isinstance(text, str) else "")
