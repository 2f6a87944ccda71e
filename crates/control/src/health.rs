//! Can the store be written? Known from what the last write said, and tried again by a reconciler
//! while the answer was no, so that the service goes on by itself when there is space.

use std::sync::atomic::{AtomicBool, Ordering};

use wire::http::problem::{Code, Problem};

#[derive(Debug, Default)]
pub(crate) struct Health {
    full: AtomicBool,
}

impl Health {
    /// A write failed: remember it if the disk is full.
    pub(crate) fn note(&self, error: &store::Error) {
        if matches!(error, store::Error::Full { .. }) && !self.full.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "nothing is accepted until there is space");
        }
    }

    /// A write went through.
    pub(crate) fn note_written(&self) {
        if self.full.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk has space again: accepting");
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(crate) fn accepts_writes(&self) -> Result<(), Problem> {
        if self.is_full() {
            let detail = "the service's disk is full: nothing is accepted until there is space";
            return Err(Problem::new(Code::StorageFull, detail).retry_after(5));
        }
        Ok(())
    }
}
