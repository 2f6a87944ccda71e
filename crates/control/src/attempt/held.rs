//! Attempts whose lease this process holds, so that it can be renewed: those that run, and those
//! that were claimed with them and are about to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::InvocationId;

/// Each is here from its claim until its end is on record.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<Vec<(InvocationId, u32)>>);

impl Held {
    pub(super) fn add(&self, attempts: impl Iterator<Item = (InvocationId, u32)>) {
        self.lock().extend(attempts);
    }

    pub(super) fn remove(&self, attempts: &[(InvocationId, u32)]) {
        self.lock().retain(|other| !attempts.contains(other));
    }

    pub(crate) fn all(&self) -> Vec<(InvocationId, u32)> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(InvocationId, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
