//! How many invocations a replay may make now: a bucket that fills by the clock, and how much to
//! read for what is in it. Pure.
//!
//! An event is taken whole: one that runs in more places than the bucket has is paid back by waiting.
//! The bucket is given out in tenths of a second, so that a commit has more than one of a fast
//! replay, and holds a second's worth, so that what a slow disk costs is made up for, and no more.

use std::time::Duration;

use model::Timestamp;

/// Invocations of one step: some milliseconds of the writer's time.
pub(super) const STEP: u64 = 500;
/// Events read at a time: their records are in memory while they are matched.
pub(super) const PAGE: usize = 500;
/// Parts of an invocation: at a rate of one a second, one each microsecond.
const WHOLE: i64 = 1_000_000;

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Pace {
    /// 0 is as many as can be.
    rate: i64,
    /// In parts; less than none after an event that ran in many places.
    level: i64,
    at: Timestamp,
    /// Events to read for the next step.
    page: usize,
}

impl Pace {
    pub(super) fn new(rate_per_s: u32, now: Timestamp) -> Self {
        let mut new = Self { rate: rate_per_s.into(), level: 0, at: now, page: 1 };
        new.level = new.portion();
        new
    }

    /// Parts that have to be there before any are given out.
    fn portion(&self) -> i64 {
        (self.rate / 10).max(1) * WHOLE
    }

    /// How many may be made now; 0 is none yet.
    pub(super) fn allowance(&mut self, now: Timestamp) -> u64 {
        if self.rate == 0 {
            return STEP;
        }
        let micros = i64::try_from(now.since(self.at).as_micros()).unwrap_or(i64::MAX);
        self.at = now;
        let gained = micros.saturating_mul(self.rate);
        self.level = self.level.saturating_add(gained).min(self.rate * WHOLE);
        if self.level < self.portion() {
            return 0;
        }
        u64::try_from(self.level / WHOLE).unwrap_or(0).min(STEP)
    }

    /// How long it takes until there is an allowance.
    pub(super) fn wait(&self) -> Duration {
        let lacking = u64::try_from(self.portion() - self.level).unwrap_or(0);
        let rate = u64::try_from(self.rate).unwrap_or(0);
        if rate == 0 { Duration::ZERO } else { Duration::from_micros(lacking.div_ceil(rate)) }
    }

    /// Events to read for this allowance.
    pub(super) fn page(&self, allowance: u64) -> usize {
        let least = usize::try_from(allowance).unwrap_or(PAGE);
        self.page.max(least).min(PAGE)
    }

    /// Of a page of `read` events, `passed` were used, and ran in `made` places. Where few match,
    /// more are read next time; where the allowance ended first, as many as it took.
    pub(super) fn passed(&mut self, read: usize, passed: usize, made: u64) {
        let made = i64::try_from(made).unwrap_or(i64::MAX);
        if self.rate > 0 {
            self.level = self.level.saturating_sub(made.saturating_mul(WHOLE));
        }
        self.page = if passed == read { read * 2 } else { passed + 1 }.clamp(1, PAGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// What is made by `ms`, if it is asked every millisecond and each event runs in `places`.
    fn made_by(rate: u32, ms: i64, places: u64) -> u64 {
        let mut pace = Pace::new(rate, at(0));
        let mut made = 0;
        for now in 0..=ms {
            let mut left = pace.allowance(at(now));
            let before = made;
            while left > 0 {
                made += places;
                left = left.saturating_sub(places);
            }
            pace.passed(1, 1, made - before);
        }
        made
    }

    #[test]
    fn as_many_are_made_in_a_second_as_the_rate_says() {
        for (rate, ms, expect) in [
            (100, 0, 10),
            (100, 99, 10),
            (100, 100, 20),
            (100, 10_000, 1_010),
            (1, 0, 1),
            (1, 999, 1),
            (1, 1_000, 2),
            (7, 10_000, 71),
            (1_000, 2_000, 2_100),
        ] {
            assert_eq!(made_by(rate, ms, 1), expect, "{rate} a second, for {ms} ms");
        }
    }

    #[test]
    fn an_event_that_runs_in_many_places_is_paid_back() {
        assert_eq!(made_by(10, 0, 50), 50);
        assert_eq!(made_by(10, 4_999, 50), 50);
        assert_eq!(made_by(10, 5_000, 50), 100);
    }

    #[test]
    fn what_was_not_used_is_kept_for_a_second_and_no_longer() {
        let mut pace = Pace::new(100, at(0));
        assert_eq!(pace.allowance(at(60_000)), 100);
        pace.passed(100, 100, 100);
        assert_eq!((pace.allowance(at(60_000)), pace.wait()), (0, Duration::from_millis(100)));
        assert_eq!(pace.allowance(at(60_099)), 0);
        assert_eq!(pace.allowance(at(60_100)), 10);
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing_and_goes_on() {
        let mut pace = Pace::new(1, at(60_000));
        pace.passed(1, 1, pace.clone().allowance(at(60_000)));
        assert_eq!(pace.allowance(at(0)), 0);
        assert_eq!(pace.allowance(at(1_000)), 1);
    }

    #[test]
    fn without_a_rate_there_is_always_a_step_and_no_wait() {
        let mut pace = Pace::new(0, at(0));
        pace.passed(500, 500, 10_000);
        assert_eq!((pace.allowance(at(0)), pace.wait()), (STEP, Duration::ZERO));
    }

    #[test]
    fn where_few_match_more_are_read() {
        let mut pace = Pace::new(10, at(0));
        assert_eq!(pace.page(1), 1);
        for expect in [2, 4, 8, 16] {
            let read = pace.page(1);
            pace.passed(read, read, 0);
            assert_eq!(pace.page(1), expect);
        }
        pace.passed(16, 3, 1);
        assert_eq!((pace.page(1), pace.page(10), pace.page(9_999)), (4, 10, PAGE));
    }
}
