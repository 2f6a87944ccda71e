//! The gate: how many attempts may run at once, per function and per project.
//!
//! A [`Permit`] is one attempt's place under both limits; dropping it gives the place back and
//! wakes the dispatcher. A synchronous call that finds no place is refused (429); an event waits
//! in the ledger, where waiting is free. The counts start from zero with the process: what ran
//! before is made due again, so they are never wrong for longer than a start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

use crate::catalogue::Entry;

/// Attempts that run now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU32);

impl Gauge {
    pub fn running(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more, unless that would be over `limit`.
    fn enter(&self, limit: u32) -> bool {
        self.0
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |running| {
                (running < limit).then(|| running + 1)
            })
            .is_ok()
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which limit was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    Function { limit: u32 },
    Project { limit: u32 },
}

/// The limits, and who waits for a place.
#[derive(Debug)]
pub struct Gate {
    project_limit: u32,
    freed: Arc<Notify>,
}

/// One attempt's place, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    function: Arc<Gauge>,
    project: Arc<Gauge>,
    freed: Arc<Notify>,
}

impl Gate {
    /// `freed` is notified whenever a place becomes free.
    pub fn new(project_limit: u32, freed: Arc<Notify>) -> Self {
        Self { project_limit, freed }
    }

    pub fn enter(&self, entry: &Entry) -> Result<Permit, Full> {
        let limit = entry.function.latest.config.concurrency.unwrap_or(u32::MAX);
        if !entry.gauge.enter(limit) {
            return Err(Full::Function { limit });
        }
        if !entry.project_gauge.enter(self.project_limit) {
            entry.gauge.leave();
            return Err(Full::Project { limit: self.project_limit });
        }
        Ok(Permit {
            function: entry.gauge.clone(),
            project: entry.project_gauge.clone(),
            freed: self.freed.clone(),
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.function.leave();
        self.project.leave();
        self.freed.notify_one();
    }
}
