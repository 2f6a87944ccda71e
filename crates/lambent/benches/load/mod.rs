//! Offers load to an HTTP server and says how it was answered.
//!
//! A *closed* loop has so many connections, each of which sends its next request when the last one
//! is answered: it finds what a server can do. An *open* loop sends at a rate, whether or not the
//! server keeps up, and counts a request's time from when it was due: it finds what callers wait.
//! Either ends after a count or a time, whichever is first, and no run is without such an end.
//!
//! One thread, raw sockets and a parser that knows little more than `Content-Length`: the server
//! is measured on the same two cores, so each microsecond spent here is one that it does not get.

mod connection;
mod histogram;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::Instant;

pub(crate) use connection::{Connection, request};
pub(crate) use histogram::Histogram;

/// How much load, how it comes, and when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Requests per second of an open loop; None is a closed one.
    pub(crate) rate: Option<f64>,
    /// Requests in all, at most.
    pub(crate) count: u64,
    /// No request is begun after this.
    pub(crate) duration: Duration,
}

/// A server that answers nothing for so long has stopped answering; the run ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) latency: Histogram,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests without an answer. A connection ends at its second in a row.
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<String>,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    pub(crate) fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.answered() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Refuses a run in which anything but `status` happened: its numbers would be about errors.
    pub(crate) fn all(self, status: u16) -> Result<Self, String> {
        let right = self.statuses.get(&status).copied().unwrap_or(0);
        if self.failures == 0 && right > 0 && right == self.answered() {
            return Ok(self);
        }
        Err(format!("every answer should have status {status}, and this came:\n{self}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {:.0} requests/s  statuses {:?}",
            self.latency,
            self.per_second(),
            self.statuses
        )?;
        match &self.first_failure {
            Some(why) => write!(f, "  without an answer {}, the first: {why}", self.failures),
            None => Ok(()),
        }
    }
}

struct Run<F> {
    load: Load,
    make: F,
    start: Instant,
    begun: Cell<u64>,
    outcome: RefCell<Outcome>,
}

/// Runs one load. `make` writes the whole of the n-th request, from 0.
pub(crate) async fn offer<F>(address: SocketAddr, load: Load, make: F) -> Outcome
where
    F: Fn(u64, &mut Vec<u8>) + 'static,
{
    let outcome = RefCell::new(Outcome::default());
    let run = Rc::new(Run { load, make, start: Instant::now(), begun: Cell::new(0), outcome });
    let tasks = LocalSet::new();
    for _ in 0..load.connections {
        tasks.spawn_local(drive(run.clone(), address));
    }
    let ended = tokio::time::timeout(load.duration.saturating_add(PATIENCE), tasks).await;
    let mut outcome = run.outcome.take();
    outcome.elapsed = run.start.elapsed();
    if ended.is_err() {
        outcome.failures += run.begun.get().saturating_sub(outcome.answered() + outcome.failures);
        outcome.first_failure.get_or_insert_with(|| format!("no answer within {PATIENCE:?}"));
    }
    outcome
}

/// One connection, from its first request to the end of the run.
async fn drive<F: Fn(u64, &mut Vec<u8>)>(run: Rc<Run<F>>, address: SocketAddr) {
    let mut connection = None;
    let mut request = Vec::new();
    let mut failed_before = false;
    while let Some(begin) = next(&run).await {
        let (number, since) = begin;
        request.clear();
        (run.make)(number, &mut request);
        let status = exchange(&mut connection, address, &request).await;
        let mut outcome = run.outcome.borrow_mut();
        match status {
            Ok(status) => {
                outcome.latency.record(since.elapsed());
                *outcome.statuses.entry(status).or_default() += 1;
                failed_before = false;
            }
            Err(why) => {
                outcome.failures += 1;
                outcome.first_failure.get_or_insert_with(|| why.to_string());
                connection = None;
                if failed_before {
                    return;
                }
                failed_before = true;
            }
        }
    }
}

async fn exchange(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    request: &[u8],
) -> std::io::Result<u16> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(address).await?),
    };
    open.send(request).await?;
    Ok(open.receive().await?.status)
}

/// The number of the next request and since when its time counts; None at the end of the run.
async fn next<F>(run: &Run<F>) -> Option<(u64, Instant)> {
    let number = run.begun.get();
    let now = Instant::now();
    let end = run.start + run.load.duration;
    if number >= run.load.count || now >= end {
        return None;
    }
    let Some(rate) = run.load.rate else {
        run.begun.set(number + 1);
        return Some((number, now));
    };
    let due = run.start + Duration::from_secs_f64(number as f64 / rate);
    if due >= end {
        return None;
    }
    run.begun.set(number + 1);
    if due <= now {
        // Late, because every connection was waiting for an answer: callers wait, too.
        return Some((number, due));
    }
    // Idle until it is due. The timer ticks in milliseconds, and that it wakes us late is no
    // fault of the server's.
    tokio::time::sleep_until(due).await;
    Some((number, Instant::now()))
}
