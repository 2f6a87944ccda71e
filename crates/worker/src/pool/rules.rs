//! The formulas of the pool: when one more sandbox is worth its start, and which idle one is worth
//! least. Numbers in, an answer out.

use std::time::Duration;

/// What a start costs until one has been measured: a Python shim that waits in the pool loads a
/// small function in about 3 ms, and takes about 12 ms to get there from nothing.
pub(crate) const FIRST_LOAD: Duration = Duration::from_millis(3);
pub(crate) const FIRST_CREATE: Duration = Duration::from_millis(12);

/// A job that waits this many times longer than a start takes gets a sandbox of its own, whatever
/// the averages say: the run ahead of it is not an average one. Fewer would start sandboxes for
/// every hiccup of a busy machine, which makes it busier.
const OVERDUE_STARTS: u32 = 4;
/// And not before this: timers count in milliseconds, and schedulers in several.
pub(crate) const OVERDUE_LEAST: Duration = Duration::from_millis(20);

/// A moving average that forgets: each value counts for an eighth. Eight runs are enough to follow
/// a change, and one outlier does not turn a decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Average(Option<Duration>);

impl Average {
    pub(crate) fn add(&mut self, value: Duration) {
        self.0 = Some(match self.0 {
            Some(average) => average - average / 8 + value / 8,
            None => value,
        });
    }

    pub(crate) fn get(self) -> Option<Duration> {
        self.0
    }
}

/// The shortest run of late, as an estimate of how long a run takes by itself. On a machine that is
/// full, an average would tell how long runs wait for a core, more sandboxes would make it longer,
/// and it would ask for more still. A longer run counts for a sixty-fourth, so that a function that
/// became slower is believed after some hundred runs; until then its callers are
/// [overdue](overdue_after).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Shortest(Option<Duration>);

impl Shortest {
    pub(crate) fn add(&mut self, value: Duration) {
        self.0 = Some(match self.0 {
            Some(shortest) if value > shortest => shortest + (value - shortest) / 64,
            _ => value,
        });
    }

    pub(crate) fn get(self) -> Option<Duration> {
        self.0
    }
}

/// How one version stands when somebody has to wait for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) waiting: usize,
    /// Of those, the ones that wait for longer than anybody expected.
    pub(crate) overdue: usize,
    pub(crate) busy: usize,
    /// Starts that are on their way on behalf of this version.
    pub(crate) expected: usize,
    pub(crate) run: Option<Duration>,
    /// From now until a further sandbox would begin to run.
    pub(crate) start_cost: Duration,
}

/// Whether to start another sandbox, rather than wait for one that is busy now.
///
/// A queue of `w` jobs before `n` sandboxes is served in `w / n` runs. While that is less than a
/// start takes, a start helps nobody: on two cores, sixty callers of a 60 us function are served
/// by two sandboxes, and those of a 100 ms function by sixty.
pub(crate) fn wants_another(demand: &Demand) -> bool {
    if demand.expected >= demand.waiting {
        return false;
    }
    if demand.overdue > demand.expected {
        return true;
    }
    let instances = demand.busy + demand.expected;
    let (Some(run), Ok(waiting)) = (demand.run, u32::try_from(demand.waiting)) else {
        return true;
    };
    match u32::try_from(instances) {
        Ok(instances) if instances > 0 => {
            run.saturating_mul(waiting) / instances > demand.start_cost
        }
        _ => true,
    }
}

/// When a waiting job has waited for longer than can be explained, if meanwhile nobody else of its
/// queue was served either: a queue that moves is only long.
pub(crate) fn overdue_after(start_cost: Duration) -> Duration {
    (start_cost * OVERDUE_STARTS).max(OVERDUE_LEAST)
}

/// Greedy-Dual: what an idle sandbox is worth. It grows with what it would cost to have it again
/// and how often it was used, per MiB that it holds; `clock` ages those that are not used, being
/// the worth of the last one that was evicted.
pub(crate) fn worth(clock: f64, uses: u32, start_cost: Duration, memory_mib: u32) -> f64 {
    clock + f64::from(uses) * start_cost.as_secs_f64() * 1_000.0 / f64::from(memory_mib.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[track_caller]
    fn check(waiting: usize, busy: usize, expected: usize, run: Option<Duration>, wants: bool) {
        let start_cost = 3 * MS;
        let demand = Demand { waiting, overdue: 0, busy, expected, run, start_cost };
        assert_eq!(wants_another(&demand), wants, "{demand:?}");
    }

    #[test]
    fn another_is_started_when_waiting_costs_more_than_starting() {
        // Nobody serves this version yet.
        check(1, 0, 0, None, true);
        check(1, 0, 0, Some(MS), true);
        // Nothing is known about it: as many as ask.
        check(1, 5, 0, None, true);
        // Short runs share, long ones do not.
        check(1, 1, 0, Some(MS), false);
        check(3, 1, 0, Some(MS), false);
        check(4, 1, 0, Some(MS), true);
        check(4, 2, 0, Some(MS), false);
        check(1, 1, 0, Some(100 * MS), true);
        // Each waiting job has a start on its way already.
        check(1, 0, 1, None, false);
        check(2, 0, 1, None, true);
        check(2, 9, 2, Some(100 * MS), false);
    }

    #[test]
    fn a_job_that_waits_inexplicably_long_gets_a_sandbox_of_its_own() {
        let mut demand = Demand {
            waiting: 1,
            overdue: 1,
            busy: 1,
            expected: 0,
            run: Some(MS / 10),
            start_cost: 3 * MS,
        };
        assert!(wants_another(&demand));
        demand.expected = 1;
        assert!(!wants_another(&demand));
        assert_eq!(overdue_after(15 * MS), 60 * MS);
        assert_eq!(overdue_after(MS), 20 * MS);
    }

    #[test]
    fn the_large_cheap_and_seldom_used_is_worth_least() {
        let base = worth(0.0, 1, 10 * MS, 128);
        assert!(worth(0.0, 2, 10 * MS, 128) > base);
        assert!(worth(0.0, 1, 300 * MS, 128) > base);
        assert!(worth(0.0, 1, 10 * MS, 1_024) < base);
        assert!(worth(1.0, 1, 10 * MS, 128) > base);
    }

    #[test]
    fn an_average_follows_without_jumping() {
        let mut average = Average::default();
        average.add(8 * MS);
        average.add(16 * MS);
        assert_eq!(average.get(), Some(9 * MS));
        for _ in 0..40 {
            average.add(80 * MS);
        }
        assert!(average.get().is_some_and(|a| a > 70 * MS));
    }
}
