//! Keys: those that let somebody in, and those that make equal calls one.

use bytes::Bytes;
use model::{InvocationId, KeyName, Project, Timestamp, limits};
use rusqlite::{Connection, params};

use super::ledger::{Fail, Ledger};
use super::query::{all, first, run};
use super::rows::{self, time, trusted};
use crate::{CallKey, CallKeyState, CallRecord, Key, NewKey};

// ---- API keys ----

/// False if the project has a key of this name.
pub(super) fn create_key(ledger: &mut Ledger, new: &NewKey) -> Result<bool, Fail> {
    let project = ledger.project(&new.key.project)?;
    let sql = "INSERT INTO keys (project, name, hash, created_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO NOTHING";
    let (name, created_at) = (new.key.name.as_str(), new.key.created_at.micros());
    Ok(run(&ledger.conn, sql, params![project, name, new.hash, created_at])? > 0)
}

pub(super) fn delete_key(ledger: &mut Ledger, project: &Project, name: &str) -> Result<bool, Fail> {
    let project = ledger.project(project)?;
    let sql = "DELETE FROM keys WHERE project = ?1 AND name = ?2";
    Ok(run(&ledger.conn, sql, params![project, name])? > 0)
}

pub(super) fn keys(conn: &Connection) -> Result<Vec<Key>, Fail> {
    let sql = "SELECT p.name, k.name, k.hash, k.created_at
               FROM keys k JOIN projects p ON p.no = k.project ORDER BY p.name, k.name";
    all(conn, sql, [], |row| {
        let project: String = row.get(0)?;
        let name: String = row.get(1)?;
        Ok(Key {
            project: trusted("projects", Project::parse(&project))?,
            name: trusted("keys", KeyName::parse(&name))?,
            hash: row.get(2)?,
            created_at: time(row.get(3)?),
        })
    })
}

// ---- keys of calls ----

pub(super) fn begin_call(
    ledger: &mut Ledger,
    key: &CallKey,
    invocation: InvocationId,
    now: Timestamp,
) -> Result<CallKeyState, Fail> {
    let Some(function) = ledger.function(key.function)? else {
        return Err(Fail::Refused(format!("the {:?} is not in the catalogue", key.function)));
    };
    let sql = "SELECT no, body, invocation, begun_at, answered, fault, result FROM call_keys
               WHERE function = ?1 AND key = ?2";
    let found = first(&ledger.conn, sql, params![function.no, key.key], |row| {
        let holder = InvocationId::from_bytes(row.get(2)?);
        let state = if row.get::<_, [u8; 32]>(1)? != key.body {
            CallKeyState::OtherBody
        } else if row.get::<_, bool>(4)? {
            let outcome = match row.get::<_, Option<String>>(5)? {
                Some(fault) => Err(rows::fault(&fault)?),
                None => Ok(row.get::<_, Option<Vec<u8>>>(6)?.map(Bytes::from).unwrap_or_default()),
            };
            CallKeyState::Answered { invocation: holder, outcome }
        } else if holder == invocation {
            CallKeyState::Taken
        } else {
            CallKeyState::Begun { invocation: holder }
        };
        Ok((row.get::<_, i64>(0)?, time(row.get(3)?), state))
    })?;
    if let Some((no, begun_at, state)) = found {
        if now.since(begun_at) < limits::IDEMPOTENCY_WINDOW {
            return Ok(state);
        }
        run(&ledger.conn, "DELETE FROM call_keys WHERE no = ?1", [no])?;
    }
    run(
        &ledger.conn,
        "INSERT INTO call_keys (function, key, body, invocation, begun_at, answered)
         VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        params![function.no, key.key, key.body, invocation.as_bytes(), now.micros()],
    )?;
    Ok(CallKeyState::Taken)
}

/// Gives back a key that was taken for a call that then did not run.
pub(super) fn release_call(
    ledger: &mut Ledger,
    key: &CallKey,
    invocation: InvocationId,
) -> Result<bool, Fail> {
    let sql = "DELETE FROM call_keys
               WHERE function = (SELECT no FROM functions WHERE id = ?1) AND key = ?2
                 AND invocation = ?3 AND answered = 0";
    let params = params![key.function.as_bytes(), key.key, invocation.as_bytes()];
    Ok(run(&ledger.conn, sql, params)? > 0)
}

/// The whole answer, however large: a second caller was promised it. Only the call that holds the
/// key gives it its answer.
pub(super) fn answer_call(
    ledger: &Ledger,
    key: &CallKey,
    function: i64,
    call: &CallRecord,
) -> Result<(), Fail> {
    run(
        &ledger.conn,
        "UPDATE call_keys SET answered = 1, fault = ?4, result = ?5
         WHERE function = ?1 AND key = ?2 AND invocation = ?3 AND answered = 0",
        params![
            function,
            key.key,
            call.id.as_bytes(),
            call.attempt.fault.as_ref().map(rows::fault_text).transpose()?,
            call.result.as_deref(),
        ],
    )?;
    Ok(())
}
