//! Leases: who runs an attempt, until when, and what happens when nobody hears from them.

use bytes::Bytes;
use model::invocation::{Attempt, Fact, Status, Timing};
use model::{
    EventId, Fault, FunctionId, InvocationId, Project, ReplayId, Timestamp, TriggerName, WorkerId,
    fault,
};
use rusqlite::params;

use super::damage::{Content, alone, is_damage, is_malformed};
use super::invocations::{Standing, step};
use super::ledger::{Fail, FunctionRef, Ledger};
use super::query::{all, first, run};
use super::rows::{self, time, trusted};
use super::settle::move_last_attempt;
use super::{burial, ordering, outbox};
use crate::{CLAIM_BYTES, Claim, Claimed, status_number};

/// Leases that one transaction takes back: some 5 ms of the writer's time.
pub(super) const INTERRUPTS: usize = 256;

/// Damaged invocations that one claim meets at most: some 5 ms of the writer's time. Those behind them
/// are claimed by the next.
const DAMAGED: usize = 256;

/// Those that turn out to be damaged end, and others take their places. See [`alone`] about `again`.
pub(super) fn claim(ledger: &mut Ledger, claim: &Claim, again: bool) -> Result<Vec<Claimed>, Fail> {
    let Some(function) = ledger.function(claim.function)?.filter(|found| !found.deleted) else {
        return Ok(Vec::new());
    };
    let (mut claimed, mut bytes, mut damaged) = (Vec::new(), 0, 0);
    loop {
        let before = damaged;
        for id in due(ledger, claim, &function, claim.limit - claimed.len())? {
            let leased = alone(ledger, id, again, |ledger| lease(ledger, claim, &function, id))?;
            let Some(one) = leased.flatten() else {
                damaged += 1;
                continue;
            };
            bytes += one.payload.len();
            claimed.push(one);
            if bytes >= CLAIM_BYTES {
                return Ok(claimed);
            }
        }
        if damaged == before || damaged >= DAMAGED {
            return Ok(claimed);
        }
    }
}

fn due(
    ledger: &Ledger,
    claim: &Claim,
    function: &FunctionRef,
    most: usize,
) -> Result<Vec<InvocationId>, Fail> {
    let accepted_before = claim.accepted_before.map_or(i64::MAX, Timestamp::micros);
    let due = "SELECT id FROM invocations INDEXED BY invocations_waiting
               WHERE function = ?1 AND lane = ?5 AND status IN (0, 2) AND due_at <= ?2
                 AND accepted_at < ?4
               ORDER BY due_at, id LIMIT ?3";
    let lane = rows::lane_text(claim.lane.as_ref());
    // Never what is held, however late.
    let due_by = claim.due_by.micros().min(ordering::HELD - 1);
    ledger.not_passed_over(most, |conn, most| {
        let params = params![function.no, due_by, most, accepted_before, lane];
        all(conn, due, params, |row| Ok(InvocationId::from_bytes(row.get(0)?)))
    })
}

/// Leases one. None if its event is damaged: then it is a dead letter now.
fn lease(
    ledger: &mut Ledger,
    claim: &Claim,
    function: &FunctionRef,
    id: InvocationId,
) -> Result<Option<Claimed>, Fail> {
    let Some(mut standing) = Standing::of(ledger, id)? else {
        return Err(disagrees("an index says that it waits, and it is not there"));
    };
    let Some(status) = standing.after(Fact::Leased) else {
        return Err(disagrees("an index says that it waits, and its row says otherwise"));
    };
    let read = match ledger.unreadable(id) {
        Some(why) => Err(Fail::Row { table: "events", why: why.to_owned() }),
        None => read_claimed(ledger, claim.function, id),
    };
    let mut claimed = match read {
        Ok(claimed) => claimed,
        // Nothing can be written in this transaction any more.
        Err(fail) if is_malformed(&fail) => {
            ledger.note_unreadable(id, &fail);
            return Err(fail);
        }
        Err(fail) if is_damage(&fail) => {
            ledger.damage.meet("invocations", &id, &fail);
            burial::give_up(ledger, id, &mut standing, &damaged(&fail), claim.now)?;
            return Ok(None);
        }
        Err(fail) => return Err(fail),
    };
    standing.attempts += 1;
    claimed.attempt = standing.attempts;
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
    Ok(Some(claimed))
}

fn disagrees(why: &str) -> Fail {
    Fail::Row { table: "invocations", why: why.to_owned() }
}

/// Why an invocation ends whose event nobody can deliver.
fn damaged(fail: &Fail) -> Fault {
    let message = format!(
        "what is stored of its event is damaged ({fail}), so it cannot be delivered: send the event \
         again, and have the disk looked at"
    );
    Fault::platform(fault::EVENT_DAMAGED, message)
}

fn read_claimed(ledger: &Ledger, function: FunctionId, id: InvocationId) -> Result<Claimed, Fail> {
    // The last six as `Content::COLUMNS` has them.
    let sql = "SELECT p.name, i.origin, i.event, i.\"trigger\", i.asked_version, i.attempts,
                      i.failures, i.disturbances, i.accepted_at, i.due_at, i.lane,
                      i.ordering_key, i.batch_limit, i.project, i.replay,
                      e.received_at, e.sender_id, e.source, e.kind, e.record, e.crc
               FROM invocations i
               JOIN projects p ON p.no = i.project
               JOIN events e ON e.project = i.project AND e.id = i.event
               WHERE i.id = ?1";
    let claimed = first(&ledger.conn, sql, [id.as_bytes()], |row| {
        let project: String = row.get(0)?;
        let trigger: Option<String> = row.get(3)?;
        let trigger = trigger.map(|name| TriggerName::parse(&name)).transpose();
        let event = row.get(2)?;
        let content = Content::checked(row, 15, row.get(13)?, &event)?;
        Ok(Claimed {
            id,
            function,
            project: trusted("projects", Project::parse(&project))?,
            origin: rows::origin_of(row.get(1)?)?,
            event: EventId::from_bytes(event),
            trigger: trusted("invocations", trigger)?,
            replay: row.get::<_, Option<[u8; 16]>>(14)?.map(ReplayId::from_bytes),
            lane: rows::lane(row.get_ref(10)?.as_str().map_err(rusqlite::Error::from)?)?,
            ordering_key: row.get(11)?,
            batch_limit: row.get(12)?,
            version: row.get(4)?,
            attempt: row.get(5)?,
            failures: row.get(6)?,
            disturbances: row.get(7)?,
            accepted_at: time(row.get(8)?),
            due_at: time(row.get(9)?),
            payload: Bytes::copy_from_slice(content.record.as_bytes()),
        })
    })?;
    claimed.ok_or_else(|| Fail::Row { table: "events", why: "it is not there".to_owned() })
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
/// Fewer means that it is done. See [`alone`] about `again`.
pub(super) fn interrupt(
    ledger: &mut Ledger,
    now: Timestamp,
    only_alive: Option<WorkerId>,
    again: bool,
) -> Result<usize, Fail> {
    if let Some(alive) = only_alive {
        outbox::take_back(ledger, alive, now)?;
    }
    let alive = only_alive.as_ref().map(WorkerId::as_bytes);
    let sql = "SELECT id FROM invocations INDEXED BY invocations_leased
               WHERE status = 1 AND (until < ?1 OR (?2 IS NOT NULL AND worker IS NOT ?2))
               ORDER BY until LIMIT ?3";
    let over = ledger.not_passed_over(INTERRUPTS, |conn, most| {
        let params = params![now.micros(), alive, most];
        all(conn, sql, params, |row| Ok(InvocationId::from_bytes(row.get(0)?)))
    })?;
    for id in &over {
        alone(ledger, *id, again, |ledger| interrupt_one(ledger, *id, now))?;
    }
    Ok(over.len())
}

fn interrupt_one(ledger: &mut Ledger, id: InvocationId, now: Timestamp) -> Result<(), Fail> {
    let Some(mut standing) = Standing::of(ledger, id)? else {
        return Err(disagrees("an index says that it runs, and it is not there"));
    };
    let Some(status) = standing.after(Fact::Interrupted) else {
        return Err(disagrees("an index says that it runs, and its row says otherwise"));
    };
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
        batch: None,
    }
}
