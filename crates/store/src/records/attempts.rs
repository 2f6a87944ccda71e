//! Attempts: what waits for one, how it is leased, and how it ended.

use bytes::Bytes;
use model::invocation::{Attempt, LogLine, Origin};
use model::{
    EventId, FunctionId, InvocationId, Project, ReplayId, Timestamp, TriggerName, WorkerId,
};

use super::NewMessage;

/// What waits in one lane and is not held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub function: FunctionId,
    /// None is the function's plain lane.
    pub lane: Option<TriggerName>,
    pub first_due_at: Timestamp,
    /// When the oldest of them was accepted.
    pub oldest_created_at: Timestamp,
    pub count: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    pub function: FunctionId,
    pub lane: Option<TriggerName>,
    pub limit: usize,
    pub worker: WorkerId,
    /// When the lease begins.
    pub now: Timestamp,
    /// Only those that are due by then. Later than `now` for a batch that is full before the first
    /// in it has waited for as long as it may.
    pub due_by: Timestamp,
    pub until: Timestamp,
    /// Only those that were accepted (or redriven) before this: what has become too old.
    pub accepted_before: Option<Timestamp>,
}

/// A leased invocation, with all that an attempt needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    pub id: InvocationId,
    pub project: Project,
    pub function: FunctionId,
    pub origin: Origin,
    pub event: EventId,
    pub trigger: Option<TriggerName>,
    /// The replay that made it.
    pub replay: Option<ReplayId>,
    pub lane: Option<TriggerName>,
    pub ordering_key: Option<String>,
    /// How many may be in one batch with it, since a larger one failed.
    pub batch_limit: Option<u32>,
    pub version: Option<u32>,
    /// The number of this attempt, 1 for the first.
    pub attempt: u32,
    /// Earlier attempts that failed for the function's reasons, since accepted or redriven.
    pub failures: u32,
    /// Earlier attempts that failed for ours or were interrupted, since accepted or redriven.
    pub disturbances: u32,
    /// When it was accepted, or redriven: its age counts from here.
    pub accepted_at: Timestamp,
    pub due_at: Timestamp,
    /// The CloudEvents record, or the body of an asynchronous call.
    pub payload: Bytes,
}

/// Payload that one claim takes, in all: two of the largest batches of a trigger, or sixteen of the
/// largest events. The one that reaches it is the last.
pub const CLAIM_BYTES: usize = 16 * 1024 * 1024;

/// Whether a claim ended at [`CLAIM_BYTES`], so that there may be more although it did not reach its
/// limit.
pub fn is_claim_cut(claimed: &[Claimed]) -> bool {
    claimed.iter().map(|it| it.payload.len()).sum::<usize>() >= CLAIM_BYTES
}

/// How a leased attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settlement {
    pub invocation: InvocationId,
    pub attempt: Attempt,
    pub next: Next,
    /// The answer, where there is one and it is small enough to keep.
    pub result: Option<Bytes>,
    pub result_bytes: Option<u64>,
    pub log: Vec<LogLine>,
    /// What goes out because of it. Kept only if the settlement is ours and ends as it asks.
    pub send: Vec<NewMessage>,
}

/// What became of a settlement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settled {
    /// False if the attempt is not the one that runs: someone settled it, or it was interrupted.
    /// Then nothing was changed.
    pub ours: bool,
    /// One that was held for it in the same lane is due now.
    pub released: bool,
}

/// What follows a settled attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    Succeeded,
    RetryAt(Timestamp),
    /// The batch failed and is tried again in parts: a retry that counts as nobody's failure, in
    /// batches of at most `limit`.
    Split {
        at: Timestamp,
        limit: u32,
    },
    /// The reason beyond the attempt's own fault, as a code such as `RetriesExhausted`.
    GaveUp(&'static str),
}
