"""What the store says about documents, versions and their text. Every function reads within the caller's snapshot."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from embeddings.corpus.conditions import Condition
from embeddings.corpus.database import Connection
from embeddings.domain import DocumentRecord, Metadata, VersionSummary
from embeddings.errors import DeletedDocument, UnknownDocument, UnknownVersion

PIECE = 4096
"""Code points of canonical text a row."""


def now_microseconds() -> int:
    return time.time_ns() // 1000


def moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def metadata_of(stored: str) -> Metadata:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(stored).items()}


def seq(connection: Connection) -> int:
    return int(connection.execute("SELECT value FROM meta WHERE name = 'seq'").get)


def meta(connection: Connection, name: str) -> Any:
    return connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).get


def set_meta(connection: Connection, name: str, value: str | int) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    version_key: int
    document_id: str
    version: int
    is_current: bool
    is_deleted: bool
    title: str | None
    characters: int
    media_type: str
    text_sha: bytes
    structure_sha: bytes
    source_sha: bytes


_VERSIONS = """
    SELECT v.version_key, d.document_id, v.version, v.version_key IS d.current_key, v.deleted_seq IS NOT NULL,
           v.title, v.characters, v.media_type, v.text_sha, v.structure_sha, v.source_sha
    FROM documents d JOIN versions v USING (document_key)
"""


def _version(row: Sequence[Any]) -> StoredVersion:
    version_key, document_id, version, is_current, is_deleted, title, characters, media_type, *shas = row
    text_sha, structure_sha, source_sha = shas
    return StoredVersion(
        version_key=version_key,
        document_id=document_id,
        version=version,
        is_current=bool(is_current),
        is_deleted=bool(is_deleted),
        title=title,
        characters=characters,
        media_type=media_type,
        text_sha=text_sha,
        structure_sha=structure_sha,
        source_sha=source_sha,
    )


def find_version(connection: Connection, document_id: str, version: int | None = None) -> StoredVersion | None:
    """The given version, or without one the latest, whether deleted or not."""
    row = connection.execute(
        f"{_VERSIONS} WHERE d.document_id = :document_id AND (:version IS NULL OR v.version = :version)"
        " ORDER BY v.version DESC LIMIT 1",
        {"document_id": document_id, "version": version},
    ).fetchone()
    return None if row is None else _version(row)


def live_versions(connection: Connection) -> list[StoredVersion]:
    rows = connection.execute(f"{_VERSIONS} WHERE v.version_key = d.current_key ORDER BY v.version_key")
    return [_version(row) for row in rows]


def readable_version(connection: Connection, document_id: str, version: int | None = None) -> StoredVersion:
    """Raises UnknownDocument, UnknownVersion, DeletedDocument."""
    found = find_version(connection, document_id, version)
    if found is None:
        if version is None or find_version(connection, document_id) is None:
            raise UnknownDocument(f"There is no document {document_id!r} in this collection.")
        raise UnknownVersion(f"Document {document_id!r} has no version {version}.")
    if found.is_deleted:
        raise DeletedDocument(f"Document {document_id!r} was deleted; its text is no longer given out.")
    return found


def slice_text(connection: Connection, version_key: int, start: int, end: int) -> str:
    """The canonical text between two offsets, clamped; reads only the pieces that it needs."""
    if start >= end:
        return ""
    first, last = start // PIECE, (end - 1) // PIECE
    rows = connection.execute(
        "SELECT text FROM texts WHERE version_key = ? AND piece BETWEEN ? AND ? ORDER BY piece",
        (version_key, first, last),
    )
    return "".join(row[0] for row in rows)[start - first * PIECE : end - first * PIECE]


_RECORD = """
    SELECT d.document_id, v.version, v.title, v.uri, v.media_type, v.metadata, v.characters, v.structure, v.source_sha,
           d.created_at, v.updated_at, v.warnings,
           (SELECT count(*) FROM live_passages p WHERE p.version_key = v.version_key)
    FROM documents d JOIN versions v ON v.version_key = d.current_key
"""


def document(connection: Connection, collection: str, document_id: str) -> DocumentRecord:
    """Raises UnknownDocument, DeletedDocument."""
    readable_version(connection, document_id)
    row = connection.execute(_RECORD + " WHERE d.document_id = ?", (document_id,)).fetchone()
    return _record(collection, row, _summaries(connection, document_id))


def documents(
    connection: Connection, collection: str, *, prefix: str, condition: Condition, after: str | None, limit: int
) -> list[DocumentRecord]:
    """Live documents whose id begins with `prefix`, by id, those after `after`."""
    query = _RECORD + (
        f" WHERE substr(d.document_id, 1, :prefix_length) = :prefix AND d.document_id > :after AND ({condition.sql})"
        " ORDER BY d.document_id LIMIT :limit"
    )
    bindings = {
        **condition.bindings,
        "prefix": prefix,
        "prefix_length": len(prefix),
        "after": after or "",
        "limit": limit,
    }
    return [_record(collection, row, ()) for row in connection.execute(query, bindings).fetchall()]


def _summaries(connection: Connection, document_id: str) -> tuple[VersionSummary, ...]:
    rows = connection.execute(
        "SELECT v.version, v.created_at, v.characters, v.deleted_seq IS NOT NULL FROM versions v"
        " JOIN documents d USING (document_key) WHERE d.document_id = ? ORDER BY v.version",
        (document_id,),
    )
    return tuple(
        VersionSummary(version=version, created_at=moment(created), characters=characters, deleted=bool(deleted))
        for version, created, characters, deleted in rows
    )


def _record(collection: str, row: Any, versions: tuple[VersionSummary, ...]) -> DocumentRecord:
    (document_id, version, title, uri, media_type, metadata, characters, structure, source_sha,
     created_at, updated_at, warnings, passages) = row  # fmt: skip
    pages = json.loads(structure)["pages"]
    return DocumentRecord(
        collection=collection,
        document_id=document_id,
        version=version,
        title=title,
        uri=uri,
        media_type=media_type,
        metadata=metadata_of(metadata),
        characters=characters,
        passages=passages,
        pages=None if pages is None else len(pages),
        sha256=source_sha.hex(),
        created_at=moment(created_at),
        updated_at=moment(updated_at),
        warnings=tuple(json.loads(warnings)),
        versions=versions,
    )


def structure(connection: Connection, version_key: int) -> str:
    """Headings and pages, as `ingestion.restore` takes them."""
    return str(connection.execute("SELECT structure FROM versions WHERE version_key = ?", (version_key,)).get)


_NAMED_ORIGINALS = (
    "SELECT source_sha FROM versions WHERE source_sha <> x''"
    " UNION SELECT source_sha FROM job_items WHERE state = 'queued'"
)


def named_originals(connection: Connection) -> list[bytes]:
    """The SHA-256 of all originals that a version or an unfinished job needs."""
    return [row[0] for row in connection.execute(_NAMED_ORIGINALS)]


def unnamed_originals(connection: Connection, shas: Iterable[bytes]) -> list[bytes]:
    """Those of the given ones that neither a version nor an unfinished job needs."""
    rows = connection.execute(
        "SELECT unhex(value) FROM json_each(?)"
        " WHERE NOT EXISTS (SELECT 1 FROM versions WHERE source_sha = unhex(value))"
        " AND NOT EXISTS (SELECT 1 FROM job_items WHERE source_sha = unhex(value) AND state = 'queued')",
        (json.dumps([sha.hex() for sha in shas]),),
    )
    return [row[0] for row in rows]
