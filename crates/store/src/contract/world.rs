//! An empty store with a clock that only moves when it is told, and short ways to say what
//! happens in it.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::function::{Code, Digest};
use model::invocation::{Attempt, Invocation, LogLine, Origin, Start, Status, Stream, Timing};
use model::{
    Clock, Config, Event, EventId, Fault, Function, FunctionId, FunctionName, Handler,
    InvocationId, Project, RuntimeName, Timestamp, TriggerName, WorkerId,
};

use crate::{
    CallRecord, Claim, Claimed, Deploy, Detail, NewEvent, NewInvocation, Next, Page, Settlement,
    Store,
};

/// Time that stands still unless [`TestClock::advance`] moves it, and chance that repeats.
#[derive(Debug)]
pub(crate) struct TestClock {
    now: AtomicI64,
    entropy: AtomicU64,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { now: AtomicI64::new(1_764_000_000_000_000), entropy: AtomicU64::new(1) }
    }

    pub(crate) fn advance(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap();
        self.now.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::Relaxed))
    }

    /// Counts in the bits that make the next id larger, so that ids are in the order of making
    /// even within a millisecond.
    fn entropy(&self) -> u128 {
        let count = self.entropy.fetch_add(1, Ordering::Relaxed);
        u128::from_le_bytes({
            let mut bytes = [0; 16];
            bytes[2..10].copy_from_slice(&count.to_be_bytes());
            bytes
        })
    }
}

/// A store under test, with a worker.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: TestClock,
    pub(crate) worker: WorkerId,
    pub(crate) project: Project,
    /// What has to live as long as the store.
    _ground: Box<dyn Any + Send + Sync>,
}

pub(crate) fn project(name: &str) -> Project {
    Project::parse(name).unwrap()
}

pub(crate) fn name(name: &str) -> FunctionName {
    FunctionName::parse(name).unwrap()
}

pub(crate) fn trigger(name: &str) -> TriggerName {
    TriggerName::parse(name).unwrap()
}

pub(crate) fn page(limit: usize) -> Page {
    Page { limit, cursor: None }
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn line(at: Timestamp, text: &str) -> LogLine {
    LogLine { at, stream: Stream::Stdout, text: text.into() }
}

impl World {
    pub(crate) fn new(store: Arc<dyn Store>, ground: impl Any + Send + Sync) -> Self {
        let clock = TestClock::new();
        let worker = WorkerId::new(&clock);
        let project = Project::default_project();
        Self { store, clock, worker, project, _ground: Box::new(ground) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn wait(&self, count: u64) {
        self.clock.advance(seconds(count));
    }

    pub(crate) async fn deploy(&self, function: &str) -> Function {
        self.deploy_in(&self.project, function).await
    }

    pub(crate) async fn deploy_in(&self, project: &Project, function: &str) -> Function {
        let runtime = RuntimeName::parse("python3.11").unwrap();
        let mut config = Config::new(runtime, Handler::parse("handler.handler").unwrap());
        config.env.insert("KEY".into(), "a \"value\"".into());
        let deploy = Deploy {
            id: FunctionId::new(&self.clock),
            project: project.clone(),
            name: name(function),
            code: Code { digest: Digest([7; 32]), size_bytes: 3, file_name: "h.py".into() },
            config,
            now: self.now(),
        };
        self.store.deploy(deploy).await.unwrap()
    }

    /// An event with one invocation for each of these functions, not stored yet.
    pub(crate) fn event(&self, sender_id: &str, functions: &[&Function]) -> NewEvent {
        let id = EventId::new(&self.clock);
        let record = format!(r#"{{"id":"{sender_id}"}}"#);
        let project = functions.first().map_or(&self.project, |function| &function.project);
        NewEvent {
            id,
            project: project.clone(),
            event: Event::new(sender_id, "tests", "it.happened", record.into()).unwrap(),
            received_at: self.now(),
            invocations: functions.iter().map(|function| self.invocation(id, function)).collect(),
        }
    }

    pub(crate) fn invocation(&self, event: EventId, function: &Function) -> NewInvocation {
        NewInvocation {
            id: InvocationId::new(&self.clock),
            event,
            function: function.id,
            function_name: function.name.clone(),
            trigger: Some(TriggerName::parse("on-it").unwrap()),
            lane: None,
            ordering_key: None,
            origin: Origin::Event,
            replay: None,
            version: None,
            created_at: self.now(),
            due_at: self.now(),
        }
    }

    /// Stores an event for this function.
    pub(crate) async fn send(&self, sender_id: &str, function: &Function) -> InvocationId {
        let event = self.event(sender_id, &[function]);
        let appended = self.store.append(vec![event]).await.unwrap();
        assert!(!appended[0].duplicate, "{sender_id} was sent before");
        appended[0].invocations[0].2
    }

    pub(crate) async fn claim(&self, function: &Function, limit: usize) -> Vec<Claimed> {
        self.claim_in(function, None, limit).await
    }

    pub(crate) async fn claim_in(
        &self,
        function: &Function,
        lane: Option<&str>,
        limit: usize,
    ) -> Vec<Claimed> {
        let claim = Claim { lane: lane.map(trigger), ..self.claim_of(function, limit) };
        self.store.claim(claim).await.unwrap()
    }

    /// What is due now in the plain lane.
    pub(crate) fn claim_of(&self, function: &Function, limit: usize) -> Claim {
        let now = self.now();
        Claim {
            function: function.id,
            lane: None,
            limit,
            worker: self.worker,
            now,
            due_by: now,
            until: now.plus(seconds(30)),
            accepted_before: None,
        }
    }

    pub(crate) async fn claim_one(&self, function: &Function) -> Claimed {
        let mut claimed = self.claim(function, 1).await;
        claimed.pop().expect("something is due")
    }

    pub(crate) fn attempt(&self, number: u32, fault: Option<Fault>) -> Attempt {
        Attempt {
            number,
            version: 1,
            started_at: self.now(),
            ended_at: self.now(),
            start: Some(Start::Fresh),
            timing: Timing { run: Duration::from_millis(3), ..Timing::default() },
            memory_peak_bytes: Some(1 << 20),
            fault,
            log_dropped_bytes: 0,
            batch: None,
        }
    }

    pub(crate) fn settlement(&self, claimed: &Claimed, next: Next) -> Settlement {
        let fault = (next != Next::Succeeded).then(|| Fault::function("ValueError", "no"));
        let result = fault.is_none().then(|| Bytes::from_static(b"42"));
        Settlement {
            invocation: claimed.id,
            attempt: self.attempt(claimed.attempt, fault),
            next,
            result_bytes: result.as_ref().map(|result| result.len() as u64),
            result,
            log: vec![line(self.now(), "a line")],
            send: Vec::new(),
        }
    }

    pub(crate) async fn settle(&self, claimed: &Claimed, next: Next) -> bool {
        self.store.settle(self.settlement(claimed, next)).await.unwrap().ours
    }

    pub(crate) fn call(&self, function: &Function, fault: Option<Fault>) -> CallRecord {
        CallRecord {
            id: InvocationId::new(&self.clock),
            project: function.project.clone(),
            function: function.id,
            function_name: function.name.clone(),
            created_at: self.now(),
            result: fault.is_none().then(|| Bytes::from_static(b"1")),
            result_bytes: fault.is_none().then_some(1),
            attempt: self.attempt(1, fault),
            log: Vec::new(),
            key: None,
            send: Vec::new(),
        }
    }

    pub(crate) async fn detail(&self, id: InvocationId) -> Detail {
        let found = self.store.invocation(&self.project, id).await.unwrap();
        found.unwrap_or_else(|| panic!("{id:?} is not there"))
    }

    pub(crate) async fn status(&self, id: InvocationId) -> Status {
        self.detail(id).await.invocation.status
    }

    /// Every page of a filter, and the ids on them.
    pub(crate) async fn list(&self, filter: crate::Filter, limit: usize) -> Vec<InvocationId> {
        let mut cursor = None;
        let mut ids = Vec::new();
        loop {
            let page = Page { limit, cursor };
            let listed = self.store.invocations(&self.project, filter.clone(), page).await.unwrap();
            assert!(listed.items.len() <= limit);
            ids.extend(listed.items.iter().map(|Invocation { id, .. }| *id));
            cursor = listed.next;
            if cursor.is_none() {
                return ids;
            }
        }
    }
}
