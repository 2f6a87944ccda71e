//! Times, counted in steps of less than two per cent, however many there are.

use std::fmt;
use std::time::Duration;

/// Steps between a power of two and the next: a step is at most 1/64 of its value.
const STEPS: usize = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of nanoseconds: exact below 64, then log-linear over all of a u64.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        let counts = vec![0; STEPS * (65 - STEP_BITS as usize)];
        Self { counts, total: 0, max: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.counts[index(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    pub(crate) fn len(&self) -> u64 {
        self.total
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The time that so many of a thousand did not exceed: the upper end of the step that it is in.
    pub(crate) fn per_mille(&self, so_many: u64) -> Duration {
        let rank = self.total.saturating_mul(so_many).div_ceil(1_000).max(1);
        let mut passed = 0;
        for (index, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return Duration::from_nanos(upper_end(index).min(self.max));
            }
        }
        self.max()
    }
}

fn index(nanos: u64) -> usize {
    let small = |value: u64| usize::try_from(value).expect("seven bits fit");
    match nanos.checked_ilog2().unwrap_or(0).checked_sub(STEP_BITS) {
        None => small(nanos),
        // The top bit is the power's; the next six are the step, on top of the steps before.
        Some(shift) => STEPS * shift as usize + small(nanos >> shift),
    }
}

fn upper_end(index: usize) -> u64 {
    match (index / STEPS).checked_sub(1) {
        None => index as u64,
        Some(shift) => {
            let first = ((STEPS + index % STEPS) as u64) << shift;
            first + ((1 << shift) - 1)
        }
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, so_many) in [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)] {
            write!(f, "{name} {:.3} ms  ", self.per_mille(so_many).as_secs_f64() * 1e3)?;
        }
        write!(f, "max {:.3} ms  of {}", self.max().as_secs_f64() * 1e3, self.len())
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
