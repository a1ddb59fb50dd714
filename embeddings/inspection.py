"""Does the store hold what it acknowledged, do its caches agree with it? Looks at every byte, repairs what can be."""

from __future__ import annotations

import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from embeddings.checkpoints import Checkpoints, keys_digest
from embeddings.corpus import passages, records
from embeddings.corpus.database import Connection, Database
from embeddings.corpus.jobs import unfinished_jobs
from embeddings.corpus.writes import Field, fields_of, passage_rows
from embeddings.erasing import ERASING
from embeddings.errors import IndexUnsound, StoreCorrupt
from embeddings.files import Lease, Originals
from embeddings.ingestion import restore, sha, sha_of_structure
from embeddings.parts import Parts
from embeddings.recall import recall
from embeddings.recutting import FINGERPRINT, demand
from embeddings.registry import open_registry, rebuild_registry, registered, require_store

LEAST_RECALL = 0.95
"""Of the ten nearest passages: where an index finds fewer, its search is not what is promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    name: str
    ok: bool
    detail: str
    repaired: bool = False


def inspect(folder: Path, parts: Parts, *, repair: bool = False) -> Iterator[Finding]:
    """Findings of the registry, then of each collection in turn. Raises StoreLocked while a service runs there."""
    lease = Lease(folder)
    try:
        try:
            system = open_registry(folder)
        except StoreCorrupt as error:
            names = rebuild_registry(folder) if repair else []
            detail = f"made again of {', '.join(names)}" if repair else str(error)
            yield Finding(name="registry", ok=False, detail=detail, repaired=repair)
            return
        places = registered(system)
        yield _integrity("registry", system)
        system.close()
        for name, place in places.items():
            yield from _collection(name, folder / "collections" / place, parts, repair=repair)
    finally:
        lease.release()


def _collection(collection: str, folder: Path, parts: Parts, *, repair: bool) -> Iterator[Finding]:
    try:
        require_store(folder)
        database = Database(folder / "collection.db", schema="collection", verifies=False)
    except StoreCorrupt as error:
        yield Finding(name=f"{collection}: store", ok=False, detail=str(error))
        return
    try:
        for part, look in (
            ("store", lambda name: _integrity(name, database)),
            ("pages", lambda name: _pages(name, database, repair=repair)),
            ("texts", lambda name: _texts(name, database)),
            ("metadata", lambda name: _metadata(name, database)),
            ("passages", lambda name: _passages(name, collection, database, parts, repair=repair)),
            ("originals", lambda name: _originals(name, database, Originals(folder / "originals"))),
            ("vectors", lambda name: _vectors(name, database, parts, repair=repair)),
            ("index", lambda name: _index(name, database, folder / "index", parts, repair=repair)),
        ):
            yield _looked(f"{collection}: {part}", look)
    finally:
        database.close()


def _looked(name: str, look: Callable[[str], Finding]) -> Finding:
    try:
        return look(name)
    except StoreCorrupt as damage:
        return Finding(name=name, ok=False, detail=str(damage))


def _integrity(name: str, database: Database) -> Finding:
    problems = database.integrity_problems()
    return Finding(name=name, ok=not problems, detail="; ".join(problems[:3]) or "every page is sound")


def _pages(name: str, database: Database, *, repair: bool) -> Finding:
    """What no other check covers, such as a time or a link: told apart only by the checksum of its page."""
    if database.has_written_bytes():
        return Finding(name=name, ok=True, detail="each holds what was written")
    is_readable = not database.integrity_problems()
    if repair and is_readable:
        database.write_anew()
    detail = "some hold other bytes than were written"
    return Finding(name=name, ok=False, detail=detail, repaired=repair and is_readable)


def _texts(name: str, database: Database) -> Finding:
    """Every readable version has its text and its structure."""
    damaged, checked = [], 0
    with database.reading() as connection:
        versions = connection.execute(
            "SELECT v.version_key, d.document_id, v.version, v.characters, v.structure, v.text_sha, v.structure_sha"
            " FROM versions v JOIN documents d USING (document_key) WHERE v.text_sha <> x''"
        ).fetchall()
        for version_key, document_id, version, characters, structure, *shas in versions:
            checked += 1
            text = _text(connection, version_key, characters)
            if text is None or [sha(text), sha_of_structure(structure, text)] != shas:
                damaged.append(f"{document_id} version {version}")
    detail = f"damaged: {', '.join(damaged[:5])}" if damaged else f"{checked} versions, each with its text"
    return Finding(name=name, ok=not damaged, detail=detail)


def _text(connection: Connection, version_key: int, characters: int) -> str | None:
    """None where its bytes are no text."""
    try:
        return records.slice_text(connection, version_key, 0, characters)
    except UnicodeDecodeError:
        return None


def _metadata(name: str, database: Database) -> Finding:
    """What filters look at is what the versions say."""
    with database.reading() as connection:
        said = connection.execute("SELECT version_key, metadata FROM versions").fetchall()
        kept: defaultdict[int, list[Field]] = defaultdict(list)
        for version_key, *field in connection.execute("SELECT version_key, name, kind, value FROM fields"):
            kept[version_key].append(tuple(field))
    damaged = sum(not _are_fields(metadata, kept.pop(version_key, [])) for version_key, metadata in said)
    ok = not damaged and not kept
    return Finding(
        name=name, ok=ok, detail=f"{len(said)} versions" if ok else f"damaged in {damaged or len(kept)} versions"
    )


def _are_fields(metadata: str, kept: list[Field]) -> bool:
    try:
        return sorted(fields_of(records.metadata_of(metadata)), key=repr) == sorted(kept, key=repr)
    except (ValueError, AttributeError):
        return False


def _passages(name: str, collection: str, database: Database, parts: Parts, *, repair: bool) -> Finding:
    """Every live passage is what cutting its version again gives; if not, all are made anew at the next start."""
    damaged, checked = [], 0
    with database.reading() as connection:
        is_due = records.meta(connection, FINGERPRINT) != parts.fingerprint
        for version in [] if is_due else records.live_versions(connection):
            stored = _stored_passages(connection, version)
            checked += len(stored or ())
            if stored is None or stored != _cut_again(connection, collection, version, parts):
                damaged.append(version.document_id)
    if damaged and repair:
        with database.writing() as connection:
            demand(connection, parts.fingerprint)
    detail = f"damaged: {', '.join(damaged[:5])}" if damaged else f"{checked} passages, each as it is cut"
    return Finding(name=name, ok=not damaged, detail=detail, repaired=bool(damaged) and repair)


def _stored_passages(connection: Connection, version: records.StoredVersion) -> list[tuple[object, ...]] | None:
    """None where what should be text is none."""
    try:
        return sorted(passages.as_cut(connection, version.version_key))
    except UnicodeDecodeError:
        return None


def _cut_again(
    connection: Connection, collection: str, version: records.StoredVersion, parts: Parts
) -> list[tuple[object, ...]] | None:
    """None where the text itself is damaged."""
    text = _text(connection, version.version_key, version.characters)
    structure = records.structure(connection, version.version_key)
    if text is None or sha_of_structure(structure, text) != version.structure_sha:
        return None
    return sorted(passage_rows(collection, version, parts.ingestion.cut(restore(text, structure), version.title)))


def _originals(name: str, database: Database, originals: Originals) -> Finding:
    with database.reading() as connection:
        wanted = [
            row[0] for row in connection.execute("SELECT DISTINCT source_sha FROM versions WHERE source_sha <> x''")
        ]
        unnamed = len(records.unnamed_originals(connection, originals.all()))
    damaged = 0
    for wanted_sha in wanted:
        try:
            originals.read(wanted_sha)
        except StoreCorrupt:
            damaged += 1
    detail = (
        f"{damaged} of {len(wanted)} missing or damaged; put these documents again"
        if damaged
        else f"{len(wanted)} originals{_left_over(unnamed)}"
    )
    return Finding(name=name, ok=not damaged, detail=detail)


def _vectors(name: str, database: Database, parts: Parts, *, repair: bool) -> Finding:
    """Damaged or missing vectors are made anew, with all passages, when the collection is opened next."""
    with database.reading() as connection:
        stored = connection.execute("SELECT content_sha, vector, crc32 FROM vectors")
        is_sound = {sha: zlib.crc32(vector) == crc32 for sha, vector, crc32 in stored}
        sound = {sha for sha in is_sound if is_sound[sha]}
        live = connection.execute("SELECT DISTINCT content_sha FROM live_passages")
        wanted = {row[0] for row in live}
        unused = 0 if unfinished_jobs(connection) else len(is_sound.keys() - wanted)
    missing = len(wanted - sound)
    if missing and repair:
        with database.writing() as connection:
            connection.executemany(
                "DELETE FROM vectors WHERE content_sha = ?", [(sha,) for sha in is_sound if not is_sound[sha]]
            )
            demand(connection, parts.fingerprint)
    detail = (
        f"{missing} of {len(wanted)} missing or damaged"
        if missing
        else f"{len(wanted)} vectors, each with its checksum{_left_over(unused)}"
    )
    return Finding(name=name, ok=not missing, detail=detail, repaired=bool(missing) and repair)


def _left_over(number: int) -> str:
    return f"; {number} that nothing names, which the next start removes" if number else ""


def _index(name: str, database: Database, folder: Path, parts: Parts, *, repair: bool) -> Finding:
    """The current generation is only a cache: an unsound one is thrown away and made again at the next start."""
    checkpoints = Checkpoints(
        folder=folder,
        fingerprint=parts.fingerprint,
        dimension=parts.encoder.dimension,
        vectors=parts.vectors,
        words=parts.words,
    )
    names = checkpoints.names() if folder.is_dir() else []
    if not names:
        return Finding(name=name, ok=True, detail="none on disk; it is made from the store when needed")
    try:
        generation = checkpoints.load(names[0])
        with database.reading() as connection:
            if records.meta(connection, ERASING):
                return Finding(name=name, ok=True, detail="a purge was cut short; the next start finishes it")
            if keys_digest(passages.keys_at(connection, generation.seq)) != keys_digest(
                generation.segment.passage_keys
            ):
                raise IndexUnsound("it holds other passages than the store")
            stored = passages.live(connection, database.reading, dimension=parts.encoder.dimension)
            found = recall(generation.segment, stored)
    except IndexUnsound as doubt:
        if repair:
            shutil.rmtree(folder)
        return Finding(name=name, ok=False, detail=str(doubt), repaired=repair)
    except StoreCorrupt as damage:
        return Finding(name=name, ok=True, detail=f"not compared with the vectors of the store: {damage}")
    rows = len(generation.segment)
    detail = f"{rows} passages at seq {generation.seq}, {parts.vectors.kind(rows)}, recall@10 {100 * found:.1f} %"
    return Finding(name=name, ok=found >= LEAST_RECALL, detail=detail)
