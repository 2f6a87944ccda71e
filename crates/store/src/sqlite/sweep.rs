//! Retention: what is old goes, a little at a time.
//!
//! A reader looks for what may go, for as long as it takes; the writer only deletes, in short
//! transactions between other people's writes, and looks again at each row before it does.

use model::invocation::Status;
use model::{InvocationId, ReplayId, Timestamp, limits};
use rusqlite::{Connection, params};

use super::invocations::Standing;
use super::ledger::{Fail, Ledger};
use super::query::{all, first, run};
use super::rows;

/// Rows that one transaction removes: some 5 ms of the writer's time.
pub(super) const BATCH: usize = 128;

/// Something that may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Old {
    Invocation(InvocationId),
    /// By row number, and only if it is older than this: numbers are used again.
    Event(i64, Timestamp),
    /// Log lines whose call was never recorded, since the process died.
    Log(i64),
    CallKey(i64, Timestamp),
    /// A deleted function that nothing names any more.
    Function(i64),
    Replay(ReplayId),
}

/// Up to `limit` of what may go, oldest first of each kind.
pub(super) fn find(
    conn: &Connection,
    before: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Old>, Fail> {
    let mut old = Vec::new();
    let newest = super::latest_id(before);
    let sql = "SELECT id FROM invocations
               WHERE id <= ?1 AND status IN (3, 4, 5) AND ended_at < ?2
                 AND NOT EXISTS (SELECT 1 FROM outbox INDEXED BY outbox_by_invocation
                                 WHERE invocation = invocations.id AND status = 0)
               ORDER BY id LIMIT ?3";
    old.extend(all(conn, sql, params![newest, before.micros(), rows::count(limit)], |row| {
        Ok(Old::Invocation(InvocationId::from_bytes(row.get(0)?)))
    })?);
    // Within the window an event is its own dedupe record, whatever the retention says.
    let events_before = before.min(now.minus(limits::DEDUPE_WINDOW));
    // Rows are in the order of their arrival, so both walks end at the first that is young enough.
    let sql = "SELECT no, received_at,
                      EXISTS (SELECT 1 FROM invocations INDEXED BY invocations_by_event
                              WHERE event = e.id)
               FROM events e ORDER BY no";
    old.extend(walk(conn, sql, events_before, limit - old.len(), |no| {
        Old::Event(no, events_before)
    })?);
    let sql = "SELECT no, last_at, EXISTS (SELECT 1 FROM invocations WHERE id = l.invocation)
               FROM log l ORDER BY no";
    old.extend(walk(conn, sql, before, limit - old.len(), Old::Log)?);
    let keys_before = now.minus(limits::IDEMPOTENCY_WINDOW);
    let sql = "SELECT no FROM call_keys WHERE begun_at <= ?1 ORDER BY begun_at LIMIT ?2";
    let params = params![keys_before.micros(), rows::count(limit - old.len())];
    old.extend(all(conn, sql, params, |row| Ok(Old::CallKey(row.get(0)?, keys_before)))?);
    let sql = "SELECT no FROM functions f
               WHERE deleted_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM invocations INDEXED BY invocations_by_function
                                 WHERE function = f.no)
                 AND NOT EXISTS (SELECT 1 FROM log WHERE function = f.no)
                 AND NOT EXISTS (SELECT 1 FROM call_keys WHERE function = f.no)
               LIMIT ?2";
    let params = params![before.micros(), rows::count(limit - old.len())];
    old.extend(all(conn, sql, params, |row| Ok(Old::Function(row.get(0)?)))?);
    let sql = "SELECT id FROM replays INDEXED BY replays_ended
               WHERE ended_at IS NOT NULL AND ended_at < ?1 ORDER BY ended_at LIMIT ?2";
    let params = params![before.micros(), rows::count(limit - old.len())];
    old.extend(all(conn, sql, params, |row| Ok(Old::Replay(ReplayId::from_bytes(row.get(0)?))))?);
    Ok(old)
}

/// Rows (number, time, whether it is needed) from the front, up to the first from `before` on.
fn walk(
    conn: &Connection,
    sql: &str,
    before: Timestamp,
    limit: usize,
    old: impl Fn(i64) -> Old,
) -> Result<Vec<Old>, Fail> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut read = statement.query([])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = read.next()?
        && row.get::<_, i64>(1)? < before.micros()
    {
        if !row.get::<_, bool>(2)? {
            found.push(old(row.get(0)?));
        }
    }
    Ok(found)
}

/// Removes those that may still go, and tells how many.
pub(super) fn remove(ledger: &mut Ledger, old: &[Old]) -> Result<usize, Fail> {
    let mut removed = 0;
    for old in old {
        removed += match *old {
            Old::Invocation(id) => remove_invocation(ledger, id)?,
            Old::Event(no, before) => remove_event(ledger, no, before)?,
            Old::Log(no) => run(
                &ledger.conn,
                "DELETE FROM log WHERE no = ?1
                   AND NOT EXISTS (SELECT 1 FROM invocations WHERE id = log.invocation)",
                [no],
            )?,
            Old::CallKey(no, before) => run(
                &ledger.conn,
                "DELETE FROM call_keys WHERE no = ?1 AND begun_at <= ?2",
                [no, before.micros()],
            )?,
            // One that has ended does not run again.
            Old::Replay(id) => {
                run(&ledger.conn, "DELETE FROM replays WHERE id = ?1", [id.as_bytes()])?
            }
            Old::Function(no) => {
                ledger.forget();
                run(
                    &ledger.conn,
                    "DELETE FROM functions WHERE no = ?1 AND deleted_at IS NOT NULL
                       AND NOT EXISTS (SELECT 1 FROM invocations INDEXED BY invocations_by_function
                                       WHERE function = functions.no)
                       AND NOT EXISTS (SELECT 1 FROM log WHERE function = functions.no)
                       AND NOT EXISTS (SELECT 1 FROM call_keys WHERE function = functions.no)",
                    [no],
                )?
            }
        };
    }
    Ok(removed)
}

fn remove_invocation(ledger: &Ledger, id: InvocationId) -> Result<usize, Fail> {
    // It may have been redriven since it was found.
    let terminal = Standing::of(ledger, id)?.is_some_and(|found| Status::is_terminal(found.status));
    if !terminal {
        return Ok(0);
    }
    let id = id.as_bytes();
    // It may have ended again since, and have something to send.
    let sql = "SELECT 1 FROM outbox INDEXED BY outbox_by_invocation
               WHERE invocation = ?1 AND status = 0";
    if first(&ledger.conn, sql, [id], |_| Ok(()))?.is_some() {
        return Ok(0);
    }
    run(&ledger.conn, "DELETE FROM outbox WHERE invocation = ?1", [id])?;
    run(&ledger.conn, "DELETE FROM transitions WHERE invocation = ?1", [id])?;
    run(&ledger.conn, "DELETE FROM attempts WHERE invocation = ?1", [id])?;
    run(&ledger.conn, "DELETE FROM log WHERE invocation = ?1", [id])?;
    run(&ledger.conn, "DELETE FROM invocations WHERE id = ?1", [id])
}

fn remove_event(ledger: &Ledger, no: i64, before: Timestamp) -> Result<usize, Fail> {
    // It may have been replayed since it was found.
    let sql = "SELECT project, source, sender_id, id FROM events e
               WHERE no = ?1 AND received_at < ?2
                 AND NOT EXISTS (SELECT 1 FROM invocations INDEXED BY invocations_by_event
                                 WHERE event = e.id)";
    let found = first(&ledger.conn, sql, [no, before.micros()], |row| {
        let key: (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((key, row.get::<_, [u8; 16]>(3)?))
    })?;
    let Some(((project, source, sender_id), id)) = found else { return Ok(0) };
    let sql = "DELETE FROM dedupe
               WHERE project = ?1 AND source = ?2 AND sender_id = ?3 AND event = ?4";
    run(&ledger.conn, sql, params![project, source, sender_id, id])?;
    run(&ledger.conn, "DELETE FROM events WHERE no = ?1", [no])
}
