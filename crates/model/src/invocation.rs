//! An invocation: one event, or one direct call, times one function; and the states it goes through.
//!
//! ```text
//!            leased                succeeded
//!   Queued ─────────▶ Running ───────────────▶ Succeeded
//!                      │ ▲ │  gave up
//!              retry,  │ │ └─────────────────▶ Failed (a call) or Dead (an event)
//!          interrupted ▼ │ leased                        │ redriven
//!                    Retrying ◀─────────────────────────-┘ (only Dead)
//! ```
//!
//! A waiting invocation can also give up without running: it grew too old, or its function was
//! deleted. [`Status::on`] is the only place that says what may follow what; the ledger asks it
//! before every write.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::id::{EventId, FunctionId, InvocationId, ReplayId};
use crate::name::{FunctionName, Project, TriggerName};

/// Where an invocation stands. The last three are terminal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// Accepted, waits for its first attempt.
    Queued,
    /// An attempt holds a lease.
    Running,
    /// An attempt failed or was interrupted; another follows.
    Retrying,
    Succeeded,
    /// A call that did not succeed. Its caller was told; nobody retries it.
    Failed,
    /// An event that ran out of attempts or of time: a dead letter, which can be redriven.
    Dead,
}

/// A fact that changes an invocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact {
    /// An attempt got a lease.
    Leased,
    Succeeded,
    /// The attempt failed and the retry policy allows another.
    WillRetry,
    /// The lease expired, or its holder is known to be gone, without an outcome.
    Interrupted,
    /// No further attempt.
    GaveUp,
    /// A person asked for another round.
    Redriven,
}

/// The fact does not fit the state: a late or double report, or a bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an invocation that is {status:?} cannot take the fact {fact:?}")]
pub struct Refused {
    pub status: Status,
    pub fact: Fact,
}

impl Status {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Retrying, Self::Succeeded, Self::Failed, Self::Dead];

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Dead)
    }

    /// Waits for an attempt.
    pub fn is_due(self) -> bool {
        matches!(self, Self::Queued | Self::Retrying)
    }

    /// What follows, or a refusal. Exactly one terminal state per invocation rests on this.
    #[warn(clippy::wildcard_enum_match_arm)]
    pub fn on(self, fact: Fact, origin: Origin) -> Result<Self, Refused> {
        use Fact::{GaveUp, Interrupted, Leased, Redriven, WillRetry};
        use Status::{Dead, Failed, Queued, Retrying, Running, Succeeded};
        match (self, fact) {
            (Queued | Retrying, Leased) => Ok(Running),
            (Running, Fact::Succeeded) => Ok(Succeeded),
            (Running, WillRetry | Interrupted) => Ok(Retrying),
            (Running | Queued | Retrying, GaveUp) => match origin {
                Origin::Call => Ok(Failed),
                Origin::AsyncCall | Origin::Event => Ok(Dead),
            },
            (Dead, Redriven) => Ok(Retrying),
            (
                Queued | Running | Retrying | Succeeded | Failed | Dead,
                Leased | Fact::Succeeded | WillRetry | Interrupted | GaveUp | Redriven,
            ) => Err(Refused { status: self, fact }),
        }
    }
}

/// What asked for the invocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// A synchronous call: one attempt, the caller waits.
    Call,
    /// A call that did not wait: stored first, then run like an event.
    AsyncCall,
    /// A trigger matched an event.
    Event,
}

/// How the sandbox of an attempt came to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Start {
    /// It had served this version before and was idle.
    Warm,
    /// Made ahead for the runtime; it only had to load the code.
    Pool,
    /// Made for this attempt.
    Fresh,
}

/// Where the time of an attempt went, and what it used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    /// From due to leased: waiting for a turn and for the concurrency that is allowed.
    pub queued: Duration,
    /// From leased to placed: waiting at the worker, for a sandbox in use or for room for another.
    pub placed: Duration,
    /// Making the sandbox, or taking it from the pool (zero when warm).
    pub sandbox: Duration,
    /// Loading the code (zero when warm).
    pub init: Duration,
    /// Inside the handler, as the worker saw it.
    pub run: Duration,
}

impl Timing {
    /// What the attempt is billed for: loading and running, in whole milliseconds, rounded up.
    pub fn billed_ms(&self) -> u64 {
        let micros = (self.init + self.run).as_micros();
        u64::try_from(micros.div_ceil(1_000)).unwrap_or(u64::MAX)
    }
}

/// One try, finished.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// 1, 2, 3, … per invocation; interrupted ones count.
    pub number: u32,
    pub version: u32,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// None where no sandbox was had.
    pub start: Option<Start>,
    pub timing: Timing,
    /// Peak memory of the sandbox up to the end of this attempt, where the kernel tells it.
    pub memory_peak_bytes: Option<u64>,
    pub fault: Option<Fault>,
    /// Log bytes that were dropped because of the cap.
    pub log_dropped_bytes: u64,
    /// Where one try served several invocations.
    pub batch: Option<BatchPart>,
}

/// The batch that an attempt was made in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchPart {
    /// Its first invocation: the batch's log is that one's.
    pub id: InvocationId,
    /// Invocations in it.
    pub size: u32,
}

/// An invocation as the ledger tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invocation {
    pub id: InvocationId,
    pub project: Project,
    pub function: FunctionId,
    pub function_name: FunctionName,
    pub origin: Origin,
    pub status: Status,
    pub event: Option<EventId>,
    pub trigger: Option<TriggerName>,
    /// Where it waits, if not with the function's other invocations: the lane of its trigger.
    pub lane: Option<TriggerName>,
    /// Those of one lane with equal keys run one after the other.
    pub ordering_key: Option<String>,
    /// It waits until an earlier one of its key has ended.
    pub held: bool,
    pub replay: Option<ReplayId>,
    /// The version of the last attempt; before the first, the one that was asked for.
    pub version: Option<u32>,
    /// Attempts begun.
    pub attempts: u32,
    pub created_at: Timestamp,
    /// When the next attempt may start, while one is due and not held.
    pub due_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// The last attempt that ended.
    pub last: Option<Attempt>,
    /// Why it stands where it stands, where that is not the last attempt's own fault.
    pub fault: Option<Fault>,
    pub result_bytes: Option<u64>,
}

/// A line that a function wrote, or that we wrote into its log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    pub at: Timestamp,
    pub stream: Stream,
    /// Valid UTF-8; what was not is escaped as `\xNN`.
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stream {
    Stdout,
    Stderr,
    /// Ours: a function cannot write here.
    Platform,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: [Fact; 6] = [
        Fact::Leased,
        Fact::Succeeded,
        Fact::WillRetry,
        Fact::Interrupted,
        Fact::GaveUp,
        Fact::Redriven,
    ];

    #[test]
    fn a_terminal_state_is_left_only_by_a_redrive_of_a_dead_letter() {
        for status in Status::ALL.into_iter().filter(|s| s.is_terminal()) {
            for fact in FACTS {
                let next = status.on(fact, Origin::Event);
                let redrive = status == Status::Dead && fact == Fact::Redriven;
                assert_eq!(next.is_ok(), redrive, "{status:?} on {fact:?} gave {next:?}");
            }
        }
    }

    #[test]
    fn only_a_waiting_invocation_is_leased() {
        for status in Status::ALL {
            assert_eq!(status.on(Fact::Leased, Origin::Event).is_ok(), status.is_due());
        }
    }

    #[test]
    fn a_call_fails_and_an_event_becomes_a_dead_letter() {
        assert_eq!(Status::Running.on(Fact::GaveUp, Origin::Call), Ok(Status::Failed));
        assert_eq!(Status::Running.on(Fact::GaveUp, Origin::Event), Ok(Status::Dead));
        assert_eq!(Status::Retrying.on(Fact::GaveUp, Origin::AsyncCall), Ok(Status::Dead));
    }

    #[test]
    fn billing_rounds_up_and_counts_loading() {
        let timing = Timing {
            init: Duration::from_micros(1_500),
            run: Duration::from_micros(501),
            queued: Duration::from_secs(9),
            ..Timing::default()
        };
        assert_eq!(timing.billed_ms(), 3);
        assert_eq!(Timing::default().billed_ms(), 0);
    }
}
