//! What the worker counts and measures, by the names under which Prometheus finds it.
//!
//! The handles are made once, when the worker starts: looking one up by name and labels for each
//! attempt would cost more than counting does. So whoever wants these numbers installs a recorder
//! before that.

use std::fmt;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};
use model::invocation::Start;

use crate::pool::{Counts, Reason};

const STARTS: &str = "lambent_sandbox_starts_total";
const START_SECONDS: &str = "lambent_sandbox_start_seconds";
const INIT_SECONDS: &str = "lambent_init_seconds";
const RUN_SECONDS: &str = "lambent_run_seconds";
const SANDBOXES: &str = "lambent_sandboxes";
const DESTROYED: &str = "lambent_sandbox_destroyed_total";
const LOG_DROPPED: &str = "lambent_log_dropped_bytes_total";

/// Tells the recorder what each name means.
pub(crate) fn describe() {
    metrics::describe_counter!(
        STARTS,
        "Attempts by where their sandbox came from: warm, pool or fresh."
    );
    metrics::describe_histogram!(
        START_SECONDS,
        Unit::Seconds,
        "From the order to make a sandbox until its runtime waits for code."
    );
    metrics::describe_histogram!(
        INIT_SECONDS,
        Unit::Seconds,
        "Loading a version's code into a sandbox that has none."
    );
    metrics::describe_histogram!(
        RUN_SECONDS,
        Unit::Seconds,
        "From handing an event to the handler until its answer, as the worker sees it."
    );
    metrics::describe_gauge!(SANDBOXES, "Sandboxes by state: idle, busy, empty, starting, going.");
    metrics::describe_counter!(DESTROYED, "Sandboxes that were removed, by reason.");
    metrics::describe_counter!(
        LOG_DROPPED,
        Unit::Bytes,
        "Output of functions that was not kept, because of a cap or because no attempt ran."
    );
}

pub(crate) struct Metrics {
    warm: Counter,
    pool: Counter,
    fresh: Counter,
    start_seconds: Histogram,
    init_seconds: Histogram,
    run_seconds: Histogram,
    log_dropped: Counter,
    states: [Gauge; 5],
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        describe();
        let states = ["idle", "busy", "empty", "starting", "going"];
        Self {
            warm: metrics::counter!(STARTS, "kind" => "warm"),
            pool: metrics::counter!(STARTS, "kind" => "pool"),
            fresh: metrics::counter!(STARTS, "kind" => "fresh"),
            start_seconds: metrics::histogram!(START_SECONDS),
            init_seconds: metrics::histogram!(INIT_SECONDS),
            run_seconds: metrics::histogram!(RUN_SECONDS),
            log_dropped: metrics::counter!(LOG_DROPPED),
            states: states.map(|state| metrics::gauge!(SANDBOXES, "state" => state)),
        }
    }

    pub(crate) fn attempt_got(&self, start: Start) {
        match start {
            Start::Warm => self.warm.increment(1),
            Start::Pool => self.pool.increment(1),
            Start::Fresh => self.fresh.increment(1),
        }
    }

    pub(crate) fn sandbox_started(&self, took: Duration) {
        self.start_seconds.record(took);
    }

    pub(crate) fn loaded(&self, took: Duration) {
        self.init_seconds.record(took);
    }

    pub(crate) fn ran(&self, took: Duration) {
        self.run_seconds.record(took);
    }

    pub(crate) fn dropped_log(&self, bytes: u64) {
        if bytes > 0 {
            self.log_dropped.increment(bytes);
        }
    }

    pub(crate) fn destroyed(&self, reason: Reason) {
        metrics::counter!(DESTROYED, "reason" => reason.label()).increment(1);
    }

    pub(crate) fn sandboxes(&self, counts: &Counts) {
        let Counts { idle, busy, empty, starting, going, .. } = *counts;
        for (gauge, count) in self.states.iter().zip([idle, busy, empty, starting, going]) {
            gauge.set(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
}
