"""Ids and types that are made from the names of files."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import PurePath, PurePosixPath

_OFFICE = "application/vnd.openxmlformats-officedocument"
MEDIA_TYPES: Mapping[str, str] = {
    ".txt": "text/plain",
    ".text": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".pdf": "application/pdf",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".rst": "text/x-rst",
    ".epub": "application/epub+zip",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".eml": "message/rfc822",
}
"""Types by the ending of a file's name."""

READABLE_TYPES = frozenset(
    {*MEDIA_TYPES.values(), "text/x-markdown", "text/restructuredtext", "application/jsonl", "application/x-jsonlines"}
)

_DOCUMENT_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]{1,200}")
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._~-]+")
_HTML = re.compile(rb"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_LOOKED_AT_BYTES = 4096


def document_id_of(name: str) -> str:
    """The name where it is a document id; else what is readable of it, with a short hash of the whole."""
    if _DOCUMENT_ID.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = _NOT_IN_AN_ID.sub("-", PurePosixPath(plain.replace("\\", "/")).name).strip("-.~")[:80]
    return "-".join(part for part in (slug, short_hash(name.encode("utf-8", "replace"))) if part)


def document_id_of_path(parts: Sequence[str]) -> str:
    """What is readable of the last parts of a path, with a short hash of them, so that no two have the same."""
    plain = unicodedata.normalize("NFKD", "/".join(parts)).encode("ascii", "ignore").decode()
    slug = _NOT_IN_AN_ID.sub("-", plain)[-80:].strip("-.~")
    return "-".join(part for part in (slug, _path_hash(parts)) if part)


def is_made_of_path(document_id: str, path: PurePath) -> bool:
    """Whether `document_id_of_path` made the id, of however many of the last parts of the path."""
    parts = path.parts[1:]
    made = document_id.rpartition("-")[2]
    return any(_path_hash(parts[first:]) == made for first in reversed(range(len(parts))))


def _path_hash(parts: Sequence[str]) -> str:
    return short_hash(os.fsencode("/".join(parts)))


def media_type_of_name(name: str) -> str:
    """By its ending; else the type that tells nothing, for which the service looks at the content."""
    return MEDIA_TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")


def media_type_of_file(name: str, content: bytes) -> str | None:
    """By the ending of the name, else by how the content begins; None for what is no document."""
    by_name = MEDIA_TYPES.get(PurePosixPath(name).suffix.lower())
    if by_name is not None:
        return by_name
    beginning = content[:_LOOKED_AT_BYTES]
    if _HTML.match(beginning):
        return "text/html"
    if beginning.startswith(b"%PDF-"):
        return MEDIA_TYPES[".pdf"]
    return None if b"\0" in beginning else "text/plain"


def short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
