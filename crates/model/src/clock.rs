//! The one door to time and chance.
//!
//! A decision never asks what time it is: its caller does, through a [`Clock`], and passes the
//! answer in. The real clock lives in the binary; tests and the simulator have their own, and so
//! a run can be repeated to the bit.

use std::fmt::Debug;
use std::time::Duration;

/// Microseconds since 1970-01-01 00:00 UTC. Never negative in practice; signed as databases are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn millis(self) -> i64 {
        self.0 / 1_000
    }

    /// This moment and `span` later; stops at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment and `span` earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is in the future (clocks may step back).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Time and chance, from outside.
pub trait Clock: Send + Sync + Debug {
    fn now(&self) -> Timestamp;

    /// 128 bits that nobody can guess (a simulation's are seeded).
    fn entropy(&self) -> u128;
}
