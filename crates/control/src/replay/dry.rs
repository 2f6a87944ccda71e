//! What an order would do, counted: nothing is stored, and nothing runs.

use std::collections::BTreeMap;

use model::{FunctionName, Project, ReplayId, Timestamp, TriggerName};
use store::{NewInvocation, Page, StoredEvent};
use wire::http::problem::Problem;
use wire::http::replays::{ReplayAnswer, ReplayTarget, ReplayedEvent, SAMPLE};
use wire::http::rfc3339;

use super::choose::{Choice, is_call};
use super::orders::Order;
use super::pace::PAGE;
use crate::Control;

/// Events that a dry run looks at: some seconds. Whoever has more asks for a shorter time.
const MOST: u64 = 200_000;

/// What has been counted.
#[derive(Debug, Default)]
pub(super) struct Count {
    events: u64,
    matched: u64,
    invocations: u64,
    /// As many as there are triggers, and one.
    targets: BTreeMap<(FunctionName, Option<TriggerName>), u64>,
    sample: Vec<ReplayedEvent>,
    /// Where it ended, if that was too early.
    counted_to: Option<Timestamp>,
}

impl Count {
    pub(super) fn event(&mut self, stored: &StoredEvent, new: &[NewInvocation]) {
        self.events += 1;
        if new.is_empty() {
            return;
        }
        self.matched += 1;
        self.invocations += new.len() as u64;
        for one in new {
            let target = (one.function_name.clone(), one.trigger.clone());
            *self.targets.entry(target).or_default() += 1;
        }
        if self.sample.len() < SAMPLE {
            self.sample.push(ReplayedEvent {
                id: stored.id.to_string(),
                received_at: rfc3339(stored.received_at),
                source: stored.event.source.clone(),
                kind: stored.event.kind.clone(),
                invocations: new.len() as u64,
            });
        }
    }

    pub(super) fn answer(self) -> ReplayAnswer {
        let target = |((function, trigger), invocations): ((FunctionName, Option<_>), u64)| {
            let trigger: Option<TriggerName> = trigger;
            ReplayTarget {
                function: function.to_string(),
                trigger: trigger.map(|it| it.to_string()),
                invocations,
            }
        };
        ReplayAnswer {
            id: None,
            events: self.events,
            invocations: self.invocations,
            dry_run: true,
            matched: Some(self.matched),
            targets: self.targets.into_iter().map(target).collect(),
            sample: self.sample,
            counted_to: self.counted_to.map(rfc3339),
            state: None,
        }
    }
}

impl Control {
    /// Counts what this order would start.
    pub(crate) async fn try_replay(
        &self,
        project: &Project,
        order: Order,
    ) -> Result<ReplayAnswer, Problem> {
        let order = self.checked(project, order).await?;
        let (pattern, target) = (order.pattern.as_ref(), order.target.as_ref());
        let choice = Choice::new(self, project, ReplayId::new(&*self.clock), pattern, target);
        let mut count = Count::default();
        let mut page = Page { limit: PAGE, cursor: None };
        loop {
            let asked = self.store.events(project, order.filter(), page.clone()).await;
            let found = self.stored(asked)?;
            for stored in found.items.iter().filter(|stored| !is_call(stored)) {
                count.event(stored, &choice.of(self, stored, self.clock.now())?);
            }
            let Some(next) = found.next else { break };
            if count.events >= MOST {
                count.counted_to = found.items.last().map(|last| last.received_at);
                break;
            }
            page.cursor = Some(next);
        }
        Ok(count.answer())
    }
}
