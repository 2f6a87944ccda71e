//! What can be asked of replays: run one event again, order those of a time, see, end.

use model::{EventId, FunctionName, Pattern, Project, ReplayId, Timestamp, TriggerName};
use store::{
    Listed, NewReplay, Page, REPLAYS_AT_ONCE, Replay, ReplayOrder, ReplayState, ReplayTarget,
};
use wire::http::problem::{Code, Problem};
use wire::http::replays::ReplayAnswer;

use super::choose::Choice;
use crate::Control;

/// What a replay asks of every event, as it comes in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) pattern: Option<Pattern>,
    pub(crate) function: Option<FunctionName>,
    pub(crate) trigger: Option<TriggerName>,
    pub(crate) version: Option<u32>,
    pub(crate) ignore_triggers: bool,
}

/// One event, to be run again at once.
#[derive(Clone, Debug)]
pub(crate) struct One {
    pub(crate) event: EventId,
    pub(crate) asked: Asked,
    pub(crate) dry_run: bool,
}

/// The events of a time.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) source: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) rate_per_s: u32,
    pub(crate) asked: Asked,
}

impl Control {
    /// Runs one event again.
    pub(crate) async fn replay_one(
        &self,
        project: &Project,
        one: One,
    ) -> Result<ReplayAnswer, Problem> {
        self.accepts_work()?;
        let target = self.target(project, &one.asked).await?;
        let stored = self.stored(self.store.event(project, one.event).await)?;
        let Some(stored) = stored else {
            let detail = format!("there is no event {} in this project", one.event);
            return Err(Problem::new(Code::NotFound, detail));
        };
        let id = ReplayId::new(&*self.clock);
        let pattern = one.asked.pattern.as_ref();
        let choice = Choice::new(self, project, id, pattern, target.as_ref());
        if one.dry_run {
            let mut count = super::dry::Count::default();
            count.event(&stored, &choice.of(self, &stored, self.clock.now())?);
            return Ok(count.answer());
        }
        let new = choice.of(self, &stored, self.clock.now())?;
        let due: Vec<_> =
            new.iter().map(|it| ((it.function, it.lane.clone()), it.due_at)).collect();
        let invocations = if new.is_empty() {
            0
        } else {
            self.stored(self.store.append_invocations(project, new).await)? as u64
        };
        self.dispatcher.hint(due);
        Ok(ReplayAnswer {
            id: Some(id.to_string()),
            events: 1,
            invocations,
            dry_run: false,
            matched: None,
            targets: Vec::new(),
            sample: Vec::new(),
            counted_to: None,
            state: None,
        })
    }

    /// Stores an order, which is then carried out.
    pub(crate) async fn order_replay(
        &self,
        project: &Project,
        order: Order,
    ) -> Result<Replay, Problem> {
        self.accepts_work()?;
        let order = self.checked(project, order).await?;
        let (id, project) = (ReplayId::new(&*self.clock), project.clone());
        let new = NewReplay { id, project: project.clone(), order, created_at: self.clock.now() };
        if !self.stored(self.store.create_replay(new).await)? {
            let detail = format!(
                "this project has {REPLAYS_AT_ONCE} replays that run, which is its limit: wait for \
                 one, or cancel it"
            );
            return Err(Problem::new(Code::TooManyReplays, detail));
        }
        self.replays.nudge();
        self.replay(&project, id).await
    }

    pub(crate) async fn replay(&self, project: &Project, id: ReplayId) -> Result<Replay, Problem> {
        let found = self.stored(self.store.replay(project, id).await)?;
        found.ok_or_else(|| no_replay(&id.to_string()))
    }

    /// Newest first.
    pub(crate) async fn replays(
        &self,
        project: &Project,
        page: Page,
    ) -> Result<Listed<Replay>, Problem> {
        self.stored(self.store.replays(project, page).await)
    }

    /// Ends one that runs; one that has ended stays as it is. Answers how it stands then.
    pub(crate) async fn cancel_replay(
        &self,
        project: &Project,
        id: ReplayId,
    ) -> Result<Replay, Problem> {
        let (state, now) = (ReplayState::Cancelled, self.clock.now());
        self.stored(self.store.end_replay(project, id, state, None, now).await)?;
        self.replay(project, id).await
    }

    /// Names become ids, and what is not there is told now.
    pub(super) async fn checked(
        &self,
        project: &Project,
        order: Order,
    ) -> Result<ReplayOrder, Problem> {
        let target = self.target(project, &order.asked).await?;
        let Order { from, to, source, kind, rate_per_s, asked } = order;
        // What arrives from now on has its turn anyway; and what a replay starts may send events.
        let to = to.min(self.clock.now());
        Ok(ReplayOrder { from, to, source, kind, pattern: asked.pattern, target, rate_per_s })
    }

    async fn target(
        &self,
        project: &Project,
        asked: &Asked,
    ) -> Result<Option<ReplayTarget>, Problem> {
        let Some(name) = &asked.function else { return Ok(None) };
        let entry = self.entry(project, name)?;
        self.spec_of(&entry, asked.version).await?;
        if let Some(trigger) = &asked.trigger
            && entry.trigger(trigger).is_none()
        {
            let (name, trigger) = (name.as_str(), trigger.as_str());
            let detail = format!("function {name:?} has no trigger {trigger:?}");
            return Err(Problem::new(Code::NotFound, detail).field("trigger"));
        }
        Ok(Some(ReplayTarget {
            function: entry.function.id,
            function_name: entry.function.name.clone(),
            trigger: asked.trigger.clone(),
            version: asked.version,
            ignore_triggers: asked.ignore_triggers,
        }))
    }
}

pub(crate) fn no_replay(id: &str) -> Problem {
    let id: String = id.chars().take(64).collect();
    Problem::new(Code::NotFound, format!("there is no replay {id:?} in this project"))
}
