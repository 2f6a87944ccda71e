//! One attempt at a leased invocation, or at a batch of them: prepare, run, settle.
//!
//! [`group`] says which invocations an attempt serves and what its handler gets of them. Between the
//! lease and the settlement the ledger knows only that somebody holds them; if this process dies, the
//! leases are void and an attempt is made again, for each by itself. Settling is tried until the
//! store takes it: the outcome of a run is not dropped because the disk is full.

pub(crate) mod group;
mod held;

use std::sync::Arc;
use std::time::Duration;

use model::invocation::{LogLine, Origin, Status};
use model::{Config, Fault, InvocationId, Timestamp, fault, retry};
use store::{Claimed, LogAppend, NewMessage, Next, Settled, Settlement, Store};
use wire::worker::{FunctionSpec, Job, LogSink};

use crate::catalogue::{self, Entry};
use crate::outbox::{effects, record::Cause, sending};
use crate::{Control, metrics, settle};
pub(crate) use group::Group;
use group::Input;
pub(crate) use held::Held;

/// How long an event's attempt may wait at the worker for a sandbox before it gives its turn back:
/// the ledger is the better place to wait, since there a newer deploy or a limit is seen.
const PLACE_WITHIN: Duration = Duration::from_secs(30);
/// Between two tries to settle while the store refuses.
const SETTLE_AGAIN: Duration = Duration::from_millis(500);

/// Makes the attempt and records its end.
pub(crate) async fn make(control: &Arc<Control>, group: Group) {
    let leased_at = control.clock.now();
    let Some(first) = group.claimed.first() else { return };
    let (origin, lane) = (first.origin, (first.function, first.lane.clone()));
    let attempts: Vec<_> = group.claimed.iter().map(|it| (it.id, it.attempt)).collect();
    for it in &group.claimed {
        metrics::queue_wait(leased_at.since(it.due_at));
    }
    let function = first.function;
    let causes: Vec<Cause> = group.claimed.iter().map(Cause::from).collect();
    let mut effects = Vec::new();
    let mut settlements = run(control, group, &causes, &mut effects, leased_at).await;
    if let Some(entry) = control.catalogue.by_id(function) {
        sending::fill(&*control.clock, &entry, &causes, effects, &mut settlements);
    }
    let settled = settle_until_kept(control, &settlements).await;
    store::failpoint!("attempt.after_settle");
    control.held.remove(&attempts);
    if settlements.iter().any(|it| !it.send.is_empty()) {
        control.outbox.wake();
    }
    let mut again = Vec::new();
    for (settlement, settled) in settlements.iter().zip(settled) {
        if settled.released {
            again.push(control.clock.now());
        }
        if !settled.ours {
            let Settlement { invocation, attempt, .. } = settlement;
            let attempt = attempt.number;
            tracing::info!(%invocation, attempt, "a late report was refused");
            continue;
        }
        metrics::attempt(settlement.attempt.fault.as_ref());
        match settlement.next {
            Next::Succeeded => metrics::ended(Status::Succeeded, origin_label(origin)),
            Next::GaveUp(_) => metrics::ended(Status::Dead, origin_label(origin)),
            Next::RetryAt(at) | Next::Split { at, .. } => {
                metrics::retried();
                again.push(at);
            }
        }
    }
    control.dispatcher.hint_again(again.into_iter().map(|at| (lane.clone(), at)));
}

/// Runs it, unless there is a reason not to. `effects` is what its handler wants sent, if it succeeded.
async fn run(
    control: &Arc<Control>,
    group: Group,
    causes: &[Cause],
    effects: &mut Vec<NewMessage>,
    leased_at: Timestamp,
) -> Vec<Settlement> {
    let Group { claimed, input } = group;
    let Some(first) = claimed.first() else { return Vec::new() };
    let asked = first.version;
    let give_up = |all: &[Claimed], fault: Fault, reason: &'static str| {
        let version = asked.unwrap_or(0);
        let one = |it| settle::given_up(it, version, leased_at, fault.clone(), reason);
        all.iter().map(one).collect::<Vec<_>>()
    };
    let Some(entry) = control.catalogue.by_id(first.function) else {
        return give_up(&claimed, settle::deleted(), "FunctionDeleted");
    };
    let latest = &entry.function.latest.config;
    let (old, claimed): (Vec<_>, Vec<_>) =
        claimed.into_iter().partition(|it| retry::is_too_old(latest, it.accepted_at, leased_at));
    let mut ended = give_up(&old, settle::too_old(latest), "EventAgeExceeded");
    let Some(first) = claimed.first() else { return ended };
    let (spec, config) = match spec(control, &entry, asked).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            ended.extend(give_up(&claimed, settle::deleted(), "FunctionDeleted"));
            return ended;
        }
        Err(error) => {
            let version = asked.unwrap_or(entry.spec.version);
            let why = format!("cannot read version {version} of the function: {error}");
            let fault = Fault::platform(fault::SANDBOX_FAILURE, why);
            let one = |it| settle::refused(it, version, latest, leased_at, fault.clone());
            ended.extend(claimed.iter().map(one));
            return ended;
        }
    };
    let version = spec.version;
    let payload = match &input {
        Input::One => first.payload.clone(),
        Input::Batch(_) => wire::batch::event(claimed.iter().map(|it| &it.payload)),
        Input::Refused(fault) => {
            let one = |it| settle::refused(it, version, &config, leased_at, fault.clone());
            ended.extend(claimed.iter().map(one));
            return ended;
        }
    };
    let event = match first.origin {
        Origin::Event => Some((first.event, first.trigger.clone())),
        Origin::Call | Origin::AsyncCall => None,
    };
    let job = Job {
        invocation: first.id,
        attempt: first.attempt,
        spec,
        payload,
        start_by: control.clock.now().plus(PLACE_WITHIN),
        event,
        live_log: Some(Arc::new(LiveLog {
            store: control.store.clone(),
            function: entry.function.id,
            runtime: tokio::runtime::Handle::current(),
        })),
    };
    store::failpoint!("attempt.before_run");
    let mut report = control.worker.run(job).await;
    let name = &entry.function.name;
    let hops = || causes.iter().map(Cause::hops).max().unwrap_or(0);
    *effects = effects::take(&*control.clock, name, first.id, hops, &mut report);
    store::failpoint!("attempt.before_settle");
    match input {
        Input::Batch(batch) => {
            ended.extend(settle::of_batch(&claimed, batch, version, &config, leased_at, report));
        }
        Input::One | Input::Refused(_) => {
            ended.push(settle::settlement(first, version, &config, leased_at, report));
        }
    }
    ended
}

/// The version that was asked for, or else the latest. None if there is no such one (any more).
async fn spec(
    control: &Control,
    entry: &Entry,
    asked: Option<u32>,
) -> Result<Option<(Arc<FunctionSpec>, Config)>, store::Error> {
    match asked {
        Some(number) if number != entry.spec.version => {
            let found = control.store.version(entry.function.id, number).await?;
            Ok(found.map(|version| {
                (Arc::new(catalogue::spec(&entry.function, &version)), version.config)
            }))
        }
        _ => Ok(Some((entry.spec.clone(), entry.function.latest.config.clone()))),
    }
}

/// Writes the end of an attempt, however long the store refuses: one answer for each invocation.
async fn settle_until_kept(control: &Control, settlements: &[Settlement]) -> Vec<Settled> {
    let mut told = false;
    loop {
        match control.store.settle_all(settlements.to_vec()).await {
            Ok(settled) => return settled,
            Err(store::Error::Closed) => {
                return vec![Settled { ours: false, released: false }; settlements.len()];
            }
            Err(error) => {
                control.health.note(&error);
                if let (false, Some(first)) = (told, settlements.first()) {
                    let invocation = first.invocation;
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
