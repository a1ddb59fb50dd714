-- Who may use the service. Of a key only the SHA-256 of its secret is kept.

CREATE TABLE keys (
    key_id                  TEXT PRIMARY KEY,
    name                    TEXT NOT NULL,
    secret_sha256           BLOB NOT NULL,
    scopes                  TEXT NOT NULL,   -- JSON list
    collections             TEXT,            -- JSON list; null: all
    origins                 TEXT NOT NULL,   -- JSON list; empty: not for the pages of other sites
    asks_per_minute         INTEGER,         -- null: as many as come, here and below
    uploads_per_minute      INTEGER,
    visitor_asks_per_minute INTEGER,         -- of one network address
    created_at              INTEGER NOT NULL,
    expires_at              INTEGER
) STRICT, WITHOUT ROWID;
