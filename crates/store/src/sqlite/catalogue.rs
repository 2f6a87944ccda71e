//! Functions, versions and triggers; and the whole catalogue, with destinations.

use model::function::{Digest, Trigger};
use model::{
    Fault, Function, FunctionId, FunctionName, Pattern, Project, Timestamp, TriggerName, Version,
};
use rusqlite::{Connection, Row, params};

use super::cursor::List;
use super::ledger::{Fail, Ledger};
use super::outbox;
use super::query::{all, first, run};
use super::rows::{self, time, trusted};
use crate::{Deploy, Deployed, Destinations, Error, Listed, Page};

// ---- writes ----

pub(super) fn deploy(ledger: &mut Ledger, deploy: &Deploy) -> Result<Function, Fail> {
    let project = ledger.project(&deploy.project)?;
    let conn = &ledger.conn;
    let live = "SELECT no, id, latest + 1, created_at FROM functions
                WHERE project = ?1 AND name = ?2 AND deleted_at IS NULL";
    let found = first(conn, live, params![project, deploy.name.as_str()], |row| {
        let id = FunctionId::from_bytes(row.get(1)?);
        Ok((row.get::<_, i64>(0)?, id, row.get::<_, u32>(2)?, time(row.get(3)?)))
    })?;
    let (no, id, number, created_at) = if let Some(found) = found {
        run(conn, "UPDATE functions SET latest = ?2 WHERE no = ?1", params![found.0, found.2])?;
        found
    } else {
        let sql = "INSERT INTO functions (id, project, name, created_at, latest)
                   VALUES (?1, ?2, ?3, ?4, 1)";
        let (name, now) = (deploy.name.as_str(), deploy.now.micros());
        run(conn, sql, params![deploy.id.as_bytes(), project, name, now])?;
        (conn.last_insert_rowid(), deploy.id, 1, deploy.now)
    };
    run(
        conn,
        "INSERT INTO versions (function, number, created_at, digest, size_bytes, file_name, config)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            no,
            number,
            deploy.now.micros(),
            deploy.code.digest.0,
            rows::signed(deploy.code.size_bytes),
            deploy.code.file_name,
            rows::config_text(&deploy.config)?
        ],
    )?;
    ledger.forget_function(id);
    Ok(Function {
        id,
        project: deploy.project.clone(),
        name: deploy.name.clone(),
        created_at,
        latest: Version {
            number,
            created_at: deploy.now,
            code: deploy.code.clone(),
            config: deploy.config.clone(),
        },
    })
}

/// Marks the function as deleted. What waits for it is buried by `burial::bury`.
pub(super) fn delete_function(
    ledger: &mut Ledger,
    id: FunctionId,
    fault: &Fault,
    now: Timestamp,
) -> Result<bool, Fail> {
    let Some(function) = ledger.function(id)?.filter(|found| !found.deleted) else {
        return Ok(false);
    };
    let conn = &ledger.conn;
    run(conn, "DELETE FROM triggers WHERE function = ?1", [function.no])?;
    run(conn, "DELETE FROM versions WHERE function = ?1", [function.no])?;
    outbox::remove_destinations(ledger, function.no)?;
    run(
        conn,
        "UPDATE functions SET deleted_at = ?2, deleted_fault = ?3 WHERE no = ?1",
        params![function.no, now.micros(), rows::fault_text(fault)?],
    )?;
    ledger.forget_function(id);
    Ok(true)
}

pub(super) fn put_trigger(ledger: &mut Ledger, trigger: &Trigger) -> Result<bool, Fail> {
    let Some(function) = ledger.function(trigger.function)?.filter(|found| !found.deleted) else {
        return Ok(false);
    };
    run(
        &ledger.conn,
        "INSERT INTO triggers (function, name, pattern, created_at, delivery)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (function, name)
         DO UPDATE SET pattern = excluded.pattern, created_at = excluded.created_at,
                       delivery = excluded.delivery",
        params![
            function.no,
            trigger.name.as_str(),
            trigger.pattern.to_string(),
            trigger.created_at.micros(),
            rows::delivery_text(&trigger.delivery)?
        ],
    )?;
    Ok(true)
}

pub(super) fn delete_trigger(
    ledger: &mut Ledger,
    function: FunctionId,
    name: &TriggerName,
) -> Result<bool, Fail> {
    let sql = "DELETE FROM triggers
               WHERE function = (SELECT no FROM functions WHERE id = ?1) AND name = ?2";
    Ok(run(&ledger.conn, sql, params![function.as_bytes(), name.as_str()])? > 0)
}

// ---- reads ----

/// The columns that [`read_function`] reads.
fn select_function(condition: &str) -> String {
    format!(
        "SELECT f.id, p.name, f.name, f.created_at, {}
         FROM functions f
         JOIN projects p ON p.no = f.project
         JOIN versions v ON v.function = f.no AND v.number = f.latest
         WHERE f.deleted_at IS NULL AND {condition}",
        rows::VERSION
    )
}

fn read_function(row: &Row<'_>) -> Result<Function, Fail> {
    let project: String = row.get(1)?;
    let name: String = row.get(2)?;
    Ok(Function {
        id: FunctionId::from_bytes(row.get(0)?),
        project: trusted("projects", Project::parse(&project))?,
        name: trusted("functions", FunctionName::parse(&name))?,
        created_at: time(row.get(3)?),
        latest: rows::version(row, 4)?,
    })
}

pub(super) fn function(
    conn: &Connection,
    project: &Project,
    name: &FunctionName,
) -> Result<Option<Function>, Fail> {
    let sql = select_function("p.name = ?1 AND f.name = ?2");
    first(conn, &sql, [project.as_str(), name.as_str()], read_function)
}

pub(super) fn functions(
    conn: &Connection,
    project: &Project,
    page: &Page,
) -> Result<Listed<Function>, Error> {
    let after = match &page.cursor {
        Some(cursor) => String::from_utf8(List::Functions.key(cursor)?)
            .map_err(|_not_a_name| Error::Cursor { cursor: cursor.clone() })?,
        None => String::new(),
    };
    let sql = select_function("p.name = ?1 AND f.name > ?2 ORDER BY f.name LIMIT ?3");
    let limit = super::limit_of(page);
    let params = params![project.as_str(), after, rows::count(limit + 1)];
    let items = all(conn, &sql, params, read_function).map_err(failed("list functions"))?;
    Ok(super::listed(items, limit, |last| List::Functions.cursor(last.name.as_str().as_bytes())))
}

pub(super) fn version(
    conn: &Connection,
    function: FunctionId,
    number: u32,
) -> Result<Option<Version>, Fail> {
    let sql = format!(
        "SELECT {} FROM functions f JOIN versions v ON v.function = f.no
         WHERE f.id = ?1 AND v.number = ?2",
        rows::VERSION
    );
    first(conn, &sql, params![function.as_bytes(), number], |row| rows::version(row, 0))
}

pub(super) fn versions(
    conn: &Connection,
    function: FunctionId,
    page: &Page,
) -> Result<Listed<Version>, Error> {
    let before = match &page.cursor {
        Some(cursor) => u32::from_be_bytes(List::Versions.fixed(cursor)?),
        None => u32::MAX,
    };
    let sql = format!(
        "SELECT {} FROM functions f JOIN versions v ON v.function = f.no
         WHERE f.id = ?1 AND v.number < ?2 ORDER BY v.number DESC LIMIT ?3",
        rows::VERSION
    );
    let limit = super::limit_of(page);
    let params = params![function.as_bytes(), before, rows::count(limit + 1)];
    let items = all(conn, &sql, params, |row| rows::version(row, 0));
    let items = items.map_err(failed("list versions"))?;
    Ok(super::listed(items, limit, |last| List::Versions.cursor(&last.number.to_be_bytes())))
}

pub(super) fn catalogue(conn: &Connection) -> Result<Vec<Deployed>, Fail> {
    let functions = all(conn, &select_function("true ORDER BY f.no"), [], read_function)?;
    // In the same order, so that the lists are merged in one walk.
    let sql = "SELECT f.id, t.name, t.pattern, t.created_at, t.delivery
               FROM functions f JOIN triggers t ON t.function = f.no
               WHERE f.deleted_at IS NULL ORDER BY f.no, t.name";
    let mut triggers = all(conn, sql, [], read_trigger)?.into_iter().peekable();
    let mut targets = outbox::destinations(conn)?.into_iter().peekable();
    let deployed = functions.into_iter().map(|function| {
        let mut own = Vec::new();
        while let Some(trigger) = triggers.next_if(|trigger| trigger.function == function.id) {
            own.push(trigger);
        }
        let mut destinations = Destinations::default();
        while let Some((_, success, target)) = targets.next_if(|(id, ..)| *id == function.id) {
            let place = match success {
                true => &mut destinations.on_success,
                false => &mut destinations.on_failure,
            };
            *place = Some(target);
        }
        Deployed { function, triggers: own, destinations }
    });
    Ok(deployed.collect())
}

fn read_trigger(row: &Row<'_>) -> Result<Trigger, Fail> {
    let name: String = row.get(1)?;
    let pattern: String = row.get(2)?;
    let delivery: Option<String> = row.get(4)?;
    Ok(Trigger {
        function: FunctionId::from_bytes(row.get(0)?),
        name: trusted("triggers", TriggerName::parse(&name))?,
        pattern: Pattern::parse(&pattern)
            .map_err(|invalid| Fail::Row { table: "triggers", why: invalid.to_string() })?,
        created_at: time(row.get(3)?),
        delivery: rows::delivery(delivery.as_deref())?,
    })
}

pub(super) fn code_in_use(conn: &Connection) -> Result<Vec<Digest>, Fail> {
    all(conn, "SELECT DISTINCT digest FROM versions", [], |row| Ok(Digest(row.get(0)?)))
}

fn failed(operation: &'static str) -> impl Fn(Fail) -> Error {
    move |fail| super::failed(operation, &fail)
}
