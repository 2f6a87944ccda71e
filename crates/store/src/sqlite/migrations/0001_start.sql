-- Catalogue -------------------------------------------------------------------------------------

-- Numbers stand for projects and functions in every other table: two bytes instead of a name or
-- a UUID in each row and index of the ledger.
CREATE TABLE projects (
    no   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A deleted function stays as long as something in the ledger names it. AUTOINCREMENT, so that
-- its number never means another function.
CREATE TABLE functions (
    no            INTEGER PRIMARY KEY AUTOINCREMENT,
    id            BLOB    NOT NULL UNIQUE,
    project       INTEGER NOT NULL REFERENCES projects (no),
    name          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    latest        INTEGER NOT NULL,
    deleted_at    INTEGER,
    deleted_fault TEXT
) STRICT;
CREATE UNIQUE INDEX functions_live ON functions (project, name) WHERE deleted_at IS NULL;
CREATE INDEX functions_deleted ON functions (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE versions (
    function   INTEGER NOT NULL REFERENCES functions (no),
    number     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    digest     BLOB    NOT NULL,
    size_bytes INTEGER NOT NULL,
    file_name  TEXT    NOT NULL,
    config     TEXT    NOT NULL,
    PRIMARY KEY (function, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE triggers (
    function   INTEGER NOT NULL REFERENCES functions (no),
    name       TEXT    NOT NULL,
    pattern    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (function, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    project    INTEGER NOT NULL REFERENCES projects (no),
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project, name)
) STRICT, WITHOUT ROWID;

-- Ledger ----------------------------------------------------------------------------------------
-- No foreign keys from here on: every write comes from one thread that has just looked, and a
-- check per row would cost the hot path for nothing.

-- With a rowid, since records may have a megabyte: in a table without, they would sit in the
-- inner nodes of the tree, too.
CREATE TABLE events (
    no          INTEGER PRIMARY KEY,
    project     INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    sender_id   TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    record      TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_id ON events (project, id);

-- The newest event of each sender's key. A row older than the window is replaced.
CREATE TABLE dedupe (
    project     INTEGER NOT NULL,
    source      TEXT    NOT NULL,
    sender_id   TEXT    NOT NULL,
    event       BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (project, source, sender_id)
) STRICT, WITHOUT ROWID;

-- Clustered by id, and so by time. The last attempt lives in the row: nearly every invocation
-- has only one, and then costs no second row. The large columns come last, so that a list does
-- not read their overflow pages.
CREATE TABLE invocations (
    id            BLOB    NOT NULL PRIMARY KEY,
    project       INTEGER NOT NULL,
    function      INTEGER NOT NULL,
    origin        INTEGER NOT NULL,
    status        INTEGER NOT NULL,
    attempts      INTEGER NOT NULL, -- begun
    failures      INTEGER NOT NULL, -- since accepted
    disturbances  INTEGER NOT NULL, -- since accepted
    transitions   INTEGER NOT NULL, -- rows in the table of that name
    created_at    INTEGER NOT NULL,
    accepted_at   INTEGER NOT NULL, -- or redriven
    due_at        INTEGER NOT NULL,
    started_at    INTEGER,          -- of the last attempt
    ended_at      INTEGER,
    until         INTEGER,          -- lease
    worker        BLOB,             -- lease
    asked_version INTEGER,
    ran_version   INTEGER,
    event         BLOB,
    "trigger"     TEXT,
    replay        BLOB,
    result_bytes  INTEGER,
    fault         TEXT,
    last_attempt  TEXT,
    result        BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX invocations_by_project ON invocations (project, id);
CREATE INDEX invocations_by_function ON invocations (function, id);
CREATE INDEX invocations_by_event ON invocations (event, id) WHERE event IS NOT NULL;
-- What waits, in the order of claims; covers the statistics, too.
CREATE INDEX invocations_waiting ON invocations (function, due_at, id, accepted_at, status)
    WHERE status IN (0, 2);
CREATE INDEX invocations_leased ON invocations (until, id, worker) WHERE status = 1;
-- What went wrong is rare and looked for.
CREATE INDEX invocations_failed ON invocations (project, status, id, function)
    WHERE status IN (4, 5);

-- Append-only. An invocation's first transition (accepted) is its own row, and a synchronous
-- call has no rows here at all: its three are its row's created_at and its attempt's two times.
CREATE TABLE transitions (
    invocation BLOB    NOT NULL,
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    status     INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    until      INTEGER,
    PRIMARY KEY (invocation, seq)
) STRICT, WITHOUT ROWID;

-- Attempts before the last that ended.
CREATE TABLE attempts (
    invocation BLOB    NOT NULL,
    number     INTEGER NOT NULL,
    attempt    TEXT    NOT NULL,
    PRIMARY KEY (invocation, number)
) STRICT, WITHOUT ROWID;

-- Lines that came together are one row. AUTOINCREMENT, so that a follower's cursor stays ahead
-- of what it has seen even after a sweep took everything.
CREATE TABLE log (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    invocation BLOB    NOT NULL,
    function   INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    lines      TEXT    NOT NULL
) STRICT;
CREATE INDEX log_by_invocation ON log (invocation);
-- Covers the search for the first lines since some time.
CREATE INDEX log_by_function ON log (function, no, last_at);

-- With a rowid, since an answer may have megabytes.
CREATE TABLE call_keys (
    no         INTEGER PRIMARY KEY,
    function   INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    body       BLOB    NOT NULL,
    invocation BLOB    NOT NULL,
    begun_at   INTEGER NOT NULL,
    answered   INTEGER NOT NULL,
    fault      TEXT,
    result     BLOB
) STRICT;
CREATE UNIQUE INDEX call_keys_by_key ON call_keys (function, key);
CREATE INDEX call_keys_by_age ON call_keys (begun_at);

-- Written to find out whether writing works.
CREATE TABLE probe (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO probe VALUES (1, 0);
