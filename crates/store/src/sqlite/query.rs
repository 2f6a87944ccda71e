//! Two ways to ask, with rows that can fail to be read.

use rusqlite::{Connection, Params, Row};

use super::ledger::Fail;

/// Every row.
pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fail>,
) -> Result<Vec<T>, Fail> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row, if there is one.
pub(super) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Fail>,
) -> Result<Option<T>, Fail> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Writes, and tells how many rows changed.
pub(super) fn run(conn: &Connection, sql: &str, params: impl Params) -> Result<usize, Fail> {
    Ok(conn.prepare_cached(sql)?.execute(params)?)
}
