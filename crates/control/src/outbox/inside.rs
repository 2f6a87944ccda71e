//! Messages that go nowhere but into the ledger: to another function, or, an effect's, to whatever has
//! a trigger for it. The event and the end of its message are one commit, so it is delivered once.

use std::sync::Arc;

use model::invocation::Origin;
use model::{EventId, FunctionName, InvocationId};
use store::{Message, NewEvent, NewInvocation};
use wire::cloudevents;

use super::{Failed, made};
use crate::catalogue::Entry;
use crate::{Control, ingest, metrics};

/// To one function, whatever its triggers say.
pub(super) async fn to_function(
    control: &Control,
    message: &Message,
    name: &FunctionName,
) -> Result<(), Failed> {
    let entry = control.catalogue.get(&message.project, name);
    let entry = entry.ok_or_else(|| {
        Failed::again(format!("there is no function {:?} (any more)", name.as_str()))
    })?;
    deliver(control, message, Some(entry)).await
}

/// To all functions that have a trigger for it now.
pub(super) async fn to_triggers(control: &Control, message: &Message) -> Result<(), Failed> {
    deliver(control, message, None).await
}

async fn deliver(
    control: &Control,
    message: &Message,
    target: Option<Arc<Entry>>,
) -> Result<(), Failed> {
    if let Some(why) = made::too_far(&message.body) {
        metrics::loop_stopped();
        return Err(Failed::Never(why));
    }
    let event = cloudevents::structured(&message.body, None)
        .map_err(|malformed| Failed::Never(format!("the message is no event: {malformed}")))?;
    let new = match target {
        None => {
            let new = control.route_event(&message.project, event);
            new.map_err(|problem| Failed::Never(problem.detail))?
        }
        Some(entry) => {
            let (id, now) = (EventId::new(&*control.clock), control.clock.now());
            let invocation = NewInvocation {
                id: InvocationId::new(&*control.clock),
                event: id,
                function: entry.function.id,
                function_name: entry.function.name.clone(),
                trigger: None,
                lane: None,
                ordering_key: None,
                origin: Origin::Event,
                replay: None,
                version: None,
                created_at: now,
                due_at: now,
            };
            let project = message.project.clone();
            NewEvent { id, project, event, received_at: now, invocations: vec![invocation] }
        }
    };
    let due = ingest::due(std::slice::from_ref(&new));
    match control.store.deliver_event(message.id, new).await {
        Ok(appended) => {
            if let Some(appended) = appended {
                metrics::accepted(1, usize::from(appended.duplicate));
                control.dispatcher.hint(due);
            }
            Ok(())
        }
        Err(error) => {
            control.health.note(&error);
            Err(Failed::again(format!("the event could not be stored: {error}")))
        }
    }
}
