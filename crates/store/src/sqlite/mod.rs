//! The embedded store: SQLite, in one file.
//!
//! A write goes through the [`queue`] to the one [`writer`] thread, which commits what has queued
//! up in one transaction with one fsync; a read goes to one of a few [`readers`], which never wait
//! for it. The operations themselves are plain functions over a connection, by subject:
//! [`catalogue`], [`sources`], [`events`], [`ordering`], [`lease`], [`settle`], [`outbox`],
//! [`burial`], [`logs`], [`keys`], [`reads`], [`replays`], [`sweep`];
//! [`rows`] says how values look in columns, and [`invocations`] is the one way to change an
//! invocation's status. [`folder`] keeps a second process out, [`schema`] migrates, [`damage`] says
//! what becomes of what the disk has changed.
//!
//! # One file
//!
//! The catalogue and the ledger share `lambent.db`. Two files would give each its own writer, so
//! that a deploy did not queue behind events; but SQLite cannot commit to two WAL files at once,
//! and a function's deletion would then leave invocations that nobody ever runs, if the power
//! failed between the two. A deploy waits for one group commit, some milliseconds.
//!
//! # Settings
//!
//! WAL, so that reads and writes do not wait for each other. `synchronous = FULL`, since with NORMAL
//! a power cut takes commits that were acknowledged. No mmap: an I/O error would be a signal
//! instead of a result. `trusted_schema = OFF` and checked cells, since a data folder may come
//! from elsewhere. Foreign keys in the catalogue only. Plans that do not depend on the values bound
//! (QPSG): otherwise SQLite compiles some statements again whenever they are given new ones.

mod burial;
mod catalogue;
mod cursor;
mod damage;
mod events;
mod folder;
mod invocations;
mod keys;
mod lease;
mod ledger;
mod logs;
mod ordering;
mod outbox;
mod query;
mod queue;
mod readers;
mod reads;
mod replays;
mod rows;
mod schema;
mod settle;
mod sources;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Timestamp, limits};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use self::damage::Damage;
use self::folder::Lock;
use self::ledger::{Fail, Ledger};
use self::queue::{Admission, Haste, Queue};
use self::readers::Readers;
use self::schema::SchemaError;
use self::writer::{Operation, Work, Writer};
use crate::{BUSY, Error, Listed, Page};

/// Before it, a WAL database can be corrupted when a commit resets the log during a checkpoint.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The writer's page cache: the right edges of all trees, and the inner nodes of a few million
/// rows. It fills as it is used.
const CACHE_KIB: i64 = 32 * 1024;

/// After an end that was none of its own doing, a database of up to this size is looked through at the
/// start: at some 300 MB/s, three seconds. A larger one would keep the service away for longer than
/// the doubt is worth.
const CHECKED_BYTES: u64 = 1 << 30;

/// Statements that the writer keeps compiled: more than there are.
const STATEMENTS: usize = 128;

/// The store of one machine. Dropping it commits what waits, and then lets go of the folder.
#[derive(Debug)]
pub struct Sqlite {
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    writer: Option<JoinHandle<()>>,
    damage: Arc<Damage>,
    /// Let go of last.
    lock: Option<Lock>,
}

impl Sqlite {
    /// Opens the store in this folder, and makes both where they are missing.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let lock = folder::take(folder)?;
        Self::open_with(folder, Some(lock))
    }

    /// Opens it beside a process that may have it open, for a moment's change of what that process
    /// reads anew (the keys). Never for the ledger, which has one master.
    pub fn open_beside(folder: &Path) -> Result<Self, Error> {
        Self::open_with(folder, None)
    }

    /// Whether a process has the store in this folder open as its own.
    pub fn is_in_use(folder: &Path) -> bool {
        folder::is_taken(folder)
    }

    fn open_with(folder: &Path, lock: Option<Lock>) -> Result<Self, Error> {
        let refused = |why: String| Error::Open { path: folder.to_owned(), why };
        if rusqlite::version_number() < OLDEST_SQLITE {
            let version = rusqlite::version();
            return Err(refused(format!(
                "SQLite {version} can corrupt it; 3.51.3 or later is needed"
            )));
        }
        let path = folder.join("lambent.db");
        let in_doubt = lock.as_ref().is_some_and(Lock::is_left_behind);
        let conn = prepare(&path, in_doubt).map_err(|error| match error {
            SchemaError::Newer { found, known } => {
                Error::Newer { path: folder.to_owned(), found, known }
            }
            SchemaError::Unsound { why } => Error::Unsound { path: folder.to_owned(), why },
            SchemaError::Sql(error) if damage::is_corrupt(&error) => {
                Error::Unsound { path: folder.to_owned(), why: error.to_string() }
            }
            SchemaError::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                Error::Full { path: folder.to_owned() }
            }
            other => refused(other.to_string()),
        })?;
        // The database's own entry in the folder must survive, too.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| refused(format!("it cannot be synced ({error})")))?;
        let queue = Arc::new(Queue::new());
        let damage = Arc::new(Damage::default());
        let writer = Writer::new(Ledger::new(conn, Arc::clone(&damage)), folder.to_owned())
            .map_err(|error| refused(error.to_string()))?;
        let writer = {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name("store writer".into());
            thread.spawn(move || writer.serve(&queue))
        };
        let writer = writer.map_err(|error| refused(format!("no thread can be made ({error})")))?;
        Ok(Self { queue, readers: Readers::new(path), writer: Some(writer), damage, lock })
    }

    /// Hands a function to the writer and waits for its commit.
    async fn write<T: Send + 'static>(
        &self,
        operation: Operation,
        hurry: (Admission, Haste),
        bytes: usize,
        run: impl FnMut(&mut Ledger) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, Error> {
        let (job, answer) = Work::new(operation, run);
        self.queue.put(job, bytes, hurry.0, hurry.1).await?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, Error> {
        let read = move |conn: &Connection| read(conn).map_err(|fail| failed(operation, &fail));
        self.readers.read(operation, read).await
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // It never panics and returns: see `writer::NoSilentDeath`.
            drop(writer.join());
        }
        if let Some(lock) = &mut self.lock {
            lock.ends_well();
        }
    }
}

/// The writer's connection, with the newest schema.
fn prepare(path: &Path, in_doubt: bool) -> Result<Connection, SchemaError> {
    // Environments of functions are in it: nobody else may read it. SQLite gives its other files
    // the same mode. If this fails, the next line says why.
    drop(OpenOptions::new().append(true).create(true).mode(0o600).open(path));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(SchemaError::NoWal { mode });
    }
    settings(&conn)?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    if in_doubt {
        look_through(&conn, path)?;
    }
    schema::migrate(&mut conn)?;
    Ok(conn)
}

/// Whether the structure of the database is sound. A process that found out when it committed has
/// ended, and would end again and again: better one sentence.
fn look_through(conn: &Connection, path: &Path) -> Result<(), SchemaError> {
    let bytes = path.metadata().map_or(0, |found| found.len());
    let mib = bytes >> 20;
    if bytes > CHECKED_BYTES {
        tracing::info!(mib, "the last process was ended; the database is too large to be checked");
        return Ok(());
    }
    tracing::info!(mib, "the last process was ended: checking the database");
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(SchemaError::Unsound { why: found.lines().collect::<Vec<_>>().join(" ") })
}

/// What every connection has in common.
fn settings(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))
}

fn failed(operation: &'static str, fail: &Fail) -> Error {
    let why = fail.to_string();
    if damage::is_of_the_file(fail) {
        return Error::Damaged { operation, why };
    }
    Error::Failed { operation, why }
}

/// A page's size within its limits.
fn limit_of(page: &Page) -> usize {
    page.limit.clamp(*limits::PAGE_ITEMS.start(), *limits::PAGE_ITEMS.end())
}

/// A page of `limit` items, of which one more was asked for, to know whether there is a next page.
fn listed<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Listed<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(cursor) } else { None };
    Listed { items, next }
}

/// How far an id's time may be from the time that its row tells: the two are taken from the clock
/// one after the other, and clocks are set back now and then.
const SLACK: Duration = Duration::from_secs(60);

/// No id of something from `at` or later is smaller.
fn earliest_id(at: Timestamp) -> [u8; 16] {
    id_of(at.minus(SLACK), 0)
}

/// No id of something from before `at` is larger.
fn latest_id(at: Timestamp) -> [u8; 16] {
    id_of(at.plus(SLACK), 0xff)
}

/// A UUID version 7 starts with 48 bits of milliseconds.
fn id_of(at: Timestamp, fill: u8) -> [u8; 16] {
    const MOST: u64 = (1 << 48) - 1;
    let millis = u64::try_from(at.millis()).unwrap_or(0).min(MOST);
    let mut id = [fill; 16];
    id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id
}
