//! The queue in front of the writer: what waits for the disk.
//!
//! Bounded in jobs and in bytes. When it is full, work that is new ([`Admission::Refuse`]) is
//! refused, so that its sender hears it at once and comes again: waiting would only hide the
//! overload behind growing memory and time. Work that finishes what has begun
//! ([`Admission::Wait`]: settling, renewing, recording) waits for a place instead: refusing it
//! would throw away what has been done, and there is never more of it than attempts in flight.
//!
//! A mutex and a condition variable and no channel, for two reasons: the writer takes everything
//! that waits with one swap, and jobs that nobody is in a hurry for ([`Haste::Soon`]) do not even
//! wake it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::writer::Job;
use crate::Error;

/// Writes that may wait: at 8,000 a second this is half a second's worth. A sender that would wait
/// for longer is better told to come again.
const PLACES: usize = 4_096;

/// Bytes of events that may wait: eight batches of the largest kind.
const BYTES: usize = 64 * 1024 * 1024;

/// Jobs of one commit. At some 15 µs each, the first of them waits 15 ms for its neighbours.
const BATCH: usize = 1_024;

/// How long a commit may be put off if nobody is in a hurry for it. At 12,000 records of calls a
/// second it makes batches of 24, where a commit for each two or three would cost more processor
/// time than the calls themselves; and it is less than what an fsync takes on a busy disk.
const LINGER: Duration = Duration::from_millis(2);

/// What a full queue means for this job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    Refuse,
    Wait,
}

/// Whether somebody waits for the commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Haste {
    Now,
    Soon,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    places: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Waiting>,
    bytes: usize,
    /// One of the jobs is [`Haste::Now`].
    hurry: bool,
    /// The writer sleeps until there is anything at all.
    idle: bool,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    job: Box<dyn Job>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), places: Semaphore::new(PLACES) }
    }

    /// Hands a job of about `bytes` to the writer.
    pub(super) async fn put(
        &self,
        job: Box<dyn Job>,
        bytes: usize,
        admission: Admission,
        haste: Haste,
    ) -> Result<(), Error> {
        let place = match admission {
            Admission::Refuse => {
                self.places.try_acquire().map_err(|_full| Error::Overloaded { waiting: PLACES })?
            }
            Admission::Wait => self.places.acquire().await.map_err(|_closed| Error::Closed)?,
        };
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        // A job that is alone fits, whatever its size.
        if admission == Admission::Refuse && state.bytes > 0 && state.bytes + bytes > BYTES {
            return Err(Error::Overloaded { waiting: state.jobs.len() });
        }
        place.forget(); // given back by the writer, when it takes the job
        state.jobs.push_back(Waiting { job, bytes });
        state.bytes += bytes;
        let hurry = haste == Haste::Now && !state.hurry;
        state.hurry |= haste == Haste::Now;
        let wake = hurry || state.idle || state.jobs.len() == BATCH;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Blocks until there is something to commit, and takes all of it. Empty when the queue has
    /// been closed and everything is done.
    pub(super) fn take(&self) -> Vec<Box<dyn Job>> {
        let mut state = self.lock();
        while state.jobs.is_empty() && !state.closed {
            state.idle = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        let unhurried =
            |state: &mut State| !state.hurry && !state.closed && state.jobs.len() < BATCH;
        if unhurried(&mut state) {
            (state, _) = self
                .wake
                .wait_timeout_while(state, LINGER, |state| unhurried(state))
                .unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.jobs.len().min(BATCH);
        let jobs: Vec<_> = state.jobs.drain(..count).collect();
        state.bytes -= jobs.iter().map(|waiting| waiting.bytes).sum::<usize>();
        state.hurry = !state.jobs.is_empty();
        drop(state);
        self.places.add_permits(count);
        jobs.into_iter().map(|waiting| waiting.job).collect()
    }

    /// Takes no more jobs; those that wait are still done.
    pub(super) fn close(&self) {
        self.places.close();
        self.lock().closed = true;
        self.wake.notify_all();
    }

    /// The state is valid between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
