//! Replay: stored events run again, one of them or those of a time range.
//!
//! A replay reads the ledger and adds invocations to events that are there already; nothing that
//! happened is changed. It matches against the triggers of now, or goes to one function that the
//! caller names, at a version of their choice. Each invocation carries the replay's id.

use std::sync::Arc;

use model::invocation::Origin;
use model::{EventId, FunctionName, InvocationId, Project, ReplayId, Timestamp, TriggerName};
use store::{EventFilter, NewInvocation, Page, StoredEvent};
use wire::http::events::ReplayAnswer;
use wire::http::problem::{Code, Problem};

use crate::Control;
use crate::catalogue::Entry;
use crate::ingest::parsed;

/// Events read at a time: their records are in memory while they are matched.
const PAGE: usize = 500;

/// A replay, as it comes in.
#[derive(Clone, Debug)]
pub struct Replay {
    pub project: Project,
    pub events: Which,
    pub function: Option<FunctionName>,
    pub version: Option<u32>,
    pub ignore_triggers: bool,
    pub dry_run: bool,
}

#[derive(Clone, Debug)]
pub enum Which {
    One(EventId),
    Range { from: Timestamp, to: Timestamp, source: Option<String>, kind: Option<String> },
}

impl Control {
    pub async fn replay(&self, replay: Replay) -> Result<ReplayAnswer, Problem> {
        self.accepts_work()?;
        let target = match &replay.function {
            None => None,
            Some(name) => {
                let entry = self.entry(&replay.project, name)?;
                self.spec_of(&entry, replay.version).await?;
                Some(entry)
            }
        };
        let id = ReplayId::new(&*self.clock);
        let mut answer = ReplayAnswer {
            id: (!replay.dry_run).then(|| id.to_string()),
            events: 0,
            invocations: 0,
            dry_run: replay.dry_run,
        };
        match &replay.events {
            Which::One(event) => {
                let stored = self.stored(self.store.event(&replay.project, *event).await)?;
                let Some(event) = stored else {
                    let detail = format!("there is no event {event} in this project");
                    return Err(Problem::new(Code::NotFound, detail));
                };
                self.again(&replay, id, target.as_ref(), &[event], &mut answer).await?;
            }
            Which::Range { from, to, source, kind } => {
                let filter = EventFilter {
                    from: Some(*from),
                    to: Some(*to),
                    source: source.clone(),
                    kind: kind.clone(),
                };
                let mut page = Page { limit: PAGE, cursor: None };
                loop {
                    let found = self.stored(
                        self.store.events(&replay.project, filter.clone(), page.clone()).await,
                    )?;
                    self.again(&replay, id, target.as_ref(), &found.items, &mut answer).await?;
                    match found.next {
                        Some(next) => page.cursor = Some(next),
                        None => break,
                    }
                }
            }
        }
        Ok(answer)
    }

    /// Adds the invocations of these events.
    async fn again(
        &self,
        replay: &Replay,
        id: ReplayId,
        target: Option<&Arc<Entry>>,
        events: &[StoredEvent],
        answer: &mut ReplayAnswer,
    ) -> Result<(), Problem> {
        let routes = self.catalogue.routes(&replay.project);
        let now = self.clock.now();
        let mut new = Vec::new();
        for stored in events {
            // A stored call is not an event that a trigger could have seen.
            if stored.event.kind == "lambent.call" && !matches!(replay.events, Which::One(_)) {
                continue;
            }
            answer.events += 1;
            let record = parsed(&stored.event)?;
            let mut hits: Vec<(Arc<Entry>, Option<TriggerName>)> = routes
                .matching(&stored.event.kind, &record)
                .into_iter()
                .filter(|route| target.is_none_or(|it| it.function.id == route.function))
                .filter_map(|route| {
                    let entry = self.catalogue.by_id(route.function)?;
                    Some((entry, Some(route.trigger.name.clone())))
                })
                .collect();
            if let (true, Some(entry)) = (replay.ignore_triggers && hits.is_empty(), target) {
                hits.push((entry.clone(), None));
            }
            new.extend(hits.into_iter().map(|(entry, trigger)| NewInvocation {
                id: InvocationId::new(&*self.clock),
                event: stored.id,
                function: entry.function.id,
                function_name: entry.function.name.clone(),
                trigger,
                origin: Origin::Event,
                replay: Some(id),
                version: replay.version,
                created_at: now,
                due_at: now,
            }));
        }
        if replay.dry_run || new.is_empty() {
            answer.invocations += new.len() as u64;
            return Ok(());
        }
        let due: Vec<_> = new.iter().map(|it| (it.function, it.due_at)).collect();
        let added = self.store.append_invocations(&replay.project, new).await;
        answer.invocations += self.stored(added)? as u64;
        self.dispatcher.hint(due);
        Ok(())
    }
}
