"""Jobs in the store: accepted work that survives a restart, and the keys that make a repeated request harmless."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from embeddings.corpus.database import Connection
from embeddings.corpus.records import metadata_of, now_microseconds
from embeddings.domain import Source

DAY = 24 * 3600 * 1_000_000
KEPT_JOBS = 10_000
KEPT_DAYS = 30
"""After the end of a job."""
_NO_WARNINGS = "[]"
FINISHED = ("succeeded", "failed", "cancelled")


class StoredItem(NamedTuple):
    """A tuple, since a job may have thousands, which are looked at again and again."""

    document_id: str
    source_sha: bytes
    source: str
    state: str
    version: int | None
    problem: str | None
    """What was wrong and how to mend it, where the item failed."""
    warnings: tuple[str, ...] = ()
    """What of the document was not indexed, and why; of the version that it made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    job_id: str
    state: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    items: tuple[StoredItem, ...]


def description(source: Source) -> str:
    """All of a source but its bytes."""
    return json.dumps(
        {
            "media_type": source.media_type,
            "charset": source.charset,
            "title": source.title,
            "uri": source.uri,
            "metadata": dict(source.metadata),
        }
    )


def described(description: str, content: bytes) -> Source:
    stored: dict[str, Any] = json.loads(description)
    return Source(**{**stored, "metadata": metadata_of(json.dumps(stored["metadata"])), "content": content})


def add_job(connection: Connection, job_id: str, items: Sequence[StoredItem]) -> None:
    connection.execute(
        "INSERT INTO jobs (job_id, state, created_at) VALUES (?, 'queued', ?)", (job_id, now_microseconds())
    )
    connection.executemany(
        "INSERT INTO job_items VALUES (?, ?, ?, ?, ?, 'queued', NULL, NULL)",
        [(job_id, position, item.document_id, item.source_sha, item.source) for position, item in enumerate(items)],
    )


def find_job(connection: Connection, job_id: str) -> StoredJob | None:
    row = connection.execute(
        "SELECT job_id, state, created_at, started_at, finished_at FROM jobs WHERE job_id = ?", (job_id,)
    ).fetchone()
    if row is None:
        return None
    *columns, _ = StoredItem._fields
    rows = connection.execute(
        f"SELECT {', '.join(f'i.{column}' for column in columns)}, coalesce(v.warnings, '{_NO_WARNINGS}')"
        " FROM job_items i LEFT JOIN documents d USING (document_id)"
        " LEFT JOIN versions v ON v.document_key = d.document_key AND v.version = i.version"
        " WHERE i.job_id = ? ORDER BY i.position",
        (job_id,),
    )
    items = tuple(
        StoredItem._make((*item, () if warnings == _NO_WARNINGS else tuple(json.loads(warnings))))
        for *item, warnings in rows
    )
    return StoredJob(
        **dict(zip(("job_id", "state", "created_at", "started_at", "finished_at"), row, strict=True)), items=items
    )


def unfinished_jobs(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT job_id FROM jobs WHERE state IN ('queued', 'running') ORDER BY created_at, job_id"
    )
    return [row[0] for row in rows]


def start_job(connection: Connection, job_id: str) -> None:
    connection.execute(
        "UPDATE jobs SET state = 'running', started_at = coalesce(started_at, ?) WHERE job_id = ? AND state = 'queued'",
        (now_microseconds(), job_id),
    )


def finish_item(
    connection: Connection, job_id: str, position: int, *, version: int | None = None, problem: str | None = None
) -> None:
    state = "succeeded" if problem is None else "failed"
    connection.execute(
        "UPDATE job_items SET state = ?, version = ?, problem = ?, source = '{}' WHERE job_id = ? AND position = ?",
        (state, version, problem, job_id, position),
    )


def finish_job(connection: Connection, job_id: str, state: str) -> list[str]:
    """End a job that has not ended; what it had not done yet ends with it. Returns the jobs that are forgotten now."""
    now = now_microseconds()
    connection.execute(
        "UPDATE jobs SET state = ?, finished_at = ? WHERE job_id = ? AND state IN ('queued', 'running')",
        (state, now, job_id),
    )
    if connection.changes() and state == "cancelled":
        connection.execute(
            "UPDATE job_items SET state = 'cancelled', source = '{}' WHERE job_id = ? AND state = 'queued'", (job_id,)
        )
    forgotten = connection.execute(
        "DELETE FROM jobs WHERE state IN ('succeeded', 'failed', 'cancelled') AND (finished_at < ? OR job_id NOT IN"
        " (SELECT job_id FROM jobs ORDER BY created_at DESC LIMIT ?)) RETURNING job_id",
        (now - KEPT_DAYS * DAY, KEPT_JOBS),
    )
    return [row[0] for row in forgotten]


def all_jobs(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT job_id FROM jobs")]


def find_repeated(connection: Connection, key: str) -> tuple[str, str] | None:
    """The body's SHA-256 and the job of an earlier request with the same key."""
    row = connection.execute(
        "SELECT body_sha256, job_id FROM idempotency WHERE key = ? AND created_at > ?", (key, now_microseconds() - DAY)
    ).fetchone()
    return None if row is None else (row[0], row[1])


def remember(connection: Connection, key: str, body_sha256: str, job_id: str) -> None:
    now = now_microseconds()
    connection.execute("DELETE FROM idempotency WHERE created_at <= ?", (now - DAY,))
    connection.execute("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?)", (key, body_sha256, job_id, now))
