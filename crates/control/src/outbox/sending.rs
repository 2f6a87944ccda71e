//! From the ends of attempts to messages: what is written with a settlement. Pure but for ids.

use std::collections::HashMap;

use bytes::Bytes;
use model::invocation::Origin;
use model::{Clock, MessageId};
use store::{Claimed, NewMessage, Next, Purpose, Settlement};

use super::record::{self, Cause};
use crate::catalogue::Entry;

impl From<&Claimed> for Cause {
    fn from(claimed: &Claimed) -> Self {
        Self {
            invocation: claimed.id,
            payload: claimed.payload.clone(),
            is_event: claimed.origin == Origin::Event,
        }
    }
}

/// Puts into the settlements of one attempt what goes out because of them. `effects` are those of the
/// attempt, and go with the first that succeeded.
pub(crate) fn fill(
    clock: &dyn Clock,
    entry: &Entry,
    causes: &[Cause],
    effects: Vec<NewMessage>,
    settlements: &mut [Settlement],
) {
    if !effects.is_empty()
        && let Some(first) = settlements.iter_mut().find(|it| it.next == Next::Succeeded)
    {
        first.send = effects;
    }
    let destinations = &entry.destinations;
    if destinations.on_success.is_none() && destinations.on_failure.is_none() {
        return;
    }
    let causes: HashMap<_, _> = causes.iter().map(|cause| (cause.invocation, cause)).collect();
    for settlement in settlements {
        let target = match settlement.next {
            Next::Succeeded => &destinations.on_success,
            Next::GaveUp(_) => &destinations.on_failure,
            Next::RetryAt(_) | Next::Split { .. } => &None,
        };
        let (Some(target), Some(cause)) = (target, causes.get(&settlement.invocation)) else {
            continue;
        };
        let id = MessageId::new(clock);
        match record::event(id, &entry.function.name, cause, settlement) {
            Some(Ok(event)) => settlement.send.push(NewMessage {
                id,
                target: target.clone(),
                body: Bytes::copy_from_slice(event.record.as_bytes()),
                purpose: Purpose::Destination,
            }),
            // Names of ours and no payload: there is no such record.
            Some(Err(malformed)) => {
                let invocation = settlement.invocation;
                tracing::error!(%invocation, %malformed, "a destination cannot be told");
            }
            None => {}
        }
    }
}
