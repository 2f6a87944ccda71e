//! Settle: from what a worker reported to what the ledger shall say. Pure but for its last line:
//! [`settlement`] decides, the caller writes.
//!
//! An attempt that succeeded ends its invocation; one that failed is tried again as
//! [`model::retry`] says, or makes a dead letter. What ran and what follows are written together,
//! so a crash never finds one without the other. [`batch`] does the same for an attempt that served
//! several.

mod batch;

use bytes::Bytes;
use model::fault::{Blame, Fault};
use model::invocation::{Attempt, Timing};
use model::retry::{self, Decision, History, Reason};
use model::{Config, Timestamp, fault, limits};
use store::{Claimed, Next, Settlement};
use wire::worker::Report;

pub use batch::of_batch;

/// What the ledger shall say of a leased attempt that has ended.
pub fn settlement(
    claimed: &Claimed,
    version: u32,
    config: &Config,
    leased_at: Timestamp,
    report: Report,
) -> Settlement {
    let (fault, result) = match report.outcome {
        Ok(answer) => (None, Some(answer)),
        Err(fault) => (Some(fault), None),
    };
    let next = match &fault {
        None => Next::Succeeded,
        Some(fault) => after_failure(claimed, config, fault.blame, report.ended_at),
    };
    let result_bytes = result.as_ref().map(|bytes| bytes.len() as u64);
    Settlement {
        invocation: claimed.id,
        attempt: Attempt {
            number: claimed.attempt,
            version,
            started_at: report.started_at,
            ended_at: report.ended_at,
            start: report.start,
            timing: Timing { queued: leased_at.since(claimed.due_at), ..report.timing },
            memory_peak_bytes: report.memory_peak_bytes,
            fault: fault.map(capped),
            log_dropped_bytes: report.log_dropped_bytes,
            batch: None,
        },
        next,
        result: result.and_then(kept),
        result_bytes,
        log: report.log,
        send: Vec::new(),
    }
}

/// The end of an invocation that no attempt is made for: its function is gone, or it is too old.
pub fn given_up(
    claimed: &Claimed,
    version: u32,
    now: Timestamp,
    fault: Fault,
    reason: &'static str,
) -> Settlement {
    Settlement {
        invocation: claimed.id,
        attempt: Attempt {
            number: claimed.attempt,
            version,
            started_at: now,
            ended_at: now,
            start: None,
            timing: Timing { queued: now.since(claimed.due_at), ..Timing::default() },
            memory_peak_bytes: None,
            fault: Some(fault),
            log_dropped_bytes: 0,
            batch: None,
        },
        next: Next::GaveUp(reason),
        result: None,
        result_bytes: None,
        log: Vec::new(),
        send: Vec::new(),
    }
}

/// The end of an attempt that was not made, since there was nothing to give to the handler: a failure
/// as any other.
pub fn refused(
    claimed: &Claimed,
    version: u32,
    config: &Config,
    now: Timestamp,
    fault: Fault,
) -> Settlement {
    let next = after_failure(claimed, config, fault.blame, now);
    Settlement { next, ..given_up(claimed, version, now, fault, "") }
}

/// The answer, if it is small enough to keep in the ledger.
pub fn kept(answer: Bytes) -> Option<Bytes> {
    (answer.len() <= limits::RESULT_KEPT_BYTES).then_some(answer)
}

fn after_failure(claimed: &Claimed, config: &Config, blame: Blame, now: Timestamp) -> Next {
    let (failures, disturbances) = match blame {
        Blame::Function => (claimed.failures + 1, claimed.disturbances),
        Blame::Platform => (claimed.failures, claimed.disturbances + 1),
    };
    let history = History { accepted_at: claimed.accepted_at, failures, disturbances };
    match retry::decide(config, history, blame, now) {
        Decision::RetryAt(at) => Next::RetryAt(at),
        Decision::GiveUp(Reason::RetriesExhausted) => Next::GaveUp("RetriesExhausted"),
        Decision::GiveUp(Reason::EventAgeExceeded) => Next::GaveUp("EventAgeExceeded"),
    }
}

/// A function may raise an error of any size; the ledger keeps what a person reads.
pub fn capped(mut fault: Fault) -> Fault {
    if fault.message.len() > limits::ERROR_MESSAGE_BYTES {
        let mut cut = limits::ERROR_MESSAGE_BYTES;
        while !fault.message.is_char_boundary(cut) {
            cut -= 1;
        }
        fault.message.truncate(cut);
        fault.message.push('…');
    }
    fault
}

/// Why an event that waited too long is not run.
pub fn too_old(config: &Config) -> Fault {
    let age = config.event_age_s;
    Fault::function(
        fault::EVENT_TOO_OLD,
        format!("the event is older than the function's event_age_s of {age} s, so it is not run"),
    )
}

/// Why the event of a function that is gone is not run.
pub fn deleted() -> Fault {
    Fault::function(
        fault::FUNCTION_DELETED,
        "the function was deleted before it ran; deploy one of this name and replay the event",
    )
}
