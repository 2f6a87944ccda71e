//! A ledger that may be shut for a while, slow or picky, and a clock that runs with tokio's.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, Event, Project, Timestamp};
use tokio::time::Instant;
use wire::http::problem::{Code, Problem};

use super::super::batch::Ledger;

/// A ledger that may be shut for a while, and knows what it has.
#[derive(Debug, Default)]
pub(super) struct TestLedger {
    pub(super) stored: Mutex<Vec<(String, String)>>,
    pub(super) shut_until: Mutex<Option<Instant>>,
    /// How long a commit takes.
    pub(super) commit: Mutex<Duration>,
    /// Events of this id are never taken.
    pub(super) bad: Mutex<Option<String>>,
    pub(super) tries: AtomicU64,
}

impl TestLedger {
    pub(super) fn shut_for(&self, span: Duration) {
        *self.shut_until.lock().unwrap() = Some(Instant::now() + span);
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        match *self.shut_until.lock().unwrap() {
            Some(until) if Instant::now() < until => {
                Err(Problem::new(Code::StorageFull, "the disk is full"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.stored.lock().unwrap().iter().map(|(_, id)| id.clone()).collect()
    }
}

#[async_trait]
impl Ledger for TestLedger {
    async fn store(&self, project: &Project, events: Vec<Event>) -> Result<u64, Problem> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        let commit = *self.commit.lock().unwrap();
        tokio::time::sleep(commit).await;
        self.check()?;
        if let Some(bad) = &*self.bad.lock().unwrap()
            && events.iter().any(|event| event.id == *bad)
        {
            return Err(Problem::new(Code::InvalidEvent, "no"));
        }
        let mut stored = self.stored.lock().unwrap();
        let mut duplicates = 0;
        for event in events {
            let key = (project.to_string(), event.id);
            if stored.contains(&key) {
                duplicates += 1;
            } else {
                stored.push(key);
            }
        }
        Ok(duplicates)
    }

    async fn is_open(&self) -> Result<(), Problem> {
        self.check()
    }
}

/// Time that runs with tokio's, and chance that repeats.
#[derive(Debug)]
pub(super) struct TestClock {
    pub(super) began: Instant,
    pub(super) entropy: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000).plus(self.began.elapsed())
    }

    fn entropy(&self) -> u128 {
        self.entropy.fetch_add(1, Ordering::Relaxed).into()
    }
}
