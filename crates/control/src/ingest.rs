//! Ingest: an event has arrived, over HTTP or from a source. It is matched against the triggers
//! of its project and stored together with what will run, in one commit; only then is its sender
//! told that it was accepted.
//!
//! Matching before storing, in memory, is what makes one commit enough: an accepted event that was
//! never matched cannot exist, so nobody has to look for one after a crash.

use model::invocation::Origin;
use model::{Event, EventId, InvocationId, Project};
use serde_json::Value;
use store::{Appended, NewEvent, NewInvocation};
use wire::http::problem::{Code, Problem};

use crate::{Control, metrics};

impl Control {
    /// Accepts events of one project. All or none; answers come in their order, each with the
    /// triggers that it matched.
    pub async fn ingest(
        &self,
        project: &Project,
        events: Vec<Event>,
    ) -> Result<Vec<Appended>, Problem> {
        self.accepts_work()?;
        let routes = self.catalogue.routes(project);
        let now = self.clock.now();
        let mut new = Vec::with_capacity(events.len());
        for event in events {
            let id = EventId::new(&*self.clock);
            let matches = if routes.is_empty() {
                Vec::new()
            } else {
                let record = parsed(&event)?;
                routes.matching(&event.kind, &record)
            };
            let invocations = matches
                .into_iter()
                .map(|route| NewInvocation {
                    id: InvocationId::new(&*self.clock),
                    event: id,
                    function: route.function,
                    function_name: route.function_name.clone(),
                    trigger: Some(route.trigger.name.clone()),
                    origin: Origin::Event,
                    replay: None,
                    version: None,
                    created_at: now,
                    due_at: now,
                })
                .collect();
            let project = project.clone();
            new.push(NewEvent { id, project, event, received_at: now, invocations });
        }
        self.append(new).await
    }

    /// Stores what was matched and wakes the dispatcher for what is due.
    pub(crate) async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, Problem> {
        let due: Vec<_> = events
            .iter()
            .flat_map(|event| &event.invocations)
            .map(|invocation| (invocation.function, invocation.due_at))
            .collect();
        let count = events.len();
        store::failpoint!("ingest.before_append");
        let appended = self.stored(self.store.append(events).await)?;
        store::failpoint!("ingest.after_append");
        metrics::accepted(count, appended.iter().filter(|it| it.duplicate).count());
        self.dispatcher.hint(due);
        Ok(appended)
    }
}

/// The record as patterns see it. It was checked when it came in, so this cannot fail for a reason
/// of the sender's.
pub(crate) fn parsed(event: &Event) -> Result<Value, Problem> {
    serde_json::from_str(&event.record).map_err(|error| {
        Problem::new(Code::InvalidEvent, format!("the event cannot be matched: {error}"))
    })
}
