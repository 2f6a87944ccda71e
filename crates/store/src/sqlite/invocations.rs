//! What every change of an invocation has in common: where it stands, and the line of the ledger
//! that says where it went.

use model::invocation::{Fact, Origin, Status};
use model::{InvocationId, Timestamp};
use rusqlite::params;

use super::ledger::{Fail, Ledger};
use super::outbox::Sender;
use super::query::{first, run};
use super::rows::{self, time};
use crate::status_number;

/// An invocation as the writer has to know it before it changes it.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) project: i64,
    pub(super) function: i64,
    pub(super) origin: Origin,
    pub(super) status: Status,
    /// Begun.
    pub(super) attempts: u32,
    pub(super) failures: u32,
    pub(super) disturbances: u32,
    pub(super) transitions: u32,
    pub(super) due_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ran_version: Option<u32>,
    /// It has an ordering key: when it ends, another may be due.
    pub(super) keyed: bool,
}

impl Standing {
    /// Whoever sends because of it.
    pub(super) fn sender(&self) -> Sender {
        Sender { project: self.project, function: self.function }
    }

    pub(super) fn of(ledger: &Ledger, id: InvocationId) -> Result<Option<Self>, Fail> {
        let sql = "SELECT project, function, origin, status, attempts, failures, disturbances,
                          transitions, due_at, started_at, ran_version, turn IS NOT NULL
                   FROM invocations WHERE id = ?1";
        first(&ledger.conn, sql, [id.as_bytes()], |row| {
            Ok(Self {
                project: row.get(0)?,
                function: row.get(1)?,
                origin: rows::origin_of(row.get(2)?)?,
                status: rows::status_of(row.get(3)?)?,
                attempts: row.get(4)?,
                failures: row.get(5)?,
                disturbances: row.get(6)?,
                transitions: row.get(7)?,
                due_at: time(row.get(8)?),
                started_at: row.get::<_, Option<i64>>(9)?.map(time),
                ran_version: row.get(10)?,
                keyed: row.get(11)?,
            })
        })
    }

    /// The status after `fact`; none if the state machine refuses it: a late or a second report.
    pub(super) fn after(&self, fact: Fact) -> Option<Status> {
        self.status.on(fact, self.origin).ok()
    }
}

/// Appends the transition to the ledger, and moves `standing` along. The caller writes the row.
pub(super) fn step(
    ledger: &Ledger,
    id: InvocationId,
    standing: &mut Standing,
    status: Status,
    at: Timestamp,
    reason: &str,
    until: Option<Timestamp>,
) -> Result<(), Fail> {
    run(
        &ledger.conn,
        "INSERT INTO transitions (invocation, seq, at, status, attempt, reason, until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id.as_bytes(),
            standing.transitions,
            at.micros(),
            status_number(status),
            standing.attempts,
            reason,
            until.map(Timestamp::micros),
        ],
    )?;
    standing.transitions += 1;
    standing.status = status;
    Ok(())
}
