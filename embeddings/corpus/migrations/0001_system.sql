-- What is known across collections.

CREATE TABLE collections (
    name       TEXT PRIMARY KEY,
    folder     TEXT NOT NULL UNIQUE,     -- random, so that a collection made again never meets old files
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    job_id     TEXT PRIMARY KEY,
    collection TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE marks (                     -- what has been done once and is not done again, such as loading the seeds
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
