//! Records of synchronous calls, on their way into the ledger.
//!
//! A call is answered when its record is in this queue, and the record is committed a moment later,
//! together with its neighbours': one task writes what has gathered while the last batch was
//! written, so a call costs its caller neither an fsync nor a wake-up. The queue is bounded: when
//! the disk cannot follow, answers wait.

use std::sync::Arc;
use std::time::Duration;

use model::invocation::Status;
use store::{CallRecord, Store};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::metrics;

/// Records that may wait: at 12,000 calls a second, a third of a second's worth.
const QUEUE: usize = 4_096;
/// Records written together: more would not make the commit cheaper per record.
const BATCH: usize = 512;
/// Between two tries to write the record of a call with a key while the disk is full.
const AGAIN: Duration = Duration::from_millis(500);

/// The way to the task that writes.
#[derive(Debug)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Item>,
}

#[derive(Debug)]
enum Item {
    Call(Box<CallRecord>),
    /// Answered when everything before it is in the ledger, or known to be lost.
    Reached(oneshot::Sender<()>),
}

impl Recorder {
    pub(crate) fn start(store: Arc<dyn Store>) -> Self {
        let (queue, items) = mpsc::channel(QUEUE);
        tokio::spawn(write(store, items));
        Self { queue }
    }

    /// Waits for a place in the queue, not for the disk.
    pub(crate) async fn put(&self, call: CallRecord) {
        if self.queue.send(Item::Call(Box::new(call))).await.is_err() {
            // The task ends only with the process.
            metrics::call_record_lost();
        }
    }

    /// Waits until what was put before is in the ledger. Free where nothing waits.
    pub(crate) async fn caught_up(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Item::Reached(tell)).await.is_ok() {
            // Not answered only if the task is gone, and then there is nothing to wait for.
            drop(told.await);
        }
    }
}

async fn write(store: Arc<dyn Store>, mut items: mpsc::Receiver<Item>) {
    let mut batch = Vec::with_capacity(BATCH);
    while items.recv_many(&mut batch, BATCH).await > 0 {
        let mut reached = Vec::new();
        let records = batch.drain(..).filter_map(|item| match item {
            Item::Call(call) => Some(*call),
            Item::Reached(tell) => {
                reached.push(tell);
                None
            }
        });
        let writes: Vec<_> = records.map(|call| record(&*store, call)).collect();
        futures_util::future::join_all(writes).await;
        // Whoever asked in the middle of the batch waits for its end: some of its neighbours more.
        for tell in reached {
            // Whoever asked may have gone away.
            tell.send(()).ok();
        }
    }
}

/// Writes one record; a record that is lost is counted and told.
async fn record(store: &dyn Store, call: CallRecord) {
    let id = call.id;
    if let Err(error) = try_record(store, call).await {
        metrics::call_record_lost();
        tracing::warn!(invocation = %id, %error, "a call was answered but not recorded");
    }
}

/// Writes the record of a call with a key, which others may be waiting for. If the disk is full, a
/// task goes on trying for as long as the process lives, and this returns.
pub(crate) async fn record_or_try_on(
    store: &Arc<dyn Store>,
    call: CallRecord,
    tasks: &TaskTracker,
) {
    let Err(error) = try_record(&**store, call.clone()).await else { return };
    let id = call.id;
    tracing::warn!(invocation = %id, %error, "a call was answered and is not recorded yet");
    let store = store.clone();
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(AGAIN).await;
            match try_record(&*store, call.clone()).await {
                Err(store::Error::Full { .. } | store::Error::Overloaded { .. }) => {}
                Ok(()) => return,
                Err(error) => {
                    metrics::call_record_lost();
                    tracing::warn!(invocation = %id, %error, "the call is not recorded");
                    return;
                }
            }
        }
    });
}

async fn try_record(store: &dyn Store, call: CallRecord) -> store::Result<()> {
    let status = if call.attempt.fault.is_none() { Status::Succeeded } else { Status::Failed };
    store.record(call).await?;
    metrics::ended(status, "call");
    Ok(())
}
