//! The loop that carries orders out, a step of each at a time: it looks at what runs according to the
//! ledger, makes what is allowed of each, and sleeps until the next may go on.
//!
//! A step is a page read, matched, and stored together with the cursor that it moves. Between steps
//! nothing is kept but the pace: a process that starts anew goes on where the ledger says, at the
//! rate that was asked for. Of two processes that make the same step, one stores it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::{ReplayId, Timestamp};
use store::{Page, Replay, ReplayState, ReplayStep};
use wire::http::problem::Problem;

use super::choose::{Choice, is_call};
use super::pace::Pace;
use crate::Control;

/// After this an order is seen that no hint told of.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// After a store that failed, or a disk that is full.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Until the process drains.
pub(crate) async fn run(control: Arc<Control>) {
    let mut paces = HashMap::new();
    while !control.draining.is_cancelled() {
        let wait = round(&control, &mut paces).await;
        tokio::select! {
            () = control.draining.cancelled() => return,
            () = control.replays.nudged() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One step of each that runs. Answers when the next may be made.
async fn round(control: &Control, paces: &mut HashMap<ReplayId, Pace>) -> Duration {
    if control.health.accepts_writes().is_err() {
        return TRY_AGAIN;
    }
    let running = match control.store.running_replays().await {
        Ok(running) => running,
        Err(error) => {
            tracing::warn!(%error, "cannot ask which replays run");
            return TRY_AGAIN;
        }
    };
    let ids: HashSet<_> = running.iter().map(|replay| replay.id).collect();
    paces.retain(|id, _| ids.contains(id));
    let mut wait = LOOK_AGAIN;
    for replay in running {
        let now = control.clock.now();
        let rate = replay.order.rate_per_s;
        let pace = paces.entry(replay.id).or_insert_with(|| Pace::new(rate, now));
        let next = match step(control, &replay, pace, now).await {
            Ok(next) => next,
            Err(Hindrance::Store(error)) => {
                control.health.note(&error);
                tracing::warn!(replay = %replay.id, %error, "a replay waits for the store");
                TRY_AGAIN
            }
            Err(Hindrance::Order(reason)) => {
                tracing::warn!(replay = %replay.id, reason, "a replay failed");
                end(control, &replay, ReplayState::Failed, Some(reason)).await
            }
        };
        wait = wait.min(next);
    }
    wait
}

/// Why a step was not made.
#[derive(Debug)]
enum Hindrance {
    /// It can be tried again.
    Store(store::Error),
    /// It never can.
    Order(String),
}

impl From<Problem> for Hindrance {
    fn from(problem: Problem) -> Self {
        Self::Order(problem.detail)
    }
}

impl From<store::Error> for Hindrance {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Cursor { .. } => Self::Order(error.to_string()),
            other => Self::Store(other),
        }
    }
}

/// Answers how long to wait for the next.
async fn step(
    control: &Control,
    replay: &Replay,
    pace: &mut Pace,
    now: Timestamp,
) -> Result<Duration, Hindrance> {
    let allowance = pace.allowance(now);
    if allowance == 0 {
        return Ok(pace.wait());
    }
    if let Some(gone) = gone(control, replay) {
        return Err(Hindrance::Order(gone));
    }
    let page = Page { limit: pace.page(allowance), cursor: replay.cursor.clone() };
    let found = control.store.events(&replay.project, replay.order.filter(), page).await?;
    let (pattern, target) = (replay.order.pattern.as_ref(), replay.order.target.as_ref());
    let choice = Choice::new(control, &replay.project, replay.id, pattern, target);
    let (mut events, mut matched, mut passed) = (0, 0, 0);
    let (mut after, mut reached_at) = (None, replay.reached_at.unwrap_or(replay.order.from));
    let mut invocations = Vec::new();
    for stored in &found.items {
        if invocations.len() as u64 >= allowance {
            break;
        }
        if !is_call(stored) {
            let new = choice.of(control, stored, now)?;
            events += 1;
            matched += u64::from(!new.is_empty());
            invocations.extend(new);
        }
        passed += 1;
        (after, reached_at) = (Some(&stored.cursor), stored.received_at);
    }
    let is_all = passed == found.items.len();
    if is_all {
        // What cannot be read any more is left out of a page, and perhaps all of it.
        after = found.next.as_ref().or(after);
    }
    let Some(after) = after else {
        return Ok(end(control, replay, ReplayState::Done, None).await);
    };
    let due: Vec<_> =
        invocations.iter().map(|it| ((it.function, it.lane.clone()), it.due_at)).collect();
    let made = control.store.advance_replay(ReplayStep {
        replay: replay.id,
        project: replay.project.clone(),
        before: replay.cursor.clone(),
        after: after.clone(),
        reached_at,
        events,
        matched,
        invocations,
    });
    let Some(made) = made.await? else {
        // It was ended, or somebody else made this step: the next round sees which.
        return Ok(Duration::ZERO);
    };
    control.dispatcher.hint(due);
    pace.passed(found.items.len(), passed, made);
    if is_all && found.next.is_none() {
        return Ok(end(control, replay, ReplayState::Done, None).await);
    }
    Ok(if pace.allowance(now) > 0 { Duration::ZERO } else { pace.wait() })
}

/// What the order needs and is there no more.
fn gone(control: &Control, replay: &Replay) -> Option<String> {
    let target = replay.order.target.as_ref()?;
    let function = target.function_name.as_str();
    let Some(entry) = control.catalogue.by_id(target.function) else {
        return Some(format!("function {function:?} was deleted"));
    };
    let trigger = target.trigger.as_ref()?;
    let is_there = entry.trigger(trigger).is_some();
    (!is_there).then(|| format!("trigger {:?} of {function:?} was deleted", trigger.as_str()))
}

/// Answers when to look at it again, if that could not be stored.
async fn end(
    control: &Control,
    replay: &Replay,
    state: ReplayState,
    reason: Option<String>,
) -> Duration {
    let now = control.clock.now();
    match control.store.end_replay(&replay.project, replay.id, state, reason, now).await {
        Ok(_) => LOOK_AGAIN,
        Err(error) => {
            control.health.note(&error);
            tracing::warn!(replay = %replay.id, %error, "the end of a replay cannot be stored");
            TRY_AGAIN
        }
    }
}
