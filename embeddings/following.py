"""The collections of a data folder that another process writes to: read here as it writes them, and never changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from embeddings.corpus.database import Snapshots
from embeddings.errors import IndexUnsound, UnknownCollection
from embeddings.live_view import FollowingView
from embeddings.parts import Parts
from embeddings.registry import COLLECTIONS, STORE, SYSTEM, registered
from embeddings.searchable import Searchable, checkpoints_of

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks at what was written. Who has to see more brings its `seq`; this keeps it from waiting long."""


class FollowedCollection(Searchable):
    """Sees what was written when it is told to reach that, or at the next look of its library."""

    live: FollowingView

    def __init__(self, name: str, folder: Path, parts: Parts) -> None:
        self.name = name
        self._parts = parts
        self.database = Snapshots(folder / STORE)
        self.live = FollowingView(self.database, checkpoints_of(folder, parts))

    def reach(self, seq: int) -> None:
        if self.seq < seq:
            self.live.follow()

    def look(self) -> None:
        """Take in what was written, and stand on the newest index."""
        self.live.follow()
        try:
            self.live.renew()
        except IndexUnsound as doubt:
            # It may have been replaced by another one while it was read.
            logger.warning("index generation rejected", extra={"collection": self.name, "reason": str(doubt)})


class FollowedLibrary:
    """Safe to call from many threads."""

    def __init__(self, folder: Path, parts: Parts) -> None:
        self._folder = folder
        self._parts = parts
        self._lock = threading.Lock()
        self._collections: dict[str, FollowedCollection] = {}
        """By their folders: another collection may take the name of one that was deleted."""
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._look_regularly, name="watch", daemon=True)
        with ExitStack() as opened:
            self._system = Snapshots(folder / SYSTEM)
            opened.callback(self._system.close)
            opened.callback(self._close_collections)
            self._look()
            self._opened = opened.pop_all()
        self._watch.start()

    def collection(self, name: str, place: str) -> FollowedCollection:
        """That in the folder `place`. Raises UnknownCollection, StoreCorrupt."""
        with self._lock:
            if place not in self._collections:
                if registered(self._system).get(name) != place:
                    raise UnknownCollection(f"There is no collection {name!r} any more.")
                self._collections[place] = FollowedCollection(name, self._folder / COLLECTIONS / place, self._parts)
            return self._collections[place]

    def _look_regularly(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        with _telling_of_failures():
            names = registered(self._system)
            for name, place in names.items():
                with _telling_of_failures(collection=name):
                    self.collection(name, place).look()
            with self._lock:
                for place in self._collections.keys() - names.values():
                    self._collections.pop(place).database.close()

    def _close_collections(self) -> None:
        for collection in self._collections.values():
            collection.database.close()

    def close(self) -> None:
        self._closing.set()
        self._watch.join()
        self._opened.close()


@contextmanager
def _telling_of_failures(**of: str) -> Iterator[None]:
    """What fails at a look fails again where somebody asks for it, and is answered for there."""
    try:
        yield
    except Exception as error:
        logger.debug("not followed", extra={**of, "reason": str(error)})
