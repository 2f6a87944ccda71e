//! Replays: what was ordered, and how far each has come.

use model::{FunctionId, FunctionName, Pattern, Project, ReplayId, Timestamp, TriggerName};
use rusqlite::{Connection, Row, params};

use super::cursor::List;
use super::events;
use super::ledger::{Fail, Ledger};
use super::query::{all, first, run};
use super::rows::{self, time, trusted};
use crate::{
    Error, Listed, NewReplay, Page, REPLAYS_AT_ONCE, Replay, ReplayOrder, ReplayState, ReplayStep,
    ReplayTarget, failpoint,
};

// ---- writes ----

/// False if the project has as many as it may.
pub(super) fn create(ledger: &mut Ledger, new: &NewReplay) -> Result<bool, Fail> {
    let project = ledger.project(&new.project)?;
    let sql = "SELECT count(*) FROM replays INDEXED BY replays_running
               WHERE state = 0 AND project = ?1";
    let running = first(&ledger.conn, sql, [project], |row| Ok(rows::unsigned(row.get(0)?)))?;
    if running.is_some_and(|count| count >= REPLAYS_AT_ONCE as u64) {
        return Ok(false);
    }
    let order = &new.order;
    let target = order.target.as_ref();
    run(
        &ledger.conn,
        "INSERT INTO replays
             (id, project, state, created_at, from_at, to_at, source, kind, pattern, function,
              function_name, \"trigger\", version, ignore_triggers, rate_per_s, events, matched,
              invocations)
         VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, 0, 0)",
        params![
            new.id.as_bytes(),
            project,
            new.created_at.micros(),
            order.from.micros(),
            order.to.micros(),
            order.source,
            order.kind,
            order.pattern.as_ref().map(Pattern::to_string),
            target.map(|it| it.function.as_bytes()),
            target.map(|it| it.function_name.as_str()),
            target.and_then(|it| it.trigger.as_ref()).map(TriggerName::as_str),
            target.and_then(|it| it.version),
            target.is_some_and(|it| it.ignore_triggers),
            order.rate_per_s,
        ],
    )?;
    Ok(true)
}

/// Moves the cursor and stores what runs because of the events it passes.
pub(super) fn advance(ledger: &mut Ledger, step: &ReplayStep) -> Result<Option<u64>, Fail> {
    let project = ledger.project(&step.project)?;
    let sql = "UPDATE replays
               SET cursor = ?4, reached_at = ?5, events = events + ?6, matched = matched + ?7
               WHERE id = ?1 AND project = ?2 AND state = 0 AND cursor IS ?3";
    let params = params![
        step.replay.as_bytes(),
        project,
        step.before,
        step.after,
        step.reached_at.micros(),
        rows::signed(step.events),
        rows::signed(step.matched),
    ];
    if run(&ledger.conn, sql, params)? == 0 {
        return Ok(None);
    }
    failpoint!("advance_replay.before_invocations");
    let added = events::append_invocations(ledger, &step.project, &step.invocations)? as u64;
    let sql = "UPDATE replays SET invocations = invocations + ?2 WHERE id = ?1";
    run(&ledger.conn, sql, params![step.replay.as_bytes(), rows::signed(added)])?;
    Ok(Some(added))
}

/// False if it does not run (any more).
pub(super) fn end(
    ledger: &mut Ledger,
    project: &Project,
    id: ReplayId,
    state: ReplayState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool, Fail> {
    let project = ledger.project(project)?;
    let sql = "UPDATE replays SET state = ?3, reason = ?4, ended_at = ?5
               WHERE id = ?1 AND project = ?2 AND state = 0";
    let params = params![id.as_bytes(), project, state_number(state), reason, now.micros()];
    Ok(run(&ledger.conn, sql, params)? > 0)
}

// ---- reads ----

const COLUMNS: &str =
    "r.id, p.name, r.state, r.reason, r.created_at, r.ended_at, r.from_at, r.to_at,
    r.source, r.kind, r.pattern, r.function, r.function_name, r.\"trigger\", r.version,
    r.ignore_triggers, r.rate_per_s, r.cursor, r.reached_at, r.events, r.matched, r.invocations
    FROM replays r";

fn read(row: &Row<'_>) -> Result<Replay, Fail> {
    let project: String = row.get(1)?;
    let pattern: Option<String> = row.get(10)?;
    let pattern = pattern.map(|text| Pattern::parse(&text)).transpose().map_err(|invalid| {
        Fail::Row { table: "replays", why: format!("its pattern is not one: {invalid}") }
    })?;
    let function: Option<[u8; 16]> = row.get(11)?;
    let name: Option<String> = row.get(12)?;
    let target = match (function, name) {
        (Some(function), Some(name)) => {
            let trigger: Option<String> = row.get(13)?;
            let trigger = trigger.map(|name| TriggerName::parse(&name)).transpose();
            Some(ReplayTarget {
                function: FunctionId::from_bytes(function),
                function_name: trusted("replays", FunctionName::parse(&name))?,
                trigger: trusted("replays", trigger)?,
                version: row.get(14)?,
                ignore_triggers: row.get(15)?,
            })
        }
        _ => None,
    };
    Ok(Replay {
        id: ReplayId::from_bytes(row.get(0)?),
        project: trusted("projects", Project::parse(&project))?,
        order: ReplayOrder {
            from: time(row.get(6)?),
            to: time(row.get(7)?),
            source: row.get(8)?,
            kind: row.get(9)?,
            pattern,
            target,
            rate_per_s: row.get(16)?,
        },
        created_at: time(row.get(4)?),
        state: state_of(row.get(2)?)?,
        reason: row.get(3)?,
        ended_at: row.get::<_, Option<i64>>(5)?.map(time),
        cursor: row.get(17)?,
        reached_at: row.get::<_, Option<i64>>(18)?.map(time),
        events: rows::unsigned(row.get(19)?),
        matched: rows::unsigned(row.get(20)?),
        invocations: rows::unsigned(row.get(21)?),
    })
}

pub(super) fn replay(
    conn: &Connection,
    project: &Project,
    id: ReplayId,
) -> Result<Option<Replay>, Fail> {
    let sql = format!(
        "SELECT {COLUMNS} JOIN projects p ON p.no = r.project WHERE p.name = ?1 AND r.id = ?2"
    );
    first(conn, &sql, params![project.as_str(), id.as_bytes()], read)
}

/// Newest first.
pub(super) fn replays(
    conn: &Connection,
    project: &Project,
    page: &Page,
) -> Result<Listed<Replay>, Error> {
    let before = match &page.cursor {
        Some(cursor) => List::Replays.fixed::<16>(cursor)?,
        None => [0xff; 16],
    };
    let sql = format!(
        "SELECT {COLUMNS} INDEXED BY replays_by_project JOIN projects p ON p.no = r.project
         WHERE r.project = (SELECT no FROM projects WHERE name = ?1) AND r.id < ?2
         ORDER BY r.id DESC LIMIT ?3"
    );
    let limit = super::limit_of(page);
    let params = params![project.as_str(), before, rows::count(limit + 1)];
    let items =
        all(conn, &sql, params, read).map_err(|fail| super::failed("list replays", &fail))?;
    Ok(super::listed(items, limit, |last| List::Replays.cursor(last.id.as_bytes())))
}

/// Of every project.
pub(super) fn running(conn: &Connection) -> Result<Vec<Replay>, Fail> {
    let sql = format!(
        "SELECT {COLUMNS} INDEXED BY replays_running JOIN projects p ON p.no = r.project
         WHERE r.state = 0 ORDER BY r.id"
    );
    all(conn, &sql, [], read)
}

// ---- states, as columns have them ----

fn state_number(state: ReplayState) -> u8 {
    match state {
        ReplayState::Running => 0,
        ReplayState::Done => 1,
        ReplayState::Cancelled => 2,
        ReplayState::Failed => 3,
    }
}

fn state_of(number: u8) -> Result<ReplayState, Fail> {
    Ok(match number {
        0 => ReplayState::Running,
        1 => ReplayState::Done,
        2 => ReplayState::Cancelled,
        3 => ReplayState::Failed,
        _ => {
            return Err(Fail::Row { table: "replays", why: format!("there is no state {number}") });
        }
    })
}
