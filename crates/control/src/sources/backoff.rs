//! How long to wait before the next try. Pure: chance and the time of health are passed in.
//!
//! The wait doubles from 100 ms to 30 s, and a random half of it is taken off, so that many who lost
//! the same broker do not come back at the same moment. It starts anew after a connection that was of
//! use: one that lasted a minute, or on which messages were stored and acknowledged. One that breaks
//! right after it was made is trouble, too.

use std::time::Duration;

/// What a restart of a broker's network takes at least.
const FIRST: Duration = Duration::from_millis(100);
/// Longer would only add to an outage that is over.
const MOST: Duration = Duration::from_secs(30);
/// A connection that lasted so long was of use, if nothing came.
pub(crate) const HEALTHY: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It failed, and before that `was_of_use`, or not: how long to wait. `chance` is any random
    /// number.
    pub(crate) fn failed(&mut self, was_of_use: bool, chance: u128) -> Duration {
        if was_of_use {
            self.failures = 0;
        }
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(MOST);
        self.failures = self.failures.saturating_add(1);
        let half = u64::try_from(whole.as_micros() / 2).unwrap_or(u64::MAX).max(1);
        let random = u64::try_from(chance % u128::from(half)).unwrap_or(0);
        whole - Duration::from_micros(random)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_to_half_a_minute_and_start_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let mut failed = |was_of_use| backoff.failed(was_of_use, 0).as_millis();
        let waits: Vec<_> = (0..11).map(|_| failed(false)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        assert_eq!((failed(false), failed(true), failed(false)), (30_000, 100, 200));
    }

    proptest! {
        #[test]
        fn chance_takes_off_less_than_half(failures in 0_u32..200, chance: u128) {
            let mut backoff = Backoff { failures };
            let whole = Backoff { failures }.failed(false, 0);
            let wait = backoff.failed(false, chance);
            prop_assert!(wait <= whole && wait > whole / 2, "{wait:?} of {whole:?}");
        }
    }
}
