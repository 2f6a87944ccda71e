//! Retention: what ended long ago is removed, a little at a time, so that the writer is never held
//! up for long.

use std::sync::Arc;
use std::time::Duration;

use crate::Control;

pub(super) const PERIOD: Duration = Duration::from_secs(60);
/// Invocations removed in one write: some milliseconds of the writer's time.
const BATCH: usize = 500;
/// Batches per round: 50,000 a minute is more than what 500 calls a second leave behind.
const BATCHES: usize = 100;

pub(super) async fn sweep(control: Arc<Control>) {
    for _ in 0..BATCHES {
        let now = control.clock.now();
        let before = now.minus(control.settings.retention);
        match control.store.sweep(before, now, BATCH).await {
            Ok(removed) if removed < BATCH => return,
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => {
                tracing::warn!(%error, "cannot remove what is past its retention");
                return;
            }
        }
    }
}
