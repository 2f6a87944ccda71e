//! Sources: what events come from by themselves. A source is a row in the store, and while its
//! process runs, a life.
//!
//! [`run`] is the reconciler: it compares the sources that the store has with the lives that there
//! are, every few seconds and whenever somebody changed one; a new source gets a life, a changed one
//! another, a deleted one none. A life ends by itself only when it is told to. It is
//! [`life`] for whatever is read from a queue and [`schedule`] for what comes by the clock; another
//! kind of source adds an arm to `begin`. A [`webhook`] has no life: it waits to be posted to, and is
//! kept in step in the same round.
//!
//! Around it: [`settings`] checks what somebody put and splits off what is secret, [`secrets`] keeps
//! that, [`read`] says what a message is, [`batch`] stores a few hundred of them, [`backoff`] says
//! how long to wait after a failure, [`state`] what is told about all this.
//!
//! A source whose kind is not known here is left alone.

mod backoff;
mod batch;
mod life;
#[cfg(test)]
mod life_tests;
mod operations;
mod read;
mod schedule;
pub mod secrets;
mod settings;
mod state;
pub(crate) mod webhook;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use model::{Event, Project, SourceId};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::http::problem::Problem;
use wire::http::schedules::SCHEDULE;
use wire::http::sources::RABBITMQ;

use crate::Control;
use batch::{Ledger, Store};
use life::Life;
use secrets::Secrets;
use state::Report;
use webhook::hooks::Hooks;

/// Between two looks at the store, for changes that nobody told us of.
const PERIOD: Duration = Duration::from_secs(3);
/// A source that cannot be used (its key is gone, say) is looked at again after this.
const UNUSABLE: Duration = Duration::from_secs(10);

/// The sources of this process.
#[derive(Debug)]
pub(crate) struct Sources {
    secrets: Secrets,
    nudge: Notify,
    lives: Mutex<HashMap<SourceId, Living>>,
    hooks: Hooks,
    /// Held while the store is read for what all is compared with: what was read last counts last.
    reading: AsyncMutex<()>,
}

/// A life, and what it was begun with.
#[derive(Debug)]
struct Living {
    source: store::Source,
    report: Arc<Report>,
    stop: CancellationToken,
    life: JoinHandle<()>,
}

impl Sources {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            nudge: Notify::new(),
            lives: Mutex::default(),
            hooks: Hooks::default(),
            reading: AsyncMutex::default(),
        }
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Something changed: look soon.
    fn nudge(&self) {
        self.nudge.notify_one();
    }

    fn report(&self, source: &store::Source) -> Option<Arc<Report>> {
        let lives = self.lives();
        let Some(living) = lives.get(&source.id) else { return self.hooks.report(source) };
        is_same(&living.source, source).then(|| living.report.clone())
    }

    /// What is held is whole after every statement.
    fn lives(&self) -> MutexGuard<'_, HashMap<SourceId, Living>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps lives in step with the store until the process drains. The lives end by themselves then,
/// and the drain waits for them.
pub(crate) async fn run(control: Arc<Control>) {
    loop {
        match control.read_sources().await {
            Ok(wanted) => converge(&control, wanted),
            Err(error) => tracing::warn!(%error, "cannot read the sources"),
        }
        tokio::select! {
            () = control.draining.cancelled() => return,
            () = control.sources.nudge.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

impl Control {
    /// The sources of now. Webhooks are in step with them when this returns: the answer to whoever
    /// made one must not be earlier than the webhook.
    pub(crate) async fn read_sources(&self) -> Result<Vec<store::Source>, store::Error> {
        let _reading = self.sources.reading.lock().await;
        let sources = self.store.sources(None).await?;
        self.sources.hooks.follow(&self.sources.secrets, &sources, self.clock.now());
        Ok(sources)
    }
}

/// One step: what has to end is told so, what has ended is forgotten, what is missing is begun.
fn converge(control: &Arc<Control>, wanted: Vec<store::Source>) {
    let wanted: HashMap<_, _> =
        wanted.into_iter().filter(|it| it.enabled).map(|it| (it.id, it)).collect();
    let mut lives = control.sources.lives();
    lives.retain(|id, living| {
        if !wanted.get(id).is_some_and(|source| is_same(source, &living.source)) {
            living.stop.cancel();
        }
        // Two lives of one source would do no harm, but be hard to understand.
        let ended = living.life.is_finished();
        if ended {
            living.report.ended();
        }
        !ended
    });
    for (id, source) in wanted {
        if !lives.contains_key(&id)
            && !control.draining.is_cancelled()
            && let Some(living) = begin(control, source)
        {
            lives.insert(id, living);
        }
    }
}

/// Whether a life may go on: everything but the cursor, which moves by itself.
fn is_same(a: &store::Source, b: &store::Source) -> bool {
    (a.id, &a.kind, &a.settings, &a.sealed, a.enabled)
        == (b.id, &b.kind, &b.settings, &b.sealed, b.enabled)
}

/// Begins the life of a source. None if its kind has none here.
fn begin(control: &Arc<Control>, source: store::Source) -> Option<Living> {
    let now = control.clock.now();
    let (project, name) = (source.project.as_str(), source.name.as_str());
    let report = Arc::new(Report::new(&source.kind, project, name, now));
    let stop = control.draining.child_token();
    let of = (control.clone(), source.clone(), report.clone(), stop.clone());
    let living: Pin<Box<dyn Future<Output = ()> + Send>> = match source.kind.as_str() {
        RABBITMQ => Box::pin(of_queue(of.0, of.1, of.2, of.3)),
        SCHEDULE => Box::pin(schedule::run::live(of.0, of.1, of.2, of.3)),
        _ => return None,
    };
    let nudged = control.clone();
    let life = control.tasks.spawn(async move {
        living.await;
        nudged.sources.nudge();
    });
    Some(Living { source, report, stop, life })
}

/// Opens the source, which may take an operator's help, and lives its life.
async fn of_queue(
    control: Arc<Control>,
    source: store::Source,
    report: Arc<Report>,
    stop: CancellationToken,
) {
    let name = format!("{}/{}", source.project, source.name);
    let (queue, reader) = loop {
        let why = match settings::open(&control.sources.secrets, &source) {
            Ok(opened) => break opened,
            Err(unusable) => unusable.to_string(),
        };
        if report.failing(control.clock.now(), &why) {
            tracing::error!(source = name, "{why}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UNUSABLE) => {}
        }
    };
    let clock = control.clock.clone();
    let ledger = Arc::new(InControl(control));
    let store = Store { reader: Arc::new(reader), ledger, clock, report };
    Life { name, queue: Box::new(queue), store, stop }.live().await;
}

/// Events go the way of all events.
#[derive(Debug)]
struct InControl(Arc<Control>);

#[async_trait]
impl Ledger for InControl {
    async fn store(&self, project: &Project, events: Vec<Event>) -> Result<u64, Problem> {
        let appended = self.0.ingest(project, events).await?;
        Ok(appended.iter().filter(|it| it.duplicate).count() as u64)
    }

    async fn is_open(&self) -> Result<(), Problem> {
        self.0.accepts_work()?;
        self.0.stored(self.0.store.probe().await)
    }
}
