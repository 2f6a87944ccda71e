//! One attempt at a leased invocation: prepare, run, settle.
//!
//! Between the lease and the settlement the ledger knows only that somebody holds it; if this
//! process dies, the lease is void and the attempt is made again. Settling is tried until the
//! store takes it: the outcome of a run is not dropped because the disk is full.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::invocation::{LogLine, Origin, Status};
use model::{InvocationId, Timestamp, retry};
use store::{Claimed, LogAppend, Next, Settlement, Store};
use wire::worker::{Job, LogSink};

use crate::{Control, catalogue, metrics, settle};

/// How long an event's attempt may wait at the worker for a sandbox before it gives its turn back:
/// the ledger is the better place to wait, since there a newer deploy or a limit is seen.
const PLACE_WITHIN: Duration = Duration::from_secs(30);
/// Between two tries to settle while the store refuses.
const SETTLE_AGAIN: Duration = Duration::from_millis(500);

/// Makes the attempt and records its end.
pub(crate) async fn make(control: &Arc<Control>, claimed: Claimed) {
    let leased_at = control.clock.now();
    let attempt = (claimed.id, claimed.attempt);
    control.held.add(attempt);
    metrics::queue_wait(leased_at.since(claimed.due_at));
    let origin = claimed.origin;
    let function = claimed.function;
    let settlement = run(control, claimed, leased_at).await;
    let (next, fault) = (settlement.next.clone(), settlement.attempt.fault.clone());
    let settled = settle_until_kept(control, settlement).await;
    store::failpoint!("attempt.after_settle");
    control.held.remove(attempt);
    if !settled {
        tracing::info!(invocation = %attempt.0, attempt = attempt.1, "a late report was refused");
        return;
    }
    metrics::attempt(fault.as_ref());
    match next {
        Next::Succeeded => metrics::ended(Status::Succeeded, origin_label(origin)),
        Next::GaveUp(_) => metrics::ended(Status::Dead, origin_label(origin)),
        Next::RetryAt(at) => {
            metrics::retried();
            control.dispatcher.hint([(function, at)]);
        }
    }
}

/// Runs it, unless there is a reason not to.
async fn run(control: &Arc<Control>, claimed: Claimed, leased_at: Timestamp) -> Settlement {
    let version = claimed.version.unwrap_or(0);
    let Some(entry) = control.catalogue.by_id(claimed.function) else {
        let fault = settle::deleted();
        return settle::given_up(&claimed, version, leased_at, fault, "FunctionDeleted");
    };
    let config = &entry.function.latest.config;
    if retry::is_too_old(config, claimed.accepted_at, leased_at) {
        let fault = settle::too_old(config);
        return settle::given_up(&claimed, version, leased_at, fault, "EventAgeExceeded");
    }
    let (spec, config) = match claimed.version {
        Some(number) if number != entry.spec.version => {
            match control.store.version(entry.function.id, number).await {
                Ok(Some(version)) => {
                    (Arc::new(catalogue::spec(&entry.function, &version)), version.config)
                }
                Ok(None) | Err(_) => {
                    let fault = settle::deleted();
                    return settle::given_up(&claimed, number, leased_at, fault, "FunctionDeleted");
                }
            }
        }
        _ => (entry.spec.clone(), config.clone()),
    };
    let version = spec.version;
    let event = match claimed.origin {
        Origin::Event => Some((claimed.event, claimed.trigger.clone())),
        Origin::Call | Origin::AsyncCall => None,
    };
    let job = Job {
        invocation: claimed.id,
        attempt: claimed.attempt,
        spec,
        payload: claimed.payload.clone(),
        start_by: control.clock.now().plus(PLACE_WITHIN),
        event,
        live_log: Some(Arc::new(LiveLog {
            store: control.store.clone(),
            function: entry.function.id,
            runtime: tokio::runtime::Handle::current(),
        })),
    };
    store::failpoint!("attempt.before_run");
    let report = control.worker.run(job).await;
    store::failpoint!("attempt.before_settle");
    settle::settlement(&claimed, version, &config, leased_at, report)
}

/// Writes the end of an attempt, however long the store refuses. False if it was not ours to write.
async fn settle_until_kept(control: &Control, settlement: Settlement) -> bool {
    let mut told = false;
    loop {
        match control.store.settle(settlement.clone()).await {
            Ok(settled) => return settled,
            Err(store::Error::Closed) => return false,
            Err(error) => {
                control.health.note(&error);
                if !told {
                    let invocation = settlement.invocation;
                    tracing::error!(%invocation, %error, "cannot record an outcome; trying on");
                    told = true;
                }
                tokio::time::sleep(SETTLE_AGAIN).await;
            }
        }
    }
}

pub(crate) fn origin_label(origin: Origin) -> &'static str {
    match origin {
        Origin::Call => "call",
        Origin::AsyncCall => "async_call",
        Origin::Event => "event",
    }
}

/// Attempts whose lease this process holds, so that it can be renewed.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<Vec<(InvocationId, u32)>>);

impl Held {
    fn add(&self, attempt: (InvocationId, u32)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
    }

    fn remove(&self, attempt: (InvocationId, u32)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != attempt);
    }

    pub(crate) fn all(&self) -> Vec<(InvocationId, u32)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Takes the lines of an attempt that runs for long, so that its log can be followed.
#[derive(Debug)]
struct LiveLog {
    store: Arc<dyn Store>,
    function: model::FunctionId,
    runtime: tokio::runtime::Handle,
}

impl LogSink for LiveLog {
    fn take(&self, invocation: InvocationId, attempt: u32, lines: Vec<LogLine>) {
        let (store, function) = (self.store.clone(), self.function);
        let append = LogAppend { invocation, function, attempt, lines };
        self.runtime.spawn(async move {
            if let Err(error) = store.append_log(vec![append]).await {
                tracing::warn!(%invocation, %error, "lines of a running attempt were not stored");
            }
        });
    }
}
