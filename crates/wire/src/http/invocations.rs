//! Invocations: where each stands, where its time went, and why.

use model::fault::Blame;
use model::invocation::{Origin, Start, Status, Stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::destinations::Message;
use super::{millis, rfc3339};

/// One event, or one direct call, times one function.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Invocation {
    pub id: String,
    pub function: String,
    /// The version of the last attempt; null before the first.
    pub version: Option<u32>,
    pub event_id: Option<String>,
    pub trigger: Option<String>,
    /// `call`, `async_call` or `event`.
    pub origin: String,
    pub replay_id: Option<String>,
    /// Those of one trigger with equal keys run one after the other.
    #[serde(default)]
    pub ordering_key: Option<String>,
    /// It waits until an earlier one of its key has ended.
    #[serde(default)]
    pub held: bool,
    /// `queued`, `running`, `retrying`, `succeeded`, `failed` (a call) or `dead` (an event).
    #[schema(example = "succeeded")]
    pub status: String,
    /// Attempts begun.
    pub attempts: u32,
    pub created_at: String,
    /// When the next attempt may start, while one is due.
    pub due_at: Option<String>,
    pub ended_at: Option<String>,
    /// Of the last attempt that ended, like the fields below.
    #[serde(flatten)]
    pub timeline: Option<Timeline>,
    /// `warm`, `pool` or `fresh`.
    pub start: Option<String>,
    pub billed_ms: Option<u64>,
    pub memory_peak_bytes: Option<u64>,
    /// Bytes of the answer, kept or not.
    pub result_bytes: Option<u64>,
    pub error: Option<Fault>,
}

/// Where the time went, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// Waiting for a turn and for concurrency.
    pub queued_ms: f64,
    /// Waiting at the worker for a sandbox in use or for room.
    pub placed_ms: f64,
    /// Making the sandbox, or taking it from the pool.
    pub sandbox_ms: f64,
    /// Loading the code.
    pub init_ms: f64,
    /// Inside the handler.
    pub run_ms: f64,
}

/// Why an attempt did not succeed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Stable, such as `Runtime.OutOfMemory`, or the class name of the exception.
    pub code: String,
    pub message: String,
    /// `function` or `platform`.
    pub blame: String,
    pub trace: Vec<String>,
}

/// Everything about one invocation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InvocationDetail {
    #[serde(flatten)]
    pub invocation: Invocation,
    /// Every attempt that ended, oldest first.
    pub attempt_list: Vec<Attempt>,
    /// Every change of its state, oldest first.
    pub transitions: Vec<Transition>,
    /// The answer, where it was small enough to keep.
    #[schema(value_type = Object)]
    pub result: Option<Box<RawValue>>,
    /// What goes out because of it, oldest first: 1,000 at most.
    #[serde(default)]
    pub messages: Vec<Message>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    pub number: u32,
    pub version: u32,
    pub started_at: String,
    pub ended_at: String,
    #[serde(flatten)]
    pub timeline: Timeline,
    pub start: Option<String>,
    pub billed_ms: u64,
    pub memory_peak_bytes: Option<u64>,
    pub log_dropped_bytes: u64,
    /// Where one try served several invocations; then the times and the memory are those of all.
    #[serde(default)]
    pub batch: Option<BatchPart>,
    pub error: Option<Fault>,
}

/// The batch that an attempt was made in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchPart {
    /// Its first invocation, which has the log and the answer of all.
    pub first_invocation_id: String,
    /// Invocations in it.
    pub size: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    pub at: String,
    pub status: String,
    pub attempt: u32,
    pub reason: String,
}

/// A line of a log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    pub at: String,
    pub invocation_id: String,
    pub attempt: u32,
    /// `stdout`, `stderr` or `platform`.
    pub stream: String,
    pub text: String,
}

/// What `Prefer: respond-async` answers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    pub invocation_id: String,
    pub status: String,
}

/// Which invocations.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvocationQuery {
    pub function: Option<String>,
    /// `queued`, `running`, `retrying`, `succeeded`, `failed` or `dead`.
    pub status: Option<String>,
    /// RFC 3339, or seconds since 1970: created at or after.
    pub since: Option<String>,
    /// Those of one event.
    pub event: Option<String>,
    /// Items at most, 1 to 1,000.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// The word for a status, as the API and the command line say it.
pub fn status_word(status: Status) -> &'static str {
    match status {
        Status::Queued => "queued",
        Status::Running => "running",
        Status::Retrying => "retrying",
        Status::Succeeded => "succeeded",
        Status::Failed => "failed",
        Status::Dead => "dead",
    }
}

/// The status that a word says.
pub fn parse_status(word: &str) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status_word(*status) == word)
}

pub fn start_word(start: Start) -> &'static str {
    match start {
        Start::Warm => "warm",
        Start::Pool => "pool",
        Start::Fresh => "fresh",
    }
}

fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Call => "call",
        Origin::AsyncCall => "async_call",
        Origin::Event => "event",
    }
}

impl From<&model::invocation::Invocation> for Invocation {
    fn from(it: &model::invocation::Invocation) -> Self {
        let last = it.last.as_ref();
        let fault = it.fault.as_ref().or(last.and_then(|attempt| attempt.fault.as_ref()));
        Self {
            id: it.id.to_string(),
            function: it.function_name.to_string(),
            version: it.version,
            event_id: it.event.map(|id| id.to_string()),
            trigger: it.trigger.as_ref().map(ToString::to_string),
            origin: origin_word(it.origin).into(),
            replay_id: it.replay.map(|id| id.to_string()),
            ordering_key: it.ordering_key.clone(),
            held: it.held,
            status: status_word(it.status).into(),
            attempts: it.attempts,
            created_at: rfc3339(it.created_at),
            due_at: it.due_at.map(rfc3339),
            ended_at: it.ended_at.map(rfc3339),
            timeline: last.map(|attempt| (&attempt.timing).into()),
            start: last.and_then(|attempt| attempt.start).map(|start| start_word(start).into()),
            billed_ms: last.map(|attempt| attempt.timing.billed_ms()),
            memory_peak_bytes: last.and_then(|attempt| attempt.memory_peak_bytes),
            result_bytes: it.result_bytes,
            error: fault.map(Into::into),
        }
    }
}

impl From<&model::invocation::Timing> for Timeline {
    fn from(timing: &model::invocation::Timing) -> Self {
        Self {
            queued_ms: millis(timing.queued),
            placed_ms: millis(timing.placed),
            sandbox_ms: millis(timing.sandbox),
            init_ms: millis(timing.init),
            run_ms: millis(timing.run),
        }
    }
}

impl From<&model::Fault> for Fault {
    fn from(fault: &model::Fault) -> Self {
        let blame = match fault.blame {
            Blame::Function => "function",
            Blame::Platform => "platform",
        };
        Self {
            code: fault.code.clone(),
            message: fault.message.clone(),
            blame: blame.into(),
            trace: fault.trace.clone(),
        }
    }
}

impl From<&model::invocation::Attempt> for Attempt {
    fn from(it: &model::invocation::Attempt) -> Self {
        Self {
            number: it.number,
            version: it.version,
            started_at: rfc3339(it.started_at),
            ended_at: rfc3339(it.ended_at),
            timeline: (&it.timing).into(),
            start: it.start.map(|start| start_word(start).into()),
            billed_ms: it.timing.billed_ms(),
            memory_peak_bytes: it.memory_peak_bytes,
            log_dropped_bytes: it.log_dropped_bytes,
            batch: it.batch.map(|batch| BatchPart {
                first_invocation_id: batch.id.to_string(),
                size: batch.size,
            }),
            error: it.fault.as_ref().map(Into::into),
        }
    }
}

impl LogLine {
    pub fn new(
        invocation: model::InvocationId,
        attempt: u32,
        line: &model::invocation::LogLine,
    ) -> Self {
        let stream = match line.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Platform => "platform",
        };
        Self {
            at: rfc3339(line.at),
            invocation_id: invocation.to_string(),
            attempt,
            stream: stream.into(),
            text: line.text.clone(),
        }
    }
}
