//! Events in: stored once per sender's key, together with their invocations.

use std::cmp::Ordering;

use model::invocation::{Origin, Status};
use model::{Event, EventId, FunctionName, InvocationId, Project, TriggerName, limits};
use rusqlite::{Connection, Row, params};

use super::cursor::List;
use super::damage::{Content, Damage};
use super::ledger::{Fail, FunctionRef, Ledger};
use super::query::{all, first, run};
use super::rows::{self, time, trusted};
use super::walk::{Listing, Walk};
use super::{burial, ordering};
use crate::{
    Appended, Error, EventFilter, Listed, NewEvent, NewInvocation, Page, StoredEvent, failpoint,
    status_number,
};

// ---- writes ----

pub(super) fn append(ledger: &mut Ledger, events: &[NewEvent]) -> Result<Vec<Appended>, Fail> {
    events.iter().map(|new| append_one(ledger, new)).collect()
}

fn append_one(ledger: &mut Ledger, new: &NewEvent) -> Result<Appended, Fail> {
    let project = ledger.project(&new.project)?;
    let Event { id: sender_id, source, kind, record } = &new.event;
    let conn = &ledger.conn;
    let seen = "SELECT event, received_at FROM dedupe
                WHERE project = ?1 AND source = ?2 AND sender_id = ?3";
    let earlier = first(conn, seen, params![project, source, sender_id], |row| {
        Ok((EventId::from_bytes(row.get(0)?), time(row.get(1)?)))
    })?;
    if let Some((id, first_at)) = earlier
        && new.received_at.since(first_at) < limits::DEDUPE_WINDOW
    {
        let invocations = invocations_of(conn, id)?;
        return Ok(Appended { id, duplicate: true, invocations });
    }
    let (id, at) = (new.id.as_bytes(), new.received_at.micros());
    run(
        conn,
        "INSERT INTO dedupe (project, source, sender_id, event, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (project, source, sender_id)
         DO UPDATE SET event = excluded.event, received_at = excluded.received_at",
        params![project, source, sender_id, id, at],
    )?;
    let content = Content { project, id, received_at: at, sender_id, source, kind, record };
    run(
        conn,
        "INSERT INTO events (project, id, received_at, sender_id, source, kind, record, crc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![project, id, at, sender_id, source, kind, &**record, content.checksum()],
    )?;
    failpoint!("append.before_invocations");
    let mut invocations = Vec::with_capacity(new.invocations.len());
    for invocation in &new.invocations {
        insert(ledger, &new.project, new.id, invocation)?;
        let NewInvocation { function_name, trigger, id, .. } = invocation;
        invocations.push((function_name.clone(), trigger.clone(), *id));
    }
    Ok(Appended { id: new.id, duplicate: false, invocations })
}

/// Replays leave out what is not of this event's first round.
fn invocations_of(
    conn: &Connection,
    event: EventId,
) -> Result<Vec<(FunctionName, Option<TriggerName>, InvocationId)>, Fail> {
    let sql = "SELECT f.name, i.\"trigger\", i.id FROM invocations i
               JOIN functions f ON f.no = i.function
               WHERE i.event = ?1 AND i.replay IS NULL ORDER BY i.id";
    all(conn, sql, [event.as_bytes()], |row| {
        let name: String = row.get(0)?;
        let trigger: Option<String> = row.get(1)?;
        let trigger = trigger.map(|name| TriggerName::parse(&name)).transpose();
        Ok((
            trusted("functions", FunctionName::parse(&name))?,
            trusted("invocations", trigger)?,
            InvocationId::from_bytes(row.get(2)?),
        ))
    })
}

/// Adds invocations of events that are there; tells how many. An event that a sweep has taken is
/// left out: it cannot run again.
pub(super) fn append_invocations(
    ledger: &mut Ledger,
    project: &Project,
    invocations: &[NewInvocation],
) -> Result<usize, Fail> {
    let number = ledger.project(project)?;
    let mut added = 0;
    for invocation in invocations {
        let there = "SELECT 1 FROM events WHERE project = ?1 AND id = ?2";
        let params = params![number, invocation.event.as_bytes()];
        if first(&ledger.conn, there, params, |_| Ok(()))?.is_some() {
            insert(ledger, project, invocation.event, invocation)?;
            added += 1;
        }
    }
    Ok(added)
}

/// One invocation, queued. If its function was deleted since it was matched, nobody would ever
/// claim it: then it is a dead letter at once.
fn insert(
    ledger: &mut Ledger,
    project: &Project,
    event: EventId,
    new: &NewInvocation,
) -> Result<(), Fail> {
    if new.origin == Origin::Call {
        return Err(Fail::Refused(
            "a synchronous call is recorded when it ends, not queued".into(),
        ));
    }
    let NewInvocation { function, function_name, created_at, .. } = new;
    let FunctionRef { no, project: own, deleted, .. } =
        ledger.function_or_grave(*function, project, function_name, *created_at)?;
    if own != ledger.project(project)? {
        return Err(Fail::Refused(format!(
            "the {function:?} is of another project than its event"
        )));
    }
    let lane = rows::lane_text(new.lane.as_ref());
    let (turn, held) = match &new.ordering_key {
        None => (None, false),
        Some(key) if key.len() > limits::ORDERING_KEY_BYTES => {
            let (bytes, most) = (key.len(), limits::ORDERING_KEY_BYTES);
            let why = format!("an ordering key has {bytes} bytes, and may have {most}");
            return Err(Fail::Refused(why));
        }
        Some(key) => {
            let (turn, held) = ordering::next_turn(ledger, no, lane, key)?;
            (Some(turn), held)
        }
    };
    run(
        &ledger.conn,
        "INSERT INTO invocations
             (id, project, function, origin, status, attempts, failures, disturbances, transitions,
              created_at, accepted_at, due_at, asked_version, event, \"trigger\", replay, lane,
              ordering_key, turn)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            new.id.as_bytes(),
            own,
            no,
            rows::origin_number(new.origin),
            status_number(Status::Queued),
            created_at.micros(),
            if held { ordering::HELD } else { new.due_at.micros() },
            new.version,
            event.as_bytes(),
            new.trigger.as_ref().map(TriggerName::as_str),
            new.replay.as_ref().map(model::ReplayId::as_bytes),
            lane,
            new.ordering_key,
            turn,
        ],
    )?;
    if deleted {
        burial::bury_one(ledger, new.id, *created_at)?;
    }
    Ok(())
}

// ---- reads ----

/// Followed by those of [`Content`].
const COLUMNS: &str = "e.id, e.no, e.project";

/// Where those of [`Content`] begin.
const CONTENT: usize = 3;

/// A cursor: after the event of this time and row. (Rows alone would do, but that their numbers may be
/// used again.)
fn place(received_at: i64, no: i64) -> String {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&received_at.to_be_bytes());
    key[8..].copy_from_slice(&no.to_be_bytes());
    List::Events.cursor(&key)
}

fn parse_place(cursor: &str) -> Result<(i64, i64), Error> {
    let key = List::Events.fixed::<16>(cursor)?;
    let (received_at, no) = key.split_at(8);
    let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |all, byte| all << 8 | i64::from(*byte));
    Ok((number(received_at), number(no)))
}

fn read(row: &Row<'_>) -> Result<StoredEvent, Fail> {
    let id = row.get(0)?;
    let content = Content::checked(row, CONTENT, row.get(2)?, &id)?;
    Ok(StoredEvent {
        id: EventId::from_bytes(id),
        received_at: time(content.received_at),
        cursor: place(content.received_at, row.get(1)?),
        event: Event {
            id: content.sender_id.into(),
            source: content.source.into(),
            kind: content.kind.into(),
            record: content.record.into(),
        },
    })
}

/// In the order of their arrival.
struct ByArrival;

impl Listing for ByArrival {
    type Key = (i64, i64);
    type Item = StoredEvent;

    fn key(row: &Row<'_>) -> Result<(i64, i64), Fail> {
        Ok((row.get(CONTENT)?, row.get(1)?))
    }

    fn cursor((received_at, no): (i64, i64)) -> String {
        place(received_at, no)
    }

    fn read(row: &Row<'_>) -> Result<StoredEvent, Fail> {
        read(row)
    }

    fn bytes(item: &StoredEvent) -> usize {
        item.event.record.len()
    }
}

pub(super) fn event(
    conn: &Connection,
    project: &Project,
    id: EventId,
) -> Result<Option<StoredEvent>, Fail> {
    let sql = format!(
        "SELECT {COLUMNS}, {} FROM events e
         WHERE e.project = (SELECT no FROM projects WHERE name = ?1) AND e.id = ?2",
        Content::COLUMNS
    );
    first(conn, &sql, params![project.as_str(), id.as_bytes()], read)
}

/// In the order of their arrival. A page may have fewer items than asked for, and yet a page after it:
/// records are large.
pub(super) fn events(
    conn: &Connection,
    damage: &Damage,
    project: &Project,
    filter: &EventFilter,
    page: &Page,
) -> Result<Listed<StoredEvent>, Error> {
    let failed = |fail: Fail| super::failed("list events", &fail);
    let after = match &page.cursor {
        Some(cursor) => parse_place(cursor)?,
        // Before every row of that time.
        None => (filter.from.map_or(i64::MIN, |from| from.micros()), i64::MIN),
    };
    let sql = format!(
        "SELECT {COLUMNS}, {} FROM events e INDEXED BY events_by_arrival
         WHERE e.project = (SELECT no FROM projects WHERE name = ?1)
           AND (e.received_at, e.no) > (?2, ?3) AND e.received_at < ?4
           AND (?5 IS NULL OR e.source = ?5) AND (?6 IS NULL OR e.kind = ?6)
         ORDER BY e.received_at, e.no LIMIT ?7",
        Content::COLUMNS
    );
    let limit = super::limit_of(page);
    let read_rows = || -> Result<Listed<StoredEvent>, Fail> {
        let mut statement = conn.prepare_cached(&sql)?;
        let found = statement.query(params![
            project.as_str(),
            after.0,
            after.1,
            filter.to.map_or(i64::MAX, |to| to.micros()),
            filter.source,
            filter.kind,
            rows::count(limit + 1),
        ])?;
        Walk { table: "events", order: Ordering::Greater, from: after, limit, damage }
            .page::<ByArrival>(found)
    };
    read_rows().map_err(failed)
}
