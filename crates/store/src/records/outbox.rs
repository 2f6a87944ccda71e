//! The outbox: messages that go out because an invocation ended.
//!
//! A message is written in the transaction that ends the attempt, so it exists if and only if the
//! outcome does. Somebody leases it, sends it, and says what came of it; if they die in between, it
//! is sent again. Where it goes to and how is not the store's to know.

use bytes::Bytes;
use model::{FunctionId, InvocationId, MessageId, Project, Timestamp};

/// Where something is sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    pub kind: String,
    /// JSON, without secrets.
    pub settings: String,
    /// The secrets, encrypted by whoever knows them.
    pub sealed: Option<Bytes>,
}

/// Where a function's outcomes are sent to, whatever its version.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Destinations {
    pub on_success: Option<Target>,
    /// What became a dead letter.
    pub on_failure: Option<Target>,
}

/// Why something is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The function has a destination for this outcome.
    Destination,
    /// The handler asked for it.
    Effect,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    pub id: MessageId,
    pub target: Target,
    pub body: Bytes,
    pub purpose: Purpose,
}

/// A leased message, with all that sending needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub id: MessageId,
    pub project: Project,
    pub function: FunctionId,
    pub invocation: InvocationId,
    pub purpose: Purpose,
    pub target: Target,
    pub body: Bytes,
    pub created_at: Timestamp,
    /// The number of this try, 1 for the first; those that nobody heard of again count.
    pub tries: u32,
}

/// What came of a try to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MessageOutcome {
    Sent,
    RetryAt { at: Timestamp, error: String },
    GaveUp { error: String },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageStatus {
    /// For its next try, or for the end of the one that is made now.
    Waits,
    Sent,
    GaveUp,
}

/// A message as the ledger tells it: without its body and secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageState {
    pub id: MessageId,
    pub purpose: Purpose,
    /// Of its target.
    pub kind: String,
    pub settings: String,
    pub body_bytes: u64,
    pub created_at: Timestamp,
    /// When it is tried next, while it waits.
    pub due_at: Option<Timestamp>,
    /// Tries begun.
    pub tries: u32,
    pub status: MessageStatus,
    pub ended_at: Option<Timestamp>,
    /// Why the last try that ended failed.
    pub error: Option<String>,
}
