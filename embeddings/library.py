"""All collections of one data folder.

lease               held by the one process that may write here
system.db           the registry of collections, which job belongs where
collections/<id>/   one folder each: collection.db, originals/, index/
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from embeddings.collection import Collection
from embeddings.corpus.records import now_microseconds
from embeddings.domain import CollectionInfo
from embeddings.errors import DiskFull, LoccitError, StoreCorrupt, StoreReadOnly, UnknownCollection
from embeddings.files import UNFINISHED, Lease, make_folder, remove_unfinished, sync_folder
from embeddings.live_view import AT_REST, IN_THE_LONG_RUN, WHILE_WRITING, Patience
from embeddings.parts import Parts
from embeddings.registry import open_registry, registered, require_store
from embeddings.views import View

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Between two looks at what has been written."""
LOOKS_BETWEEN_CHECKPOINTS = 300
LEISURELY_SHARE = 0.1
"""Of the time, for looking through what was stored after a start: the questions that come meanwhile are worth more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    ok: bool
    detail: str


class Rest:
    """Tells where writing has come to rest; once each time, so that a checkpoint that fails is not tried on and on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: Mapping[Collection, int] = {}
        self._written_at: dict[Collection, float] = {}
        """Of those not told yet: when a write was seen last."""

    def look(self, seqs: Mapping[Collection, int]) -> list[Collection]:
        """Collections that were written to, and since then not for longer than a checkpoint takes.

        What is new counts as written to. While a large collection is filled, seconds pass between two writes.
        """
        now = self._clock()
        self._written_at |= {one: now for one, seq in seqs.items() if seq != self._seen.get(one)}
        self._seen = seqs
        resting = [
            one for one, at in self._written_at.items() if one in seqs and now - at > one.live.checkpoint_seconds
        ]
        self._written_at = {one: at for one, at in self._written_at.items() if one in seqs and one not in resting}
        return resting


class Leisure:
    """For work without hurry: called by it now and then, it rests, so that the work takes no more than a share.

    It rests only while nothing else waits for the end of the work. It tells whether that is to come at once, since the
    library closes; that ends the rest too.
    """

    def __init__(
        self,
        closing: threading.Event,
        others_wait: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._closing = closing
        self._others_wait = others_wait
        self._clock = clock
        self._at_work_since = clock()

    def __call__(self) -> bool:
        worked = self._clock() - self._at_work_since
        is_closing = self._closing.wait(0 if self._others_wait() else worked * (1 / LEISURELY_SHARE - 1))
        self._at_work_since = self._clock()
        return is_closing


class Library:
    """Opens every collection at start. One that fails its checks is quarantined, and the others serve.

    Raises StoreLocked where another process holds the folder.
    """

    def __init__(self, folder: Path, parts: Parts, *, free_disk_floor_bytes: int = 500_000_000) -> None:
        self._folder = folder
        self._parts = parts
        self._free_disk_floor = free_disk_floor_bytes
        self._lock = threading.RLock()
        self._collections: dict[str, Collection] = {}
        self._quarantined: dict[str, str] = {}
        self._closing = threading.Event()
        self._maintenance = ThreadPoolExecutor(1, thread_name_prefix="maintenance")
        self._awaited: set[tuple[Collection, Patience]] = set()
        """Checkpoints whose turn has not come yet."""
        self._timer = threading.Thread(target=self._look_regularly, name="checkpoint timer", daemon=True)
        make_folder(folder)
        with ExitStack() as opened:
            opened.callback(Lease(folder).release)
            make_folder(folder / "collections")
            self.system = open_registry(folder)
            opened.callback(self.system.close)
            opened.callback(self._close_collections)
            opened.callback(self._stop_maintenance)
            self._remove_unregistered()
            for name, place in registered(self.system).items():
                self._open(name, place)
            self._timer.start()
            self._opened = opened.pop_all()

    def _place(self, folder: str) -> Path:
        return self._folder / "collections" / folder

    def _open(self, name: str, folder: str) -> None:
        try:
            require_store(self._place(folder))
            collection = Collection(name, self._place(folder), self._parts, self)
        except StoreCorrupt as error:
            self._quarantine(name, error)
            return
        self._collections[name] = collection
        if not collection.database.is_checked:
            self._maintenance.submit(self._check, collection)
        self._maintenance.submit(self._tidy, collection)

    def _quarantine(self, name: str, error: StoreCorrupt) -> None:
        logger.error("collection quarantined", extra={"collection": name, "reason": str(error)})
        self._quarantined[name] = str(error)

    def _check(self, collection: Collection) -> None:
        """What was too large to be checked before it was opened."""
        with _logging("collection not checked", collection):
            try:
                collection.database.check(self._leisure(collection))
            except StoreCorrupt as error:
                # Those that still hold it write nothing more into a store that nobody is going to read from.
                collection.retire(partial(_damaged, collection.name, str(error)))
                with self._lock:
                    if self._collections.get(collection.name) is collection:
                        self._quarantine(collection.name, error)
                        del self._collections[collection.name]

    def _leisure(self, collection: Collection) -> Leisure:
        """The log waits too, once it is long: as long as a snapshot lasts it cannot be moved into the store."""
        return Leisure(self._closing, others_wait=lambda: bool(self._awaited) or collection.database.has_long_log)

    def _tidy(self, collection: Collection) -> None:
        if self._collections.get(collection.name) is collection and not self._closing.is_set():
            with _logging("collection not tidied", collection):
                collection.tidy(self._leisure(collection))

    def _remove_unregistered(self) -> None:
        """Folders of collections whose making or deleting was cut short."""
        known = set(registered(self.system).values())
        remove_unfinished(self._folder / "collections")
        for path in (self._folder / "collections").iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    # Collections

    def opened(self) -> list[Collection]:
        """All but those that are quarantined."""
        with self._lock:
            return list(self._collections.values())

    def collections(self) -> list[CollectionInfo]:
        return sorted((collection.info() for collection in self.opened()), key=lambda info: info.collection)

    def views(self) -> list[View]:
        """What searches of each collection see at this moment."""
        return [collection.live.current for collection in self.opened()]

    def collection(self, name: str) -> Collection:
        """Waits for nobody who makes or deletes another one. Raises UnknownCollection, StoreCorrupt."""
        if (found := self._collections.get(name)) is not None:
            return found
        if (reason := self._quarantined.get(name)) is not None:
            raise _damaged(name, reason)
        raise UnknownCollection(self.unknown(name))

    @staticmethod
    def unknown(name: str) -> str:
        return f"There is no collection {name!r}. Make it with PUT /v1/collections/{name}."

    def create(self, name: str, *, title: str | None = None) -> tuple[CollectionInfo, bool]:
        """The collection, and whether it was made now; one that exists gets the title, if one is given."""
        with self._lock:
            made = name not in self._collections
            if made:
                self._make(name)
            collection = self.collection(name)
            if title is not None:
                collection.set_title(title)
            return collection.info(), made

    def _make(self, name: str) -> None:
        if name in self._quarantined:
            self.collection(name)
        folder = secrets.token_hex(8)
        collection = Collection(name, self._place(folder), self._parts, self)
        with self.system.writing() as connection:
            connection.execute("INSERT INTO collections VALUES (?, ?, ?)", (name, folder, now_microseconds()))
        self._collections[name] = collection

    def delete(self, name: str) -> None:
        """Raises UnknownCollection."""
        with self._lock:
            folder = registered(self.system).get(name)
            if folder is None:
                raise UnknownCollection(self.unknown(name))
            with self.system.writing() as connection:
                connection.execute("DELETE FROM collections WHERE name = ?", (name,))
                connection.execute("DELETE FROM jobs WHERE collection = ?", (name,))
            self._quarantined.pop(name, None)
            collection = self._collections.pop(name, None)
        if collection is not None:
            collection.retire(lambda: UnknownCollection(f"The collection {name!r} has been deleted meanwhile."))
        doomed = self._place(folder + UNFINISHED)
        # What is quarantined may have lost its folder.
        with suppress(FileNotFoundError):
            os.rename(self._place(folder), doomed)
        sync_folder(doomed.parent)
        shutil.rmtree(doomed, ignore_errors=True)

    @property
    def seq(self) -> int:
        """The highest of all collections."""
        return max((collection.seq for collection in self.opened()), default=0)

    def is_marked(self, name: str) -> bool:
        """Whether something that is done once has been done."""
        with self.system.reading() as connection:
            return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM marks WHERE name = ?)", (name,)).get)

    def mark(self, name: str) -> None:
        with self.system.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO marks VALUES (?)", (name,))

    # Upkeep

    @property
    def free_bytes(self) -> int:
        """On the disk of the data folder. Raises StoreReadOnly where that cannot be told."""
        try:
            return shutil.disk_usage(self._folder).free
        except OSError as error:
            raise StoreReadOnly(
                "The data folder cannot be reached. Check the disk, then restart the service."
            ) from error

    def require_space(self, upload_bytes: int, unused_bytes: int = 0) -> None:
        """Raises DiskFull while there is still room for what is already in the store to go on working.

        `unused_bytes` of the store are filled before it grows. They count for no more than half of the floor: logs,
        indexes and originals cannot lie in them.
        """
        free = self.free_bytes + min(unused_bytes, self._free_disk_floor // 2)
        if free < max(self._free_disk_floor, 2 * upload_bytes):
            raise DiskFull(f"Only {free // 1_000_000} MB are free on the disk; nothing new is taken. Free some space.")

    def tend(self, collection: Collection) -> None:
        """Checkpoint in the background when the collection's tail has grown long."""
        self._checkpoint_later(collection, WHILE_WRITING)

    def _checkpoint_later(self, collection: Collection, patience: Patience) -> None:
        awaited = (collection, patience)
        if awaited in self._awaited or self._closing.is_set() or not collection.live.is_checkpoint_due(patience):
            return
        self._awaited.add(awaited)
        self._maintenance.submit(self._checkpoint, collection, patience)

    def _checkpoint(self, collection: Collection, patience: Patience) -> None:
        self._awaited.discard((collection, patience))
        with _logging("checkpoint failed", collection):
            if not self._closing.is_set():
                collection.live.checkpoint(patience, self._closing.is_set)

    def _look_regularly(self) -> None:
        """Checkpoint what has come to rest, so that searches are quick then, and everything from time to time."""
        rest = Rest()
        for look in count(1):
            if self._closing.wait(LOOK_SECONDS):
                return
            seqs = {collection: collection.seq for collection in self.opened()}
            for collection in rest.look(seqs):
                self._checkpoint_later(collection, AT_REST)
            if look % LOOKS_BETWEEN_CHECKPOINTS == 0:
                for collection in seqs:
                    self._checkpoint_later(collection, IN_THE_LONG_RUN)

    def checks(self) -> dict[str, Check]:
        with self._lock:
            collections, quarantined = list(self._collections.values()), list(self._quarantined)
        stuck = [one.name for one in collections if not one.database.is_writable]
        behind = [f"{one.name} ({reason})" for one in collections if (reason := one.live.checkpoint_failure)]
        return {
            "store": Check(
                ok=not quarantined and not stuck,
                detail=_listed("quarantined", quarantined)
                or _listed("read-only until a restart", stuck)
                or _counted(len(collections), "collection"),
            ),
            # Every open collection has a view, or it would not have opened; but what is written makes its tail longer.
            "index": Check(
                ok=not behind,
                detail=_listed("the last checkpoint failed", behind)
                or f"{sum(one.live.current.passages for one in collections)} passages",
            ),
            "disk": self._check_disk(),
        }

    def _check_disk(self) -> Check:
        try:
            free = self.free_bytes
        except StoreReadOnly as gone:
            return Check(ok=False, detail=str(gone))
        return Check(ok=free >= self._free_disk_floor, detail=f"{free // 1_000_000} MB free")

    def close(self) -> None:
        """Checkpoint, close the databases and give up the lease."""
        self._opened.close()

    def _close_collections(self) -> None:
        with self._lock:
            for collection in self._collections.values():
                with _logging("not closed in order", collection):
                    collection.close()
            self._collections.clear()

    def _stop_maintenance(self) -> None:
        self._closing.set()
        if self._timer.is_alive():
            self._timer.join()
        self._maintenance.shutdown()


def _damaged(name: str, reason: str) -> StoreCorrupt:
    return StoreCorrupt(f"The collection {name!r} is damaged. {reason}")


@contextmanager
def _logging(event: str, collection: Collection) -> Iterator[None]:
    """What one collection meets stops neither the others nor the thread that looks after all of them."""
    try:
        yield
    except (LoccitError, OSError) as error:
        logger.error(event, extra={"collection": collection.name, "reason": str(error)})
    except Exception:
        logger.exception(event, extra={"collection": collection.name})


def _listed(what: str, names: list[str]) -> str:
    return f"{what}: {', '.join(names)}" if names else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
