//! What runs again because of an event: by the triggers of now, or in one function.

use std::sync::Arc;

use model::invocation::Origin;
use model::{InvocationId, Pattern, Project, ReplayId, Timestamp};
use store::{NewInvocation, ReplayTarget, StoredEvent};
use wire::http::problem::Problem;

use crate::Control;
use crate::ingest::parsed;
use crate::route::Routes;

/// What a replay asks of each event.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) replay: ReplayId,
    pub(super) pattern: Option<&'a Pattern>,
    pub(super) target: Option<&'a ReplayTarget>,
    /// The triggers that its events are held against: those of one moment.
    routes: Arc<Routes>,
}

/// A stored call is not an event that a trigger could have seen.
pub(super) fn is_call(event: &StoredEvent) -> bool {
    event.event.kind == "lambent.call"
}

impl<'a> Choice<'a> {
    pub(super) fn new(
        control: &Control,
        project: &Project,
        replay: ReplayId,
        pattern: Option<&'a Pattern>,
        target: Option<&'a ReplayTarget>,
    ) -> Self {
        Self { replay, pattern, target, routes: control.catalogue.routes(project) }
    }

    /// One per trigger, or one past the triggers.
    pub(super) fn of(
        &self,
        control: &Control,
        stored: &StoredEvent,
        now: Timestamp,
    ) -> Result<Vec<NewInvocation>, Problem> {
        let record = parsed(&stored.event)?;
        if self.pattern.is_some_and(|pattern| !pattern.matches(&record)) {
            return Ok(Vec::new());
        }
        let version = self.target.and_then(|target| target.version);
        let asked = |route: &&crate::route::Route| {
            self.target.is_none_or(|target| {
                let trigger = target.trigger.as_ref();
                target.function == route.function
                    && trigger.is_none_or(|trigger| *trigger == route.trigger.name)
            })
        };
        let routes = self.routes.matching(&record).into_iter().filter(asked);
        let new: Vec<_> = routes
            .map(|route| NewInvocation {
                replay: Some(self.replay),
                version,
                ..control.invocation_of(stored.id, &record, route, now)
            })
            .collect();
        match self.target {
            Some(target) if target.ignore_triggers && new.is_empty() => Ok(vec![NewInvocation {
                id: InvocationId::new(&*control.clock),
                event: stored.id,
                function: target.function,
                function_name: target.function_name.clone(),
                trigger: None,
                lane: None,
                ordering_key: None,
                origin: Origin::Event,
                replay: Some(self.replay),
                version,
                created_at: now,
                due_at: now,
            }]),
            _ => Ok(new),
        }
    }
}
