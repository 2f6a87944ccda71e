//! Log lines. Those that came together are one row: most attempts print a few lines, and a row
//! with its two index entries for each would cost more than everything else about the attempt.

use model::invocation::LogLine;
use model::{InvocationId, Project, Timestamp};
use rusqlite::{Connection, params};

use super::cursor::List;
use super::ledger::{Fail, Ledger};
use super::query::{first, run};
use super::rows;
use crate::{Error, Listed, LogAppend, LogOf, LoggedLine, Page};

/// Text of one row: a page that needs one line of it parses all of it.
const ROW_BYTES: usize = 64 * 1024;

/// Text of one page: a thousand lines of the longest kind would be 64 MiB.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

// ---- writes ----

pub(super) fn append(
    ledger: &Ledger,
    invocation: InvocationId,
    function: i64,
    attempt: u32,
    mut lines: &[LogLine],
) -> Result<(), Fail> {
    while !lines.is_empty() {
        let mut bytes = 0;
        let fits = lines.iter().take_while(|line| {
            bytes += line.text.len();
            bytes <= ROW_BYTES
        });
        let (chunk, rest) = lines.split_at(fits.count().max(1)); // a long line has its own row
        let last_at = chunk.iter().map(|line| line.at.micros()).max();
        run(
            &ledger.conn,
            "INSERT INTO log (invocation, function, attempt, last_at, lines)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![invocation.as_bytes(), function, attempt, last_at, rows::lines_text(chunk)?],
        )?;
        lines = rest;
    }
    Ok(())
}

/// Lines of attempts that run. A function that the catalogue never had has no log.
pub(super) fn append_all(ledger: &mut Ledger, appends: &[LogAppend]) -> Result<(), Fail> {
    for LogAppend { invocation, function, attempt, lines } in appends {
        if let Some(function) = ledger.function(*function)? {
            append(ledger, *invocation, function.no, *attempt, lines)?;
        }
    }
    Ok(())
}

// ---- reads ----

/// The first line that was not read yet: so many lines into this row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Position {
    row: i64,
    line: u32,
}

impl Position {
    fn read(cursor: Option<&str>) -> Result<Self, Error> {
        let Some(cursor) = cursor else { return Ok(Self { row: 0, line: 0 }) };
        let key: [u8; 12] = List::Log.fixed(cursor)?;
        let (row, line) = key.split_at(8);
        Ok(Self {
            row: i64::from_be_bytes(row.try_into().expect("the first 8 of 12 bytes")),
            line: u32::from_be_bytes(line.try_into().expect("the last 4 of 12 bytes")),
        })
    }

    fn cursor(self) -> String {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.row.to_be_bytes());
        key[8..].copy_from_slice(&self.line.to_be_bytes());
        List::Log.cursor(&key)
    }
}

/// Oldest first, in the order in which lines were committed, so that a follower misses none. There
/// is always a next cursor; it stands still at the end.
pub(super) fn log(
    conn: &Connection,
    project: &Project,
    of: LogOf,
    page: &Page,
) -> Result<Listed<LoggedLine>, Error> {
    let from = Position::read(page.cursor.as_deref())?;
    walk(conn, project, of, from, super::limit_of(page))
        .map_err(|fail| super::failed("read the log", &fail))
}

fn walk(
    conn: &Connection,
    project: &Project,
    of: LogOf,
    mut position: Position,
    limit: usize,
) -> Result<Listed<LoggedLine>, Fail> {
    let (sql, key, since) = match of {
        LogOf::Invocation(invocation) => (
            "SELECT l.no, l.invocation, l.attempt, l.lines
             FROM log l INDEXED BY log_by_invocation
             JOIN functions f ON f.no = l.function JOIN projects p ON p.no = f.project
             WHERE l.invocation = ?1 AND l.no >= ?2 AND l.last_at >= ?3 AND p.name = ?4
             ORDER BY l.no",
            *invocation.as_bytes(),
            None,
        ),
        LogOf::Function { function, since } => {
            let own = "SELECT 1 FROM functions f JOIN projects p ON p.no = f.project
                       WHERE f.id = ?1 AND p.name = ?2";
            let params = params![function.as_bytes(), project.as_str()];
            if first(conn, own, params, |_| Ok(()))?.is_none() {
                return Ok(Listed { items: Vec::new(), next: Some(position.cursor()) });
            }
            (
                "SELECT l.no, l.invocation, l.attempt, l.lines
                 FROM log l INDEXED BY log_by_function
                 WHERE l.function = (SELECT no FROM functions WHERE id = ?1)
                   AND l.no >= ?2 AND l.last_at >= ?3 AND ?4 IS NOT NULL
                 ORDER BY l.no",
                *function.as_bytes(),
                since,
            )
        }
    };
    let since = since.unwrap_or(Timestamp::from_micros(i64::MIN));
    let mut statement = conn.prepare_cached(sql)?;
    let mut found =
        statement.query(params![key, position.row, since.micros(), project.as_str()])?;
    let (mut items, mut bytes) = (Vec::new(), 0);
    'page: while let Some(row) = found.next()? {
        let no = row.get(0)?;
        let invocation = InvocationId::from_bytes(row.get(1)?);
        let attempt = row.get(2)?;
        let text = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        if no != position.row {
            position = Position { row: no, line: 0 };
        }
        for line in rows::lines(text)?.into_iter().skip(position.line as usize) {
            if items.len() == limit || bytes >= PAGE_BYTES {
                break 'page;
            }
            position.line += 1;
            if line.at >= since {
                bytes += line.text.len();
                items.push(LoggedLine { invocation, attempt, line });
            }
        }
    }
    Ok(Listed { items, next: Some(position.cursor()) })
}
