//! Replay: stored events run again, one of them or those of a time.
//!
//! A replay reads the ledger and adds invocations to events that are there already; nothing that
//! happened is changed. It matches against the triggers of now, or goes to one function that the
//! caller names, at a version of their choice. Each invocation carries the replay's id, and its
//! function sees it ([`mark`]). What goes to a function by one of its triggers waits in that trigger's
//! lane, is batched with what is there and comes behind what has the same ordering key; what goes to
//! it past its triggers is in the plain lane.
//!
//! One event is run again while its caller waits. Those of a time are an order in the ledger
//! ([`orders`]), which [`run`] carries out: it reads a page in the order of arrival, [`choose`] says
//! what runs because of each event, [`pace`] how many may be made now, and the cursor moves in the
//! commit that makes them. So a crash neither repeats an event nor leaves one out, and whoever ends an
//! order ends it at once: what was started runs, and nothing more is started. [`dry`] counts what an
//! order would do. What it does not do: an event that is not in the ledger (any more) cannot run.

mod choose;
mod dry;
pub(crate) mod mark;
mod orders;
mod pace;
mod run;

use tokio::sync::Notify;

pub(crate) use orders::{Asked, One, Order, no_replay};
pub(crate) use run::run;

/// The way to the loop that carries orders out.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    changed: Notify,
}

impl Replays {
    /// There is a new order.
    fn nudge(&self) {
        self.changed.notify_one();
    }

    async fn nudged(&self) {
        self.changed.notified().await;
    }
}
