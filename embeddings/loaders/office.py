"""What DOCX, PPTX and XLSX have in common: an archive that tells who wrote it and when."""

from __future__ import annotations

import zipfile

from embeddings.domain import Metadata
from embeddings.loaders.archives import parsed_xml

_CORE = "docProps/core.xml"
_NAMES = {
    "creator": "author",
    "created": "created_at",
    "modified": "updated_at",
    "subject": "subject",
    "description": "description",
    "keywords": "keywords",
    "category": "category",
    "language": "language",
}
_LONGEST = 1000


def properties(archive: zipfile.ZipFile) -> tuple[str | None, Metadata]:
    """The title and the rest of the core properties (ECMA-376, part 2)."""
    if _CORE not in archive.namelist():
        return None, {}
    found = {
        str(element.tag).rpartition("}")[2]: " ".join((element.text or "").split())[:_LONGEST]
        for element in parsed_xml(archive.read(_CORE)).iterchildren()
    }
    return found.get("title") or None, {name: found[key] for key, name in _NAMES.items() if found.get(key)}
