//! Damage: rows that are not what was written.
//!
//! SQLite notices when the structure of a page makes no sense. It keeps no checksum of what is in
//! the page, so a bit that flipped within a value is read as it is. That is why each event has a
//! checksum over all that is delivered or told of it ([`Content`]), which is looked at whenever
//! its record is read.
//!
//! A damaged row harms itself alone. A claim makes a dead letter of what waits for a damaged event;
//! a list leaves the row out; an invocation whose own row or index does not let itself be changed is
//! passed over from then on ([`alone`]). Each is told once in the log, and counted ([`Damage`]).
//!
//! What it does not do: it repairs nothing, and it does not look for what nobody reads. How a list
//! goes on is in [`super::walk`].

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use model::InvocationId;
use rusqlite::{ErrorCode, Row};

use super::ledger::{Fail, Ledger};
use super::rows;

/// Damaged rows that are remembered, so that each is told once. With so many the log has said
/// enough for a person to look, and the count stands still.
const REMEMBERED: usize = 1_024;

// ---- checksums ----

/// What is stored of an event, as its checksum sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'a> {
    /// The number of the project that asks for it.
    pub(super) project: i64,
    /// The id that it is asked for by.
    pub(super) id: &'a [u8; 16],
    pub(super) received_at: i64,
    pub(super) sender_id: &'a str,
    pub(super) source: &'a str,
    pub(super) kind: &'a str,
    pub(super) record: &'a str,
}

impl<'a> Content<'a> {
    /// The columns that [`Self::checked`] reads, of the table `events` as `e`.
    pub(super) const COLUMNS: &'static str =
        "e.received_at, e.sender_id, e.source, e.kind, e.record, e.crc";

    /// CRC-32, which finds every flip of one bit and nearly every other change.
    pub(super) fn checksum(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        sum.update(&self.project.to_le_bytes());
        sum.update(self.id);
        sum.update(&self.received_at.to_le_bytes());
        for text in [self.sender_id, self.source, self.kind] {
            // With its length: a row's header says where one text ends and the next begins, and may
            // be what was damaged.
            sum.update(&rows::signed(text.len() as u64).to_le_bytes());
            sum.update(text.as_bytes());
        }
        sum.update(self.record.as_bytes());
        sum.finalize()
    }

    /// An event from those columns, which start at `first`, if it is what was written. One that was
    /// stored before there were checksums is taken for what it says.
    pub(super) fn checked(
        row: &'a Row<'_>,
        first: usize,
        project: i64,
        id: &'a [u8; 16],
    ) -> Result<Self, Fail> {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let content = Self {
            project,
            id,
            received_at: row.get(first)?,
            sender_id: text(first + 1)?,
            source: text(first + 2)?,
            kind: text(first + 3)?,
            record: text(first + 4)?,
        };
        let (found, written) = (content.checksum(), row.get::<_, Option<u32>>(first + 5)?);
        if written.is_some_and(|written| written != found) {
            let why = format!(
                "its checksum is {found:08x} and was {:08x} when it was written",
                written.unwrap_or(found)
            );
            return Err(Fail::Row { table: "events", why });
        }
        Ok(content)
    }
}

// ---- what it looks like ----

/// Whether what failed is the row's own fault, and not the disk's, the memory's or this program's.
pub(super) fn is_damage(fail: &Fail) -> bool {
    match fail {
        Fail::Row { .. } => true,
        Fail::Refused(_) | Fail::Disorder { .. } => false,
        Fail::Sql(
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..),
        ) => true,
        // Too big is a length that no row of ours has; a constraint is met by a row whose number of
        // transitions, say, is not what it was.
        Fail::Sql(error) => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::TooBig | ErrorCode::ConstraintViolation)
        ),
    }
}

/// Whether the file itself makes no sense: a person has to look.
pub(super) fn is_of_the_file(fail: &Fail) -> bool {
    match fail {
        Fail::Disorder { .. } => true,
        Fail::Row { .. } | Fail::Refused(_) => false,
        Fail::Sql(error) => is_corrupt(error),
    }
}

/// Whether a page is: SQLite refuses to commit the transaction that met it.
pub(super) fn is_malformed(fail: &Fail) -> bool {
    let Fail::Sql(error) = fail else { return false };
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

// ---- who met it ----

/// The damaged rows that were met since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Damage {
    met: Mutex<HashSet<(&'static str, String)>>,
}

impl Damage {
    /// Tells of a row, the first time that it is met.
    pub(super) fn meet(&self, table: &'static str, row: &impl Display, why: &Fail) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() >= REMEMBERED {
            return;
        }
        let row = row.to_string();
        let new = met.insert((table, row.clone()));
        let full = met.len() == REMEMBERED;
        drop(met);
        if new {
            tracing::warn!(table, row, "a damaged row is left out: {why}");
        }
        if full {
            tracing::error!(
                rows = REMEMBERED,
                "so many rows are damaged that no more are told of: restore a backup"
            );
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}

/// Does something to one invocation of several, in a job that may be run `again`: then the others
/// must not suffer from this one. None if it is damaged; it is passed over from then on.
///
/// The first run has no savepoint, since that copies every page that is touched. It fails, and the
/// writer runs it again. A malformed page costs the transaction even then, so there is a third run.
pub(super) fn alone<T>(
    ledger: &mut Ledger,
    id: InvocationId,
    again: bool,
    work: impl FnOnce(&mut Ledger) -> Result<T, Fail>,
) -> Result<Option<T>, Fail> {
    if !again {
        return work(ledger).map(Some);
    }
    let learned = ledger.learned();
    ledger.execute("SAVEPOINT one")?;
    let outcome = match work(ledger) {
        Ok(done) => Some(done),
        // The transaction is lost, and not what was learned by it.
        Err(fail) if is_malformed(&fail) => {
            if ledger.learned() == learned && ledger.pass_over(id) {
                ledger.damage.meet("invocations", &id, &fail);
            }
            return Err(fail);
        }
        Err(fail) if is_damage(&fail) && !ledger.conn.is_autocommit() && ledger.pass_over(id) => {
            ledger.execute("ROLLBACK TO one")?;
            ledger.damage.meet("invocations", &id, &fail);
            None
        }
        Err(fail) => return Err(fail),
    };
    ledger.execute("RELEASE one")?;
    Ok(outcome)
}
