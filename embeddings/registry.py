"""Which collection lives in which folder, and how that is found out again where the registry is lost.

A missing registry must never be taken for an empty one: whatever it does not list is removed at the next start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from embeddings.corpus import records
from embeddings.corpus.database import Database, Snapshots, reading_file
from embeddings.errors import StoreCorrupt
from embeddings.files import UNFINISHED

SYSTEM = "system.db"
COLLECTIONS = "collections"
STORE = "collection.db"
NAME = "name"
"""Under which each collection notes what it is called."""
DAMAGED = ".damaged"
SEEDED = "seeds"


def open_registry(folder: Path) -> Database:
    """Raises StoreCorrupt where it is lost or damaged."""
    if not is_there(folder / SYSTEM) and any(_stores(folder)):
        raise StoreCorrupt("The registry of collections is missing. Run `loccit doctor --repair`, or restore a backup.")
    try:
        return Database(folder / SYSTEM, schema="system")
    except StoreCorrupt:
        detail = "The registry of collections is damaged. Run `loccit doctor --repair`, or restore a backup."
        raise StoreCorrupt(detail) from None


def registered(system: Snapshots) -> dict[str, str]:
    """The folder of each collection by name."""
    with system.reading() as connection:
        return dict(connection.execute("SELECT name, folder FROM collections ORDER BY name").fetchall())


def is_there(database: Path) -> bool:
    """Whether the file holds anything: SQLite takes one without bytes for a new database."""
    return database.is_file() and database.stat().st_size > 0


def require_store(place: Path) -> None:
    """Raises StoreCorrupt where a collection that is registered has no store."""
    if not is_there(place / STORE):
        raise StoreCorrupt("The store of this collection is missing. Restore it from a backup.")


def rebuild_registry(folder: Path) -> list[str]:
    """Make a new registry of all collections that can be read; the old one is put aside. Returns their names."""
    for ending in ("", "-wal", "-shm"):
        old = folder / (SYSTEM + ending)
        if old.exists():
            old.replace(old.with_name(SYSTEM + DAMAGED + ending))
    system = Database(folder / SYSTEM, schema="system")
    try:
        names = [_register(system, store) for store in _stores(folder)]
        with system.writing() as connection:
            connection.execute("INSERT INTO marks VALUES (?)", (SEEDED,))
    finally:
        system.close()
    return sorted(names)


def _stores(folder: Path) -> Iterator[Path]:
    for store in sorted((folder / COLLECTIONS).glob(f"*/{STORE}")):
        if not store.parent.name.endswith(UNFINISHED):
            yield store


def _register(system: Database, store: Path) -> str:
    place = store.parent.name
    name, created_at, jobs = _described(store)
    name = name or f"recovered-{place}"
    with system.writing() as connection:
        connection.execute("INSERT INTO collections VALUES (?, ?, ?)", (name, place, created_at))
        connection.executemany("INSERT INTO jobs VALUES (?, ?)", [(job_id, name) for job_id in jobs])
    return name


def _described(store: Path) -> tuple[str | None, int, list[str]]:
    """Name, when it was made, and jobs; of a store that cannot be read next to nothing, so that it is quarantined."""
    try:
        with reading_file(store) as connection:
            jobs = [row[0] for row in connection.execute("SELECT job_id FROM jobs")]
            return records.meta(connection, NAME), records.meta(connection, "created_at") or 0, jobs
    except StoreCorrupt:
        return None, 0, []


def add_job(system: Database, job_id: str, collection: str) -> None:
    with system.writing() as connection:
        connection.execute("INSERT INTO jobs VALUES (?, ?)", (job_id, collection))


def forget_jobs(system: Database, job_ids: Iterable[str]) -> None:
    with system.writing() as connection:
        connection.executemany("DELETE FROM jobs WHERE job_id = ?", [(job_id,) for job_id in job_ids])


def jobs_of(system: Database, collection: str) -> list[str]:
    with system.reading() as connection:
        return [row[0] for row in connection.execute("SELECT job_id FROM jobs WHERE collection = ?", (collection,))]
