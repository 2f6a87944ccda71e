//! A schedule's turns: decide, act, remember how far it has come. What it acts on is a [`Ticks`],
//! so that a test can have two of them tick a day in a moment.

use std::fmt::Debug;

use async_trait::async_trait;
use model::{Clock, Event, EventId, Project, SourceId, SourceName, Timestamp};
use wire::http::problem::{Code, Problem};
use wire::http::rfc3339;
use wire::http::schedules::{Overlap, ScheduleState, ScheduledEvent};

use super::{Cursor, Plan, Step, settings, step};

/// Where ticks go.
#[async_trait]
pub(in crate::sources) trait Ticks: Send + Sync + Debug {
    /// Stores the event, if there is one, under this id, and moves the cursor in the same commit.
    /// False, and nothing happened, if the cursor is not `before`.
    async fn tick(
        &self,
        before: Option<String>,
        after: String,
        event: Option<(EventId, Event)>,
    ) -> Result<bool, Problem>;
    /// Whether something that this event started is unfinished.
    async fn is_busy(&self, event: EventId) -> Result<bool, Problem>;
    /// Where the cursor is. None if the source is gone.
    async fn cursor(&self) -> Result<Option<Option<String>>, Problem>;
}

/// What came of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sources) enum Turn {
    /// A tick fired. There may be another.
    Fired,
    /// So many were left out. There may be more.
    Skipped(u64),
    /// Somebody else was faster. There may be another.
    Overtaken,
    /// Nothing to do before then. None: ever.
    Until(Option<Timestamp>),
    /// The source is no more.
    Gone,
}

/// One schedule and how far it has come.
#[derive(Debug)]
pub(in crate::sources) struct Ticker {
    id: SourceId,
    name: SourceName,
    plan: Plan,
    event: ScheduledEvent,
    /// As the store has it, since it compares.
    kept: Option<String>,
    cursor: Cursor,
}

impl Ticker {
    pub(in crate::sources) fn new(source: &store::Source) -> Result<Self, String> {
        let (plan, event) = settings::open(source)
            .map_err(|why| format!("the stored settings cannot be read: {why}; put them again"))?;
        let mut ticker = Self {
            id: source.id,
            name: source.name.clone(),
            plan,
            event,
            kept: None,
            cursor: Cursor::default(),
        };
        ticker.at(source.cursor.clone())?;
        Ok(ticker)
    }

    fn at(&mut self, kept: Option<String>) -> Result<(), String> {
        self.cursor = match &kept {
            Some(text) => Cursor::parse(text).map_err(|why| {
                format!("the stored cursor cannot be read ({why}); remove the source, and add it")
            })?,
            None => Cursor::default(),
        };
        self.kept = kept;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn is_of(&self, source: &store::Source) -> bool {
        self.id == source.id
    }

    /// Takes one step.
    pub(in crate::sources) async fn turn(
        &mut self,
        ticks: &dyn Ticks,
        clock: &dyn Clock,
    ) -> Result<Turn, Problem> {
        let now = clock.now();
        let (tick, skipped, fires) = match step(&self.plan, self.cursor.at(), now) {
            Step::Wait(next) => return Ok(Turn::Until(next)),
            Step::Skip { tick, skipped } => (tick, skipped, None),
            Step::Fire { tick, skipped, missed } => (tick, skipped, Some(missed)),
        };
        let event = match (fires, self.cursor.event()) {
            (Some(_), Some(last))
                if self.plan.overlap == Overlap::Skip && ticks.is_busy(last).await? =>
            {
                None
            }
            (Some(missed), _) => {
                let late = if missed { now.since(tick) } else { std::time::Duration::ZERO };
                let made = settings::event(&self.event, self.id, &self.name, tick, late);
                let made = made.map_err(|why| Problem::new(Code::Internal, why.to_string()))?;
                Some((EventId::new(clock), made))
            }
            (None, _) => None,
        };
        let skipped = skipped + u64::from(fires.is_some() && event.is_none());
        let next = self.cursor.moved(tick, event.as_ref().map(|(id, _)| *id), skipped);
        let turn = if event.is_some() { Turn::Fired } else { Turn::Skipped(skipped) };
        let text = next.text();
        if ticks.tick(self.kept.clone(), text.clone(), event).await? {
            (self.kept, self.cursor) = (Some(text), next);
            return Ok(turn);
        }
        let Some(kept) = ticks.cursor().await? else { return Ok(Turn::Gone) };
        self.at(kept).map_err(|why| Problem::new(Code::Internal, why))?;
        Ok(Turn::Overtaken)
    }

    /// What is told of it.
    pub(in crate::sources) fn state(&self) -> ScheduleState {
        let last = self.cursor.at();
        let after = last.map_or(self.plan.since, |last| last.max(self.plan.since));
        ScheduleState {
            last_tick: last.map(rfc3339),
            next_tick: self.plan.schedule.next_after(after).map(rfc3339),
            skipped: self.cursor.skipped,
        }
    }
}

/// The ledger of this process.
#[derive(Debug)]
pub(in crate::sources) struct Of {
    pub(in crate::sources) control: std::sync::Arc<crate::Control>,
    pub(in crate::sources) source: store::Source,
}

/// Invocations that are looked at to tell whether one is unfinished; no event has more triggers.
const LOOKED_AT: usize = 1_000;

#[async_trait]
impl Ticks for Of {
    async fn tick(
        &self,
        before: Option<String>,
        after: String,
        event: Option<(EventId, Event)>,
    ) -> Result<bool, Problem> {
        let project: &Project = &self.source.project;
        let (id, event) = event.unzip();
        let mut events = self.control.matched(project, event.into_iter().collect())?;
        // The cursor names it already.
        for (event, id) in events.iter_mut().zip(id) {
            event.id = id;
            event.invocations.iter_mut().for_each(|it| it.event = id);
        }
        Ok(self.control.ingest_from(&self.source, before, after, events).await?.is_some())
    }

    async fn is_busy(&self, event: EventId) -> Result<bool, Problem> {
        let filter = store::Filter { event: Some(event), ..store::Filter::default() };
        let page = store::Page { limit: LOOKED_AT, cursor: None };
        let listed = self.control.invocations(&self.source.project, filter, page).await?;
        Ok(listed.items.iter().any(|it| !it.status.is_terminal()))
    }

    async fn cursor(&self) -> Result<Option<Option<String>>, Problem> {
        let sources = self.control.store.sources(Some(&self.source.project)).await;
        let sources = self.control.stored(sources)?;
        Ok(sources.into_iter().find(|it| it.id == self.source.id).map(|it| it.cursor))
    }
}
