"""What a document says of itself in YAML front matter, as far as it is plain: scalars and lists of them.

No YAML parser is at work: anchors, aliases and tags, with which YAML turns hostile, mean nothing here.
"""

from __future__ import annotations

import json
import re

from embeddings.domain import Metadata, MetadataValue
from embeddings.text import canonical

_ENTRY = re.compile(r"([\w.\"'-]+)[ \t]*:(?:[ \t]+([^\n]*))?$")
_ITEM = re.compile(r"[ \t]*-[ \t]+(\S[^\n]*)$")
_NAMES = {
    "author": "author",
    "authors": "author",
    "categories": "categories",
    "created": "created_at",
    "created_at": "created_at",
    "date": "created_at",
    "description": "description",
    "keywords": "tags",
    "lastmod": "updated_at",
    "last_modified": "updated_at",
    "ms.date": "updated_at",
    "tags": "tags",
    "updated": "updated_at",
    "updated_at": "updated_at",
}
_LISTS = ("categories", "tags")
_BLOCK = re.compile(r"[|>&*!{]")
_DAY = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})")
_MOST_ITEMS, _LONGEST = 64, 1000


def described(front_matter: str) -> tuple[str | None, Metadata]:
    """The title, and the rest under the names that other formats' properties have."""
    entries = _entries(front_matter)
    title = next(iter(entries.get("title", ())), None)
    metadata: dict[str, MetadataValue] = {}
    for key, values in entries.items():
        name = _NAMES.get(key.lower())
        if name in _LISTS:
            metadata.setdefault(name, tuple(values))
        elif name is not None and name.endswith("_at"):
            metadata.setdefault(name, _moment(values[0]))
        elif name is not None:
            metadata.setdefault(name, ", ".join(values)[:_LONGEST])
    return title, metadata


def _entries(front_matter: str) -> dict[str, list[str]]:
    entries: dict[str, list[str]] = {}
    values: list[str] = []
    key = ""
    for line in front_matter.split("\n"):
        if entry := _ENTRY.match(line):
            written = (entry[2] or "").strip()
            values = _listed(written) if written.startswith("[") else [_scalar(written)]
            values = [value[:_LONGEST] for value in values if value]
            key = entry[1].strip("\"'")
            entries.setdefault(key, values)
        elif (
            key != "title" and (item := _ITEM.match(line)) and len(values) < _MOST_ITEMS and (value := _scalar(item[1]))
        ):
            values.append(value[:_LONGEST])
    return {key: found for key, found in entries.items() if found}


def _listed(written: str) -> list[str]:
    inside = written.strip("[] \t")
    return [_scalar(part.strip()) for part in re.findall(r"\s*(\"[^\"]*\"|'[^']*'|[^,]+)", inside)][:_MOST_ITEMS]


def _scalar(written: str) -> str:
    written = written.strip()
    if not written or written.startswith("#") or _BLOCK.match(written):
        return ""
    if written[0] == '"':
        return _double_quoted(written)
    if written[0] == "'":
        return written.strip("'").replace("''", "'")
    return written.partition(" #")[0].strip()


def _double_quoted(written: str) -> str:
    try:
        return canonical(str(json.loads(written)))
    except ValueError:
        return written.strip('"')


def _moment(written: str) -> str:
    """ISO 8601, also of a day that is written as 05/31/2018."""
    day = _DAY.fullmatch(written)
    return f"{day[3]}-{int(day[1]):02}-{int(day[2]):02}" if day else written
