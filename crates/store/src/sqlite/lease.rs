//! Leases: who runs an attempt, until when, and what happens when nobody hears from them.

use bytes::Bytes;
use model::invocation::{Attempt, Fact, Status, Timing};
use model::{
    EventId, Fault, FunctionId, InvocationId, Project, Timestamp, TriggerName, WorkerId, fault,
};
use rusqlite::params;

use super::burial;
use super::invocations::{Standing, step};
use super::ledger::{Fail, Ledger};
use super::query::{all, first, run};
use super::rows::{self, time, trusted};
use super::settle::move_last_attempt;
use crate::{Claim, Claimed, status_number};

/// Leases that one transaction takes back: some 5 ms of the writer's time.
pub(super) const INTERRUPTS: usize = 256;

pub(super) fn claim(ledger: &mut Ledger, claim: &Claim) -> Result<Vec<Claimed>, Fail> {
    let Some(function) = ledger.function(claim.function)?.filter(|found| !found.deleted) else {
        return Ok(Vec::new());
    };
    let accepted_before = claim.accepted_before.map_or(i64::MAX, Timestamp::micros);
    let due = "SELECT id FROM invocations INDEXED BY invocations_waiting
               WHERE function = ?1 AND status IN (0, 2) AND due_at <= ?2
                 AND accepted_at < ?4
               ORDER BY due_at, id LIMIT ?3";
    let params =
        params![function.no, claim.now.micros(), rows::count(claim.limit), accepted_before];
    let due = all(&ledger.conn, due, params, |row| Ok(InvocationId::from_bytes(row.get(0)?)))?;
    let mut claimed = Vec::with_capacity(due.len());
    for id in due {
        let Some(mut standing) = Standing::of(ledger, id)? else { continue };
        let Some(status) = standing.after(Fact::Leased) else { continue };
        standing.attempts += 1;
        step(ledger, id, &mut standing, status, claim.now, "", None)?;
        run(
            &ledger.conn,
            "UPDATE invocations
             SET status = ?2, attempts = ?3, transitions = ?4, started_at = ?5, until = ?6,
                 worker = ?7, ran_version = coalesce(asked_version, ?8)
             WHERE id = ?1",
            params![
                id.as_bytes(),
                status_number(status),
                standing.attempts,
                standing.transitions,
                claim.now.micros(),
                claim.until.micros(),
                claim.worker.as_bytes(),
                function.latest,
            ],
        )?;
        claimed.push(read_claimed(ledger, claim.function, id)?);
    }
    Ok(claimed)
}

fn read_claimed(ledger: &Ledger, function: FunctionId, id: InvocationId) -> Result<Claimed, Fail> {
    let sql = "SELECT p.name, i.origin, i.event, i.\"trigger\", i.asked_version, i.attempts,
                      i.failures, i.disturbances, i.accepted_at, i.due_at, e.record
               FROM invocations i
               JOIN projects p ON p.no = i.project
               JOIN events e ON e.project = i.project AND e.id = i.event
               WHERE i.id = ?1";
    let claimed = first(&ledger.conn, sql, [id.as_bytes()], |row| {
        let project: String = row.get(0)?;
        let trigger: Option<String> = row.get(3)?;
        let trigger = trigger.map(|name| TriggerName::parse(&name)).transpose();
        let payload = row.get_ref(10)?.as_bytes().map_err(rusqlite::Error::from)?;
        Ok(Claimed {
            id,
            function,
            project: trusted("projects", Project::parse(&project))?,
            origin: rows::origin_of(row.get(1)?)?,
            event: EventId::from_bytes(row.get(2)?),
            trigger: trusted("invocations", trigger)?,
            version: row.get(4)?,
            attempt: row.get(5)?,
            failures: row.get(6)?,
            disturbances: row.get(7)?,
            accepted_at: time(row.get(8)?),
            due_at: time(row.get(9)?),
            payload: Bytes::copy_from_slice(payload),
        })
    })?;
    let missing = || Fail::Row { table: "events", why: format!("{id:?} waits without its event") };
    claimed.ok_or_else(missing)
}

/// Those of `held` that are not this worker's any more; the others hold until `until`.
pub(super) fn renew(
    ledger: &Ledger,
    worker: WorkerId,
    held: &[(InvocationId, u32)],
    until: Timestamp,
) -> Result<Vec<InvocationId>, Fail> {
    let sql = "UPDATE invocations SET until = ?4
               WHERE id = ?1 AND status = 1 AND attempts = ?2 AND worker = ?3";
    let mut lost = Vec::new();
    for (id, attempt) in held {
        let params = params![id.as_bytes(), attempt, worker.as_bytes(), until.micros()];
        if run(&ledger.conn, sql, params)? == 0 {
            lost.push(*id);
        }
    }
    Ok(lost)
}

/// Takes back up to [`INTERRUPTS`] leases that are over, or whose holder is known to be gone.
/// Fewer means that it is done.
pub(super) fn interrupt(
    ledger: &mut Ledger,
    now: Timestamp,
    only_alive: Option<WorkerId>,
) -> Result<usize, Fail> {
    let alive = only_alive.as_ref().map(WorkerId::as_bytes);
    let sql = "SELECT id FROM invocations INDEXED BY invocations_leased
               WHERE status = 1 AND (until < ?1 OR (?2 IS NOT NULL AND worker IS NOT ?2))
               ORDER BY until LIMIT ?3";
    let over =
        all(&ledger.conn, sql, params![now.micros(), alive, rows::count(INTERRUPTS)], |row| {
            Ok(InvocationId::from_bytes(row.get(0)?))
        })?;
    for id in &over {
        interrupt_one(ledger, *id, now)?;
    }
    Ok(over.len())
}

fn interrupt_one(ledger: &mut Ledger, id: InvocationId, now: Timestamp) -> Result<(), Fail> {
    let Some(mut standing) = Standing::of(ledger, id)? else { return Ok(()) };
    let Some(status) = standing.after(Fact::Interrupted) else { return Ok(()) };
    let attempt = interrupted_attempt(&standing, now);
    step(ledger, id, &mut standing, status, now, fault::INTERRUPTED, None)?;
    move_last_attempt(ledger, id, &standing)?;
    run(
        &ledger.conn,
        "UPDATE invocations
         SET status = ?2, disturbances = disturbances + 1, transitions = ?3, due_at = ?4,
             last_attempt = ?5, worker = NULL, until = NULL
         WHERE id = ?1",
        params![
            id.as_bytes(),
            status_number(status),
            standing.transitions,
            now.micros(),
            rows::attempt_text(&attempt)?
        ],
    )?;
    // Its function may have been deleted while it ran: then nobody would claim it again.
    if let Some(fault) = ledger.grave(standing.function)? {
        debug_assert_eq!(standing.status, Status::Retrying);
        burial::give_up(ledger, id, &mut standing, &fault, now)?;
    }
    Ok(())
}

/// What is known of an attempt whose holder does not tell.
fn interrupted_attempt(standing: &Standing, now: Timestamp) -> Attempt {
    let started_at = standing.started_at.unwrap_or(now);
    let message =
        "the process that ran this attempt ended, or was not heard of, before it reported";
    Attempt {
        number: standing.attempts,
        version: standing.ran_version.unwrap_or(0),
        started_at,
        ended_at: now,
        start: None,
        timing: Timing { queued: started_at.since(standing.due_at), ..Timing::default() },
        memory_peak_bytes: None,
        fault: Some(Fault::platform(fault::INTERRUPTED, message)),
        log_dropped_bytes: 0,
    }
}
