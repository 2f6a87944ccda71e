//! What the process says of itself: structured logs on the standard error, metrics in memory.
//!
//! `LAMBENT_LOG` filters as tracing's directives do (`info`, `control=debug,warn`);
//! `LAMBENT_LOG_FORMAT=json` makes one JSON object a line of it.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::EnvFilter;

/// Buckets of every histogram of seconds: from a warm call to the longest run.
const SECONDS: [f64; 18] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    15.0, 60.0, 300.0, 900.0,
];
/// Histograms are folded this often, so that they do not grow between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

pub(super) fn log() {
    let filter = EnvFilter::try_from_env("LAMBENT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let json = std::env::var("LAMBENT_LOG_FORMAT").is_ok_and(|format| format == "json");
    let set = if json { builder.json().try_init() } else { builder.try_init() };
    // Fails only where somebody set one before, and then that one is used.
    drop(set);
}

/// Installs the recorder and answers how to render it. To be called within the async runtime.
pub(super) fn metrics() -> Arc<dyn Fn() -> String + Send + Sync> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .expect("there are buckets");
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("metrics are recorded elsewhere already");
    }
    control::metrics::describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Arc::new(move || handle.render())
}
