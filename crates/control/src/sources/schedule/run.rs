//! The life of a schedule: take turns, and sleep until the next tick.
//!
//! It sleeps no longer than [`LOOK_AGAIN`], since it sleeps by a clock that only runs, and ticks are
//! moments of one that can be set. A tick that cannot be stored is tried again, with a back-off, until
//! it can be; the settings then say whether it was missed.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use tokio_util::sync::CancellationToken;

use super::ticker::{Of, Ticker, Turn};
use crate::Control;
use crate::sources::UNUSABLE;
use crate::sources::backoff::Backoff;
use crate::sources::state::{Report, Tally};

/// After this a clock that was set is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Until it is stopped.
pub(in crate::sources) async fn live(
    control: Arc<Control>,
    source: store::Source,
    report: Arc<Report>,
    stop: CancellationToken,
) {
    let name = format!("{}/{}", source.project, source.name);
    let clock = control.clock.clone();
    let mut ticker = loop {
        let why = match Ticker::new(&source) {
            Ok(ticker) => break ticker,
            Err(why) => why,
        };
        if report.failing(clock.now(), &why) {
            tracing::error!(source = name, "{why}");
        }
        if pause(&stop, UNUSABLE).await.is_none() {
            return;
        }
    };
    let ledger = Of { control, source };
    let mut backoff = Backoff::default();
    let mut failing = false;
    report.connected(clock.now());
    while !stop.is_cancelled() {
        let turn = ticker.turn(&ledger, &*clock).await;
        let now = clock.now();
        report.ticked(ticker.state());
        if turn.is_ok() && std::mem::take(&mut failing) {
            report.recovered(now);
        }
        let wait = match turn {
            Ok(Turn::Fired) => {
                report.count(Tally { messages: 1, events: 1, ..Tally::default() });
                continue;
            }
            Ok(Turn::Skipped(skipped)) => {
                tracing::warn!(source = name, skipped, "ticks were left out");
                report.skipped(skipped);
                continue;
            }
            Ok(Turn::Overtaken) => continue,
            Ok(Turn::Until(next)) => next.map_or(LOOK_AGAIN, |next| until(now, next)),
            // The reconciler notices soon.
            Ok(Turn::Gone) => LOOK_AGAIN,
            Err(problem) => {
                let why = format!("cannot store a tick: {}", problem.detail);
                if report.failing(now, &why) {
                    tracing::warn!(source = name, "{why}; it is tried again");
                }
                let was_well = !std::mem::replace(&mut failing, true);
                backoff.failed(was_well, clock.entropy())
            }
        };
        if pause(&stop, wait).await.is_none() {
            return;
        }
    }
}

/// How long to sleep for a tick.
fn until(now: Timestamp, next: Timestamp) -> Duration {
    next.since(now).min(LOOK_AGAIN)
}

async fn pause(stop: &CancellationToken, wait: Duration) -> Option<()> {
    stop.run_until_cancelled(tokio::time::sleep(wait)).await
}
