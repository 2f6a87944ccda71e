//! How attempts end: settling, recording a call, and another round for a dead letter.

use model::invocation::{Fact, Origin, Status};
use model::{Blame, InvocationId, Project, Timestamp};
use rusqlite::params;

use super::invocations::{Standing, step};
use super::ledger::{Fail, Ledger};
use super::query::run;
use super::{keys, logs, ordering, outbox, rows};
use crate::{CallRecord, Next, Settled, Settlement, failpoint, status_number};

/// Why an attempt in a batch is followed by another, in the ledger's words.
const SPLIT: &str = "BatchSplit";

/// Of a late report.
const NOT_OURS: Settled = Settled { ours: false, released: false };

pub(super) fn settle_all(
    ledger: &mut Ledger,
    settlements: &[Settlement],
) -> Result<Vec<Settled>, Fail> {
    settlements.iter().map(|settlement| settle(ledger, settlement)).collect()
}

fn settle(ledger: &mut Ledger, settlement: &Settlement) -> Result<Settled, Fail> {
    let Settlement { invocation: id, attempt, .. } = settlement;
    let Some(mut standing) = Standing::of(ledger, *id)? else { return Ok(NOT_OURS) };
    if standing.status != Status::Running || standing.attempts != attempt.number {
        return Ok(NOT_OURS);
    }
    let mut own_fault = None;
    let (fact, reason, until) = match settlement.next {
        Next::Succeeded => (Fact::Succeeded, "", None),
        Next::GaveUp(reason) => (Fact::GaveUp, reason, None),
        // Nobody would claim it for a function that has been deleted.
        Next::RetryAt(at) | Next::Split { at, .. } => match ledger.grave(standing.function)? {
            None => (Fact::WillRetry, why_again(settlement), Some(at)),
            Some(grave) => {
                let fault = own_fault.insert(grave);
                (Fact::GaveUp, fault.code.as_str(), None)
            }
        },
    };
    let Some(status) = standing.after(fact) else { return Ok(NOT_OURS) };
    let at = attempt.ended_at;
    step(ledger, *id, &mut standing, status, at, reason, until)?;
    let limit = match settlement.next {
        Next::Split { limit, .. } => Some(limit),
        Next::Succeeded | Next::RetryAt(_) | Next::GaveUp(_) => None,
    };
    match attempt.fault.as_ref().map(|fault| fault.blame) {
        // Another of the batch may be why it failed.
        _ if limit.is_some() => {}
        Some(Blame::Function) => standing.failures += 1,
        Some(Blame::Platform) => standing.disturbances += 1,
        None => {}
    }
    move_last_attempt(ledger, *id, &standing)?;
    run(
        &ledger.conn,
        "UPDATE invocations
         SET status = ?2, failures = ?3, disturbances = ?4, transitions = ?5,
             due_at = coalesce(?6, due_at), ended_at = ?7, ran_version = ?8, fault = ?9,
             result = ?10, result_bytes = ?11, last_attempt = ?12,
             batch_limit = coalesce(?13, batch_limit),
             worker = NULL, until = NULL
         WHERE id = ?1",
        params![
            id.as_bytes(),
            status_number(status),
            standing.failures,
            standing.disturbances,
            standing.transitions,
            until.map(Timestamp::micros),
            status.is_terminal().then(|| at.micros()),
            attempt.version,
            own_fault.as_ref().map(rows::fault_text).transpose()?,
            settlement.result.as_deref(),
            settlement.result_bytes.map(rows::signed),
            rows::attempt_text(attempt)?,
            limit,
        ],
    )?;
    failpoint!("settle.before_log");
    logs::append(ledger, *id, standing.function, attempt.number, &settlement.log)?;
    // What it asked to send belongs to the end that it asked for.
    if own_fault.is_none() {
        outbox::put(ledger, *id, &standing.sender(), &settlement.send, at)?;
    }
    let ended = status.is_terminal() && standing.keyed;
    let released = ended && ordering::release(ledger, *id, at)?;
    Ok(Settled { ours: true, released })
}

fn why_again(settlement: &Settlement) -> &str {
    match settlement.next {
        Next::Split { .. } => SPLIT,
        Next::Succeeded | Next::RetryAt(_) | Next::GaveUp(_) => {
            settlement.attempt.fault.as_ref().map_or("", |fault| &fault.code)
        }
    }
}

/// The attempt that ended last is in the invocation's row. Makes room for it there.
pub(super) fn move_last_attempt(
    ledger: &Ledger,
    id: InvocationId,
    standing: &Standing,
) -> Result<(), Fail> {
    if standing.attempts > 1 {
        let sql = "INSERT INTO attempts (invocation, number, attempt)
                   SELECT id, ?2, last_attempt FROM invocations
                   WHERE id = ?1 AND last_attempt IS NOT NULL";
        run(&ledger.conn, sql, params![id.as_bytes(), standing.attempts - 1])?;
    }
    Ok(())
}

/// A synchronous call, from beginning to end, in one row. Recording it twice changes nothing.
pub(super) fn record(ledger: &mut Ledger, call: &CallRecord) -> Result<(), Fail> {
    let CallRecord { id, attempt, created_at, .. } = call;
    let function =
        ledger.function_or_grave(call.function, &call.project, &call.function_name, *created_at)?;
    let fact = if attempt.fault.is_none() { Fact::Succeeded } else { Fact::GaveUp };
    let status = Status::Queued
        .on(Fact::Leased, Origin::Call)
        .and_then(|running| running.on(fact, Origin::Call))
        .map_err(|refused| Fail::Refused(refused.to_string()))?;
    let blamed = |blame| u8::from(attempt.fault.as_ref().is_some_and(|fault| fault.blame == blame));
    let small = |result: &&bytes::Bytes| result.len() <= model::limits::RESULT_KEPT_BYTES;
    let inserted = run(
        &ledger.conn,
        "INSERT INTO invocations
             (id, project, function, origin, status, attempts, failures, disturbances, transitions,
              created_at, accepted_at, due_at, started_at, ended_at, ran_version, result_bytes,
              last_attempt, result)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, 0, ?8, ?8, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT DO NOTHING",
        params![
            id.as_bytes(),
            function.project,
            function.no,
            rows::origin_number(Origin::Call),
            status_number(status),
            blamed(Blame::Function),
            blamed(Blame::Platform),
            created_at.micros(),
            attempt.started_at.micros(),
            attempt.ended_at.micros(),
            attempt.version,
            call.result_bytes.map(rows::signed),
            rows::attempt_text(attempt)?,
            call.result.as_ref().filter(small).map(|result| &**result),
        ],
    )?;
    if inserted == 0 {
        return Ok(());
    }
    if let Some(key) = &call.key {
        keys::answer_call(ledger, key, function.no, call)?;
    }
    let sender = outbox::Sender { project: function.project, function: function.no };
    outbox::put(ledger, *id, &sender, &call.send, attempt.ended_at)?;
    logs::append(ledger, *id, function.no, attempt.number, &call.log)
}

/// Another round: retries and age count afresh, the numbers of attempts go on. Those of its ordering
/// key that are there go first. False if it is no
/// dead letter of this project, or nothing could run it since its function is deleted.
pub(super) fn redrive(
    ledger: &mut Ledger,
    project: &Project,
    id: InvocationId,
    now: Timestamp,
) -> Result<bool, Fail> {
    let project = ledger.project(project)?;
    let Some(mut standing) = Standing::of(ledger, id)? else { return Ok(false) };
    if standing.project != project || ledger.grave(standing.function)?.is_some() {
        return Ok(false);
    }
    let Some(status) = standing.after(Fact::Redriven) else { return Ok(false) };
    let held = standing.keyed && ordering::queue_again(ledger, id)?;
    let due_at = if held { ordering::HELD } else { now.micros() };
    step(ledger, id, &mut standing, status, now, "Redriven", None)?;
    run(
        &ledger.conn,
        "UPDATE invocations
         SET status = ?2, failures = 0, disturbances = 0, transitions = ?3, accepted_at = ?4,
             due_at = ?5, ended_at = NULL, fault = NULL, result = NULL, result_bytes = NULL
         WHERE id = ?1",
        params![id.as_bytes(), status_number(status), standing.transitions, now.micros(), due_at],
    )?;
    Ok(true)
}
