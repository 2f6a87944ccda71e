//! A schedule's decision: which tick is next to fire or to be left out, and when to look again. Pure:
//! the time, the cursor and the settings come in. [`run`](super::schedule::run) acts on it.
//!
//! # What is due
//!
//! Ticks after the cursor, one at a time, in their order. Those within [`ON_TIME`] are fired whatever
//! the settings say: a store that took a second to commit made nobody miss anything. Older ones were
//! missed (nobody was there, or nothing could be stored), and `catch_up` says what becomes of them:
//! `none` leaves them out; `last` fires the last of them, unless one that is on time says the same
//! anyway; `all` fires the last [`CATCH_UP_MOST`].
//!
//! A tick that was due before the schedule was made, changed or enabled was not missed: nobody wanted
//! it then.
//!
//! # Once
//!
//! The cursor is the last tick that was fired or left out. It moves in the commit that stores the
//! tick's event and only from where it was, so of two who decide the same one acts; and it never
//! moves back, so a clock that is set back fires nothing again.

pub(super) mod run;
mod settings;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
pub(super) mod ticker;

use std::time::Duration;

use model::{EventId, Timestamp};
use serde::{Deserialize, Serialize};
use wire::http::schedules::{CatchUp, Overlap, ScheduleState};
use wire::http::{parse_time, rfc3339};

pub(super) use settings::check;

/// A tick that is fired within this was not missed. Longer than a slow commit and a busy machine;
/// shorter than any period at which one run more or less would matter.
pub(super) const ON_TIME: Duration = Duration::from_secs(5);
/// Missed ticks that `all` fires: an outage of a week must not be followed by ten thousand runs of
/// what was to happen each minute.
pub(super) const CATCH_UP_MOST: usize = 100;
/// Ticks that are counted when they are left out; of more, as many are told.
const COUNTED: usize = 10_000;

/// What a schedule is to do.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) schedule: model::Schedule,
    pub(super) catch_up: CatchUp,
    pub(super) overlap: Overlap,
    /// No tick up to then is wanted.
    pub(super) since: Timestamp,
}

/// How far a schedule has come, as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// The last tick that was fired or left out.
    pub(super) tick: String,
    /// The event of the last tick that was fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<String>,
    /// Ticks that were left out, ever.
    pub(super) skipped: u64,
}

/// What to do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Nothing before then. None: nothing ever.
    Wait(Option<Timestamp>),
    /// Everything up to this tick was missed, and is left out: that many.
    Skip { tick: Timestamp, skipped: u64 },
    /// This tick fires, and as many before it are left out. `missed` if it is being caught up.
    Fire { tick: Timestamp, skipped: u64, missed: bool },
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let cursor: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match cursor.at() {
            Some(_) => Ok(cursor),
            None => Err(format!("{:?} is not a time", cursor.tick)),
        }
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        parse_time(&self.tick)
    }

    pub(super) fn event(&self) -> Option<EventId> {
        self.event.as_ref()?.parse().ok()
    }

    /// The next one. `event` is that of the tick, if it fires.
    pub(super) fn moved(&self, tick: Timestamp, event: Option<EventId>, skipped: u64) -> Self {
        let event = event.map(|it| it.to_string()).or_else(|| self.event.clone());
        Self { tick: rfc3339(tick), event, skipped: self.skipped.saturating_add(skipped) }
    }

    /// As the store keeps it.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are JSON")
    }
}

/// How a schedule stands that nobody ticks at the moment.
pub(super) fn state(source: &store::Source) -> Option<ScheduleState> {
    ticker::Ticker::new(source).ok().map(|ticker| ticker.state())
}

/// What is next, `last` being the cursor's tick.
pub(super) fn step(plan: &Plan, last: Option<Timestamp>, now: Timestamp) -> Step {
    let after = last.map_or(plan.since, |last| last.max(plan.since));
    let Some(first) = plan.schedule.next_after(after) else { return Step::Wait(None) };
    if first > now {
        return Step::Wait(Some(first));
    }
    // The last moment at which a tick counts as missed.
    let missed = Timestamp::from_micros(now.minus(ON_TIME).micros().saturating_sub(1));
    if first > missed {
        return Step::Fire { tick: first, skipped: 0, missed: false };
    }
    let on_time = plan.schedule.next_after(missed).filter(|tick| *tick <= now);
    let most = match plan.catch_up {
        CatchUp::None => 0,
        CatchUp::Last if on_time.is_some() => 0,
        CatchUp::Last => 1,
        CatchUp::All => CATCH_UP_MOST,
    };
    if let Some(tick) = first_of_last(&plan.schedule, after, missed, most) {
        return Step::Fire { tick, skipped: count(plan, after, before(tick)), missed: true };
    }
    let skipped = count(plan, after, missed);
    match on_time {
        Some(tick) => Step::Fire { tick, skipped, missed: false },
        None => {
            let last = first_of_last(&plan.schedule, after, missed, 1);
            Step::Skip { tick: last.unwrap_or(first), skipped }
        }
    }
}

fn before(tick: Timestamp) -> Timestamp {
    Timestamp::from_micros(tick.micros().saturating_sub(1))
}

fn count(plan: &Plan, after: Timestamp, until: Timestamp) -> u64 {
    plan.schedule.ticks_between(after, until, COUNTED).len() as u64
}

/// The first of the last `most` ticks in a span, or of all if there are fewer.
///
/// A schedule can only be asked for the next tick, and the span may hold millions. So the moment is
/// sought from which there are no more than `most`, by halves: that asks for some thousand ticks
/// however long the span is.
fn first_of_last(
    schedule: &model::Schedule,
    after: Timestamp,
    until: Timestamp,
    most: usize,
) -> Option<Timestamp> {
    let fits = |from| schedule.ticks_between(from, until, most + 1).len() <= most;
    let (mut too_early, mut from) = (after.micros(), until.micros());
    if most == 0 {
        return None;
    }
    if fits(after) {
        from = too_early;
    }
    while from - too_early > 1 {
        let middle = too_early + (from - too_early) / 2;
        if fits(Timestamp::from_micros(middle)) {
            from = middle;
        } else {
            too_early = middle;
        }
    }
    schedule.next_after(Timestamp::from_micros(from)).filter(|tick| *tick <= until)
}
