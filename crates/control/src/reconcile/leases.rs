//! Leases: ours are renewed while their attempts run, those without a sign of life are void.

use std::sync::Arc;
use std::time::Duration;

use model::limits::LEASE;

use crate::{Control, metrics};

/// A third of the lease: two renewals may be lost before it is void.
pub(super) const PERIOD: Duration = Duration::from_secs(LEASE.as_secs() / 3);

pub(super) async fn keep_and_expire(control: Arc<Control>) {
    let held = control.held.all();
    let now = control.clock.now();
    if !held.is_empty() {
        match control.store.renew(control.id, held, now.plus(LEASE)).await {
            Ok(lost) => {
                for invocation in lost {
                    tracing::debug!(%invocation, "a lease ended before it was renewed");
                }
            }
            Err(error) => {
                // Nobody expires them either, as long as the store takes no writes.
                tracing::warn!(%error, "cannot renew leases");
                return;
            }
        }
    }
    match control.store.interrupt(now, None).await {
        Ok(0) => {}
        Ok(interrupted) => {
            metrics::redelivered(interrupted);
            tracing::warn!(interrupted, "leases ended without an outcome; made due again");
            control.dispatcher.wake();
        }
        Err(error) => tracing::warn!(%error, "cannot look for ended leases"),
    }
}
