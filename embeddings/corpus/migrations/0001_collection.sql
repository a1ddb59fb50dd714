-- One collection. `seq` counts its writes; an indexing is visible at s when created_seq <= s and (removed_seq is null or > s).

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    document_key INTEGER PRIMARY KEY,
    document_id  TEXT NOT NULL UNIQUE,
    last_version INTEGER NOT NULL,       -- never goes back, so that no version number is used twice
    current_key  INTEGER                 -- the live version, null after a delete
        REFERENCES versions (version_key) DEFERRABLE INITIALLY DEFERRED,
    created_at   INTEGER NOT NULL        -- microseconds since 1970, UTC, here and below
) STRICT;
CREATE INDEX documents_current ON documents (current_key);

CREATE TABLE versions (
    version_key   INTEGER PRIMARY KEY,
    document_key  INTEGER NOT NULL REFERENCES documents,
    version       INTEGER NOT NULL,
    title         TEXT,
    uri           TEXT,
    media_type    TEXT NOT NULL,
    metadata      TEXT NOT NULL,         -- JSON object
    structure     TEXT NOT NULL,         -- JSON: headings and pages of the canonical text
    structure_sha BLOB NOT NULL,         -- of text and structure: equal means unchanged
    warnings      TEXT NOT NULL,         -- JSON list
    characters    INTEGER NOT NULL,
    text_sha      BLOB NOT NULL,
    source_sha    BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    deleted_seq   INTEGER,
    UNIQUE (document_key, version)
) STRICT;
CREATE INDEX versions_source ON versions (source_sha);

CREATE TABLE texts (                     -- the canonical text in pieces, so that a slice reads only what it needs
    version_key INTEGER NOT NULL REFERENCES versions,
    piece       INTEGER NOT NULL,
    text        TEXT NOT NULL,
    PRIMARY KEY (version_key, piece)
) STRICT, WITHOUT ROWID;

CREATE TABLE fields (                    -- metadata again, one value a row, for filters
    version_key INTEGER NOT NULL REFERENCES versions,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,           -- 'number', 'string', 'boolean'
    value       ANY NOT NULL
) STRICT;
CREATE INDEX fields_value ON fields (name, kind, value, version_key);
CREATE INDEX fields_version ON fields (version_key);

CREATE TABLE indexings (                 -- a version cut into passages; null created_seq: still being staged
    indexing_key INTEGER PRIMARY KEY,
    version_key  INTEGER NOT NULL REFERENCES versions,
    created_seq  INTEGER,
    removed_seq  INTEGER
) STRICT;
CREATE INDEX indexings_version ON indexings (version_key);
CREATE INDEX indexings_created ON indexings (created_seq);
CREATE INDEX indexings_removed ON indexings (removed_seq);

CREATE TABLE passages (
    passage_key  INTEGER PRIMARY KEY,
    passage_id   TEXT NOT NULL,
    indexing_key INTEGER NOT NULL REFERENCES indexings,
    start        INTEGER NOT NULL,
    end          INTEGER NOT NULL,
    headings     TEXT NOT NULL,          -- JSON list
    page         INTEGER,
    text_sha     BLOB NOT NULL,          -- of the passage alone: equal means a repeated passage
    content_sha  BLOB NOT NULL,          -- of context and passage: equal means the same vector
    words        TEXT NOT NULL           -- analysed, separated by spaces, as the word index takes them
) STRICT;
CREATE INDEX passages_id ON passages (passage_id);
CREATE INDEX passages_indexing ON passages (indexing_key);
CREATE INDEX passages_text ON passages (text_sha);
CREATE INDEX passages_content ON passages (content_sha);

CREATE VIEW live_passages AS
    SELECT p.*, i.version_key FROM passages p JOIN indexings i USING (indexing_key) WHERE i.removed_seq IS NULL;

CREATE TABLE vectors (
    content_sha BLOB PRIMARY KEY,
    vector      BLOB NOT NULL,           -- float32, little-endian
    crc32       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    job_id          TEXT PRIMARY KEY,
    state           TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE job_items (
    job_id      TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    document_id TEXT NOT NULL,
    source_sha  BLOB NOT NULL,
    source      TEXT NOT NULL,           -- JSON: what came with the bytes
    state       TEXT NOT NULL,
    version     INTEGER,
    problem     TEXT,
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_items_source ON job_items (source_sha);

CREATE TABLE idempotency (
    key         TEXT PRIMARY KEY,
    body_sha256 TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
