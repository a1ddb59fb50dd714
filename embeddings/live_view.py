"""The view that searches see: recovered at start, replaced after each write, checkpointed to disk now and then.

A process that only reads follows the store and the checkpoints of the one that writes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from embeddings.arrays import Keys, Vectors
from embeddings.checkpoints import Checkpoints, Generation, keys_digest
from embeddings.corpus import passages, records
from embeddings.corpus.database import Connection, Snapshots
from embeddings.errors import DiskFull, IndexUnsound, LoccitError, SequenceNotReached, StoreReadOnly
from embeddings.memory import give_back
from embeddings.recall import recall
from embeddings.views import PassageStream, View, base_view, empty_view

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many rows may lie in the tail, or be dead, before a checkpoint is due: the larger of number and share."""

    rows: int
    tail_share: float
    """Of the base."""
    removed_share: float
    """Of all rows."""
    rest: float = 0.0
    """Since the last checkpoint, in times of what that took. Before, only a tail that fills memory is reason enough."""


WHILE_WRITING = Patience(rows=5_000, tail_share=0.05, removed_share=0.2, rest=9.0)
AT_REST = Patience(rows=500, tail_share=0.01, removed_share=0.05)
IN_THE_LONG_RUN = Patience(rows=0, tail_share=0.01, removed_share=0.05)


LONGEST_TAIL = 100_000
"""Rows: about 150 MB."""
STEP = 500
"""Indexings that are taken into a view together."""
PURGES = "purges"
"""In the store's own notes: how many there have been."""
BEFORE_ALL = -1
"""The `seq` of a view that holds nothing yet."""


class _GivenUp(Exception):
    """Nobody wants the generation any more that is being made."""


class StoreView:
    """What a store holds. Readers take `current` once and keep it; whoever follows the store replaces it."""

    def __init__(self, database: Snapshots, checkpoints: Checkpoints) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._publishing = threading.Lock()
        self._advanced = threading.Condition()
        self._view = self._recovered()

    @property
    def current(self) -> View:
        return self._view

    def follow(self) -> None:
        """Take in every write that the store has and the view has not."""
        with self._publishing, self._database.reading() as connection:
            self._publish(self._caught_up(connection, self._view))

    def wait_for(self, seq: int, timeout_seconds: float) -> None:
        """Raises SequenceNotReached."""
        with self._advanced:
            if not self._advanced.wait_for(lambda: self._view.seq >= seq, timeout_seconds):
                raise SequenceNotReached(
                    f"The collection is at seq {self._view.seq}, and {seq} did not arrive in {timeout_seconds:g} s."
                    " Try again later."
                )

    def _publish(self, view: View) -> None:
        with self._advanced:
            self._view = view
            self._advanced.notify_all()

    def _recovered(self) -> View:
        """From the newest generation that is sound, brought up to date from the store; else from the store alone."""
        for name in self._checkpoints.names():
            try:
                return self._loaded(name)
            except IndexUnsound as doubt:
                logger.warning("index generation rejected", extra={"reason": str(doubt)})
        with self._database.reading() as connection:
            if not len(passages.keys_at(connection, records.seq(connection))):
                return empty_view(records.seq(connection))
        return self._rebuilt()

    def _loaded(self, name: str) -> View:
        generation = self._checkpoints.load(name)
        with self._database.reading() as connection:
            if keys_digest(passages.keys_at(connection, generation.seq)) != keys_digest(
                generation.segment.passage_keys
            ):
                raise IndexUnsound("the index and the store differ")
            return self._standing_on(generation, connection)

    def _standing_on(self, generation: Generation, connection: Connection) -> View:
        return self._caught_up(connection, base_view(generation.seq, generation.segment, generation.words))

    def _rebuilt(self) -> View:
        return self._in_memory()

    def _in_memory(self) -> View:
        with self._database.reading() as connection:
            return self._caught_up(connection, empty_view(BEFORE_ALL))

    def _caught_up(self, connection: Connection, view: View) -> View:
        """In steps, so that no more than a step's words and vectors are in memory beside the view."""
        changes = passages.changes_since(connection, view.seq)
        dimension, indexes = self._checkpoints.dimension, self._checkpoints.vectors
        for keys in _steps(changes.removed):
            view = view.without(passages.indexed(connection, keys, dimension=dimension, with_vectors=False))
        for keys in _steps(changes.added):
            view = view.including(passages.indexed(connection, keys, dimension=dimension), indexes)
        return replace(view, seq=changes.seq)


class FollowingView(StoreView):
    """Of a process that only reads: it also takes over the checkpoints that another one makes."""

    def __init__(self, database: Snapshots, checkpoints: Checkpoints) -> None:
        self._stands_on = _newest(database, checkpoints)
        super().__init__(database, checkpoints)

    def renew(self) -> None:
        """Stand on the newest generation, if it is another one, or begin anew where something was purged since.

        What was deleted and purged between two looks is in no change that could be followed. Raises IndexUnsound.
        """
        newest = _newest(self._database, self._checkpoints)
        if newest == self._stands_on:
            return
        self._stands_on = newest
        generation = self._checkpoints.load(newest.generation) if newest.generation else None
        with self._publishing, self._database.reading() as connection:
            self._publish(
                self._standing_on(generation, connection)
                if generation
                else self._caught_up(connection, empty_view(BEFORE_ALL))
            )
        give_back()  # what it stood on before


class _Newest(NamedTuple):
    generation: str
    """Empty where there is none."""
    purges: int
    """That there have been so far."""


def _newest(database: Snapshots, checkpoints: Checkpoints) -> _Newest:
    with database.reading() as connection:
        return _Newest(next(iter(checkpoints.names()), ""), records.meta(connection, PURGES) or 0)


class LiveView(StoreView):
    """Of the one process that writes: it also makes the checkpoints. Nobody waits for one."""

    def __init__(self, database: Snapshots, checkpoints: Checkpoints) -> None:
        self._writing_generation = threading.Lock()
        self._checkpointed_at = -math.inf
        self.checkpoint_seconds = 0.0
        """What the last one took."""
        self.checkpoint_failure = ""
        """Why the last one wrote no generation; empty where it did."""
        super().__init__(database, checkpoints)

    def is_checkpoint_due(self, patience: Patience) -> bool:
        view = self._view
        if view.tail_rows > LONGEST_TAIL:
            return True
        if time.monotonic() - self._checkpointed_at < patience.rest * self.checkpoint_seconds:
            return False
        base_rows = 0 if view.base is None else len(view.base)
        return view.tail_rows > max(patience.rows, patience.tail_share * base_rows) or view.removed > max(
            patience.rows, patience.removed_share * (view.passages + view.removed)
        )

    @property
    def is_dirty(self) -> bool:
        return self.is_checkpoint_due(IN_THE_LONG_RUN)

    def checkpoint(self, patience: Patience | None = None, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Write a generation of what the view shows, and serve from it; what was written meanwhile is the tail.

        With `patience`, only if it is still due when its turn comes. Where it is cancelled, all stays as it was.
        """
        with self._writing_generation, suppress(_GivenUp), self._noting_failure():
            if patience is not None and not self.is_checkpoint_due(patience):
                return
            began = time.monotonic()
            self._renew(is_cancelled)
            give_back()
            self._checkpointed_at = time.monotonic()
            self.checkpoint_seconds = self._checkpointed_at - began

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except _GivenUp:
            raise
        except Exception as error:
            self.checkpoint_failure = str(error) if isinstance(error, LoccitError) else type(error).__name__
            raise

    def recall(self, questions: Vectors | None = None) -> float:
        """Of the index on disk, recall@10 against an exact search with the vectors of the store; see `recall`."""
        base = self._view.base
        with self._database.reading() as connection:
            stored = self._live(connection, self._database.reading)
        return 1.0 if base is None else recall(base, stored, questions)

    @contextmanager
    def between_generations(self) -> Iterator[None]:
        """While the block runs, nobody reads the store for as long as it takes to write a generation."""
        with self._writing_generation:
            yield

    def forget_the_past(self) -> None:
        """Leave no generation but one of what the store holds now; none at all where that cannot be written."""
        self.checkpoint()
        self._checkpoints.remove_older(keep=0 if self._view.base is None else 1)

    def _rebuilt(self) -> View:
        with self._database.reading() as connection:
            seq, live = records.seq(connection), self._live(connection, self._database.reading)
        generation = self._written(live, seq)
        return base_view(seq, generation.segment, generation.words) if generation else self._in_memory()

    def _renew(self, is_cancelled: Callable[[], bool]) -> None:
        """Put the view on a base of all that it shows; what it takes in meanwhile stays its tail."""

        @contextmanager
        def reading() -> Iterator[Connection]:
            if is_cancelled():
                raise _GivenUp
            with self._database.reading() as connection:
                yield connection

        try:
            live, seq = self._settled(reading)
            generation = self._written(live, seq)
            if generation is None:
                in_memory = self._in_memory()
                with self._publishing, self._database.reading() as connection:
                    self._publish(self._caught_up(connection, in_memory))
            else:
                # Writers wait for no more than this.
                with self._publishing:
                    self._publish(self._view.onto(generation.segment))
        finally:
            with self._publishing:
                self._publish(self._view.unsettled())

    def _settled(self, reading: passages.Reading) -> tuple[PassageStream, int]:
        """What the view shows, once it has settled, and its `seq`."""
        with ExitStack() as snapshot:
            with self._publishing:
                connection = snapshot.enter_context(reading())
                view = self._caught_up(connection, self._view).settling()
                self._publish(view)
            return self._live(connection, reading), view.seq

    def _live(self, connection: Connection, reading: passages.Reading) -> PassageStream:
        return passages.live(connection, reading, dimension=self._checkpoints.dimension)

    def _written(self, live: PassageStream, seq: int) -> Generation | None:
        """Nothing where no generation can be written; `checkpoint_failure` says why."""
        try:
            generation = self._checkpoints.write(live, seq)
        except (DiskFull, StoreReadOnly, IndexUnsound) as error:
            logger.error("no index generation written, serving from memory", extra={"reason": str(error)})
            self.checkpoint_failure = str(error)
            return None
        self.checkpoint_failure = ""
        return generation


def _steps(keys: Keys) -> Iterator[Keys]:
    return (keys[first : first + STEP] for first in range(0, len(keys), STEP))
