//! The schema and its migrations.
//!
//! The schema's number is SQLite's own `user_version`. Each migration that was applied is noted
//! with the checksum of its text, so that a data folder whose history is not this program's (a
//! build from a branch, say) is refused and not misread.

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

/// Number n is at index n - 1. A migration that was released is never edited.
const MIGRATIONS: [&str; 2] =
    [include_str!("migrations/0001_start.sql"), include_str!("migrations/0002_sources.sql")];

#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("it has schema {found}, and this program knows up to {known}")]
    Newer { found: i64, known: i64 },
    #[error("migration {number} was applied in another form than this program has")]
    Foreign { number: i64 },
    #[error("its structure is damaged: {why}")]
    Unsound { why: String },
    #[error(
        "its file system cannot share memory between connections: SQLite offers {mode}, not wal"
    )]
    NoWal { mode: String },
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
}

/// Brings the database to the newest schema.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), SchemaError> {
    apply(conn, &MIGRATIONS)
}

/// Leaves the database as a program left it that knew `count` migrations.
#[cfg(test)]
pub(super) fn migrate_to(conn: &mut Connection, count: usize) -> Result<(), SchemaError> {
    apply(conn, &MIGRATIONS[..count])
}

fn apply(conn: &mut Connection, migrations: &[&str]) -> Result<(), SchemaError> {
    let known = (1..).zip(migrations.iter().copied());
    let newest = known.clone().last().map_or(0, |(number, _)| number);
    // One transaction: a migration that fails halfway leaves what was there before.
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > newest {
        return Err(SchemaError::Newer { found, known: newest });
    }
    if (1..newest).contains(&found) {
        // A large ledger is made anew at some 50,000 invocations a second, and whoever waits for
        // the start wants to know.
        tracing::info!(from = found, to = newest, "bringing the database to the newest schema");
    }
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
             number   INTEGER PRIMARY KEY,
             checksum TEXT NOT NULL
         ) STRICT",
    )?;
    for (number, sql) in known {
        let checksum = checksum(sql);
        if number > found {
            tx.execute_batch(sql)?;
            tx.execute("INSERT INTO migrations VALUES (?1, ?2)", params![number, checksum])?;
            tx.pragma_update(None, "user_version", number)?;
            continue;
        }
        let sql = "SELECT checksum = ?2 FROM migrations WHERE number = ?1";
        let same = tx.query_row(sql, params![number, checksum], |row| row.get(0));
        match same {
            Ok(true) => {}
            Ok(false) | Err(rusqlite::Error::QueryReturnedNoRows) => {
                return Err(SchemaError::Foreign { number });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tx.commit()?)
}

fn checksum(sql: &str) -> String {
    model::function::Digest(Sha256::digest(sql.as_bytes()).into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(conn: &Connection) -> i64 {
        conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        migrate(&mut conn).unwrap();
        assert_eq!(version(&conn), 2);
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        let refused = migrate(&mut conn).unwrap_err();
        assert!(matches!(refused, SchemaError::Newer { found: 99, known: 2 }));
        assert_eq!(version(&conn), 99);
    }

    #[test]
    fn a_migration_of_another_text_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        conn.execute("UPDATE migrations SET checksum = 'other'", []).unwrap();
        let refused = migrate(&mut conn).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "migration 1 was applied in another form than this program has"
        );
    }
}
