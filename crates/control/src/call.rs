//! Call: a direct invocation, answered at once or stored for later.
//!
//! A synchronous call is placed immediately and recorded when it has ended: one attempt, never
//! retried by us. A caller who hangs up changes nothing: the attempt ends, and its record is kept
//! ([`crate::finish`]). The answer does not wait for the record's fsync (a
//! `kill -9` in that moment loses the record of a call that was answered, never an accepted
//! event), with two exceptions: a call with an idempotency key is answered after its record is
//! safe, because that record is what a second caller will be answered from; and so is one whose
//! handler asked to send something, because that is committed with it. Who reads the ledger
//! afterwards sees the call all the same: reads wait for the records that are on their way
//! ([`crate::recorder`]).
//!
//! An asynchronous call is stored like an event and then runs like one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::invocation::{Attempt, LogLine, Origin, Timing};
use model::name::Invalid;
use model::{
    Event, EventId, Fault, FunctionName, InvocationId, Project, Timestamp, Version, fault, limits,
};
use store::{CallKey, CallKeyState, CallRecord, NewEvent, NewInvocation};
use wire::http::problem::{Code, Problem};
use wire::worker::{FunctionSpec, Job, Report};

use crate::catalogue::{self, Entry};
use crate::finish::Finish;
use crate::gate::{Full, Permit};
use crate::outbox::effects;
use crate::{Control, metrics, recorder, settle};

/// How long a call may wait for a sandbox before it is refused with 429: longer than making one
/// takes on a busy machine, shorter than what a waiting person gives up after.
const PLACE_WITHIN: Duration = Duration::from_secs(10);

/// A call, as it comes in.
#[derive(Clone, Debug)]
pub struct Call {
    pub project: Project,
    pub function: FunctionName,
    /// The latest, if none is named.
    pub version: Option<u32>,
    pub body: Bytes,
    pub idempotency_key: Option<String>,
}

/// A call, as it ended.
#[derive(Clone, Debug)]
pub struct Answer {
    pub invocation: InvocationId,
    pub version: u32,
    pub outcome: Result<Bytes, Fault>,
    pub log: Vec<LogLine>,
    /// It was answered from the record of an earlier call with the same key.
    pub replayed: bool,
}

impl Control {
    /// Runs a function and waits for its answer.
    pub async fn call(self: &Arc<Self>, call: Call) -> Result<Answer, Problem> {
        let began = self.clock.now();
        self.accepts_work()?;
        let entry = self.entry(&call.project, &call.function)?;
        let body = checked_body(call.body, limits::CALL_BYTES)?;
        let spec = self.spec_of(&entry, call.version).await?;
        let permit = self.enter(&entry)?;
        let id = InvocationId::new(&*self.clock);
        let key = match call.idempotency_key {
            None => None,
            Some(key) => {
                let key = call_key(&entry, key, &body)?;
                match self.stored(self.store.begin_call(key.clone(), id, began).await)? {
                    CallKeyState::Taken => Some(key),
                    CallKeyState::Answered { invocation, outcome } => {
                        let log = Vec::new();
                        let version = spec.version;
                        return Ok(Answer { invocation, version, outcome, log, replayed: true });
                    }
                    CallKeyState::Begun { invocation } => {
                        return self.other_call(&entry, key, invocation, began).await;
                    }
                    CallKeyState::OtherBody => return Err(key_reused()),
                }
            }
        };
        let call = Running { id, entry, spec, permit, began, key };
        Ok(Finish::new(self.clone().run_call(call, body), &self.tasks).await)
    }

    /// Runs the call to its end, whoever still listens, and sees to its record.
    async fn run_call(self: Arc<Self>, call: Running, body: Bytes) -> Answer {
        let start_by = self.clock.now().plus(PLACE_WITHIN);
        let job = Job {
            invocation: call.id,
            attempt: 1,
            spec: call.spec.clone(),
            payload: body,
            start_by,
            event: None,
            live_log: None,
        };
        store::failpoint!("call.before_run");
        let mut report = self.worker.run(job).await;
        store::failpoint!("call.before_record");
        let name = &call.entry.function.name;
        let send = effects::take(&*self.clock, name, call.id, || 0, &mut report);
        drop(call.permit);
        metrics::call(self.clock.now().since(call.began));
        metrics::attempt(report.outcome.as_ref().err());
        let answer = Answer {
            invocation: call.id,
            version: call.spec.version,
            outcome: report.outcome.clone(),
            log: report.log.clone(),
            replayed: false,
        };
        let mut key = call.key;
        if answer.outcome.as_ref().is_err_and(|fault| fault.code == fault::NO_CAPACITY) {
            // It did not run: the caller shall come again, with the same key.
            self.give_back(key.take(), call.id).await;
        }
        let sends = !send.is_empty();
        let record = CallRecord {
            send,
            ..record(&call.entry, &call.spec, call.id, call.began, key, report)
        };
        if record.key.is_some() || sends {
            // Safe before the answer goes out: a second caller is answered from it, and what the
            // handler asked to send is not lost. If the disk is full, this one is answered all the
            // same, and a second waits until there is room.
            recorder::record_or_try_on(&self.store, record, &self.tasks).await;
            if sends {
                self.outbox.wake();
            }
        } else {
            self.recorder.put(record).await;
        }
        answer
    }

    async fn give_back(&self, key: Option<CallKey>, call: InvocationId) {
        let Some(key) = key else { return };
        if let Err(error) = self.store.release_call(key, call).await {
            tracing::warn!(invocation = %call, %error, "an idempotency key could not be given back");
        }
    }

    /// The key is held by a call that has not ended in the ledger. If it runs in this process its
    /// end is near; else it was interrupted, and whether it ran is not known.
    async fn other_call(
        &self,
        entry: &Entry,
        key: CallKey,
        invocation: InvocationId,
        began: Timestamp,
    ) -> Result<Answer, Problem> {
        let patience = entry.function.latest.config.timeout() + PLACE_WITHIN + limits::INIT_TIMEOUT;
        let mut wait = Duration::from_millis(2);
        while self.began_here(invocation) && self.clock.now().since(began) < patience {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(100));
            match self
                .stored(self.store.begin_call(key.clone(), invocation, self.clock.now()).await)?
            {
                CallKeyState::Answered { invocation, outcome } => {
                    let version = entry.function.latest.number;
                    return Ok(Answer {
                        invocation,
                        version,
                        outcome,
                        log: vec![],
                        replayed: true,
                    });
                }
                CallKeyState::OtherBody => return Err(key_reused()),
                CallKeyState::Taken | CallKeyState::Begun { .. } => {}
            }
        }
        Err(Problem::new(
            Code::CallInterrupted,
            format!(
                "an earlier call with this idempotency key, invocation {invocation}, was interrupted \
                 and may have run; look at what it did, and call again with another key"
            ),
        ))
    }

    /// Whether this process made the invocation: its id is younger than the process.
    fn began_here(&self, invocation: InvocationId) -> bool {
        let bytes = invocation.as_bytes();
        let millis = bytes[..6].iter().fold(0_i64, |all, byte| (all << 8) | i64::from(*byte));
        millis >= self.started_at.millis()
    }

    /// Stores a call to be run later, and answers as soon as it is safe.
    pub async fn call_later(&self, call: Call) -> Result<InvocationId, Problem> {
        self.accepts_work()?;
        let entry = self.entry(&call.project, &call.function)?;
        let body = checked_body(call.body, limits::EVENT_BYTES)?;
        if let Some(version) = call.version {
            self.spec_of(&entry, Some(version)).await?;
        }
        let now = self.clock.now();
        let invocation = InvocationId::new(&*self.clock);
        let id = EventId::new(&*self.clock);
        let key = call.idempotency_key.unwrap_or_else(|| invocation.to_string());
        let body = std::str::from_utf8(&body).expect("checked JSON is UTF-8");
        let source = format!("lambent:call/{}", entry.function.id);
        let event = Event::new(&key, &source, "lambent.call", body.into())?;
        let new = NewInvocation {
            id: invocation,
            event: id,
            function: entry.function.id,
            function_name: entry.function.name.clone(),
            trigger: None,
            lane: None,
            ordering_key: None,
            origin: Origin::AsyncCall,
            replay: None,
            version: call.version,
            created_at: now,
            due_at: now,
        };
        let event =
            NewEvent { id, project: call.project, event, received_at: now, invocations: vec![new] };
        let appended = self.append(vec![event]).await?;
        let first = appended.first().and_then(|it| it.invocations.first());
        first.map(|(_, _, invocation)| *invocation).ok_or_else(|| {
            Problem::new(Code::Internal, "the store kept the call without its invocation")
        })
    }

    pub(crate) fn entry(
        &self,
        project: &Project,
        name: &FunctionName,
    ) -> Result<Arc<Entry>, Problem> {
        self.catalogue.get(project, name).ok_or_else(|| no_function(name))
    }

    /// The latest version, or the one that was asked for.
    pub(crate) async fn spec_of(
        &self,
        entry: &Entry,
        version: Option<u32>,
    ) -> Result<Arc<FunctionSpec>, Problem> {
        match version {
            Some(number) if number != entry.spec.version => {
                let version = self.version_of(entry, Some(number)).await?;
                Ok(Arc::new(catalogue::spec(&entry.function, &version)))
            }
            _ => Ok(entry.spec.clone()),
        }
    }

    /// The same, with all its settings.
    pub(crate) async fn version_of(
        &self,
        entry: &Entry,
        version: Option<u32>,
    ) -> Result<Version, Problem> {
        let latest = &entry.function.latest;
        let number = match version {
            None => return Ok(latest.clone()),
            Some(number) if number == latest.number => return Ok(latest.clone()),
            Some(number) => number,
        };
        let found = self.stored(self.store.version(entry.function.id, number).await)?;
        found.ok_or_else(|| {
            let name = entry.function.name.as_str();
            Problem::new(Code::NotFound, format!("function {name:?} has no version {number}"))
        })
    }

    fn enter(&self, entry: &Entry) -> Result<Permit, Problem> {
        self.gate.enter(entry).map_err(|full| {
            metrics::throttled();
            let detail = match full {
                Full::Function { limit } => format!(
                    "function {:?} already runs {limit} attempts at once, which is its limit",
                    entry.function.name.as_str()
                ),
                Full::Project { limit } => format!(
                    "project {:?} already runs {limit} attempts at once, which is its limit",
                    entry.function.project.as_str()
                ),
            };
            Problem::new(Code::TooManyRequests, detail).retry_after(1)
        })
    }
}

/// A call on its way.
struct Running {
    id: InvocationId,
    entry: Arc<Entry>,
    spec: Arc<FunctionSpec>,
    permit: Permit,
    began: Timestamp,
    key: Option<CallKey>,
}

pub(crate) fn no_function(name: &FunctionName) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is no function {:?} in this project", name.as_str()),
    )
}

fn key_reused() -> Problem {
    Problem::new(
        Code::KeyReused,
        "this idempotency key was used with another body within the last 24 hours; a new call needs \
         a new key",
    )
}

fn call_key(entry: &Entry, key: String, body: &[u8]) -> Result<CallKey, Invalid> {
    model::event::attribute("Idempotency-Key", &key, limits::KEY_BYTES)?;
    let body = model::Digest::of(body).0;
    let project = entry.function.project.clone();
    Ok(CallKey { project, function: entry.function.id, key, body })
}

/// An empty body is the empty object, as in AWS Lambda; anything else must be JSON.
fn checked_body(body: Bytes, most: usize) -> Result<Bytes, Problem> {
    if body.len() > most {
        return Err(too_large("the body", body.len(), most));
    }
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match wire::json::check(&body, limits::JSON_DEPTH) {
        Ok(()) => Ok(body),
        Err(error) => {
            Err(Problem::new(Code::InvalidJson, format!("the body cannot be read: {error}")))
        }
    }
}

pub(crate) fn too_large(what: &str, bytes: usize, most: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("{what} has {bytes} bytes, and may have {most}"))
}

/// What the ledger shall say of a call that has ended.
fn record(
    entry: &Entry,
    spec: &FunctionSpec,
    id: InvocationId,
    began: Timestamp,
    key: Option<CallKey>,
    report: Report,
) -> CallRecord {
    let (fault, result) = match report.outcome {
        Ok(answer) => (None, Some(answer)),
        Err(fault) => (Some(settle::capped(fault)), None),
    };
    let result_bytes = result.as_ref().map(|bytes| bytes.len() as u64);
    // A second caller with the same key is owed the whole answer, however long it is.
    let result = if key.is_some() { result } else { result.and_then(settle::kept) };
    CallRecord {
        id,
        project: entry.function.project.clone(),
        function: entry.function.id,
        function_name: entry.function.name.clone(),
        created_at: began,
        attempt: Attempt {
            number: 1,
            version: spec.version,
            started_at: report.started_at,
            ended_at: report.ended_at,
            start: report.start,
            timing: Timing { queued: Duration::ZERO, ..report.timing },
            memory_peak_bytes: report.memory_peak_bytes,
            fault,
            log_dropped_bytes: report.log_dropped_bytes,
            batch: None,
        },
        result,
        result_bytes,
        log: report.log,
        key,
        send: Vec::new(),
    }
}

/// How a fault of a synchronous call is told to its caller.
pub fn problem_of(fault: &Fault) -> Problem {
    let code = match fault.code.as_str() {
        fault::TIMEOUT => Code::FunctionTimedOut,
        fault::NO_CAPACITY => {
            return Problem::new(Code::NoCapacity, &fault.message)
                .reason(&fault.code)
                .retry_after(1);
        }
        _ if fault.blame == model::Blame::Platform => Code::SandboxFailed,
        _ => Code::FunctionFailed,
    };
    let mut problem = Problem::new(code, &fault.message).reason(&fault.code);
    problem.trace.clone_from(&fault.trace);
    problem
}
