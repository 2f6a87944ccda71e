//! What goes in and out of a store, as plain values of the model. Here: functions, events, calls and
//! reads. [`sources`] has where events come from by themselves, [`attempts`] how they get their turn
//! and end, [`outbox`] what is sent then.

pub mod attempts;
pub mod outbox;
pub mod replays;
pub mod sources;

use bytes::Bytes;
use model::fault::Fault;
use model::function::{Code, Trigger};
use model::invocation::{Attempt, Invocation, LogLine, Origin, Status};
use model::{
    Config, Event, EventId, Function, FunctionId, FunctionName, InvocationId, KeyName, Project,
    ReplayId, Timestamp, TriggerName,
};

pub use attempts::{CLAIM_BYTES, Claim, Claimed, Next, Settled, Settlement, Waiting, is_claim_cut};
pub use outbox::{
    Destinations, Message, MessageOutcome, MessageState, MessageStatus, NewMessage, Purpose, Target,
};
pub use replays::{
    NewReplay, REPLAYS_AT_ONCE, Replay, ReplayOrder, ReplayState, ReplayStep, ReplayTarget,
};
pub use sources::{NewSource, Source};

/// A page of a list: at most `limit` items after `cursor`, which an earlier page gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    pub limit: usize,
    /// Opaque outside of the store that made it.
    pub cursor: Option<String>,
}

/// Items and the cursor of the page after them, if there is one (a log always has one: more may
/// come).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deploy {
    /// The id if the function is new.
    pub id: FunctionId,
    pub project: Project,
    pub name: FunctionName,
    pub code: Code,
    pub config: Config,
    pub now: Timestamp,
}

/// A function with everything that routing, dispatching and settling have to know of it.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub function: Function,
    /// By name.
    pub triggers: Vec<Trigger>,
    pub destinations: Destinations,
}

/// An API key, as it is made. The key itself is never stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewKey {
    pub key: Key,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub project: Project,
    pub name: KeyName,
    pub created_at: Timestamp,
    pub hash: [u8; 32],
}

/// An event to be stored, matched already.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEvent {
    pub id: EventId,
    pub project: Project,
    pub event: Event,
    pub received_at: Timestamp,
    /// One per trigger that matched; none is fine.
    pub invocations: Vec<NewInvocation>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewInvocation {
    pub id: InvocationId,
    pub event: EventId,
    pub function: FunctionId,
    pub function_name: FunctionName,
    pub trigger: Option<TriggerName>,
    /// Where it waits: with the function's plain ones, or in the lane of a trigger.
    pub lane: Option<TriggerName>,
    /// It is held until those of this key in its lane that are there already have ended. At most
    /// `limits::ORDERING_KEY_BYTES`.
    pub ordering_key: Option<String>,
    pub origin: Origin,
    pub replay: Option<ReplayId>,
    /// A version that was asked for; none runs the latest at the time of each attempt.
    pub version: Option<u32>,
    pub created_at: Timestamp,
    /// Not before this. (What was held is due when its turn comes.)
    pub due_at: Timestamp,
}

/// What became of one event of an append.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The event's id here: the earlier one's if it is a duplicate.
    pub id: EventId,
    pub duplicate: bool,
    /// The invocations that belong to it: function, trigger, invocation. The earlier one's if it
    /// is a duplicate.
    pub invocations: Vec<(FunctionName, Option<TriggerName>, InvocationId)>,
}

/// A synchronous call that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallRecord {
    pub id: InvocationId,
    pub project: Project,
    pub function: FunctionId,
    pub function_name: FunctionName,
    pub created_at: Timestamp,
    pub attempt: Attempt,
    pub result: Option<Bytes>,
    pub result_bytes: Option<u64>,
    pub log: Vec<LogLine>,
    /// The idempotency key that this call holds, to be given its answer.
    pub key: Option<CallKey>,
    /// What goes out because of it.
    pub send: Vec<NewMessage>,
}

/// A caller's promise that equal keys mean the same call.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CallKey {
    pub project: Project,
    pub function: FunctionId,
    pub key: String,
    /// SHA-256 of the body: the same key with another body is a mistake.
    pub body: [u8; 32],
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallKeyState {
    /// The key is this call's.
    Taken,
    /// The call with this key ended so.
    Answered { invocation: InvocationId, outcome: Result<Bytes, Fault> },
    /// A call with this key has begun and not ended: it runs now, or was interrupted.
    Begun { invocation: InvocationId },
    /// The key was used with another body.
    OtherBody,
}

/// Lines of one attempt, before it settles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogAppend {
    pub invocation: InvocationId,
    pub function: FunctionId,
    pub attempt: u32,
    pub lines: Vec<LogLine>,
}

/// Everything about one invocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detail {
    pub invocation: Invocation,
    pub attempts: Vec<Attempt>,
    pub transitions: Vec<Transition>,
    pub result: Option<Bytes>,
}

/// One line of the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transition {
    pub at: Timestamp,
    pub status: Status,
    pub attempt: u32,
    /// Why, and until when, in words: `waits until …`, `RetriesExhausted`.
    pub reason: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    pub function: Option<FunctionId>,
    pub status: Option<Status>,
    pub since: Option<Timestamp>,
    pub event: Option<EventId>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub source: Option<String>,
    pub kind: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    pub id: EventId,
    pub received_at: Timestamp,
    /// Its place among its project's events: a page after it starts with the next.
    pub cursor: String,
    pub event: Event,
}

/// Whose log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogOf {
    Invocation(InvocationId),
    Function { function: FunctionId, since: Option<Timestamp> },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedLine {
    pub invocation: InvocationId,
    pub attempt: u32,
    pub line: LogLine,
}

/// How the ledger stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Those that are held are among them.
    pub queued: u64,
    pub running: u64,
    pub retrying: u64,
    pub dead: u64,
    /// When the oldest invocation that waits was accepted.
    pub oldest_waiting: Option<Timestamp>,
    pub messages_waiting: u64,
    /// Rows that are not what was written, as far as they were met since the store was opened.
    pub damaged_rows: u64,
}
