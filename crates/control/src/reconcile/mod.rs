//! What converges by itself. Each reconciler looks at the whole state and takes no argument but
//! the control plane; running one twice, or after a crash, does no harm. A hint elsewhere may make
//! things faster; these make them certain.

mod code;
mod disk;
mod leases;
mod ledger;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use crate::Control;

/// Starts them all; each ends when the process drains, except the one that keeps leases alive
/// while attempts still run.
pub(crate) fn start(control: &Arc<Control>) {
    every(control, leases::PERIOD, true, leases::keep_and_expire);
    every(control, ledger::PERIOD, false, ledger::measure);
    every(control, disk::PERIOD, true, disk::probe_while_full);
    every(control, retention::PERIOD, false, retention::sweep);
    every(control, code::PERIOD, false, code::remove_unused);
}

fn every<F, R>(control: &Arc<Control>, period: Duration, while_draining: bool, reconcile: F)
where
    F: Fn(Arc<Control>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let control = control.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = control.draining.cancelled(), if !while_draining => return,
            }
            reconcile(control.clone()).await;
        }
    });
}
