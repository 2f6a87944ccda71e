//! Dead letters that are made without an attempt: what waits for a function that is deleted.
//!
//! A function with a hundred thousand waiting invocations would hold the writer for a second if
//! they were all moved in one transaction. The fact that counts is one row, the function's mark:
//! from its commit on nothing of the function is claimed, and whatever would start to wait for it
//! is a dead letter at once. The rows of those that waited before follow in batches; the first is
//! in the same transaction as the mark, and what a crash leaves is finished when the store is
//! opened again.

use model::invocation::{Fact, Status};
use model::{Fault, InvocationId, Timestamp};
use rusqlite::params;

use super::damage::alone;
use super::invocations::{Standing, step};
use super::ledger::{Fail, Ledger};
use super::query::{all, run};
use super::{ordering, rows};
use crate::status_number;

/// Invocations of one transaction: some 5 ms of the writer's time.
pub(super) const BATCH: usize = 256;

/// Buries up to [`BATCH`] of what waits for deleted functions. Fewer means that it is done. See
/// [`alone`] about `again`.
pub(super) fn bury(ledger: &mut Ledger, now: Timestamp, again: bool) -> Result<usize, Fail> {
    let sql = "SELECT i.id FROM functions f
               JOIN invocations i INDEXED BY invocations_waiting
                 ON i.function = f.no AND i.status IN (0, 2)
               WHERE f.deleted_at IS NOT NULL LIMIT ?1";
    let waiting = ledger.not_passed_over(BATCH, |conn, most| {
        all(conn, sql, [most], |row| Ok(InvocationId::from_bytes(row.get(0)?)))
    })?;
    for id in &waiting {
        alone(ledger, *id, again, |ledger| bury_one(ledger, *id, now))?;
    }
    Ok(waiting.len())
}

/// Buries one that waits for a function that is deleted.
pub(super) fn bury_one(ledger: &mut Ledger, id: InvocationId, now: Timestamp) -> Result<(), Fail> {
    let Some(mut standing) = Standing::of(ledger, id)? else { return Ok(()) };
    let Some(fault) = ledger.grave(standing.function)? else { return Ok(()) };
    give_up(ledger, id, &mut standing, &fault, now)
}

/// Ends one that waits, for a reason that no attempt tells.
pub(super) fn give_up(
    ledger: &Ledger,
    id: InvocationId,
    standing: &mut Standing,
    fault: &Fault,
    now: Timestamp,
) -> Result<(), Fail> {
    let Some(status) = standing.after(Fact::GaveUp) else { return Ok(()) };
    debug_assert_eq!(status, Status::Dead, "calls never wait");
    step(ledger, id, standing, status, now, &fault.code, None)?;
    run(
        &ledger.conn,
        "UPDATE invocations SET status = ?2, transitions = ?3, ended_at = ?4, fault = ?5,
                worker = NULL, until = NULL
         WHERE id = ?1",
        params![
            id.as_bytes(),
            status_number(status),
            standing.transitions,
            now.micros(),
            rows::fault_text(fault)?
        ],
    )?;
    if standing.keyed {
        ordering::release(ledger, id, now)?;
    }
    Ok(())
}
