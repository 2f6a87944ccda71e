-- Catalogue -------------------------------------------------------------------------------------

-- How matched events are handed on, as JSON; NULL is the default.
ALTER TABLE triggers ADD COLUMN delivery TEXT;

CREATE TABLE destinations (
    function INTEGER NOT NULL REFERENCES functions (no),
    outcome  INTEGER NOT NULL, -- 0 failure, 1 success
    target   TEXT    NOT NULL,
    sealed   BLOB,
    PRIMARY KEY (function, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (
    project    INTEGER NOT NULL REFERENCES projects (no),
    name       TEXT    NOT NULL,
    id         BLOB    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL,
    settings   TEXT    NOT NULL,
    sealed     BLOB,
    enabled    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    cursor     TEXT,
    PRIMARY KEY (project, name)
) STRICT, WITHOUT ROWID;

-- Ledger ----------------------------------------------------------------------------------------

-- Made anew for four columns that belong before the large ones: a column that is added comes last,
-- and whoever reads it reads through a result's overflow pages.
CREATE TABLE invocations_2 (
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
    due_at        INTEGER NOT NULL, -- the largest number there is while it is held
    started_at    INTEGER,          -- of the last attempt
    ended_at      INTEGER,
    until         INTEGER,          -- lease
    worker        BLOB,             -- lease
    asked_version INTEGER,
    ran_version   INTEGER,
    event         BLOB,
    "trigger"     TEXT,
    replay        BLOB,
    lane          TEXT    NOT NULL DEFAULT '', -- a trigger's name, or the plain one
    ordering_key  TEXT,
    turn          INTEGER,          -- among the unfinished of the key, smallest first
    batch_limit   INTEGER,
    result_bytes  INTEGER,
    fault         TEXT,
    last_attempt  TEXT,
    result        BLOB
) STRICT, WITHOUT ROWID;
INSERT INTO invocations_2
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, started_at, ended_at, until, worker, asked_version,
     ran_version, event, "trigger", replay, result_bytes, fault, last_attempt, result)
SELECT id, project, function, origin, status, attempts, failures, disturbances, transitions,
       created_at, accepted_at, due_at, started_at, ended_at, until, worker, asked_version,
       ran_version, event, "trigger", replay, result_bytes, fault, last_attempt, result
FROM invocations ORDER BY id;
DROP TABLE invocations;
ALTER TABLE invocations_2 RENAME TO invocations;

CREATE INDEX invocations_by_project ON invocations (project, id);
CREATE INDEX invocations_by_function ON invocations (function, id);
CREATE INDEX invocations_by_event ON invocations (event, id) WHERE event IS NOT NULL;
-- What waits, in the order of claims, with what is held behind it; covers the statistics, too.
CREATE INDEX invocations_waiting
    ON invocations (function, lane, due_at, id, accepted_at, status)
    WHERE status IN (0, 2);
-- What is unfinished of each ordering key, in its order; covers the search for what is held for
-- nothing.
CREATE INDEX invocations_by_key
    ON invocations (function, lane, ordering_key, turn, due_at, status, id)
    WHERE ordering_key IS NOT NULL AND status IN (0, 1, 2);
CREATE INDEX invocations_leased ON invocations (until, id, worker) WHERE status = 1;
-- What went wrong is rare and looked for.
CREATE INDEX invocations_failed ON invocations (project, status, id, function)
    WHERE status IN (4, 5);

-- A checksum over all that is delivered or told of it; none of those that are there already. It may
-- come last, behind the record: nobody reads it alone.
ALTER TABLE events ADD COLUMN crc INTEGER;

-- What is sent because an invocation ended. With a rowid, since a body may have a megabyte.
CREATE TABLE outbox (
    no         INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    project    INTEGER NOT NULL,
    function   INTEGER NOT NULL,
    invocation BLOB    NOT NULL,
    purpose    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL, -- or the end of its lease
    tries      INTEGER NOT NULL, -- begun
    status     INTEGER NOT NULL, -- 0 waits, 1 sent, 2 given up
    worker     BLOB,             -- lease
    ended_at   INTEGER,
    error      TEXT,
    target     TEXT    NOT NULL,
    sealed     BLOB,
    body       BLOB    NOT NULL
) STRICT;
CREATE INDEX outbox_by_invocation ON outbox (invocation, no, status);
CREATE INDEX outbox_due ON outbox (due_at, no, worker) WHERE status = 0;

-- Orders to run stored events again, and how far each has come.
CREATE TABLE replays (
    id              BLOB    NOT NULL PRIMARY KEY,
    project         INTEGER NOT NULL,
    state           INTEGER NOT NULL, -- 0 running, 1 done, 2 cancelled, 3 failed
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    reason          TEXT,
    from_at         INTEGER NOT NULL,
    to_at           INTEGER NOT NULL,
    source          TEXT,
    kind            TEXT,
    pattern         TEXT,
    function        BLOB,             -- by its id, since it may be gone from the table of functions
    function_name   TEXT,
    "trigger"       TEXT,
    version         INTEGER,
    ignore_triggers INTEGER NOT NULL,
    rate_per_s      INTEGER NOT NULL,
    cursor          TEXT,
    reached_at      INTEGER,
    events          INTEGER NOT NULL, -- it has come past
    matched         INTEGER NOT NULL, -- of these
    invocations     INTEGER NOT NULL  -- it has made
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_by_project ON replays (project, id);
CREATE INDEX replays_running ON replays (project, id) WHERE state = 0;
CREATE INDEX replays_ended ON replays (ended_at) WHERE ended_at IS NOT NULL;

-- The order in which events arrived. (Ids tell it to the millisecond only.)
CREATE INDEX events_by_arrival ON events (project, received_at);
