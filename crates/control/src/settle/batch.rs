//! An attempt that served a batch has ended: what the ledger shall say of each invocation in it.
//!
//! | the attempt | each invocation |
//! |---|---|
//! | succeeded, and the trigger has no partial responses | succeeded |
//! | succeeded, and its answer names failures | those failed, the others succeeded |
//! | succeeded, and its answer is `null`, or an object that names none | succeeded |
//! | succeeded, and its answer is anything else, or names what was not in the batch | failed |
//! | failed | failed |
//!
//! What failed is tried again as [`model::retry`] says, each by its own count of failures; equal
//! counts are due at the same time and so stay together. Where the trigger bisects, all of a batch
//! that failed as a whole for the function's reasons are tried again at once, in halves, and it is
//! nobody's failure: only what fails alone uses up its retries.
//!
//! The log and the answer are the first's, the times and the memory those of all.

use std::collections::HashSet;

use model::delivery::Batch;
use model::invocation::BatchPart;
use model::{Blame, Config, Fault, Timestamp, fault};
use store::{Claimed, Next, Settlement};
use wire::worker::Report;

use super::{after_failure, settlement};

/// What the ledger shall say of each of them, in their order.
pub fn of_batch(
    claimed: &[Claimed],
    batch: Batch,
    version: u32,
    config: &Config,
    leased_at: Timestamp,
    report: Report,
) -> Vec<Settlement> {
    let Some(first) = claimed.first() else { return Vec::new() };
    let size = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
    let verdict = verdict(claimed, batch, &report);
    let ended_at = report.ended_at;
    let mut settlements = Vec::with_capacity(claimed.len());
    let mut rest = Report { log: Vec::new(), log_dropped_bytes: 0, ..report.clone() };
    rest.outcome = Ok(bytes::Bytes::new());
    rest.effects.clear();
    let mut whole = Some(report);
    for it in claimed {
        let of_first = whole.take();
        let is_first = of_first.is_some();
        let mut settled =
            settlement(it, version, config, leased_at, of_first.unwrap_or_else(|| rest.clone()));
        if !is_first {
            (settled.result, settled.result_bytes) = (None, None);
        }
        settled.attempt.batch = Some(BatchPart { id: first.id, size });
        let fault = verdict.fault_of(it);
        settled.next = match &fault {
            None => Next::Succeeded,
            Some(fault) if verdict.is_whole() && splits(batch, size, fault) => {
                Next::Split { at: ended_at, limit: size.div_ceil(2) }
            }
            Some(fault) => {
                let next = after_failure(it, config, fault.blame, ended_at);
                in_company(next, it, batch, config)
            }
        };
        settled.attempt.fault = fault.map(super::capped);
        settlements.push(settled);
    }
    settlements
}

/// Halves may do better: the function failed, and not alone.
fn splits(batch: Batch, size: u32, fault: &Fault) -> bool {
    batch.bisect && size > 1 && fault.blame == Blame::Function
}

/// A retry is due when its wait is over and then the batch's window: a claim takes what is due
/// within the window, and shall not take it before its wait is over. The window does not make it too
/// old.
fn in_company(next: Next, claimed: &Claimed, batch: Batch, config: &Config) -> Next {
    let Next::RetryAt(at) = next else { return next };
    let oldest = claimed.accepted_at.plus(config.event_age());
    Next::RetryAt(at.plus(batch.window).min(oldest).max(at))
}

/// Which of a batch failed, and why.
enum Verdict {
    Whole(Fault),
    /// These, by their ids as the handler knows them; perhaps none.
    Some {
        failed: HashSet<String>,
        size: usize,
    },
}

impl Verdict {
    fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    fn fault_of(&self, claimed: &Claimed) -> Option<Fault> {
        match self {
            Self::Whole(fault) => Some(fault.clone()),
            Self::Some { failed, size } => failed.contains(&claimed.id.to_string()).then(|| {
                let count = failed.len();
                let message = format!(
                    "the handler named this event among those that failed: {count} of {size} in \
                         the batch; the log of the batch may say why"
                );
                Fault::function(fault::BATCH_ITEM_FAILED, message)
            }),
        }
    }
}

fn verdict(claimed: &[Claimed], batch: Batch, report: &Report) -> Verdict {
    let size = claimed.len();
    let answer = match &report.outcome {
        Err(fault) => return Verdict::Whole(fault.clone()),
        Ok(_) if !batch.partial_responses => {
            return Verdict::Some { failed: HashSet::new(), size };
        }
        Ok(answer) => answer,
    };
    let unclear = |why: String| {
        let message = format!(
            "the answer does not tell which events of the batch failed, so all are taken to have \
             failed: {why}"
        );
        Verdict::Whole(Fault::function(fault::BATCH_ANSWER, message))
    };
    let failed: HashSet<String> = match wire::batch::failures(answer) {
        Ok(failed) => failed.into_iter().collect(),
        Err(why) => return unclear(why),
    };
    let known: HashSet<String> = claimed.iter().map(|it| it.id.to_string()).collect();
    match failed.iter().find(|id| !known.contains(*id)) {
        Some(id) => unclear(format!("no record of the batch has the id {id:?}")),
        None => Verdict::Some { failed, size },
    }
}

#[cfg(test)]
mod tests;
