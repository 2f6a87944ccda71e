//! A worker without sandboxes, for tests of whoever gives it work.
//!
//! [`SimWorker`] keeps the contract of `wire::worker::Worker` and does as it is told: a function's
//! name has a script, which says for each attempt how long it runs and how it ends. A run is a
//! `tokio::time::sleep`, so under tokio's paused clock hours pass in no time; a `Clock` that follows
//! tokio's then tells the same hours. What it was asked to do can be read back
//! ([`SimWorker::attempts`]).
//!
//! It has as many places as it is given, an attempt's sandbox is warm if one of its version has run
//! here before and is not in use, and a timeout is a timeout. It does not look at code, memory or
//! the stream of time within a run.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use model::fault::{self, Fault};
use model::invocation::{LogLine, Start, Stream, Timing};
use model::{Clock, FunctionId, InvocationId, RuntimeName};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use wire::worker::{Capacity, FunctionSpec, Job, Report, Worker};

/// How one attempt goes.
#[derive(Clone, Debug)]
pub struct Step {
    /// Until it ends; its timeout, if that is shorter, ends it first.
    pub run: Duration,
    pub act: Act,
    /// What it writes to stdout.
    pub log: Vec<String>,
}

/// How an attempt ends.
#[derive(Clone, Debug)]
pub enum Act {
    Succeed(Bytes),
    /// Answers with its event.
    Echo,
    /// The fault says whose it is.
    Fail(Fault),
    /// Runs until [`SimWorker::release`], and then answers null.
    Hang,
    /// Never reports, as if the worker's machine were gone.
    Vanish,
}

impl Step {
    pub fn new(act: Act) -> Self {
        Self { run: Duration::from_millis(1), act, log: Vec::new() }
    }

    #[must_use]
    pub fn lasting(self, run: Duration) -> Self {
        Self { run, ..self }
    }

    #[must_use]
    pub fn logging(mut self, line: &str) -> Self {
        self.log.push(line.to_owned());
        self
    }
}

/// An attempt that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    pub invocation: InvocationId,
    pub attempt: u32,
    pub function: FunctionId,
    pub version: u32,
    pub payload: Bytes,
}

type Script = Arc<dyn Fn(&Job) -> Step + Send + Sync>;

/// See the module's text.
pub struct SimWorker {
    clock: Arc<dyn Clock>,
    places: Semaphore,
    runtimes: Vec<RuntimeName>,
    state: Mutex<State>,
    released: Notify,
    changed: Notify,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    attempts: Vec<Attempt>,
    /// Sandboxes that have run a version and are idle.
    idle: HashMap<(FunctionId, u32), u32>,
    running: u32,
    waiting: u32,
    draining: bool,
}

impl fmt::Debug for SimWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimWorker").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl SimWorker {
    /// A worker that runs so many attempts at once. A function without a script echoes.
    pub fn new(clock: Arc<dyn Clock>, runtimes: Vec<RuntimeName>, places: usize) -> Arc<Self> {
        Arc::new(Self {
            clock,
            places: Semaphore::new(places),
            runtimes,
            state: Mutex::default(),
            released: Notify::new(),
            changed: Notify::new(),
        })
    }

    /// What functions of this name do: the script sees the job and says how the attempt goes.
    pub fn on(&self, name: &str, script: impl Fn(&Job) -> Step + Send + Sync + 'static) {
        self.lock().scripts.insert(name.to_owned(), Arc::new(script));
    }

    /// Functions of this name take these steps one after the other, and the last one for ever.
    pub fn script(&self, name: &str, steps: impl IntoIterator<Item = Step>) {
        let steps: Vec<_> = steps.into_iter().collect();
        let taken = Mutex::new(0);
        self.on(name, move |_| {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            let step = steps.get(*taken).or(steps.last()).cloned();
            *taken += 1;
            step.unwrap_or_else(|| Step::new(Act::Echo))
        });
    }

    /// Ends the attempts that hang now.
    pub fn release(&self) {
        self.released.notify_waiters();
    }

    /// What was asked of this worker, in order.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.lock().attempts.clone()
    }

    /// Waits until so many attempts run.
    pub async fn until_running(&self, count: u32) {
        self.until(|state| state.running == count).await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if is_so(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    /// Plays one step.
    async fn play(&self, job: &Job, step: &Step) -> Result<Bytes, Fault> {
        let timeout = job.spec.timeout;
        let ended = async {
            match &step.act {
                Act::Hang => self.released.notified().await,
                Act::Vanish => std::future::pending().await,
                Act::Succeed(_) | Act::Echo | Act::Fail(_) => tokio::time::sleep(step.run).await,
            }
        };
        if matches!(step.act, Act::Vanish) {
            ended.await; // not even its timeout is reported
        } else if tokio::time::timeout(timeout, ended).await.is_err() {
            let message = format!("the function ran for {} s, its timeout", timeout.as_secs_f64());
            return Err(Fault::function(fault::TIMEOUT, message));
        }
        match &step.act {
            Act::Succeed(answer) => Ok(answer.clone()),
            Act::Echo => Ok(job.payload.clone()),
            Act::Fail(fault) => Err(fault.clone()),
            Act::Hang | Act::Vanish => Ok(Bytes::from_static(b"null")),
        }
    }
}

/// An attempt that holds a place; also when whoever waited for it goes away.
struct Running<'a> {
    worker: &'a SimWorker,
    key: (FunctionId, u32),
    reusable: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.worker.change(|state| {
            state.running -= 1;
            if self.reusable {
                *state.idle.entry(self.key).or_default() += 1;
            }
        });
    }
}

/// An attempt that waits for a place.
struct Waits<'a>(&'a SimWorker);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.waiting -= 1);
    }
}

#[async_trait]
impl Worker for SimWorker {
    async fn run(&self, job: Job) -> Report {
        let started_at = self.clock.now();
        let report = |start, timing, outcome, log| Report {
            started_at,
            ended_at: self.clock.now(),
            start,
            timing,
            memory_peak_bytes: None,
            outcome,
            effects: Vec::new(),
            log,
            log_dropped_bytes: 0,
        };
        let refused = |why: &str| {
            let fault = Fault::platform(fault::NO_CAPACITY, why);
            report(None, Timing::default(), Err(fault), Vec::new())
        };
        let spec = &job.spec;
        let script = self.change(|state| {
            state.attempts.push(Attempt {
                invocation: job.invocation,
                attempt: job.attempt,
                function: spec.function,
                version: spec.version,
                payload: job.payload.clone(),
            });
            state.waiting += 1;
            state.scripts.get(spec.name.as_str()).cloned()
        });
        let waits = Waits(self);
        if self.lock().draining {
            return refused("this worker is stopping and takes no attempts");
        }
        let patience = job.start_by.since(started_at);
        let place = tokio::time::timeout(patience, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return refused("no place was free in time");
        };
        drop(waits);
        let key = (spec.function, spec.version);
        let start = self.change(|state| {
            state.running += 1;
            match state.idle.get_mut(&key) {
                Some(idle @ 1..) => {
                    *idle -= 1;
                    Start::Warm
                }
                _ => Start::Fresh,
            }
        });
        let mut running = Running { worker: self, key, reusable: false };
        let step = script.map_or_else(|| Step::new(Act::Echo), |script| script(&job));
        let begun = Instant::now();
        let outcome = self.play(&job, &step).await;
        running.reusable = !matches!(&outcome, Err(fault) if fault.code == fault::TIMEOUT);
        let timing = Timing { run: begun.elapsed(), ..Timing::default() };
        let at = self.clock.now();
        let line = |text: &String| LogLine { at, stream: Stream::Stdout, text: text.clone() };
        report(Some(start), timing, outcome, step.log.iter().map(line).collect())
    }

    fn prepare(&self, _: Arc<FunctionSpec>) {}

    fn forget(&self, function: FunctionId, keep: Option<u32>) {
        self.change(|state| {
            let stays = |version: u32| keep.is_some_and(|keep| version >= keep);
            state.idle.retain(|(id, version), _| *id != function || stays(*version));
        });
    }

    fn capacity(&self) -> Capacity {
        let state = self.lock();
        Capacity {
            runtimes: self.runtimes.clone(),
            sandboxes_idle: state.idle.values().sum(),
            sandboxes_busy: state.running,
            waiting: state.waiting,
            draining: state.draining,
            ..Capacity::default()
        }
    }

    async fn drain(&self) {
        self.change(|state| state.draining = true);
        self.until(|state| state.running == 0 && state.waiting == 0).await;
        self.change(|state| state.idle.clear());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::function::{Code, Digest};
    use model::{FunctionName, Handler, Project, Timestamp};

    use super::*;

    /// Follows tokio's clock, which the tests pause.
    #[derive(Debug)]
    struct Virtual(Instant);

    impl Clock for Virtual {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_000_000).plus(self.0.elapsed())
        }

        fn entropy(&self) -> u128 {
            7
        }
    }

    fn job(clock: &dyn Clock, name: &str) -> Job {
        let spec = FunctionSpec {
            function: FunctionId::from_bytes([1; 16]),
            project: Project::default_project(),
            name: FunctionName::parse(name).unwrap(),
            version: 1,
            runtime: RuntimeName::parse("python3.11").unwrap(),
            handler: Handler::parse("handler.handler").unwrap(),
            env: BTreeMap::new(),
            memory_mib: 128,
            timeout: Duration::from_secs(30),
            code: Code { digest: Digest([0; 32]), size_bytes: 1, file_name: "x.py".into() },
        };
        Job {
            invocation: InvocationId::new(clock),
            attempt: 1,
            spec: Arc::new(spec),
            payload: Bytes::from_static(b"[1]"),
            start_by: clock.now().plus(Duration::from_secs(5)),
            event: None,
            live_log: None,
        }
    }

    fn worker(places: usize) -> (Arc<SimWorker>, Arc<Virtual>) {
        let clock = Arc::new(Virtual(Instant::now()));
        (SimWorker::new(clock.clone(), Vec::new(), places), clock)
    }

    #[tokio::test(start_paused = true)]
    async fn a_script_is_played_step_by_step() {
        let (worker, clock) = worker(1);
        worker.script(
            "flaky",
            [
                Step::new(Act::Fail(Fault::function("ValueError", "no"))).logging("line"),
                Step::new(Act::Echo).lasting(Duration::from_secs(3)),
            ],
        );
        let first = worker.run(job(&*clock, "flaky")).await;
        assert_eq!(first.outcome.unwrap_err().code, "ValueError");
        assert_eq!((first.start, first.log[0].text.as_str()), (Some(Start::Fresh), "line"));
        for _ in 0..2 {
            let next = worker.run(job(&*clock, "flaky")).await;
            assert_eq!(next.outcome.unwrap(), "[1]");
            assert_eq!((next.start, next.timing.run.as_secs()), (Some(Start::Warm), 3));
            assert_eq!(next.ended_at.since(next.started_at).as_secs(), 3);
        }
        assert_eq!(worker.attempts().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_limited_and_patience_ends() {
        let (worker, clock) = worker(1);
        worker.script("long", [Step::new(Act::Hang)]);
        let (busy, refused) =
            tokio::join!(worker.run(job(&*clock, "long")), worker.run(job(&*clock, "long")));
        assert_eq!(busy.outcome.unwrap_err().code, fault::TIMEOUT);
        assert_eq!(refused.outcome.unwrap_err().code, fault::NO_CAPACITY);
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_released_and_a_drain_waits_for_it() {
        let (worker, clock) = worker(2);
        worker.script("long", [Step::new(Act::Hang)]);
        let release = async {
            worker.until_running(1).await;
            worker.release();
        };
        let drain = async {
            worker.until_running(1).await;
            worker.drain().await;
        };
        let (report, (), ()) = tokio::join!(worker.run(job(&*clock, "long")), drain, release);
        assert_eq!(report.outcome.unwrap(), "null");
        let refused = worker.run(job(&*clock, "long")).await;
        assert_eq!(refused.outcome.unwrap_err().code, fault::NO_CAPACITY);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_frees_the_place() {
        let (worker, clock) = worker(1);
        worker.script("gone", [Step::new(Act::Vanish)]);
        let vanished = worker.run(job(&*clock, "gone"));
        assert!(tokio::time::timeout(Duration::from_secs(3_600), vanished).await.is_err());
        assert_eq!(worker.capacity().sandboxes_busy, 0);
        assert!(worker.run(job(&*clock, "well")).await.outcome.is_ok());
    }
}
