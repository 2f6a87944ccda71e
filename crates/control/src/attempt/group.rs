//! Which of the invocations that were claimed make one attempt, and what its handler gets.
//!
//! An event of a trigger with batches shares an attempt with others of its trigger that were claimed
//! with it, as many as the trigger allows and as fit into one input. Those of a batch that was split
//! share one with their like only: what has never failed is kept apart from what failed together.
//! Everything else has an attempt of its own. A trigger is read as it is now: events that were
//! accepted before it had batches come in batches, those that were accepted before it lost them come
//! one by one, and those of a trigger that is gone come whole.
//!
//! [`grouped`] is pure. What it does not do: it drops nothing. An event that cannot be made into an
//! input is a group of its own, with the reason.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::delivery::Batch;
use model::function::Trigger;
use model::{Fault, Transform, TriggerName, fault, limits};
use store::Claimed;

use crate::Control;
use crate::replay::mark;

/// An attempt's input: as much as the input of a call, which the runtimes take.
const INPUT_BYTES: usize = limits::CALL_BYTES;

/// Invocations that are served by one attempt.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Group {
    /// At least one. The payloads are what the handler gets of each.
    pub(super) claimed: Vec<Claimed>,
    pub(super) input: Input,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Input {
    /// One payload.
    One,
    /// All payloads, as records of a batch.
    Batch(Batch),
    /// None, for this reason.
    Refused(Fault),
}

impl Group {
    /// What was claimed, as attempts to be made. From now on their leases are renewed.
    pub(crate) fn all(control: &Control, claimed: Vec<Claimed>) -> Vec<Self> {
        control.held.add(claimed.iter().map(|it| (it.id, it.attempt)));
        grouped(claimed, |it| {
            let entry = control.catalogue.by_id(it.function)?;
            entry.trigger(it.trigger.as_ref()?).cloned()
        })
    }
}

/// What those that share attempts have in common.
#[derive(Clone, PartialEq, Debug)]
struct Kind {
    trigger: TriggerName,
    batch: Batch,
    version: Option<u32>,
    limit: Option<u32>,
}

fn grouped(
    claimed: Vec<Claimed>,
    trigger_of: impl Fn(&Claimed) -> Option<Arc<Trigger>>,
) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut kinds: Vec<(Kind, Vec<Claimed>)> = Vec::new();
    for mut one in claimed {
        if let Some(replay) = one.replay {
            one.payload = mark::marked(&one.payload, replay);
        }
        let trigger = trigger_of(&one);
        let delivery = trigger.as_ref().map(|trigger| &trigger.delivery);
        let transform = delivery.and_then(|delivery| delivery.transform.as_ref());
        match transform.map(|transform| transformed(transform, &one.payload)) {
            None => {}
            Some(Ok(input)) => one.payload = input,
            Some(Err(fault)) => {
                groups.push(Group { claimed: vec![one], input: Input::Refused(fault) });
                continue;
            }
        }
        let batch = delivery.and_then(|delivery| delivery.batch);
        let (Some(trigger), Some(batch)) = (&trigger, batch) else {
            groups.push(Group { claimed: vec![one], input: Input::One });
            continue;
        };
        one.payload = wire::batch::record(one.id, one.event, one.attempt, &one.payload);
        let trigger = trigger.name.clone();
        let kind = Kind { trigger, batch, version: one.version, limit: one.batch_limit };
        match kinds.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, like)) => like.push(one),
            None => kinds.push((kind, vec![one])),
        }
    }
    for (kind, like) in kinds {
        let most = kind.batch.size.min(kind.limit.unwrap_or(u32::MAX)) as usize;
        let lengths: Vec<_> = like.iter().map(|it| it.payload.len()).collect();
        let mut like = like.into_iter();
        for part in cut(&lengths, most, INPUT_BYTES) {
            let claimed = like.by_ref().take(part.len()).collect();
            groups.push(Group { claimed, input: Input::Batch(kind.batch) });
        }
    }
    groups
}

/// The record as the trigger's handler gets it.
fn transformed(transform: &Transform, record: &[u8]) -> Result<Bytes, Fault> {
    let record = serde_json::from_slice(record).map_err(|error| {
        // It was checked before it was stored.
        let why = format!("the stored event cannot be transformed, since it is no JSON: {error}");
        Fault::platform(fault::SANDBOX_FAILURE, why)
    })?;
    Ok(transform.apply(&record)?.to_string().into())
}

/// Neighbours of these lengths, together as far as `most` of them may be and their input has at most
/// `bytes`. One alone is a part whatever its length.
fn cut(lengths: &[usize], most: usize, bytes: usize) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut left = 0;
    for (index, length) in lengths.iter().enumerate() {
        // Every record has a comma: one too many, and so the sum is never too small.
        let length = length + 1;
        match parts.last_mut() {
            Some(part) if part.len() < most && length <= left => part.end = index + 1,
            _ => {
                parts.push(index..index + 1);
                left = bytes.saturating_sub(wire::batch::event_bytes([].into_iter()));
            }
        }
        left = left.saturating_sub(length);
    }
    parts
}

#[cfg(test)]
mod tests;
