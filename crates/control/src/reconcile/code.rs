//! Code that no version refers to: left by a crash between the blob and the version, or by a
//! delete.

use std::sync::Arc;
use std::time::Duration;

use crate::Control;

pub(super) const PERIOD: Duration = Duration::from_secs(3_600);
/// A blob younger than this may belong to a deploy that is on its way.
const GRACE: Duration = Duration::from_secs(3_600);

pub(super) async fn remove_unused(control: Arc<Control>) {
    let in_use = match control.code_in_use().await {
        Ok(in_use) => in_use.into_iter().collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot ask which code is in use");
            return;
        }
    };
    let (blobs, now) = (control.blobs.clone(), control.clock.now());
    let removed =
        tokio::task::spawn_blocking(move || blobs.remove_unused(&in_use, GRACE, now)).await;
    match removed {
        Ok(Ok(removed)) if removed > 0 => {
            tracing::info!(removed, "removed code that is not in use")
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot remove code that is not in use"),
        Err(error) => tracing::error!(%error, "removing unused code panicked"),
    }
}
