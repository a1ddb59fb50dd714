"""Passages as retrieval needs them. Functions read within the caller's snapshot, as the store was at `seq`.

A passage is visible at `seq` when it had been written by then and not yet replaced; one of a deleted document is never
visible, at whatever `seq`, so that nothing deleted is found through an old view.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from embeddings.arrays import Keys, Vectors
from embeddings.corpus.conditions import Condition
from embeddings.corpus.database import Connection
from embeddings.corpus.records import PIECE, metadata_of
from embeddings.crowding import RECURRING_IN
from embeddings.domain import Passage, Place
from embeddings.errors import DeletedDocument, StoreCorrupt, UnknownPassage
from embeddings.views import BATCH, IndexedPassages, PassageStream

Item = TypeVar("Item")

_OF_DOCUMENTS = "JOIN versions v USING (version_key) JOIN documents d USING (document_key)"
_STORED = f"passages p JOIN indexings i USING (indexing_key) {_OF_DOCUMENTS}"
_VISIBLE = "i.created_seq <= :seq AND (i.removed_seq IS NULL OR i.removed_seq > :seq) AND v.deleted_seq IS NULL"
MOST_PLACES = 100


class Candidate(NamedTuple):
    """A tuple, since a search makes a hundred."""

    passage_key: int
    document_key: int
    text_sha: bytes
    words: str
    recurs: bool
    """The text stands in `RECURRING_IN` documents or more."""


# Looks no further than it has to: the first condition, on the index alone, holds for few.
_RECURS = f"""EXISTS (SELECT 1 FROM passages WHERE text_sha = p.text_sha LIMIT 1 OFFSET {RECURRING_IN - 1})
    AND {RECURRING_IN} = (SELECT count(*) FROM (SELECT DISTINCT v.document_key FROM passages o
        JOIN indexings i USING (indexing_key) JOIN versions v USING (version_key)
        WHERE o.text_sha = p.text_sha AND {_VISIBLE} LIMIT {RECURRING_IN}))"""


def candidates(connection: Connection, seq: int, passage_keys: Iterable[int]) -> dict[int, Candidate]:
    """The visible ones of the given passages, by key."""
    rows = connection.execute(
        f"SELECT p.passage_key, v.document_key, p.text_sha, p.words, {_RECURS} FROM {_STORED}"
        f" WHERE p.passage_key IN (SELECT value FROM json_each(:keys)) AND {_VISIBLE}",
        {"seq": seq, "keys": json.dumps(list(passage_keys))},
    )
    return {row[0]: Candidate._make(row) for row in rows}


def allowed_indexings(connection: Connection, seq: int, condition: Condition) -> Keys:
    """Indexings of the documents that meet the condition, ascending."""
    rows = connection.execute(
        f"SELECT i.indexing_key FROM indexings i {_OF_DOCUMENTS}"
        f" WHERE {_VISIBLE} AND ({condition.sql}) ORDER BY i.indexing_key",
        {**condition.bindings, "seq": seq},
    )
    return np.fromiter((row[0] for row in rows), np.int64)


_TEXT = f"""substr((SELECT group_concat(text, '') FROM (SELECT t.text FROM texts t WHERE t.version_key = v.version_key
    AND t.piece BETWEEN p.start / {PIECE} AND (p.end - 1) / {PIECE} ORDER BY t.piece)),
    p.start % {PIECE} + 1, p.end - p.start)"""
_PASSAGE = f"""p.passage_id, d.document_id, v.version, v.version_key IS d.current_key, v.title, v.uri,
    p.headings, p.page, p.start, p.end, v.metadata, {_TEXT}, v.deleted_seq, p.text_sha, p.passage_key"""


def passages(
    connection: Connection, collection: str, keys: Sequence[int], *, seq: int, condition: Condition
) -> dict[int, Passage]:
    """Passages by key, each with every other visible place of the same text that meets the condition."""
    wanted = json.dumps(list(keys))
    rows = connection.execute(
        f"SELECT {_PASSAGE} FROM {_STORED} WHERE p.passage_key IN (SELECT value FROM json_each(?))", (wanted,)
    ).fetchall()
    places = _places(connection, wanted, seq, condition)
    return {
        row[-1]: _passage(collection, row, tuple(place for key, place in places[row[-2]] if key != row[-1]))
        for row in rows
    }


def _places(
    connection: Connection, keys: str, seq: int, condition: Condition
) -> defaultdict[bytes, list[tuple[int, Place]]]:
    """Where the texts of the passages stand, at most so many places each, by the SHA of the text."""
    found = connection.execute(
        f"SELECT p.text_sha, p.passage_key, d.document_id, v.version, p.start, p.end FROM {_STORED}"
        " WHERE p.text_sha IN (SELECT text_sha FROM passages WHERE passage_key IN (SELECT value FROM json_each(:keys)))"
        f" AND {_VISIBLE} AND ({condition.sql}) ORDER BY d.document_id, p.start",
        {**condition.bindings, "keys": keys, "seq": seq},
    )
    places: defaultdict[bytes, list[tuple[int, Place]]] = defaultdict(list)
    for text_sha, key, *place in found:
        if len(places[text_sha]) <= MOST_PLACES:
            places[text_sha].append((key, Place(*place)))
    return places


def passage_by_id(connection: Connection, collection: str, passage_id: str) -> Passage:
    """Of any version. Raises UnknownPassage, DeletedDocument."""
    row = connection.execute(
        f"SELECT {_PASSAGE} FROM {_STORED} WHERE p.passage_id = ? ORDER BY i.removed_seq IS NOT NULL LIMIT 1",
        (passage_id,),
    ).fetchone()
    if row is None:
        raise UnknownPassage("There is no such passage in this collection.")
    if row[-3] is not None:
        raise DeletedDocument("The document of this passage was deleted; its text is no longer given out.")
    return _passage(collection, row, ())


def _passage(collection: str, row: Sequence[Any], also_at: tuple[Place, ...]) -> Passage:
    passage_id, document_id, version, is_current, title, uri, headings, page, start, end, metadata, text = row[:12]
    return Passage(
        passage_id=passage_id,
        collection=collection,
        document_id=document_id,
        version=version,
        current=bool(is_current),
        title=title,
        uri=uri,
        headings=tuple(json.loads(headings)),
        page=page,
        start=start,
        end=end,
        text=text,
        metadata=metadata_of(metadata),
        also_at=also_at,
    )


AS_CUT = "passage_id, start, end, headings, page, text_sha, content_sha, words"
"""Columns that follow from the text of a version, its structure and its title."""


def as_cut(connection: Connection, version_key: int) -> list[tuple[object, ...]]:
    """The live passages of a version."""
    rows = connection.execute(f"SELECT {AS_CUT} FROM live_passages WHERE version_key = ?", (version_key,))
    return [tuple(row) for row in rows]


def indexed(
    connection: Connection, indexing_keys: Keys, *, dimension: int, with_vectors: bool = True
) -> IndexedPassages:
    """The passages of the given indexings, as an index takes them.

    Raises StoreCorrupt where a vector does not match its checksum.
    """
    column, join = ("t.vector, t.crc32", " JOIN vectors t USING (content_sha)") if with_vectors else ("NULL, NULL", "")
    rows = connection.execute(
        f"SELECT p.passage_key, i.indexing_key, p.words, {column}"
        f" FROM indexings i JOIN passages p USING (indexing_key){join}"
        " WHERE i.indexing_key IN (SELECT value FROM json_each(:keys)) ORDER BY i.indexing_key, p.passage_key",
        {"keys": json.dumps(indexing_keys.tolist())},
    )
    passage_keys, indexed_keys, words, vectors = array("q"), array("q"), [], bytearray()
    # Row by row: those of a whole collection would hold its vectors a second time.
    for passage_key, indexing_key, listed, vector, crc32 in rows:
        passage_keys.append(passage_key)
        indexed_keys.append(indexing_key)
        words.append(listed)
        if with_vectors:
            vectors += _sound(vector, crc32, dimension)
    return IndexedPassages(
        passage_keys=np.array(passage_keys, np.int64),
        indexing_keys=np.array(indexed_keys, np.int64),
        words=words,
        vectors=np.frombuffer(vectors, "<f4").astype(np.float32, copy=False).reshape(len(words), -1)
        if words
        else np.empty((0, dimension), np.float32),
    )


Reading: TypeAlias = Callable[[], AbstractContextManager[Connection]]
"""Begins a snapshot, which lasts as long as the block."""


def live(connection: Connection, reading: Reading, *, dimension: int) -> PassageStream:
    """All passages that are live in the caller's snapshot.

    Their words and vectors are read in steps, in snapshots of their own: one that lasted as long as an index is made
    would let SQLite's log grow meanwhile, and the next writer would wait until all of it is moved into the store.
    What is replaced between two steps may have lost its vector, and has zeros for one.

    Iterating the vectors raises StoreCorrupt where one is missing or does not match its checksum.
    """
    keys = np.fromiter(
        connection.execute(
            "SELECT i.indexing_key, p.passage_key FROM indexings i JOIN passages p USING (indexing_key)"
            " WHERE i.removed_seq IS NULL ORDER BY i.indexing_key, p.passage_key"
        ),
        np.dtype((np.int64, 2)),
    )
    indexing_keys, passage_keys = (np.ascontiguousarray(column, np.int64) for column in keys.T)
    return PassageStream(
        passage_keys=passage_keys,
        indexing_keys=indexing_keys,
        words=_InSteps(reading, passage_keys, _words),
        vectors=_InSteps(reading, passage_keys, partial(_vectors, dimension=dimension)),
    )


@dataclass(frozen=True, slots=True)
class _InSteps(Generic[Item]):
    """What is read of the passages with these keys, in their order, anew whenever it is iterated."""

    reading: Reading
    passage_keys: Keys
    read: Callable[[Connection, str], list[Item]]
    """Takes keys as JSON."""

    def __iter__(self) -> Iterator[Item]:
        for first in range(0, len(self.passage_keys), BATCH):
            keys = json.dumps(self.passage_keys[first : first + BATCH].tolist())
            with self.reading() as connection:
                found = self.read(connection, keys)
            yield from found


_OF_KEYS = "FROM json_each(?) k LEFT JOIN passages p ON p.passage_key = k.value"


def _words(connection: Connection, keys: str) -> list[str]:
    return [words or "" for (words,) in connection.execute(f"SELECT p.words {_OF_KEYS} ORDER BY k.key", (keys,))]


def _vectors(connection: Connection, keys: str, *, dimension: int) -> list[Vectors]:
    """In one batch."""
    rows = connection.execute(
        f"SELECT i.indexing_key IS NOT NULL AND i.removed_seq IS NULL, t.vector, t.crc32 {_OF_KEYS}"
        " LEFT JOIN indexings i ON i.indexing_key = p.indexing_key"
        " LEFT JOIN vectors t ON t.content_sha = p.content_sha ORDER BY k.key",
        (keys,),
    )
    none = bytes(4 * dimension)
    content = b"".join([_sound(vector, crc32, dimension) if is_live else none for is_live, vector, crc32 in rows])
    return [np.frombuffer(content, "<f4").astype(np.float32, copy=False).reshape(-1, dimension)]


def _sound(vector: bytes | None, crc32: int, dimension: int) -> bytes:
    if vector is None or len(vector) != 4 * dimension or zlib.crc32(vector) != crc32:
        raise StoreCorrupt("A stored vector is damaged. Run `loccit doctor --repair`.")
    return vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Indexings that came and went after some `seq`, as of this one."""

    seq: int
    added: Keys
    removed: Keys


def changes_since(connection: Connection, seq: int) -> Changes:
    # The plus keeps SQLite from taking the index of `removed_seq`, and with it every live indexing into its hands.
    added = connection.execute(
        "SELECT indexing_key FROM indexings WHERE created_seq > ? AND +removed_seq IS NULL", (seq,)
    )
    removed = connection.execute(
        "SELECT indexing_key FROM indexings WHERE created_seq <= :seq AND removed_seq > :seq", {"seq": seq}
    )
    return Changes(
        seq=int(connection.execute("SELECT value FROM meta WHERE name = 'seq'").get),
        added=np.sort(np.fromiter((row[0] for row in added), np.int64)),
        removed=np.sort(np.fromiter((row[0] for row in removed), np.int64)),
    )


def keys_at(connection: Connection, seq: int) -> Keys:
    """The passages that were live at `seq`, as far as they have not been erased since."""
    rows = connection.execute(
        "SELECT p.passage_key FROM indexings i JOIN passages p USING (indexing_key)"
        " WHERE i.created_seq <= :seq AND (i.removed_seq IS NULL OR i.removed_seq > :seq)",
        {"seq": seq},
    )
    return np.fromiter((row[0] for row in rows), np.int64)
