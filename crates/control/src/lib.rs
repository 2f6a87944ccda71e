//! Control: decides. It accepts events and calls, matches, leases and settles them, and serves the
//! HTTP API; it never runs a function itself.
//!
//! The files in the order of an event's life: [`ingest`] takes it in, [`route`] finds its
//! triggers, the store keeps it, [`dispatch`] gives each invocation its turn, [`attempt`] has a
//! worker run it, [`settle`] decides what the ledger says of it. [`call`] is the short way of a
//! synchronous call, [`recorder`] brings its record into the ledger. Beside them: [`deploy`] and [`catalogue`] (what can run), [`gate`] (how much
//! may run at once), [`replay`], [`dry_run`], [`sources`] (queues that events are read from), [`outbox`] (what goes out because of an outcome), [`reconcile`] (what converges by
//! itself), [`auth`] and [`http`].
//!
//! Invariants: a fact is written before its effect; decisions (`route`, `settle`, and `retry` in
//! the model) are pure; reconcilers take no argument; control knows a worker only as
//! [`wire::worker::Worker`] and a store only as [`store::Store`].

pub mod attempt;
pub mod auth;
pub mod call;
pub mod catalogue;
pub mod deploy;
pub mod dispatch;
mod dry_run;
mod finish;
pub mod gate;
pub mod health;
pub mod http;
pub mod ingest;
pub mod metrics;
mod outbox;
mod query;
mod reconcile;
mod recorder;
mod replay;
pub mod route;
pub mod settle;
pub mod sources;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, Project, Timestamp, WorkerId, limits};
use store::Store;
use store::blobs::Blobs;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::http::problem::{Code, Problem};
use wire::worker::Worker;

use catalogue::Catalogue;
use dispatch::Dispatcher;
use gate::Gate;
use health::Health;
use outbox::Outbox;
use recorder::Recorder;
use replay::Replays;
use sources::Sources;
use sources::secrets::Secrets;

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Attempts of one project at once.
    pub project_concurrency: u32,
    /// Turns that a project gets to one of another's, while both have work; 1 where none is given.
    pub project_weights: BTreeMap<Project, u32>,
    /// How long ended invocations, their logs and their events are kept.
    pub retention: Duration,
    /// Whether whoever has a project's key may make sources that deliver to any project.
    pub shared_sources: bool,
    /// Whether destinations may be on this machine and in private networks.
    pub destinations_private: bool,
}

impl Default for Settings {
    fn default() -> Self {
        // Two weeks: long enough to look into last week's failure.
        let retention = Duration::from_secs(14 * 24 * 3_600);
        let project_concurrency = limits::PROJECT_CONCURRENCY;
        let project_weights = BTreeMap::new();
        Self {
            project_concurrency,
            project_weights,
            retention,
            shared_sources: false,
            destinations_private: false,
        }
    }
}

/// The control plane of one process.
#[derive(Debug)]
pub struct Control {
    /// Who holds this process's leases.
    pub id: WorkerId,
    pub started_at: Timestamp,
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) worker: Arc<dyn Worker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalogue: Catalogue,
    pub(crate) gate: Gate,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) held: attempt::Held,
    pub(crate) health: Health,
    pub(crate) recorder: Recorder,
    pub(crate) sources: Sources,
    pub(crate) replays: Replays,
    pub(crate) outbox: Outbox,
    /// Attempts, calls and claims on their way: a drain waits for them.
    pub(crate) tasks: TaskTracker,
    /// Set when no new work is taken.
    pub(crate) draining: CancellationToken,
}

impl Control {
    /// Takes over a store: what another process left running is made due again, the catalogue is
    /// read, and the loops are started.
    pub async fn start(
        store: Arc<dyn Store>,
        blobs: Arc<Blobs>,
        worker: Arc<dyn Worker>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        secrets: Secrets,
    ) -> Result<Arc<Self>, store::Error> {
        let id = WorkerId::new(&*clock);
        let now = clock.now();
        let interrupted = store.interrupt(now, Some(id)).await?;
        if interrupted > 0 {
            metrics::redelivered(interrupted);
            tracing::warn!(interrupted, "attempts of a process that ended are made again");
        }
        let deployed = store.catalogue().await?;
        let destinations: Vec<_> =
            deployed.iter().map(|it| (it.function.id, it.destinations.clone())).collect();
        let catalogue =
            Catalogue::new(deployed.into_iter().map(|it| (it.function, it.triggers)).collect());
        for (function, destinations) in destinations {
            if destinations != store::Destinations::default() {
                catalogue.put_destinations(function, destinations);
            }
        }
        let wake = Arc::new(Notify::new());
        let weights = settings.project_weights.clone();
        let control = Arc::new(Self {
            id,
            started_at: now,
            gate: Gate::new(settings.project_concurrency, wake.clone()),
            outbox: Outbox::new(settings.destinations_private),
            settings,
            recorder: Recorder::start(store.clone()),
            sources: Sources::new(secrets),
            replays: Replays::default(),
            store,
            blobs,
            worker,
            clock,
            catalogue,
            dispatcher: Dispatcher::new(wake, weights),
            held: attempt::Held::default(),
            health: Health::default(),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
        });
        reconcile::start(&control);
        let dispatching = control.clone();
        tokio::spawn(async move { dispatch::run(dispatching).await });
        // Webhooks answer from the first request on.
        control.read_sources().await?;
        tokio::spawn(sources::run(control.clone()));
        tokio::spawn(replay::run(control.clone()));
        tokio::spawn(outbox::run(control.clone()));
        Ok(control)
    }

    /// What the store answered, or what to tell the caller; remembers when the disk is full.
    pub(crate) fn stored<T>(&self, answer: Result<T, store::Error>) -> Result<T, Problem> {
        answer.map_err(|error| {
            self.health.note(&error);
            problem_of(&error)
        })
    }

    /// Refuses new work while shutting down, and while the disk is full.
    pub(crate) fn accepts_work(&self) -> Result<(), Problem> {
        if self.draining.is_cancelled() {
            let detail = "this process is shutting down; ask another one, or again in a moment";
            return Err(Problem::new(Code::Draining, detail).retry_after(1));
        }
        self.health.accepts_writes()
    }

    /// Stops taking work: `/readyz` says so, calls and events are refused, nothing is leased.
    pub fn begin_drain(&self) {
        self.draining.cancel();
    }

    /// Waits until every attempt that this process holds has been settled, then empties the
    /// worker. Whoever calls this bounds it.
    pub async fn drain(&self) {
        self.begin_drain();
        self.tasks.close();
        self.tasks.wait().await;
        self.recorder.caught_up().await;
        self.worker.drain().await;
    }
}

/// What a caller is told when the store fails. The log has the rest.
pub(crate) fn problem_of(error: &store::Error) -> Problem {
    match error {
        store::Error::Full { .. } => {
            Problem::new(Code::StorageFull, "the service's disk is full: nothing was stored")
                .retry_after(5)
        }
        store::Error::Overloaded { .. } => {
            Problem::new(Code::Overloaded, error.to_string()).retry_after(1)
        }
        store::Error::Cursor { .. } => Problem::new(Code::InvalidCursor, error.to_string()),
        store::Error::Closed => {
            Problem::new(Code::Draining, "this process is shutting down").retry_after(1)
        }
        _ => {
            tracing::error!(%error, "the store failed");
            Problem::new(Code::Internal, "the store failed; the service's log says how")
        }
    }
}
