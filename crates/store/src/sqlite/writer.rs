//! The one thread that writes: group commit, and what to do when writing fails.
//!
//! An fsync costs from 0.1 to 12 ms, a row some microseconds. So the writer takes every job that
//! queued up while the last commit ran, runs them all in one transaction, commits with one fsync,
//! and only then answers each. Nobody waits for company: a job that comes alone is committed
//! alone, and the batches grow by themselves as callers do.
//!
//! # One job's failure is its own
//!
//! Jobs run without savepoints at first, since a savepoint copies every page that a job touches
//! and failures are bugs or disk trouble. If one fails, the whole batch is rolled back and run
//! again, each job within a savepoint, and only the failed ones are answered with their errors.
//! That is why a job is a function that can run twice.
//!
//! Where SQLite finds a page malformed, it lets the transaction write no more and refuses its commit:
//! nothing has been written. Then each job has a transaction of its own, and runs as often as it finds
//! out, from a row that it will leave alone, why the last time failed (see `super::damage`).
//!
//! # When the disk fails
//!
//! * It is full (SQLITE_FULL): SQLite has written nothing that counts, the batch is rolled back,
//!   everyone is told [`Error::Full`], and the next batch tries afresh. So it goes on by itself
//!   when space returns.
//! * Any other I/O error, or a commit that fails: the process ends. After a failed fsync the
//!   kernel may have dropped the pages and reports success for the next one; whoever goes on
//!   writing builds on data that may not exist. A new process reads what is really there.
//!
//! # Checkpoints
//!
//! SQLite would copy the write-ahead log back to the database within a commit, and would ignore
//! an fsync that fails there. So the writer does it itself, after it has answered, and treats such
//! a failure like any other. Nothing but this thread checkpoints.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::damage;
use super::ledger::{Fail, Ledger};
use super::queue::Queue;
use crate::{Error, failpoint};

/// Pages of the write-ahead log (4 MiB) after which it is copied back. Shorter, and each copy
/// moves fewer rows per page; longer, and a reader has more to search, and the file outgrows the
/// first 4,062 pages for which its index needs no more shared memory.
const CHECKPOINT_PAGES: i32 = 1_000;

/// What a job is called, in errors and as a failpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// As the end of "the store cannot …".
    pub(super) what: &'static str,
    pub(super) before_commit: &'static str,
    pub(super) after_commit: &'static str,
}

/// `operation!("settle", "record the end of an attempt")`
macro_rules! operation {
    ($name:literal, $what:literal) => {
        $crate::sqlite::writer::Operation {
            what: $what,
            before_commit: concat!($name, ".before_commit"),
            after_commit: concat!($name, ".after_commit"),
        }
    };
}
pub(super) use operation;

/// Something to be written, and somebody who waits for it.
pub(super) trait Job: Send + fmt::Debug {
    fn operation(&self) -> Operation;
    /// May be called again after a rollback.
    fn run(&mut self, ledger: &mut Ledger) -> Result<(), Fail>;
    /// Tells the caller, after the commit or instead of it.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

/// A job made of a function.
pub(super) struct Work<T, F> {
    operation: Operation,
    run: F,
    value: Option<T>,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Work<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Ledger) -> Result<T, Fail> + Send + 'static,
{
    pub(super) fn new(
        operation: Operation,
        run: F,
    ) -> (Box<Self>, oneshot::Receiver<Result<T, Error>>) {
        let (caller, answer) = oneshot::channel();
        (Box::new(Self { operation, run, value: None, caller }), answer)
    }
}

impl<T, F> fmt::Debug for Work<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operation.fmt(f)
    }
}

impl<T, F> Job for Work<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Ledger) -> Result<T, Fail> + Send + 'static,
{
    fn operation(&self) -> Operation {
        self.operation
    }

    fn run(&mut self, ledger: &mut Ledger) -> Result<(), Fail> {
        self.value = Some((self.run)(ledger)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let value = self.value;
        let answer = outcome.map(|()| value.expect("a job that did not fail has a value"));
        // A caller that is gone does not want to know.
        drop(self.caller.send(answer));
    }
}

/// The thread's body.
pub(super) struct Writer {
    ledger: Ledger,
    path: PathBuf,
    wal_pages: Arc<AtomicI32>,
}

impl Writer {
    pub(super) fn new(mut ledger: Ledger, path: PathBuf) -> Result<Self, rusqlite::Error> {
        let wal_pages = Arc::new(AtomicI32::new(0));
        let pages = Arc::clone(&wal_pages);
        // Also takes SQLite's own automatic checkpoint away.
        ledger.conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
            pages.store(count, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { ledger, path, wal_pages })
    }

    pub(super) fn serve(mut self, queue: &Queue) {
        let _guard = NoSilentDeath;
        loop {
            let jobs = queue.take();
            if jobs.is_empty() {
                break;
            }
            self.commit(jobs);
            if self.wal_pages.load(Ordering::Relaxed) >= CHECKPOINT_PAGES {
                self.checkpoint();
            }
        }
        self.checkpoint();
    }

    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        #[cfg(debug_assertions)]
        if failpoint::acknowledges_too_early() {
            return self.answer_and_commit(jobs);
        }
        let outcomes = match self.run_together(&mut jobs) {
            Ok(()) => Ok(Vec::new()),
            Err(fail) if is_full(&fail) => Err(Whole::Full),
            Err(fail) => {
                self.die_of_io(&fail);
                match self.run_apart(&mut jobs) {
                    Ok(failed) => Ok(failed),
                    Err(fail) if damage::is_malformed(&fail) => Ok(self.run_each(&mut jobs)),
                    Err(fail) => Err(self.whole(&fail)),
                }
            }
        };
        match outcomes {
            Ok(failed) => {
                for job in &jobs {
                    failpoint!(job.operation().after_commit);
                }
                let mut failed = failed.into_iter();
                for job in jobs {
                    let outcome = failed.next().flatten().map_or(Ok(()), Err);
                    job.answer(outcome);
                }
            }
            Err(Whole::Full) => {
                tracing::warn!(path = %self.path.display(), "the disk is full: nothing is stored");
                for job in jobs {
                    job.answer(Err(Error::Full { path: self.path.clone() }));
                }
                // What has been copied back need not be kept: this may make room.
                self.checkpoint();
            }
            Err(Whole::Begin(why)) => {
                for job in jobs {
                    let operation = job.operation().what;
                    job.answer(Err(Error::Failed { operation, why: why.clone() }));
                }
            }
        }
    }

    /// The wrong way round, for the negative control.
    #[cfg(debug_assertions)]
    fn answer_and_commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let begun = self.ledger.execute("BEGIN IMMEDIATE");
        let run =
            begun.and_then(|()| jobs.iter_mut().try_for_each(|job| job.run(&mut self.ledger)));
        if let Err(fail) = run {
            die("write for the negative control", &fail);
        }
        jobs.into_iter().for_each(|job| job.answer(Ok(())));
        std::thread::sleep(std::time::Duration::from_millis(100));
        if let Err(fail) = self.finish(&[]) {
            die("commit for the negative control", &fail);
        }
    }

    /// The usual way: all jobs in one transaction.
    fn run_together(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Fail> {
        self.ledger.execute("BEGIN IMMEDIATE")?;
        let outcome = jobs.iter_mut().try_for_each(|job| job.run(&mut self.ledger));
        let outcome = outcome.and_then(|()| self.finish(jobs));
        if outcome.is_err() {
            self.roll_back();
        }
        outcome
    }

    /// The careful way: what failed in each job, in their order. `Err` if the transaction is lost.
    fn run_apart(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Option<Error>>, Fail> {
        self.ledger.execute("BEGIN IMMEDIATE")?;
        let outcomes: Result<Vec<_>, Fail> =
            jobs.iter_mut().map(|job| self.run_one(job.as_mut())).collect();
        let outcomes = outcomes.and_then(|failed| self.finish(jobs).map(|()| failed));
        if outcomes.is_err() {
            self.roll_back();
        }
        outcomes
    }

    /// The way through a damaged database: what failed in each job, each in its own transaction.
    fn run_each(&mut self, jobs: &mut [Box<dyn Job>]) -> Vec<Option<Error>> {
        jobs.iter_mut().map(|job| self.run_by_itself(job)).collect()
    }

    fn run_by_itself(&mut self, job: &mut Box<dyn Job>) -> Option<Error> {
        loop {
            let learned = self.ledger.learned();
            let fail = match self.run_together(std::slice::from_mut(job)) {
                Ok(()) => return None,
                Err(fail) => fail,
            };
            self.die_of_io(&fail);
            if is_full(&fail) {
                return Some(Error::Full { path: self.path.clone() });
            }
            // It ends, since there is an end of what a ledger learns.
            if damage::is_malformed(&fail) && self.ledger.learned() > learned {
                continue;
            }
            let operation = job.operation().what;
            tracing::error!(operation, "a write failed: {fail}");
            return Some(super::failed(operation, &fail));
        }
    }

    /// One job within a savepoint. `Err` if the transaction itself is lost.
    fn run_one(&mut self, job: &mut dyn Job) -> Result<Option<Error>, Fail> {
        self.ledger.execute("SAVEPOINT job")?;
        let outcome = match job.run(&mut self.ledger) {
            Ok(()) => None,
            // SQLite gave up the whole transaction, for want of space or memory.
            Err(fail) if is_full(&fail) || self.ledger.conn.is_autocommit() => return Err(fail),
            Err(fail) if damage::is_malformed(&fail) => return Err(fail),
            Err(fail) => {
                self.die_of_io(&fail);
                self.ledger.execute("ROLLBACK TO job")?;
                self.ledger.forget();
                let operation = job.operation().what;
                tracing::error!(operation, "a write failed: {fail}");
                Some(super::failed(operation, &fail))
            }
        };
        self.ledger.execute("RELEASE job")?;
        Ok(outcome)
    }

    /// Commits; a failure other than a full disk, or than SQLite's refusal, does not return.
    fn finish(&self, jobs: &[Box<dyn Job>]) -> Result<(), Fail> {
        for job in jobs {
            failpoint!(job.operation().before_commit);
        }
        match self.ledger.execute("COMMIT") {
            Err(fail) if !is_full(&fail) && !damage::is_malformed(&fail) => die("commit", &fail),
            outcome => outcome,
        }
    }

    fn roll_back(&mut self) {
        self.ledger.forget();
        if !self.ledger.conn.is_autocommit()
            && let Err(fail) = self.ledger.execute("ROLLBACK")
        {
            die("roll back", &fail);
        }
    }

    fn whole(&self, fail: &Fail) -> Whole {
        if is_full(fail) {
            return Whole::Full;
        }
        self.die_of_io(fail);
        tracing::error!("a transaction failed: {fail}");
        Whole::Begin(fail.to_string())
    }

    fn die_of_io(&self, fail: &Fail) {
        if let Fail::Sql(error) = fail
            && error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
        {
            die("write", fail);
        }
    }

    fn checkpoint(&self) {
        failpoint!("checkpoint.before");
        // Passive: never waits for a reader; what it could not copy, the next one does.
        let copied = self
            .ledger
            .conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i32>(2));
        match copied.map_err(Fail::Sql) {
            Ok(_) => self.wal_pages.store(0, Ordering::Relaxed),
            Err(fail) if is_full(&fail) => {
                tracing::warn!(path = %self.path.display(), "the disk is too full for a checkpoint");
            }
            Err(fail) => {
                self.die_of_io(&fail);
                tracing::warn!("a checkpoint failed: {fail}");
            }
        }
        failpoint!("checkpoint.after");
    }
}

/// A panic here is a bug; a process that serves on without its writer would be a worse one.
struct NoSilentDeath;

impl Drop for NoSilentDeath {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// What befell a whole batch.
enum Whole {
    Full,
    /// It could not begin, or SQLite took it back: nothing has been written.
    Begin(String),
}

/// SQLITE_IOERR_SHMSIZE: the log's index could not grow, for want of space, and the transaction
/// was taken back.
const SHM_FULL: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

fn is_full(fail: &Fail) -> bool {
    let Fail::Sql(error) = fail else { return false };
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| error.extended_code == SHM_FULL)
}

fn die(step: &str, fail: &Fail) -> ! {
    tracing::error!(
        "cannot {step}: {fail}. What is on the disk is not known any more, so this process ends; \
         the next one reads what is there"
    );
    std::process::abort();
}
