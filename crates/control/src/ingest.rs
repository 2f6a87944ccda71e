//! Ingest: an event has arrived, over HTTP or from a source. It is matched against the triggers
//! of its project and stored together with what will run, in one commit; only then is its sender
//! told that it was accepted.
//!
//! Matching before storing, in memory, is what makes one commit enough: an accepted event that was
//! never matched cannot exist, so nobody has to look for one after a crash.

use std::slice;
use std::time::Duration;

use model::function::Trigger;
use model::invocation::Origin;
use model::{Event, EventId, InvocationId, Project, Timestamp};
use serde_json::Value;
use store::{Appended, NewEvent, NewInvocation};
use wire::http::problem::{Code, Problem};

use crate::dispatch::Due;
use crate::route::Route;
use crate::{Control, metrics};

impl Control {
    /// Accepts events of one project. All or none; answers come in their order, each with the
    /// triggers that it matched.
    pub async fn ingest(
        &self,
        project: &Project,
        events: Vec<Event>,
    ) -> Result<Vec<Appended>, Problem> {
        let new = self.matched(project, events)?;
        self.append(new).await
    }

    /// The same for the next events of a source, whose cursor moves from `before` to `after` in the
    /// same commit. None, and nothing is stored, if it is not there (any more).
    pub(crate) async fn ingest_from(
        &self,
        source: &store::Source,
        before: Option<String>,
        after: String,
        events: Vec<NewEvent>,
    ) -> Result<Option<Vec<Appended>>, Problem> {
        let count = events.len();
        let due = events.iter().map(|it| due(slice::from_ref(it))).collect();
        let appended = self.store.append_from(source.id, before, after, events).await;
        let Some(appended) = self.stored(appended)? else { return Ok(None) };
        metrics::accepted(count, appended.iter().filter(|it| it.duplicate).count());
        self.dispatcher.hint(of_new(due, &appended));
        Ok(Some(appended))
    }

    /// Events with what runs because of them.
    pub(crate) fn matched(
        &self,
        project: &Project,
        events: Vec<Event>,
    ) -> Result<Vec<NewEvent>, Problem> {
        self.accepts_work()?;
        events.into_iter().map(|event| self.route_event(project, event)).collect()
    }

    /// The same of one that is in the ledger already, in another form.
    pub(crate) fn route_event(&self, project: &Project, event: Event) -> Result<NewEvent, Problem> {
        let routes = self.catalogue.routes(project);
        let now = self.clock.now();
        let id = EventId::new(&*self.clock);
        let invocations = if routes.is_empty() {
            Vec::new()
        } else {
            let record = parsed(&event)?;
            let matches = routes.matching(&record).into_iter();
            matches.map(|route| self.invocation_of(id, &record, route, now)).collect()
        };
        let project = project.clone();
        Ok(NewEvent { id, project, event, received_at: now, invocations })
    }

    /// What runs because a trigger has matched: where it waits, in which order, and how long for
    /// company.
    pub(crate) fn invocation_of(
        &self,
        event: EventId,
        record: &Value,
        route: &Route,
        now: Timestamp,
    ) -> NewInvocation {
        let Trigger { name, delivery, .. } = &*route.trigger;
        let window = delivery.batch.map_or(Duration::ZERO, |batch| batch.window);
        NewInvocation {
            id: InvocationId::new(&*self.clock),
            event,
            function: route.function,
            function_name: route.function_name.clone(),
            trigger: Some(name.clone()),
            lane: delivery.lane(name),
            ordering_key: delivery.ordering_key.as_ref().and_then(|key| key.text(record)),
            origin: Origin::Event,
            replay: None,
            version: None,
            created_at: now,
            due_at: now.plus(window),
        }
    }

    /// Stores what was matched and wakes the dispatcher for what is due.
    pub(crate) async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, Problem> {
        let count = events.len();
        let due = events.iter().map(|it| due(slice::from_ref(it))).collect();
        store::failpoint!("ingest.before_append");
        let appended = self.stored(self.store.append(events).await)?;
        store::failpoint!("ingest.after_append");
        metrics::accepted(count, appended.iter().filter(|it| it.duplicate).count());
        self.dispatcher.hint(of_new(due, &appended));
        Ok(appended)
    }
}

/// The lanes that get something, and when it is due.
pub(crate) fn due(events: &[NewEvent]) -> Vec<(Due, Timestamp)> {
    let invocations = events.iter().flat_map(|event| &event.invocations);
    invocations.map(|it| ((it.function, it.lane.clone()), it.due_at)).collect()
}

/// Of each event what is due of it, without those that had been stored before: nothing was added for
/// them.
fn of_new(
    due: Vec<Vec<(Due, Timestamp)>>,
    appended: &[Appended],
) -> impl Iterator<Item = (Due, Timestamp)> {
    due.into_iter().zip(appended).filter(|(_, it)| !it.duplicate).flat_map(|(due, _)| due)
}

/// The record as patterns see it. It was checked when it came in, so this cannot fail for a reason
/// of the sender's.
pub(crate) fn parsed(event: &Event) -> Result<Value, Problem> {
    serde_json::from_str(&event.record).map_err(|error| {
        Problem::new(Code::InvalidEvent, format!("the event cannot be matched: {error}"))
    })
}
