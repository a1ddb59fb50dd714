"""Backups: a folder with a copy of everything that is not derived, and a manifest with the SHA-256 of each file.

    MANIFEST.json
    system.db  [calibration.json]
    collections/<id>/collection.db  collections/<id>/originals/ab/<sha256>

A backup is taken while a service runs: each database is copied as it is at one moment, and then the originals that this
copy names. It appears at its destination in one step. Restoring takes effect in one step too, when the registry is
replaced: a process that is killed earlier leaves the old state, later the new one. Indexes are never part of a backup;
they are made again from the store.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from embeddings.corpus import records
from embeddings.corpus.database import Database, copy_database, reading_file
from embeddings.errors import LoccitError, StoreCorrupt
from embeddings.files import (
    UNFINISHED,
    Lease,
    Originals,
    make_folder,
    sha256_of,
    storage_errors,
    sync_folder,
    sync_tree,
    write_synced,
)
from embeddings.registry import COLLECTIONS, STORE, SYSTEM

FORMAT = 1
MANIFEST = "MANIFEST.json"
CALIBRATION = "calibration.json"
ORIGINALS = "originals"
STAGE = "restore" + UNFINISHED
ATTEMPTS = 5
"""At the copy of a collection, where documents are purged while its originals are copied."""
BLOCK_BYTES = 1 << 20
_LEASE = "lease"
_STORED_FILE = re.compile(
    rf"{SYSTEM}|{CALIBRATION}|{COLLECTIONS}/[0-9a-f]{{16}}/(?:{STORE}|{ORIGINALS}/([0-9a-f]{{2}})/\1[0-9a-f]{{62}})"
)

Progress = Callable[[str, int, int], None]
"""Told what is copied, and bytes done and in total."""


class BackupRefused(LoccitError):
    """A backup cannot be taken or restored; nothing has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What is in a backup."""

    created_at: str
    collections: tuple[str, ...]
    files: int
    bytes: int
    missing: tuple[str, ...] = ()
    """What was damaged in the data folder and therefore could not be copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    bytes: int
    sha256: str


class _PurgedMeanwhile(Exception):
    """An original that the copied store names is erased by now, so the copy holds what must be forgotten."""


def back_up(folder: Path, destination: Path, progress: Progress) -> Backup:
    """Copy a data folder, whether or not a service runs on it. Raises BackupRefused, StoreCorrupt, DiskFull."""
    if not (folder / SYSTEM).is_file():
        raise BackupRefused("This data folder holds no store; name the one to back up with --data or LOCCIT_DATA.")
    _require_empty(destination, "Name a new folder for each backup.")
    unfinished = destination.with_name(destination.name + UNFINISHED)
    with storage_errors():
        shutil.rmtree(unfinished, ignore_errors=True)
        make_folder(unfinished / COLLECTIONS)
        try:
            backup = _Copying(folder, unfinished, progress).run()
            if destination.is_dir():
                destination.rmdir()
            os.rename(unfinished, destination)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        sync_folder(destination.parent)
    return backup


@dataclass(slots=True)
class _Copying:
    folder: Path
    destination: Path
    progress: Progress
    missing: list[str] = field(default_factory=list)

    def run(self) -> Backup:
        copied = {place for name, place in _registered(self.folder).items() if self._copied(name, place)}
        names = self._copy_registry(copied)
        if (self.folder / CALIBRATION).is_file():
            write_synced(self.destination / CALIBRATION, (self.folder / CALIBRATION).read_bytes())
        sync_tree(self.destination)
        return self._seal(names)

    def _copied(self, name: str, place: str) -> bool:
        """False where the collection is not in the backup: deleted meanwhile, or so damaged that it cannot be read."""
        try:
            self._copy_collection(name, place)
        except (LoccitError, OSError) as error:
            shutil.rmtree(self.destination / COLLECTIONS / place, ignore_errors=True)
            if _registered(self.folder).get(name) != place:
                return False
            if not isinstance(error, StoreCorrupt):
                raise
            self.missing.append(f"collection {name}")
            return False
        return True

    def _copy_collection(self, name: str, place: str) -> None:
        source, copy = self.folder / COLLECTIONS / place, self.destination / COLLECTIONS / place
        for _ in range(ATTEMPTS):
            make_folder(copy)
            copy_database(source / STORE, copy / STORE, lambda done, total: self.progress(name, done, total))
            try:
                self._copy_originals(name, source, copy)
            except _PurgedMeanwhile:
                shutil.rmtree(copy)
            else:
                return
        raise BackupRefused(f"Documents of {name!r} are purged faster than it can be copied. Try again when it rests.")

    def _copy_originals(self, name: str, source: Path, copy: Path) -> None:
        originals = Originals(source / ORIGINALS)
        with reading_file(copy / STORE) as connection:
            shas = records.named_originals(connection)
        damaged = []
        for number, sha in enumerate(shas, start=1):
            try:
                content = originals.read(sha)
            except StoreCorrupt:
                if not _is_named(source / STORE, sha):
                    raise _PurgedMeanwhile from None
                damaged.append(f"original {sha.hex()} of {name}")
                continue
            path = Originals(copy / ORIGINALS).path(sha)
            make_folder(path.parent)
            path.touch(mode=0o600)
            path.write_bytes(content)
            self.progress(f"{name}: originals", number, len(shas))
        self.missing += damaged

    def _copy_registry(self, copied: set[str]) -> list[str]:
        """Copied last: what was deleted meanwhile leaves the backup, what was made meanwhile never enters it."""
        copy_database(self.folder / SYSTEM, self.destination / SYSTEM, lambda done, total: None)
        registered = _registered(self.destination)
        kept = {name: place for name, place in registered.items() if place in copied}
        _rewrite_registry(self.destination / SYSTEM, kept)
        for place in copied - set(kept.values()):
            shutil.rmtree(self.destination / COLLECTIONS / place)
        return sorted(kept)

    def _seal(self, names: list[str]) -> Backup:
        paths = sorted(path for path in self.destination.rglob("*") if path.is_file())
        seals = {
            str(path.relative_to(self.destination)): Seal(bytes=path.stat().st_size, sha256=sha256_of(path))
            for path in paths
        }
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = {
            "format": FORMAT,
            "created_at": created_at,
            "collections": names,
            "missing": self.missing,
            "files": {name: asdict(seal) for name, seal in seals.items()},
        }
        write_synced(self.destination / MANIFEST, json.dumps(manifest, indent=1).encode())
        sync_folder(self.destination)
        return Backup(
            created_at=created_at,
            collections=tuple(names),
            files=len(seals),
            bytes=sum(seal.bytes for seal in seals.values()),
            missing=tuple(self.missing),
        )


def restore(source: Path, folder: Path, progress: Progress, *, overwrite: bool = False) -> Backup:
    """Make a data folder hold what a backup holds. Raises BackupRefused, StoreLocked, StoreCorrupt, DiskFull.

    Every file is compared with the manifest, and every database is checked, before anything changes.
    """
    backup, seals = _read_manifest(source)
    if not overwrite:
        _require_empty(folder, "Give --overwrite to put the backup in its place.")
    with storage_errors():
        make_folder(folder / COLLECTIONS)
        lease = Lease(folder)
        try:
            stage = folder / COLLECTIONS / STAGE
            shutil.rmtree(stage, ignore_errors=True)
            make_folder(stage)
            try:
                _fill_stage(source, stage, seals, backup, progress)
                _switch(stage, folder)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
            _remove_unregistered(folder)
        finally:
            lease.release()
    return backup


def _read_manifest(source: Path) -> tuple[Backup, Mapping[str, Seal]]:
    try:
        manifest = json.loads((source / MANIFEST).read_bytes())
        seals = {str(name): Seal(**seal) for name, seal in manifest["files"].items()}
        backup = Backup(
            created_at=str(manifest["created_at"]),
            collections=tuple(map(str, manifest["collections"])),
            files=len(seals),
            bytes=sum(seal.bytes for seal in seals.values()),
            missing=tuple(map(str, manifest["missing"])),
        )
    except OSError:
        raise BackupRefused(f"There is no {MANIFEST} there; name a folder that `loccit backup` made.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupRefused(f"The {MANIFEST} of this backup is damaged. Take another backup.") from None
    if manifest.get("format") != FORMAT:
        raise BackupRefused("This backup was made by a later version of Loccit; restore it with that version.")
    if SYSTEM not in seals or not all(_STORED_FILE.fullmatch(name) for name in seals):
        raise BackupRefused(f"The {MANIFEST} of this backup lists files that are in no backup. Take another one.")
    return backup, seals


def _fill_stage(source: Path, stage: Path, seals: Mapping[str, Seal], backup: Backup, progress: Progress) -> None:
    done = 0
    for name, seal in seals.items():
        place = stage / name
        make_folder(place.parent)
        if _copy_file(source, name, place) != seal:
            raise BackupRefused(f"{name} of this backup is damaged; nothing was restored. Take another backup.")
        done += seal.bytes
        progress("files", done, backup.bytes)
    places = _registered(stage)
    for folder in places.values():
        if not (stage / COLLECTIONS / folder / STORE).is_file():
            raise BackupRefused("This backup lacks a collection that it lists. Take another one.")
        Database(stage / COLLECTIONS / folder / STORE, schema="collection").close()
    # Folders get new names: those of the backup may stand in the data folder that is restored.
    fresh = {name: secrets.token_hex(8) for name in places}
    for name, folder in places.items():
        os.rename(stage / COLLECTIONS / folder, stage / COLLECTIONS / fresh[name])
    _rewrite_registry(stage / SYSTEM, fresh)
    sync_tree(stage)


def _copy_file(source: Path, name: str, place: Path) -> Seal:
    """Reads no link: what a backup holds are files of its own."""
    digest, length = hashlib.sha256(), 0
    path = source / name
    if any(part.is_symlink() for part in (path, *path.parents) if source in part.parents):
        raise BackupRefused(f"{name} of this backup is a link, which none makes. Take another backup.")
    try:
        with (
            path.open("rb") as file,
            os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy,
        ):
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                length += len(block)
                copy.write(block)
    except FileNotFoundError:
        raise BackupRefused(f"{name} of this backup is missing; nothing was restored. Take another backup.") from None
    return Seal(bytes=length, sha256=digest.hexdigest())


def _switch(stage: Path, folder: Path) -> None:
    """The registry is replaced last: until then nothing refers to the collections that were moved in."""
    for path in list((stage / COLLECTIONS).glob("*")):
        os.rename(path, folder / COLLECTIONS / path.name)
    sync_folder(folder / COLLECTIONS)
    _empty_log(folder / SYSTEM)
    os.rename(stage / SYSTEM, folder / SYSTEM)
    if (stage / CALIBRATION).is_file():
        os.rename(stage / CALIBRATION, folder / CALIBRATION)
    sync_folder(folder)


def _empty_log(path: Path) -> None:
    """Leave no log of the old registry, which would be taken for one of the new."""
    if path.is_file():
        # It may be replaced since it is damaged.
        with suppress(StoreCorrupt), closing(Database(path, schema="system")) as registry:
            registry.truncate_log()
    _remove_log(path)
    sync_folder(path.parent)


def _remove_log(path: Path) -> None:
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _remove_unregistered(folder: Path) -> None:
    known = set(_registered(folder).values())
    for path in (folder / COLLECTIONS).iterdir():
        if path.name not in known:
            shutil.rmtree(path, ignore_errors=True)


def _registered(folder: Path) -> dict[str, str]:
    """The folder of each collection by name."""
    with reading_file(folder / SYSTEM) as connection:
        return dict(connection.execute("SELECT name, folder FROM collections ORDER BY name").fetchall())


def _rewrite_registry(path: Path, places: Mapping[str, str]) -> None:
    """Keep these collections only, in these folders. All of it is in the one file afterwards, which goes elsewhere."""
    with closing(Database(path, schema="system")) as system:
        with system.writing() as connection:
            names = json.dumps(list(places))
            connection.execute("DELETE FROM collections WHERE name NOT IN (SELECT value FROM json_each(?))", (names,))
            connection.execute("DELETE FROM jobs WHERE collection NOT IN (SELECT value FROM json_each(?))", (names,))
            connection.executemany(
                "UPDATE collections SET folder = ? WHERE name = ?", [(place, name) for name, place in places.items()]
            )
        # Closing would do that too, and not tell where it fails.
        system.truncate_log()
    _remove_log(path)


def _is_named(store: Path, sha: bytes) -> bool:
    with reading_file(store) as connection:
        return not records.unnamed_originals(connection, [sha])


def _require_empty(folder: Path, advice: str) -> None:
    try:
        found = {path.name for path in folder.iterdir()} - {_LEASE}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise BackupRefused(f"{folder} is a file. {advice}") from None
    if found:
        raise BackupRefused(f"{folder} is not empty. {advice}")
