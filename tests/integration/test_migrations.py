from __future__ import annotations

from importlib import resources
from pathlib import Path

import apsw

from embeddings.corpus.database import Database


def test_a_store_of_the_first_layout_keeps_its_vectors_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "collection.db"
    old = apsw.Connection(str(path))
    old.execute((resources.files("embeddings.corpus.migrations") / "0001_collection.sql").read_text("utf-8"))
    old.execute("PRAGMA user_version = 1")
    old.execute("INSERT INTO documents VALUES (1, 'd', 7, NULL, 0)")
    old.executemany(
        "INSERT INTO versions VALUES (?, 1, ?, NULL, NULL, '', '{}', '[]', x'00', '[]', 0, x'00', x'00', 0, 0, NULL)",
        [(3, 1), (7, 2)],
    )
    old.execute("INSERT INTO indexings VALUES (1, 3, 1, NULL)")
    old.executemany(
        "INSERT INTO passages VALUES (?, ?, 1, 0, 1, '[]', NULL, x'00', ?, '')",
        [(1, "one", b"z"), (2, "two", b"a"), (3, "three", b"z")],
    )
    old.executemany("INSERT INTO vectors VALUES (?, ?, ?)", [(b"a", b"A", 1), (b"m", b"M", 2), (b"z", b"Z", 3)])
    old.executemany("INSERT INTO texts VALUES (?, ?, ?)", [(7, 1, "later"), (7, 0, "first"), (3, 0, "other")])
    old.close()

    database = Database(path, schema="collection")

    with database.reading() as connection:
        vectors = connection.execute("SELECT content_sha, vector, crc32 FROM vectors ORDER BY vector_key").fetchall()
        texts = connection.execute("SELECT text FROM texts WHERE version_key = 7 ORDER BY piece").fetchall()
        assert vectors == [(b"z", b"Z", 3), (b"a", b"A", 1)]  # as the passages stand; what none of them has is left out
        assert texts == [("first",), ("later",)]
        assert connection.execute("PRAGMA integrity_check").get == "ok"
    database.close()
