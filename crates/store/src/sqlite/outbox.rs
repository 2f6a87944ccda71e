//! Destinations, and the messages that go there (or anywhere) because an invocation ended.
//!
//! A message waits, is leased for a try, and ends as sent or given up. Its lease is nothing but a
//! later due time: when that comes and nobody has said how the try went, it is tried again. A try
//! has a number, so that the report of one that was given up for lost changes nothing.

use bytes::Bytes;
use model::{FunctionId, InvocationId, MessageId, Project, Timestamp, WorkerId, limits};
use rusqlite::{Connection, params};

use super::events;
use super::ledger::{Fail, Ledger};
use super::query::{all, first, run};
use super::rows::{self, time, trusted};
use crate::{
    Appended, CLAIM_BYTES, Destinations, Message, MessageOutcome, MessageState, MessageStatus,
    NewEvent, NewMessage, Target, failpoint,
};

/// An error of a try as it is kept: a sentence or two. Some servers answer with a page.
const ERROR_BYTES: usize = 1_024;

// ---- destinations ----

/// False if there is no such function.
pub(super) fn put_destinations(
    ledger: &mut Ledger,
    function: FunctionId,
    destinations: &Destinations,
) -> Result<bool, Fail> {
    let Some(function) = ledger.function(function)?.filter(|found| !found.deleted) else {
        return Ok(false);
    };
    remove_destinations(ledger, function.no)?;
    for (outcome, target) in [(0, &destinations.on_failure), (1, &destinations.on_success)] {
        if let Some(target) = target {
            let sql = "INSERT INTO destinations (function, outcome, target, sealed)
                       VALUES (?1, ?2, ?3, ?4)";
            let text = rows::target_text(target)?;
            run(&ledger.conn, sql, params![function.no, outcome, text, target.sealed.as_deref()])?;
        }
    }
    Ok(true)
}

pub(super) fn remove_destinations(ledger: &Ledger, function: i64) -> Result<(), Fail> {
    run(&ledger.conn, "DELETE FROM destinations WHERE function = ?1", [function]).map(drop)
}

/// Those of all functions that are there: function, whether for successes, target.
pub(super) fn destinations(conn: &Connection) -> Result<Vec<(FunctionId, bool, Target)>, Fail> {
    let sql = "SELECT f.id, d.outcome, d.target, d.sealed
               FROM destinations d JOIN functions f ON f.no = d.function
               WHERE f.deleted_at IS NULL ORDER BY f.no, d.outcome";
    all(conn, sql, [], |row| {
        let sealed: Option<Vec<u8>> = row.get(3)?;
        Ok((
            FunctionId::from_bytes(row.get(0)?),
            row.get(1)?,
            rows::target(&row.get::<_, String>(2)?, sealed.map(Bytes::from))?,
        ))
    })
}

// ---- messages: writes ----

/// Whose messages they are, as rows.
pub(super) struct Sender {
    pub(super) project: i64,
    pub(super) function: i64,
}

/// Puts messages into the outbox, in the transaction that ends the attempt.
pub(super) fn put(
    ledger: &Ledger,
    invocation: InvocationId,
    sender: &Sender,
    messages: &[NewMessage],
    now: Timestamp,
) -> Result<(), Fail> {
    let sql = "INSERT INTO outbox (id, project, function, invocation, purpose, created_at, due_at,
                                   tries, status, target, sealed, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0, 0, ?7, ?8, ?9)";
    for message in messages {
        let params = params![
            message.id.as_bytes(),
            sender.project,
            sender.function,
            invocation.as_bytes(),
            rows::purpose_number(message.purpose),
            now.micros(),
            rows::target_text(&message.target)?,
            message.target.sealed.as_deref(),
            &*message.body,
        ];
        run(&ledger.conn, sql, params)?;
    }
    Ok(())
}

pub(super) fn claim(
    ledger: &Ledger,
    worker: WorkerId,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Message>, Fail> {
    let sql = "SELECT no FROM outbox INDEXED BY outbox_due
               WHERE status = 0 AND due_at <= ?1 ORDER BY due_at, no LIMIT ?2";
    let params = params![now.micros(), rows::count(limit)];
    let due: Vec<i64> = all(&ledger.conn, sql, params, |row| Ok(row.get(0)?))?;
    let (mut claimed, mut bytes) = (Vec::with_capacity(due.len()), 0);
    for no in due {
        if bytes >= CLAIM_BYTES {
            break;
        }
        let sql = "UPDATE outbox SET tries = tries + 1, due_at = ?2, worker = ?3 WHERE no = ?1";
        run(&ledger.conn, sql, params![no, until.micros(), worker.as_bytes()])?;
        let message = read(&ledger.conn, no)?;
        bytes += message.as_ref().map_or(0, |message| message.body.len());
        claimed.extend(message);
    }
    Ok(claimed)
}

fn read(conn: &Connection, no: i64) -> Result<Option<Message>, Fail> {
    let sql = "SELECT m.id, p.name, f.id, m.invocation, m.purpose, m.target, m.sealed, m.body,
                      m.created_at, m.tries
               FROM outbox m
               JOIN projects p ON p.no = m.project JOIN functions f ON f.no = m.function
               WHERE m.no = ?1";
    first(conn, sql, [no], |row| {
        let project: String = row.get(1)?;
        let sealed: Option<Vec<u8>> = row.get(6)?;
        Ok(Message {
            id: MessageId::from_bytes(row.get(0)?),
            project: trusted("projects", Project::parse(&project))?,
            function: FunctionId::from_bytes(row.get(2)?),
            invocation: InvocationId::from_bytes(row.get(3)?),
            purpose: rows::purpose_of(row.get(4)?)?,
            target: rows::target(&row.get::<_, String>(5)?, sealed.map(Bytes::from))?,
            body: Bytes::from(row.get::<_, Vec<u8>>(7)?),
            created_at: time(row.get(8)?),
            tries: row.get(9)?,
        })
    })
}

/// False if that try is not the one that is made now.
pub(super) fn settle(
    ledger: &Ledger,
    message: MessageId,
    tries: u32,
    outcome: &MessageOutcome,
    now: Timestamp,
) -> Result<bool, Fail> {
    let (status, due_at, ended_at, error) = match outcome {
        MessageOutcome::Sent => (1, None, Some(now), None),
        MessageOutcome::RetryAt { at, error } => (0, Some(*at), None, Some(error)),
        MessageOutcome::GaveUp { error } => (2, None, Some(now), Some(error)),
    };
    let sql = "UPDATE outbox
               SET status = ?3, due_at = coalesce(?4, due_at), ended_at = ?5, error = ?6,
                   worker = NULL
               WHERE id = ?1 AND status = 0 AND tries = ?2 AND worker IS NOT NULL";
    let params = params![
        message.as_bytes(),
        tries,
        status,
        due_at.map(Timestamp::micros),
        ended_at.map(Timestamp::micros),
        error.map(|error| &error[..error.floor_char_boundary(ERROR_BYTES)]),
    ];
    Ok(run(&ledger.conn, sql, params)? > 0)
}

/// Stores the event that the message is, and ends the message. None if it does not wait.
pub(super) fn deliver_event(
    ledger: &mut Ledger,
    message: MessageId,
    event: &NewEvent,
) -> Result<Option<Appended>, Fail> {
    let sql = "UPDATE outbox SET status = 1, ended_at = ?2, error = NULL, worker = NULL
               WHERE id = ?1 AND status = 0";
    let at = event.received_at.micros();
    if run(&ledger.conn, sql, params![message.as_bytes(), at])? == 0 {
        return Ok(None);
    }
    failpoint!("deliver_event.before_event");
    Ok(events::append(ledger, std::slice::from_ref(event))?.pop())
}

/// Makes what other workers than this one had leased due again.
pub(super) fn take_back(ledger: &Ledger, alive: WorkerId, now: Timestamp) -> Result<(), Fail> {
    let sql = "UPDATE outbox SET due_at = ?2, worker = NULL
               WHERE status = 0 AND worker IS NOT NULL AND worker IS NOT ?1";
    run(&ledger.conn, sql, params![alive.as_bytes(), now.micros()]).map(drop)
}

// ---- messages: reads ----

pub(super) fn due(conn: &Connection) -> Result<Option<Timestamp>, Fail> {
    let sql = "SELECT due_at FROM outbox INDEXED BY outbox_due
               WHERE status = 0 ORDER BY due_at LIMIT 1";
    first(conn, sql, [], |row| Ok(time(row.get(0)?)))
}

pub(super) fn count(conn: &Connection) -> Result<u64, Fail> {
    let sql = "SELECT count(*) FROM outbox INDEXED BY outbox_due WHERE status = 0";
    Ok(first(conn, sql, [], |row| Ok(rows::unsigned(row.get(0)?)))?.unwrap_or(0))
}

pub(super) fn messages_of(
    conn: &Connection,
    project: &Project,
    invocation: InvocationId,
) -> Result<Vec<MessageState>, Fail> {
    let sql = "SELECT m.id, m.purpose, m.target, length(m.body), m.created_at, m.due_at, m.tries,
                      m.status, m.ended_at, m.error
               FROM outbox m INDEXED BY outbox_by_invocation
               JOIN projects p ON p.no = m.project
               WHERE m.invocation = ?1 AND p.name = ?2 ORDER BY m.no LIMIT ?3";
    let most = rows::count(*limits::PAGE_ITEMS.end());
    all(conn, sql, params![invocation.as_bytes(), project.as_str(), most], |row| {
        let Target { kind, settings, .. } = rows::target(&row.get::<_, String>(2)?, None)?;
        let status = rows::message_status_of(row.get(7)?)?;
        let waits = status == MessageStatus::Waits;
        Ok(MessageState {
            id: MessageId::from_bytes(row.get(0)?),
            purpose: rows::purpose_of(row.get(1)?)?,
            kind,
            settings,
            body_bytes: rows::unsigned(row.get(3)?),
            created_at: time(row.get(4)?),
            due_at: waits.then_some(time(row.get(5)?)),
            tries: row.get(6)?,
            status,
            ended_at: row.get::<_, Option<i64>>(8)?.map(time),
            error: row.get(9)?,
        })
    })
}
