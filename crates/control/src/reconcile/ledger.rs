//! The ledger, measured: gauges for dashboards, and an end for what waits but may never run.

use std::sync::Arc;
use std::time::Duration;

use model::limits::LEASE;
use store::Claim;

use crate::{Control, attempt, metrics};

pub(super) const PERIOD: Duration = Duration::from_secs(5);
/// Dead letters made per function and round: the rest follow in the next.
const EXPIRE: usize = 100;

pub(super) async fn measure(control: Arc<Control>) {
    match control.store.counts().await {
        Ok(counts) => {
            let now = control.clock.now();
            let oldest = counts.oldest_waiting.map(|at| now.since(at)).unwrap_or_default();
            metrics::ledger(&counts, oldest);
        }
        Err(error) => tracing::warn!(%error, "cannot count the ledger"),
    }
    expire(&control).await;
}

/// Invocations that are too old need no place to be ended: a function that may not run at all
/// (concurrency 0) must not keep its events for ever.
async fn expire(control: &Arc<Control>) {
    let Ok(waiting) = control.store.waiting().await else { return };
    let now = control.clock.now();
    for it in waiting {
        let Some(entry) = control.catalogue.by_id(it.function) else { continue };
        let oldest_allowed = now.minus(entry.function.latest.config.event_age());
        if it.oldest_created_at >= oldest_allowed {
            continue;
        }
        let claim = Claim {
            function: it.function,
            lane: it.lane,
            limit: EXPIRE,
            worker: control.id,
            now,
            due_by: now,
            until: now.plus(LEASE),
            accepted_before: Some(oldest_allowed),
        };
        match control.store.claim(claim).await {
            Ok(claimed) => {
                for group in attempt::Group::all(control, claimed) {
                    attempt::make(control, group).await;
                }
            }
            Err(error) => tracing::warn!(%error, "cannot end invocations that are too old"),
        }
    }
}
