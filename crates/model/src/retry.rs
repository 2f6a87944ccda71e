//! Whether to try again, and when. Pure: facts in, a decision out.
//!
//! An attempt that failed for the function's reasons uses up one of its retries and waits, twice
//! as long each time. One that failed for ours (no room, a worker lost) does not count against the
//! function: it comes back soon, with its own doubling wait. Neither outlives the event's age
//! limit: a retry that could only start after it is not scheduled.
//!
//! The numbers follow AWS Lambda's asynchronous invocation: two retries after one and two minutes,
//! and one second to five minutes for what was not the function's fault.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::fault::Blame;
use crate::function::Config;
use crate::limits;

/// What happened so far.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// When the event was accepted, or the dead letter redriven.
    pub accepted_at: Timestamp,
    /// Attempts that failed for the function's reasons, this one included.
    pub failures: u32,
    /// Attempts that failed for ours, this one included.
    pub disturbances: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    RetryAt(Timestamp),
    GiveUp(Reason),
}

/// Why there is no further attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    RetriesExhausted,
    EventAgeExceeded,
}

/// First wait after a failure of ours, and the longest.
const DISTURBANCE: Duration = Duration::from_secs(1);
const DISTURBANCE_MAX: Duration = Duration::from_secs(300);

/// Decides what follows a failed attempt.
pub fn decide(config: &Config, history: History, blame: Blame, now: Timestamp) -> Decision {
    let wait = match blame {
        Blame::Function if history.failures > config.retries => {
            return Decision::GiveUp(Reason::RetriesExhausted);
        }
        Blame::Function => {
            let first = Duration::from_secs(config.backoff_s.into());
            doubled(first, history.failures, limits::BACKOFF_MAX)
        }
        Blame::Platform => doubled(DISTURBANCE, history.disturbances, DISTURBANCE_MAX),
    };
    let at = now.plus(wait);
    if at > history.accepted_at.plus(config.event_age()) {
        return Decision::GiveUp(Reason::EventAgeExceeded);
    }
    Decision::RetryAt(at)
}

/// Whether an event that waits has become too old to start.
pub fn is_too_old(config: &Config, accepted_at: Timestamp, now: Timestamp) -> bool {
    now > accepted_at.plus(config.event_age())
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    let factor = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Handler, RuntimeName};

    fn config() -> Config {
        let runtime = RuntimeName::parse("python3.11").unwrap();
        Config::new(runtime, Handler::parse("handler.handler").unwrap())
    }

    #[track_caller]
    fn check(blame: Blame, failures: u32, disturbances: u32, age_s: i64, expect: Decision) {
        let accepted_at = Timestamp::from_millis(0);
        let history = History { accepted_at, failures, disturbances };
        let now = Timestamp::from_millis(age_s * 1_000);
        assert_eq!(decide(&config(), history, blame, now), expect);
    }

    fn at(seconds: i64) -> Decision {
        Decision::RetryAt(Timestamp::from_millis(seconds * 1_000))
    }

    #[test]
    fn a_failing_function_is_tried_again_after_one_and_two_minutes_and_then_no_more() {
        check(Blame::Function, 1, 0, 10, at(70));
        check(Blame::Function, 2, 0, 100, at(220));
        check(Blame::Function, 3, 0, 300, Decision::GiveUp(Reason::RetriesExhausted));
    }

    #[test]
    fn a_failure_of_ours_never_uses_up_a_retry() {
        check(Blame::Platform, 0, 1, 10, at(11));
        check(Blame::Platform, 2, 4, 10, at(18));
        check(Blame::Platform, 2, 1_000, 10, at(310));
    }

    #[test]
    fn no_retry_starts_after_the_event_grew_too_old() {
        check(Blame::Function, 1, 0, 21_540, at(21_600));
        check(Blame::Function, 1, 0, 21_541, Decision::GiveUp(Reason::EventAgeExceeded));
        check(Blame::Platform, 0, 9, 21_500, Decision::GiveUp(Reason::EventAgeExceeded));
    }
}
