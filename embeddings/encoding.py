"""Vectors of passages: every text is encoded once, however many documents hold it and whoever wants it meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from itertools import islice
from weakref import WeakValueDictionary

from embeddings.arrays import Vectors
from embeddings.corpus import writes
from embeddings.corpus.database import Database
from embeddings.ports import Encoder

BATCH = 128
"""Passages encoded between two looks at progress and cancellation."""
HELD = 1024
"""Vectors held in memory until the commit; of more, those of the first are stored as they come."""

Progress = Callable[[int, int], None]
"""Told passages done and in total; may raise to stop the work, and then no version is made."""
Texts = Mapping[bytes, str]
"""What the encoder reads, by the SHA of the content."""


class PassageEncoding:
    """Encodes what one collection's store has no vector of. Safe to call from many threads."""

    def __init__(self, encoder: Encoder, database: Database, committing: threading.Lock) -> None:
        self._encoder = encoder
        self._database = database
        self._committing = committing
        self._looking = threading.Lock()
        self._underway: dict[bytes, Future[None]] = {}
        """Ends when the text has been encoded, or could not be."""
        self._uncommitted: WeakValueDictionary[bytes, Vectors] = WeakValueDictionary()
        """Vectors that somebody holds who has still to store them."""

    def missing(self, texts: Texts, progress: Progress | None = None) -> dict[bytes, Vectors]:
        """Vectors that are to be stored with the passages; those of more than a thousand are stored already."""
        with self._database.reading() as connection:
            known = writes.known_vectors(connection, texts)
        wanted = {sha: text for sha, text in texts.items() if sha not in known}
        if len(wanted) <= HELD:
            return self._encoded(wanted, progress, done=0, total=len(wanted))
        for number, part in enumerate(_parts(wanted, HELD)):
            vectors = self._encoded(part, progress, done=number * HELD, total=len(wanted))
            with self._committing, self._database.writing() as connection:
                writes.store_vectors(connection, vectors)
        return {}

    def _anew(self, texts: Texts) -> dict[bytes, Vectors]:
        return dict(zip(texts, self._encoder.encode_passages(list(texts.values())), strict=True)) if texts else {}

    def _encoded(self, texts: Texts, progress: Progress | None, *, done: int, total: int) -> dict[bytes, Vectors]:
        vectors: dict[bytes, Vectors] = {}
        for number, batch in enumerate(_parts(texts, BATCH)):
            if progress is not None:
                progress(done + number * BATCH, total)
            vectors |= self._encoded_once(batch)
        return vectors

    def _encoded_once(self, texts: Texts) -> dict[bytes, Vectors]:
        """Takes what others hold, encodes what nobody has encoded, and waits for what others are encoding."""
        vectors: dict[bytes, Vectors] = {}
        while texts:
            held, mine, awaited = self._claimed(texts)
            vectors |= held | self._encoded_mine({sha: texts[sha] for sha in mine})
            wait(awaited.values())
            # By now it is held by another or stored; or its encoding failed, and it is ours.
            texts = {sha: texts[sha] for sha in awaited}
        return vectors

    def _claimed(self, texts: Texts) -> tuple[dict[bytes, Vectors], list[bytes], dict[bytes, Future[None]]]:
        with self._looking:
            held = {sha: vector for sha in texts if (vector := self._uncommitted.get(sha)) is not None}
            awaited = {sha: self._underway[sha] for sha in texts if sha in self._underway and sha not in held}
            mine = [sha for sha in texts if sha not in held and sha not in awaited]
            self._underway.update(dict.fromkeys(mine, Future()))
        return held, mine, awaited

    def _encoded_mine(self, texts: Texts) -> dict[bytes, Vectors]:
        """Looks into the store once more: who held a vector when the texts were looked for first may have stored it."""
        new: dict[bytes, Vectors] = {}
        try:
            with self._database.reading() as connection:
                known = writes.known_vectors(connection, texts)
            new = self._anew({sha: text for sha, text in texts.items() if sha not in known})
        finally:
            with self._looking:
                self._uncommitted.update(new)
                ended = {self._underway.pop(sha) for sha in texts}
            for future in ended:
                future.set_result(None)
        return new


def _parts(texts: Texts, size: int) -> Iterator[Texts]:
    remaining = iter(texts.items())
    while part := dict(islice(remaining, size)):
        yield part
