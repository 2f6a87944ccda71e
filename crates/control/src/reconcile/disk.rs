//! A full disk is asked again and again whether it has space, so that nobody has to restart us.

use std::sync::Arc;
use std::time::Duration;

use crate::Control;

pub(super) const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn probe_while_full(control: Arc<Control>) {
    if control.health.is_full() && control.store.probe().await.is_ok() {
        control.health.note_written();
        control.dispatcher.wake();
    }
}
