//! The worker of this machine: [`LocalWorker`], which makes attempts in real sandboxes.
//!
//! What it holds together: the pool, which decides; the live sandboxes that nobody uses at the
//! moment; the jobs that wait; and the launcher, which acts. They share one mutex, held for
//! microseconds and never across an await. Every change goes through [`Shared::with_pool`], which
//! carries out what the pool ordered before anybody else can change it again: a freeze that was
//! decided cannot overtake the thaw of the attempt that comes after it.
//!
//! Tasks: none per attempt. One for upkeep, which sleeps until the pool says that something is
//! due, and one for each sandbox while it starts. The launcher's news arrive on a thread of their
//! own (see `launcher`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use model::invocation::Start;
use model::{Clock, FunctionId, RuntimeName};
use sandbox::{Cgroup, SandboxId};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use wire::worker::{Capacity, FunctionSpec, Job, Report, Worker};

use crate::code::{Cache, OpenError};
use crate::config::Config;
use crate::launcher::{Launcher, News};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::pool::{Need, Order, Pool, Reason, Refusal, Rules, RuntimeIndex, Ticket, VersionKey};
use crate::{run, start};

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Cache(#[from] OpenError),
    #[error("cannot start the thread that listens to the launcher")]
    Thread(#[source] std::io::Error),
}

/// See the module's text.
#[derive(Debug)]
pub struct LocalWorker {
    shared: Arc<Shared>,
}

/// What attempts, tasks and the launcher's thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) launcher: Launcher,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtimes: Vec<RuntimeName>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) metrics: Metrics,
    pub(crate) spawner: Handle,
    state: Mutex<State>,
    /// Wakes the upkeep before its time.
    upkeep: Arc<Notify>,
    drained: Notify,
    gone: watch::Sender<Option<String>>,
    memory_total_mib: u64,
    isolation_missing: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) pool: Pool,
    /// Live sandboxes that serve nobody: idle and empty ones.
    pub(crate) parked: HashMap<SandboxId, Box<Live>>,
    pub(crate) waiters: HashMap<Ticket, oneshot::Sender<Result<Got, Refusal>>>,
    /// When the upkeep will look again.
    wake_at: Option<Instant>,
}

/// A sandbox for an attempt.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) taken: Taken,
    pub(crate) start: Start,
    /// It is frozen.
    pub(crate) thaw: bool,
}

/// The right to use a sandbox. Whoever drops it without a word abandons the sandbox, which is then
/// destroyed: nobody knows what the function in it is doing.
#[derive(Debug)]
pub(crate) struct Taken {
    live: Option<Box<Live>>,
    condemned: bool,
    shared: Arc<Shared>,
}

impl LocalWorker {
    /// Takes over the launcher. To be called within a tokio runtime, after the metrics recorder is
    /// installed; blocks while it empties the cache.
    pub fn start(
        config: Config,
        launcher: sandbox::Launcher,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StartError> {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let isolation = launcher.isolation().clone();
        let rules = Rules {
            runtimes: config.runtimes.len(),
            memory_total_mib: config.memory_total_mib,
            max_sandboxes: count(config.max_sandboxes),
            stock: count(config.pool_target),
            empty_mib: model::limits::MEMORY_MIB_DEFAULT,
            parallel_starts: count(config.parallel_starts).max(1),
            waiting_most: count(config.waiting_per_version),
            idle_expiry: config.idle_expiry,
            // It is the cgroups that freeze.
            freeze_after: (isolation.cgroup != Cgroup::None).then_some(config.freeze_after),
        };
        let cache = Cache::open(config.cache, config.code, config.cache_bytes, Handle::current())?;
        let (launcher, listener) = Launcher::new(launcher);
        let shared = Arc::new(Shared {
            launcher,
            clock,
            runtimes: config.runtimes,
            cache: Arc::new(cache),
            metrics: Metrics::new(),
            spawner: Handle::current(),
            state: Mutex::new(State {
                pool: Pool::new(rules),
                parked: HashMap::new(),
                waiters: HashMap::new(),
                wake_at: None,
            }),
            upkeep: Arc::new(Notify::new()),
            drained: Notify::new(),
            gone: watch::Sender::new(None),
            memory_total_mib: config.memory_total_mib,
            isolation_missing: isolation.missing,
        });
        let news = Arc::downgrade(&shared);
        listener
            .listen(move |message| {
                if let Some(shared) = news.upgrade() {
                    shared.hear(message);
                }
            })
            .map_err(StartError::Thread)?;
        // Ends when the worker is dropped.
        drop(tokio::spawn(upkeep(Arc::downgrade(&shared), Arc::clone(&shared.upkeep))));
        Ok(Arc::new(Self { shared }))
    }

    /// Resolves, with the reason, when the launcher is gone: no attempt can be made any more, and
    /// this process, which is no longer root, cannot start another launcher. It should end, and its
    /// service manager start both again.
    pub async fn fatal(&self) -> String {
        let mut gone = self.shared.gone.subscribe();
        match gone.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // The sender is ours as long as `self` lives.
            Err(_closed) => std::future::pending().await,
        }
    }
}

impl Drop for LocalWorker {
    fn drop(&mut self) {
        self.shared.upkeep.notify_one();
    }
}

#[async_trait]
impl Worker for LocalWorker {
    async fn run(&self, job: Job) -> Report {
        run::attempt(&self.shared, job).await
    }

    fn prepare(&self, spec: Arc<FunctionSpec>) {
        self.shared.cache.prepare(&spec.code);
    }

    fn forget(&self, function: FunctionId, keep: Option<u32>) {
        self.shared.with_pool(|state, _| state.pool.forget(function, keep));
    }

    fn capacity(&self) -> Capacity {
        let (counts, draining) =
            self.shared.with_pool(|state, _| (state.pool.counts(), state.pool.is_draining()));
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Capacity {
            runtimes: self.shared.runtimes.clone(),
            memory_total_mib: self.shared.memory_total_mib,
            memory_reserved_mib: counts.memory_reserved_mib,
            sandboxes_idle: count(counts.idle),
            sandboxes_busy: count(counts.busy),
            sandboxes_pooled: count(counts.empty),
            waiting: count(counts.waiting),
            draining,
            isolation_missing: self.shared.isolation_missing.clone(),
        }
    }

    async fn drain(&self) {
        loop {
            // Listening before looking: a change in between is not missed.
            let drained = self.shared.drained.notified();
            let mut drained = std::pin::pin!(drained);
            drained.as_mut().enable();
            let done = self.shared.with_pool(|state, _| {
                state.pool.drain();
                state.pool.is_drained()
            });
            if done {
                return;
            }
            drained.await;
        }
    }
}

impl Shared {
    /// Changes the pool and does what it orders.
    pub(crate) fn with_pool<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State, Instant) -> R,
    ) -> R {
        let (result, wake) = self.change(change);
        if wake {
            self.upkeep.notify_one();
        }
        result
    }

    /// As [`Self::with_pool`]; says whether the upkeep should look sooner than it is going to.
    fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut State, Instant) -> R) -> (R, bool) {
        let now = Instant::now();
        let mut deeds = Vec::new();
        let (result, wake, drained) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = change(&mut state, now);
            for order in state.pool.take_orders() {
                self.carry_out(order, &mut state, &mut deeds);
            }
            let sleeps_long = state.wake_at.is_none_or(|at| at > now + LOOK_AGAIN);
            (result, sleeps_long || state.pool.wants_tick(now), state.pool.is_drained())
        };
        for deed in deeds {
            self.after(deed);
        }
        if drained {
            self.drained.notify_waiters();
        }
        (result, wake)
    }

    /// Does at once what must not be overtaken, and notes the rest.
    fn carry_out(self: &Arc<Self>, order: Order, state: &mut State, deeds: &mut Vec<Deed>) {
        match order {
            Order::Give { ticket, sandbox, start, thaw } => {
                let waiter = state.waiters.remove(&ticket);
                if let (Some(live), Some(waiter)) = (state.parked.remove(&sandbox), waiter) {
                    let got = Got { taken: Taken::new(live, self), start, thaw };
                    deeds.push(Deed::Answer(waiter, Ok(got)));
                } else {
                    // Cannot be: who waits is listed, and what can be given is parked.
                    tracing::error!(sandbox, "a sandbox was given that is not there");
                    deeds.push(Deed::Destroy(sandbox, Reason::Failure));
                }
            }
            Order::Refuse { ticket, why } => {
                if let Some(waiter) = state.waiters.remove(&ticket) {
                    deeds.push(Deed::Answer(waiter, Err(why)));
                }
            }
            Order::Create { sandbox, runtime } => deeds.push(Deed::Create(sandbox, runtime)),
            Order::Destroy { sandbox, reason } => {
                // Dropped outside of the lock.
                let live = state.parked.remove(&sandbox);
                deeds.push(Deed::Destroy(sandbox, reason));
                deeds.extend(live.map(Deed::Drop));
            }
            Order::Freeze { sandbox } => self.launcher.freeze(sandbox),
        }
    }

    fn after(self: &Arc<Self>, deed: Deed) {
        match deed {
            // Whoever stopped waiting drops the sandbox with the answer, and so abandons it.
            Deed::Answer(waiter, answer) => drop(waiter.send(answer)),
            Deed::Create(sandbox, runtime) => {
                let task = start::sandbox(Arc::clone(self), sandbox, runtime);
                drop(self.spawner.spawn(task)); // it tells the pool how it went
            }
            Deed::Destroy(sandbox, reason) => {
                self.metrics.destroyed(reason);
                tracing::debug!(sandbox, reason = reason.label(), "a sandbox is removed");
                self.launcher.destroy(sandbox);
            }
            Deed::Drop(live) => drop(live),
        }
    }

    /// News from the launcher's thread.
    fn hear(self: &Arc<Self>, news: News) {
        match news {
            News::Exited(sandbox) => {
                let live = self.with_pool(|state, now| {
                    state.pool.exited(sandbox, now);
                    state.parked.remove(&sandbox)
                });
                drop(live);
            }
            News::NotFrozen(sandbox, failure) => {
                let given_up = self.with_pool(|state, _| state.pool.not_frozen(sandbox));
                tracing::warn!(sandbox, %failure, given_up, "an idle sandbox was not frozen");
            }
            News::Gone(why) => {
                tracing::error!(%why, "the launcher is gone; no attempt can be made");
                let parked = self.with_pool(|state, _| {
                    state.pool.launcher_gone(&why);
                    std::mem::take(&mut state.parked)
                });
                drop(parked);
                self.gone.send_replace(Some(why));
            }
        }
    }

    /// The need of a version, if this machine has its runtime.
    pub(crate) fn need(&self, spec: &FunctionSpec) -> Option<Need> {
        let runtime = self.runtimes.iter().position(|name| *name == spec.runtime)?;
        let key = VersionKey { function: spec.function, version: spec.version };
        Some(Need { key, runtime, memory_mib: spec.memory_mib })
    }
}

/// What remains to be done after the lock is let go.
#[derive(Debug)]
enum Deed {
    Answer(oneshot::Sender<Result<Got, Refusal>>, Result<Got, Refusal>),
    Create(SandboxId, RuntimeIndex),
    Destroy(SandboxId, Reason),
    Drop(Box<Live>),
}

impl Taken {
    pub(crate) fn new(live: Box<Live>, shared: &Arc<Shared>) -> Self {
        Self { live: Some(live), condemned: false, shared: Arc::clone(shared) }
    }

    pub(crate) fn live(&mut self) -> &mut Live {
        self.live.as_mut().expect("only give_back and drop take it, and they end the value")
    }

    /// The sandbox is well and may serve its version again.
    pub(crate) fn give_back(mut self, ran: Duration) {
        if self.condemned {
            return; // too late
        }
        let Some(live) = self.live.take() else { return };
        self.condemned = true; // or rather, no longer ours to condemn
        let id = live.id;
        let ended = self.shared.with_pool(|state, now| {
            state.parked.insert(id, live);
            state.pool.give_back(id, ran, now);
            // It may have ended in the meantime.
            if state.pool.knows(id) { None } else { state.parked.remove(&id) }
        });
        drop(ended); // outside of the lock
    }

    /// Has the sandbox destroyed, whose end can still be awaited and whose pipes be read.
    pub(crate) fn condemn(&mut self, reason: Reason) {
        if let Some(live) = &self.live
            && !std::mem::replace(&mut self.condemned, true)
        {
            self.shared.with_pool(|state, now| state.pool.discard(live.id, reason, now));
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.condemn(Reason::Abandoned);
    }
}

/// While anything happens, the upkeep looks at least so often: that is how exact freezing is, and
/// how old its gauges may be.
const LOOK_AGAIN: Duration = Duration::from_millis(60);

/// And not more often than this, whatever is due.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// Expiry, freezing and the stock, until the worker is dropped.
async fn upkeep(shared: Weak<Shared>, notify: Arc<Notify>) {
    loop {
        let due = {
            let Some(shared) = shared.upgrade() else { return };
            let ((counts, due), _) = shared.change(|state, now| {
                state.pool.tick(now);
                let due = state.pool.next_due(now).map(|due| due.max(now + LOOK_PAUSE));
                state.wake_at = due;
                (state.pool.counts(), due)
            });
            shared.metrics.sandboxes(&counts);
            due
        };
        tokio::time::sleep(LOOK_PAUSE).await;
        match due {
            Some(due) => {
                // Whichever comes first; both mean the same.
                drop(tokio::time::timeout_at(due.into(), notify.notified()).await);
            }
            None => notify.notified().await,
        }
    }
}
