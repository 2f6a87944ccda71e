-- A ledger of schema 1 with a row in every state. Ids are zeros (so that they are old), a kind and a
-- number; the first moment is 1764000000000000.

INSERT INTO projects VALUES (1, 'default');
INSERT INTO functions VALUES
    (1, x'00000000000000000100000000000001', 1, 'f', 1764000000000000, 1, NULL, NULL),
    (2, x'00000000000000000100000000000002', 1, 'gone', 1764000000000000, 1, 1764000000000000,
     '{"blame":2,"code":"FunctionDeleted","message":"gone","trace":[]}');
INSERT INTO versions VALUES (1, 1, 1764000000000000, zeroblob(32), 3, 'h.py',
    '{"runtime":"python3.11","handler":"h.h","description":"","memory_mib":128,"timeout_s":30,
      "env":{"A":"b"},"retries":2,"backoff_s":60,"event_age_s":21600,"concurrency":null}');
INSERT INTO triggers VALUES (1, 'on-it', '{"type":["it.happened"]}', 1764000000000000);
INSERT INTO keys VALUES (1, 'ci', zeroblob(32), 1764000000000000);
INSERT INTO call_keys VALUES
    (1, 1, 'k', zeroblob(32), x'00000000000000000300000000000007', 1764000000000000, 1, NULL, x'31');

INSERT INTO events VALUES
    (1, 1, x'00000000000000000200000000000001', 1764000000000000, '1', 'tests', 'it.happened', '{"id":"1"}'),
    (2, 1, x'00000000000000000200000000000002', 1764000000000000, '2', 'tests', 'it.happened', '{"id":"2"}'),
    (3, 1, x'00000000000000000200000000000003', 1764000000000000, '3', 'tests', 'it.happened', '{"id":"3"}'),
    (4, 1, x'00000000000000000200000000000004', 1764000000000000, '4', 'tests', 'it.happened', '{"id":"4"}'),
    (5, 1, x'00000000000000000200000000000005', 1764000000000000, '5', 'tests', 'it.happened', '{"id":"5"}'),
    (6, 1, x'00000000000000000200000000000006', 1764000000000000, '6', 'tests', 'it.happened', '{"id":"6"}');
INSERT INTO dedupe SELECT project, source, sender_id, id, received_at FROM events;

-- Queued.
INSERT INTO invocations
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, event, "trigger")
VALUES
    (x'00000000000000000300000000000001', 1, 1, 2, 0, 0, 0, 0, 0,
     1764000000000000, 1764000000000000, 1764000000000000, x'00000000000000000200000000000001', 'on-it');
-- Running: a replay at a version that was asked for.
INSERT INTO invocations
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, started_at, until, worker, asked_version,
     ran_version, event, "trigger", replay)
VALUES
    (x'00000000000000000300000000000002', 1, 1, 2, 1, 1, 0, 0, 1,
     1764000000000000, 1764000000000000, 1764000000000000, 1764000001000000, 1764000031000000, x'00000000000000000900000000000009', 1, 1,
     x'00000000000000000200000000000002', 'on-it', x'00000000000000000400000000000001');
-- Retrying.
INSERT INTO invocations
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, started_at, ran_version, event, "trigger",
     last_attempt)
VALUES
    (x'00000000000000000300000000000003', 1, 1, 2, 2, 1, 1, 0, 2,
     1764000000000000, 1764000000000000, 1764000000000000, 1764000001000000, 1,
     x'00000000000000000200000000000003', 'on-it',
     '[1,1,1764000001000000,1764000002000000,2,10,20,30,40,50,1024,0,{"blame":1,"code":"ValueError","message":"no","trace":["a","b"]}]');
-- An asynchronous call that succeeded.
INSERT INTO invocations
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, started_at, ended_at, ran_version, event,
     result_bytes, last_attempt, result)
VALUES
    (x'00000000000000000300000000000004', 1, 1, 1, 3, 1, 0, 0, 2,
     1764000000000000, 1764000000000000, 1764000000000000, 1764000001000000, 1764000002000000, 1, x'00000000000000000200000000000004',
     2, '[1,1,1764000001000000,1764000002000000,2,10,20,30,40,50,1024,0,null]', x'3432');
-- A dead letter of two attempts.
INSERT INTO invocations
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, started_at, ended_at, ran_version,
     event, "trigger", last_attempt)
VALUES
    (x'00000000000000000300000000000005', 1, 1, 2, 5, 2, 2, 0, 2,
     1764000000000000, 1764000000000000, 1764000000000000, 1764000001000000, 1764000002000000, 1,
     x'00000000000000000200000000000005', 'on-it',
     '[2,1,1764000001000000,1764000002000000,2,10,20,30,40,50,1024,0,{"blame":1,"code":"ValueError","message":"no","trace":["a","b"]}]');
-- A dead letter of a deleted function.
INSERT INTO invocations
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, ended_at, event, "trigger", fault)
VALUES
    (x'00000000000000000300000000000006', 1, 2, 2, 5, 0, 0, 0, 1,
     1764000000000000, 1764000000000000, 1764000000000000, 1764000002000000, x'00000000000000000200000000000006', 'on-it',
     '{"blame":2,"code":"FunctionDeleted","message":"gone","trace":[]}');
-- A call that succeeded, and one that failed.
INSERT INTO invocations
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, started_at, ended_at, ran_version,
     result_bytes, last_attempt, result)
VALUES
    (x'00000000000000000300000000000007', 1, 1, 0, 3, 1, 0, 0, 0,
     1764000000000000, 1764000000000000, 1764000000000000, 1764000001000000, 1764000002000000, 1, 1,
     '[1,1,1764000001000000,1764000002000000,2,10,20,30,40,50,1024,0,null]', x'31');
INSERT INTO invocations
    (id, project, function, origin, status, attempts, failures, disturbances, transitions,
     created_at, accepted_at, due_at, started_at, ended_at, ran_version,
     last_attempt)
VALUES
    (x'00000000000000000300000000000008', 1, 1, 0, 4, 1, 1, 0, 0,
     1764000000000000, 1764000000000000, 1764000000000000, 1764000001000000, 1764000002000000, 1,
     '[1,1,1764000001000000,1764000002000000,2,10,20,30,40,50,1024,0,{"blame":1,"code":"ValueError","message":"no","trace":["a","b"]}]');

INSERT INTO transitions VALUES
    (x'00000000000000000300000000000005', 0, 1764000001000000, 1, 2, '', NULL),
    (x'00000000000000000300000000000005', 1, 1764000002000000, 5, 2, 'RetriesExhausted', NULL);
INSERT INTO attempts VALUES
    (x'00000000000000000300000000000005', 1,
     '[1,1,1764000001000000,1764000002000000,2,10,20,30,40,50,1024,0,{"blame":1,"code":"ValueError","message":"no","trace":["a","b"]}]');
INSERT INTO log (invocation, function, attempt, last_at, lines)
VALUES (x'00000000000000000300000000000004', 1, 1, 1764000001000000, '[[1764000001000000,1,"a line"]]');
