//! Replays: orders to run the stored events of a time again, and how far each has come.
//!
//! The store keeps an order and moves its cursor in the same commit as the invocations that it makes
//! ([`Store::advance_replay`](crate::Store::advance_replay)). Which those are is decided above: what
//! an order means is not known here.

use model::{FunctionId, FunctionName, Pattern, Project, ReplayId, Timestamp, TriggerName};

use super::{EventFilter, NewInvocation};

/// Replays of a project that may run at once: each reads the ledger some times a second.
pub const REPLAYS_AT_ONCE: usize = 20;

/// Which events run again, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayOrder {
    /// Received at or after.
    pub from: Timestamp,
    /// Received before.
    pub to: Timestamp,
    pub source: Option<String>,
    pub kind: Option<String>,
    /// Only events that it matches.
    pub pattern: Option<Pattern>,
    /// Without one, every function whose triggers match when it is their turn.
    pub target: Option<ReplayTarget>,
    /// Invocations made in a second; 0 is as many as can be.
    pub rate_per_s: u32,
}

/// One function, and perhaps one of its triggers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayTarget {
    pub function: FunctionId,
    pub function_name: FunctionName,
    pub trigger: Option<TriggerName>,
    pub version: Option<u32>,
    /// Also events that none of its triggers matches.
    pub ignore_triggers: bool,
}

impl ReplayOrder {
    /// What the store itself can tell apart.
    pub fn filter(&self) -> EventFilter {
        EventFilter {
            from: Some(self.from),
            to: Some(self.to),
            source: self.source.clone(),
            kind: self.kind.clone(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewReplay {
    pub id: ReplayId,
    pub project: Project,
    pub order: ReplayOrder,
    pub created_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    pub id: ReplayId,
    pub project: Project,
    pub order: ReplayOrder,
    pub created_at: Timestamp,
    pub state: ReplayState,
    /// Why it failed.
    pub reason: Option<String>,
    pub ended_at: Option<Timestamp>,
    /// That of the last event it has come past; none at its beginning.
    pub cursor: Option<String>,
    /// When that event was received.
    pub reached_at: Option<Timestamp>,
    /// Events that it has come past.
    pub events: u64,
    /// Those of them that something ran for again.
    pub matched: u64,
    /// Invocations that it made.
    pub invocations: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplayState {
    Running,
    Done,
    Cancelled,
    Failed,
}

/// A step of a replay: past some events, with what runs because of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayStep {
    pub replay: ReplayId,
    pub project: Project,
    /// Where the cursor is, or nothing happens.
    pub before: Option<String>,
    /// That of the last of the events.
    pub after: String,
    pub reached_at: Timestamp,
    pub events: u64,
    pub matched: u64,
    pub invocations: Vec<NewInvocation>,
}
