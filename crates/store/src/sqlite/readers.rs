//! Readers: a few read-only connections beside the writer's.
//!
//! In WAL mode a reader sees the last commit and never waits for the writer, nor the writer for
//! it. A read runs on tokio's blocking threads: they exist anyway, go away when idle, and a read
//! is bounded work (a page, one invocation). A pool of our own threads would be a second queue
//! with the same purpose.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::ledger::Fail;
use crate::{BUSY, Error};

/// Reads at once. The machine's cores bound what more would bring; each connection may hold
/// [`CACHE_KIB`].
const READERS: usize = 4;

/// Page cache of each: a page of a list and the inner nodes above it.
const CACHE_KIB: i64 = 2_048;

/// Statements that a connection keeps compiled: each kind of read, and the shapes of its filter.
const STATEMENTS: usize = 64;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

impl Readers {
    /// Opens nothing yet: a process that only waits should be small.
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, idle: Mutex::default(), places: Semaphore::new(READERS) })
    }

    /// Runs `read` on a snapshot: whatever is committed meanwhile, its statements see one state.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self.places.acquire().await.map_err(|_closed| Error::Closed)?;
        let this = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let failed = |error: rusqlite::Error| super::failed(operation, &Fail::Sql(error));
            let idle = this.lock().pop();
            let conn = match idle {
                Some(conn) => conn,
                None => this.open().map_err(failed)?,
            };
            let snapshot = conn.unchecked_transaction().map_err(failed)?;
            let found = read(&snapshot);
            snapshot.finish().map_err(failed)?;
            this.lock().push(conn);
            found
        });
        let why = |panicked: tokio::task::JoinError| panicked.to_string();
        reading.await.unwrap_or_else(|error| Err(Error::Failed { operation, why: why(error) }))
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        conn.busy_timeout(BUSY)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        super::settings(&conn)?;
        conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
