-- Large rows lie in tables of their own order, found by a slim index. As entries of an index themselves they left so few to each
-- page that a lookup went through many; and vectors, ordered by their SHA, were far from those of the same document.

CREATE TABLE ordered_vectors (
    vector_key  INTEGER PRIMARY KEY,
    content_sha BLOB NOT NULL UNIQUE,
    vector      BLOB NOT NULL,           -- float32, little-endian
    crc32       INTEGER NOT NULL
) STRICT;
INSERT INTO ordered_vectors (content_sha, vector, crc32)
    SELECT content_sha, vector, crc32 FROM vectors
    JOIN (SELECT content_sha, min(passage_key) AS first FROM passages GROUP BY content_sha) USING (content_sha)
    ORDER BY first;
DROP TABLE vectors;
ALTER TABLE ordered_vectors RENAME TO vectors;

CREATE TABLE ordered_texts (             -- the canonical text in pieces, so that a slice reads only what it needs
    text_key    INTEGER PRIMARY KEY,
    version_key INTEGER NOT NULL REFERENCES versions,
    piece       INTEGER NOT NULL,
    text        TEXT NOT NULL,
    UNIQUE (version_key, piece)
) STRICT;
INSERT INTO ordered_texts (version_key, piece, text) SELECT version_key, piece, text FROM texts ORDER BY version_key, piece;
DROP TABLE texts;
ALTER TABLE ordered_texts RENAME TO texts;
