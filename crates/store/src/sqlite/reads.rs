//! Reads of the ledger: one invocation with everything about it, lists, and how it all stands.

use std::cmp::Ordering;

use bytes::Bytes;
use model::invocation::{Attempt, Invocation, Origin, Status};
use model::{
    EventId, FunctionId, FunctionName, InvocationId, Project, ReplayId, Timestamp, TriggerName,
};
use rusqlite::{Connection, Row, ToSql, params};

use super::cursor::List;
use super::damage::{Damage, is_damage};
use super::ledger::Fail;
use super::query::{all, first};
use super::rows::{self, time, trusted};
use super::walk::{Listing, Walk};
use super::{ordering, outbox};
use crate::{Counts, Detail, Error, Filter, Listed, Page, Transition, Waiting, status_number};

const COLUMNS: &str = "i.id, p.name, f.id, f.name, i.origin, i.status, i.event, i.\"trigger\",
    i.replay, i.ran_version, i.asked_version, i.attempts, i.created_at, i.due_at, i.ended_at,
    i.result_bytes, i.fault, i.last_attempt, i.lane, i.ordering_key";

fn read(row: &Row<'_>) -> Result<Invocation, Fail> {
    let project: String = row.get(1)?;
    let name: String = row.get(3)?;
    let status = rows::status_of(row.get(5)?)?;
    let trigger: Option<String> = row.get(7)?;
    let trigger = trigger.map(|name| TriggerName::parse(&name)).transpose();
    let ran: Option<u32> = row.get(9)?;
    let fault: Option<String> = row.get(16)?;
    let last: Option<String> = row.get(17)?;
    let due_at: i64 = row.get(13)?;
    let held = status.is_due() && due_at == ordering::HELD;
    Ok(Invocation {
        id: InvocationId::from_bytes(row.get(0)?),
        project: trusted("projects", Project::parse(&project))?,
        function: FunctionId::from_bytes(row.get(2)?),
        function_name: trusted("functions", FunctionName::parse(&name))?,
        origin: rows::origin_of(row.get(4)?)?,
        status,
        event: row.get::<_, Option<[u8; 16]>>(6)?.map(EventId::from_bytes),
        trigger: trusted("invocations", trigger)?,
        lane: rows::lane(row.get_ref(18)?.as_str().map_err(rusqlite::Error::from)?)?,
        ordering_key: row.get(19)?,
        held,
        replay: row.get::<_, Option<[u8; 16]>>(8)?.map(ReplayId::from_bytes),
        version: ran.or(row.get(10)?),
        attempts: row.get(11)?,
        created_at: time(row.get(12)?),
        due_at: (status.is_due() && !held).then_some(time(due_at)),
        ended_at: row.get::<_, Option<i64>>(14)?.map(time),
        result_bytes: row.get::<_, Option<i64>>(15)?.map(rows::unsigned),
        last: last.as_deref().map(rows::attempt).transpose()?,
        fault: fault.as_deref().map(rows::fault).transpose()?,
    })
}

pub(super) fn invocation(
    conn: &Connection,
    project: &Project,
    id: InvocationId,
) -> Result<Option<Detail>, Fail> {
    let sql = format!(
        "SELECT {COLUMNS}, i.result FROM invocations i
         JOIN projects p ON p.no = i.project JOIN functions f ON f.no = i.function
         WHERE i.id = ?1 AND p.name = ?2"
    );
    let found = first(conn, &sql, params![id.as_bytes(), project.as_str()], |row| {
        let result: Option<Vec<u8>> = row.get(20)?;
        Ok((read(row)?, result.map(Bytes::from)))
    })?;
    let Some((invocation, result)) = found else { return Ok(None) };
    let sql = "SELECT attempt FROM attempts WHERE invocation = ?1 ORDER BY number";
    let mut attempts = all(conn, sql, [id.as_bytes()], |row| {
        rows::attempt(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
    })?;
    attempts.extend(invocation.last.clone());
    let transitions = transitions(conn, &invocation, &attempts)?;
    Ok(Some(Detail { invocation, attempts, transitions, result }))
}

/// The first is the invocation's own row. A synchronous call has no others in the table: they
/// follow from its attempt.
fn transitions(
    conn: &Connection,
    invocation: &Invocation,
    attempts: &[Attempt],
) -> Result<Vec<Transition>, Fail> {
    let at = invocation.created_at;
    let first =
        Transition { at, status: Status::Queued, attempt: 0, reason: "accepted".to_owned() };
    let mut lines = vec![first];
    if invocation.origin == Origin::Call {
        for attempt in attempts {
            let reason = String::new();
            let (at, number) = (attempt.started_at, attempt.number);
            lines.push(Transition { at, status: Status::Running, attempt: number, reason });
            let reason = attempt.fault.as_ref().map(|fault| fault.code.clone()).unwrap_or_default();
            let (at, status) = (attempt.ended_at, invocation.status);
            lines.push(Transition { at, status, attempt: number, reason });
        }
        return Ok(lines);
    }
    let sql = "SELECT at, status, attempt, reason, until FROM transitions
               WHERE invocation = ?1 ORDER BY seq";
    lines.extend(all(conn, sql, [invocation.id.as_bytes()], |row| {
        let reason: String = row.get(3)?;
        let until: Option<i64> = row.get(4)?;
        Ok(Transition {
            at: time(row.get(0)?),
            status: rows::status_of(row.get(1)?)?,
            attempt: row.get(2)?,
            reason: in_words(reason, until.map(time)),
        })
    })?);
    Ok(lines)
}

fn in_words(reason: String, until: Option<Timestamp>) -> String {
    let Some(until) = until else { return reason };
    // What no calendar has is shown as it is.
    let until = jiff::Timestamp::from_microsecond(until.micros())
        .map_or_else(|_| format!("{} µs", until.micros()), |until| until.to_string());
    if reason.is_empty() {
        format!("waits until {until}")
    } else {
        format!("{reason}: waits until {until}")
    }
}

/// Newest first. The index follows the most selective condition, so that a page never walks
/// through a long history for a few rows: what waits, runs or failed has its own small indexes.
pub(super) fn invocations(
    conn: &Connection,
    project: &Project,
    filter: &Filter,
    page: &Page,
    damage: &Damage,
) -> Result<Listed<Invocation>, Error> {
    let before = match &page.cursor {
        Some(cursor) => List::Invocations.fixed::<16>(cursor)?,
        None => [0xff; 16],
    };
    let failed = |fail: Fail| super::failed("list invocations", &fail);
    let function_no = "(SELECT no FROM functions WHERE id = :function)";
    let (index, key) = match (filter.event, filter.status, filter.function) {
        (Some(_), _, _) => ("invocations_by_event", "i.event = :event".to_owned()),
        (_, Some(Status::Queued | Status::Retrying), Some(_)) => {
            let key = format!("i.status IN (0, 2) AND i.function = {function_no}");
            ("invocations_waiting", key)
        }
        (_, Some(Status::Queued | Status::Retrying), None) => {
            ("invocations_waiting", "i.status IN (0, 2)".to_owned())
        }
        (_, Some(Status::Running), _) => ("invocations_leased", "i.status = 1".to_owned()),
        (_, Some(Status::Failed | Status::Dead), _) => {
            ("invocations_failed", "i.status IN (4, 5)".to_owned())
        }
        (_, _, Some(_)) => ("invocations_by_function", format!("i.function = {function_no}")),
        (_, _, None) => ("invocations_by_project", "true".to_owned()),
    };
    // Conditions are left out where there is nothing to hold them against, since an index is only
    // used for what is written down.
    let status = filter.status.map(status_number);
    let oldest = filter.since.map(super::earliest_id);
    let since = filter.since.map(Timestamp::micros);
    let mut sql = format!(
        "SELECT {COLUMNS} FROM invocations i INDEXED BY {index}
         CROSS JOIN projects p ON p.no = i.project
         CROSS JOIN functions f ON f.no = i.function
         WHERE {key} AND i.project = (SELECT no FROM projects WHERE name = :project)
           AND i.id < :before"
    );
    let limit = super::limit_of(page);
    let event = filter.event.as_ref().map(EventId::as_bytes);
    let function = filter.function.as_ref().map(FunctionId::as_bytes);
    let (project, more) = (project.as_str(), rows::count(limit + 1));
    let mut params: Vec<(&str, &dyn ToSql)> =
        vec![(":project", &project), (":before", &before), (":limit", &more)];
    if event.is_some() {
        params.push((":event", &event));
    }
    if function.is_some() {
        sql.push_str(" AND i.function = (SELECT no FROM functions WHERE id = :function)");
        params.push((":function", &function));
    }
    if status.is_some() {
        sql.push_str(" AND i.status = :status");
        params.push((":status", &status));
    }
    if since.is_some() {
        sql.push_str(" AND i.id >= :oldest AND i.created_at >= :since");
        params.push((":oldest", &oldest));
        params.push((":since", &since));
    }
    sql.push_str(" ORDER BY i.id DESC LIMIT :limit");
    let read_rows = || -> Result<Listed<Invocation>, Fail> {
        let mut statement = conn.prepare_cached(&sql)?;
        let found = statement.query(&*params)?;
        Walk { table: "invocations", order: Ordering::Less, from: before, limit, damage }
            .page::<NewestFirst>(found)
    };
    read_rows().map_err(failed)
}

struct NewestFirst;

impl Listing for NewestFirst {
    type Key = [u8; 16];
    type Item = Invocation;

    fn key(row: &Row<'_>) -> Result<[u8; 16], Fail> {
        Ok(row.get(0)?)
    }

    fn cursor(key: [u8; 16]) -> String {
        List::Invocations.cursor(&key)
    }

    fn read(row: &Row<'_>) -> Result<Invocation, Fail> {
        read(row)
    }

    fn bytes(_: &Invocation) -> usize {
        0 // none is large
    }
}

pub(super) fn waiting(conn: &Connection, damage: &Damage) -> Result<Vec<Waiting>, Fail> {
    let sql = "SELECT f.id, w.first_due_at, w.oldest, w.count, w.lane
               FROM (SELECT function, lane, min(due_at) AS first_due_at,
                            min(accepted_at) AS oldest, count(*) AS count
                     FROM invocations INDEXED BY invocations_waiting
                     WHERE status IN (0, 2) AND due_at < ?1 GROUP BY function, lane) w
               JOIN functions f ON f.no = w.function
               WHERE f.deleted_at IS NULL";
    let read = |row: &Row<'_>| {
        Ok(Waiting {
            function: FunctionId::from_bytes(row.get(0)?),
            lane: rows::lane(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?,
            first_due_at: time(row.get(1)?),
            oldest_created_at: time(row.get(2)?),
            count: rows::unsigned(row.get(3)?),
        })
    };
    // One lane whose name nobody can read must not keep the others waiting.
    let found = all(conn, sql, [ordering::HELD], |row| match read(row) {
        Err(fail) if is_damage(&fail) => {
            damage.meet("invocations", &"of what waits", &fail);
            Ok(None)
        }
        waiting => waiting.map(Some),
    })?;
    Ok(found.into_iter().flatten().collect())
}

pub(super) fn counts(conn: &Connection, damage: &Damage) -> Result<Counts, Fail> {
    let sql = "SELECT coalesce(sum(status = 0), 0), coalesce(sum(status = 2), 0), min(accepted_at)
               FROM invocations INDEXED BY invocations_waiting WHERE status IN (0, 2)";
    let waiting = first(conn, sql, [], |row| {
        let oldest: Option<i64> = row.get(2)?;
        Ok((rows::unsigned(row.get(0)?), rows::unsigned(row.get(1)?), oldest.map(time)))
    })?;
    let (queued, retrying, oldest_waiting) = waiting.unwrap_or_default();
    let count = |sql| first(conn, sql, [], |row| Ok(rows::unsigned(row.get(0)?)));
    let running =
        count("SELECT count(*) FROM invocations INDEXED BY invocations_leased WHERE status = 1")?;
    let dead = count(
        "SELECT count(*) FROM invocations INDEXED BY invocations_failed
         WHERE status IN (4, 5) AND status = 5",
    )?;
    Ok(Counts {
        queued,
        retrying,
        oldest_waiting,
        running: running.unwrap_or(0),
        dead: dead.unwrap_or(0),
        messages_waiting: outbox::count(conn)?,
        damaged_rows: damage.count(),
    })
}
