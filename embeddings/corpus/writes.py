"""Changes of a collection. Every function runs within the caller's write transaction and advances `seq` itself."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from embeddings.arrays import Vectors
from embeddings.corpus.conditions import kind_of
from embeddings.corpus.database import Connection
from embeddings.corpus.jobs import unfinished_jobs
from embeddings.corpus.passages import AS_CUT
from embeddings.corpus.records import PIECE, StoredVersion, find_version, meta, set_meta, unnamed_originals
from embeddings.domain import Metadata
from embeddings.ingestion import PreparedDocument, PreparedPassage, passage_id

Field: TypeAlias = tuple[str, str, str | float | bool]
"""Name, kind and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    seq: int
    version: int
    created: bool
    unchanged: bool
    ended: tuple[int, ...] = ()
    """Indexings that ended with it, whose vectors may now be unused: see `drop_unused_vectors`."""
    replaced: bytes = b""
    """The original that others took the place of, if they did; perhaps nothing names it any more."""


def advance(connection: Connection) -> int:
    following = int(meta(connection, "seq")) + 1
    set_meta(connection, "seq", following)
    return following


def known_vectors(connection: Connection, content_shas: Iterable[bytes]) -> set[bytes]:
    wanted = json.dumps([sha.hex() for sha in content_shas])
    rows = connection.execute(
        "SELECT content_sha FROM vectors WHERE content_sha IN (SELECT unhex(value) FROM json_each(?))", (wanted,)
    )
    return {row[0] for row in rows}


def store_vectors(connection: Connection, vectors: Mapping[bytes, Vectors]) -> None:
    rows = []
    for sha, vector in vectors.items():
        stored = np.ascontiguousarray(vector, "<f4").tobytes()
        rows.append((sha, stored, zlib.crc32(stored)))
    connection.executemany("INSERT OR IGNORE INTO vectors (content_sha, vector, crc32) VALUES (?, ?, ?)", rows)


def put_version(
    connection: Connection, collection: str, document_id: str, prepared: PreparedDocument, now: int
) -> Change:
    """Make the prepared document the current version, or note that it is already; its vectors must be stored."""
    latest = find_version(connection, document_id)
    live = latest if latest is not None and latest.is_current else None
    if live is not None and live.structure_sha == prepared.structure_sha:
        return _put_same(connection, collection, live, prepared, now)
    return _put_new(connection, collection, document_id, live, prepared, now)


def _put_same(
    connection: Connection, collection: str, live: StoredVersion, prepared: PreparedDocument, now: int
) -> Change:
    seq = advance(connection)
    _replace_source(connection, live.version_key, prepared, now)
    ended: tuple[int, ...] = ()
    if live.title != prepared.title:
        # The title is part of what the encoder reads: the same version is cut and indexed anew under it.
        ended = end_indexings(connection, live.version_key, seq)
        add_indexing(connection, collection, live, prepared.passages, seq)
    replaced = live.source_sha if live.source_sha != prepared.source_sha else b""
    return Change(seq=seq, version=live.version, created=False, unchanged=True, ended=ended, replaced=replaced)


def _put_new(
    connection: Connection,
    collection: str,
    document_id: str,
    live: StoredVersion | None,
    prepared: PreparedDocument,
    now: int,
) -> Change:
    seq = advance(connection)
    document_key, version = connection.execute(
        "INSERT INTO documents (document_id, last_version, created_at) VALUES (:id, 1, :now)"
        " ON CONFLICT (document_id) DO UPDATE SET last_version = last_version + 1,"
        " created_at = iif(current_key IS NULL, :now, created_at) RETURNING document_key, last_version",
        {"id": document_id, "now": now},
    ).fetchone()
    ended = () if live is None else end_indexings(connection, live.version_key, seq)
    version_key = _insert_version(connection, document_key, version, prepared, now)
    connection.execute("UPDATE documents SET current_key = ? WHERE document_key = ?", (version_key, document_key))
    made = find_version(connection, document_id)
    if made is None:
        raise AssertionError("a version that was just written is not there")
    add_indexing(connection, collection, made, prepared.passages, seq)
    return Change(seq=seq, version=version, created=live is None, unchanged=False, ended=ended)


def _insert_version(
    connection: Connection, document_key: int, version: int, prepared: PreparedDocument, now: int
) -> int:
    source, text = prepared.source, prepared.loaded.text
    version_key = connection.execute(
        "INSERT INTO versions (document_key, version, title, uri, media_type, metadata, structure, structure_sha,"
        " warnings,"
        " characters, text_sha, source_sha, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " RETURNING version_key",
        (document_key, version, prepared.title, source.uri, source.media_type, json.dumps(dict(source.metadata)),
         prepared.structure, prepared.structure_sha, json.dumps(prepared.loaded.warnings), len(text), prepared.text_sha,
         prepared.source_sha, now, now),
    ).get  # fmt: skip
    pieces = [(version_key, start // PIECE, text[start : start + PIECE]) for start in range(0, len(text), PIECE)]
    connection.executemany("INSERT INTO texts (version_key, piece, text) VALUES (?, ?, ?)", pieces)
    _insert_fields(connection, version_key, source.metadata)
    return int(version_key)


def _replace_source(connection: Connection, version_key: int, prepared: PreparedDocument, now: int) -> None:
    """Other bytes, such as those with another front matter or other ends of lines, may hold the same text."""
    source = prepared.source
    connection.execute(
        "UPDATE versions SET title = ?, uri = ?, media_type = ?, metadata = ?, warnings = ?, source_sha = ?,"
        " updated_at = ? WHERE version_key = ?",
        (prepared.title, source.uri, source.media_type, json.dumps(dict(source.metadata)),
         json.dumps(prepared.loaded.warnings), prepared.source_sha, now, version_key),
    )  # fmt: skip
    connection.execute("DELETE FROM fields WHERE version_key = ?", (version_key,))
    _insert_fields(connection, version_key, source.metadata)


def _insert_fields(connection: Connection, version_key: int, metadata: Metadata) -> None:
    connection.executemany(
        "INSERT INTO fields VALUES (?, ?, ?, ?)", [(version_key, *field) for field in fields_of(metadata)]
    )


def fields_of(metadata: Metadata) -> list[Field]:
    return [
        (name, kind_of(value), value)
        for name, given in metadata.items()
        for value in (given if isinstance(given, tuple) else (given,))
    ]


def add_indexing(
    connection: Connection, collection: str, version: StoredVersion, passages: Iterable[PreparedPassage], seq: int
) -> None:
    """Store a version's passages, visible from `seq` on; their vectors must be stored already."""
    indexing_key = connection.execute(
        "INSERT INTO indexings (version_key, created_seq) VALUES (?, ?) RETURNING indexing_key",
        (version.version_key, seq),
    ).get
    connection.executemany(
        f"INSERT INTO passages (indexing_key, {AS_CUT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((indexing_key, *row) for row in passage_rows(collection, version, passages)),
    )


def passage_rows(
    collection: str, version: StoredVersion, passages: Iterable[PreparedPassage]
) -> Iterator[tuple[object, ...]]:
    """The columns `AS_CUT` of each."""
    for one in passages:
        span = one.chunk.span
        identity = passage_id(collection, version.document_id, version.version, span)
        headings = json.dumps(one.chunk.headings)
        yield identity, span.start, span.end, headings, one.chunk.page, one.text_sha, one.content_sha, one.words


def end_indexings(connection: Connection, version_key: int, seq: int) -> tuple[int, ...]:
    """From `seq` on the version's passages are not live; they stay readable. Returns the indexings that ended."""
    rows = connection.execute(
        "UPDATE indexings SET removed_seq = ? WHERE version_key = ? AND removed_seq IS NULL RETURNING indexing_key",
        (seq, version_key),
    )
    return tuple(row[0] for row in rows)


def drop_unused_vectors(connection: Connection, ended: Iterable[int]) -> None:
    """Drop the vectors of ended indexings that no live passage shares.

    Last in a transaction: what is written after the end of one indexing may share the vectors that it had.
    """
    connection.executemany(
        "DELETE FROM vectors WHERE content_sha IN (SELECT content_sha FROM passages WHERE indexing_key = ?)"
        f" AND {_UNUSED}",
        [(indexing_key,) for indexing_key in ended],
    )


_UNUSED = "NOT EXISTS (SELECT 1 FROM live_passages p WHERE p.content_sha = vectors.content_sha)"


def unused_vectors(connection: Connection, after: bytes, most: int) -> tuple[list[bytes], bytes | None]:
    """Of so many vectors that follow, the content of those that no live passage has; and of the last one, if any.

    None follow while a job may still come to name them.
    """
    if unfinished_jobs(connection):
        return [], None
    following = connection.execute(
        f"SELECT content_sha, {_UNUSED} FROM vectors WHERE content_sha > ? ORDER BY content_sha LIMIT ?", (after, most)
    ).fetchall()
    return [sha for sha, is_unused in following if is_unused], following[-1][0] if following else None


def drop_vectors(connection: Connection, content_shas: Iterable[bytes]) -> None:
    """Those that are still unused."""
    connection.executemany(f"DELETE FROM vectors WHERE content_sha = ? AND {_UNUSED}", [(sha,) for sha in content_shas])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    seq: int
    versions: int
    passages: int


def delete_document(connection: Connection, live: StoredVersion) -> Deletion:
    seq = advance(connection)
    passages = connection.execute("SELECT count(*) FROM live_passages WHERE version_key = ?", (live.version_key,)).get
    drop_unused_vectors(connection, end_indexings(connection, live.version_key, seq))
    document_key = connection.execute(
        "SELECT document_key FROM documents WHERE document_id = ?", (live.document_id,)
    ).get
    connection.execute(
        "UPDATE versions SET deleted_seq = ? WHERE document_key = ? AND deleted_seq IS NULL", (seq, document_key)
    )
    versions = connection.changes()
    connection.execute("UPDATE documents SET current_key = NULL WHERE document_key = ?", (document_key,))
    return Deletion(seq=seq, versions=versions, passages=passages)


def erase_document(connection: Connection, document_id: str) -> tuple[bytes, ...]:
    """Erase text, passages and descriptions of a deleted document.

    Returns the SHA-256 of the originals that nothing needs any more.
    """
    document_key = connection.execute("SELECT document_key FROM documents WHERE document_id = ?", (document_id,)).get
    mine = "SELECT version_key FROM versions WHERE document_key = :document"
    bindings = {"document": document_key}
    connection.execute(
        "DELETE FROM passages WHERE indexing_key IN"
        f" (SELECT indexing_key FROM indexings WHERE version_key IN ({mine}))",
        bindings,
    )
    for table in ("texts", "fields", "indexings"):
        connection.execute(f"DELETE FROM {table} WHERE version_key IN ({mine})", bindings)
    sources = [
        row[0] for row in connection.execute("SELECT source_sha FROM versions WHERE document_key = :document", bindings)
    ]
    connection.execute(
        "UPDATE versions SET title = NULL, uri = NULL, metadata = '{}', warnings = '[]',"
        ' structure = \'{"headings": [], "pages": null}\','
        " structure_sha = x'', text_sha = x'', source_sha = x'' WHERE document_key = :document",
        bindings,
    )
    return tuple(unnamed_originals(connection, {sha for sha in sources if sha}))
