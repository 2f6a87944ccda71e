//! Whose turn is it? Pure: hints in, lanes out.
//!
//! Invocations of a function wait in lanes: its plain one, and those of its triggers that batch or
//! order their events. A lane that has work due stands in a circle ([`circle`]): a flood of events
//! for one function, or a project with a thousand functions, waits behind itself and not in front of
//! its neighbours. Work that is due later waits by time until it [ripens](Turns::ripen); that of a
//! batched lane is due when the first of it has waited for as long as it may, and its turn comes
//! early as soon as as many have arrived as a batch can have.
//!
//! While a claim for a lane is on its way the lane stands nowhere, and what is hinted meanwhile is
//! kept: the claim may have looked too early to see it.
//!
//! How much work a lane has is counted, as far as anybody told, so that a claim takes no more
//! places under the function's limit than it will use: a synchronous call may want one.

mod circle;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use model::{FunctionId, Project, Timestamp, TriggerName};

use circle::Circle;
pub(crate) use circle::Weights;

/// Where invocations wait.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Lane {
    pub(crate) function: FunctionId,
    /// None is the function's plain lane.
    pub(crate) trigger: Option<TriggerName>,
}

/// What has to be known of a lane, as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct About {
    pub(crate) project: Project,
    /// How many make a full batch, where the lane has batches.
    pub(crate) full: Option<usize>,
}

/// A lane that may claim now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Turn {
    pub(crate) lane: Lane,
    /// Invocations that it has, as far as anybody knows; at least 1.
    pub(crate) amount: usize,
    /// Nothing of it is due yet, but there is a full batch: that much shall be claimed, and what is
    /// left over waits for its time.
    pub(crate) early: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Turns {
    circle: Circle,
    /// Those in the circle that have something due.
    ripe: HashSet<Lane>,
    /// Work that was told of: by time, and the time by lane.
    by_time: BTreeSet<(Timestamp, Lane)>,
    told: HashMap<Lane, Timestamp>,
    /// Invocations that were told of and not claimed yet, as far as anybody knows.
    amount: HashMap<Lane, usize>,
    /// Those among them that have arrived since, in lanes of triggers: they can make a batch full.
    arrived: HashMap<Lane, usize>,
    /// Lanes in which some have arrived since somebody looked whether that makes a batch full.
    grown: HashSet<Lane>,
    claiming: HashSet<Lane>,
}

impl Turns {
    pub(crate) fn new(weights: Weights) -> Self {
        Self { circle: Circle::new(weights), ..Self::default() }
    }

    /// One more invocation has arrived, due from `at` on.
    pub(crate) fn hint(&mut self, lane: Lane, at: Timestamp) {
        if lane.trigger.is_some() {
            *self.arrived.entry(lane.clone()).or_default() += 1;
            self.grown.insert(lane.clone());
        }
        self.hint_again(lane, at);
    }

    /// One that was there before has an attempt due from `at` on. It makes no batch full early.
    pub(crate) fn hint_again(&mut self, lane: Lane, at: Timestamp) {
        *self.amount.entry(lane.clone()).or_default() += 1;
        self.tell(lane, at);
    }

    /// The lane has at least `amount` invocations in all, the first due from `at` on. (Those that
    /// were hinted at since somebody looked are not among them.)
    pub(crate) fn count(&mut self, lane: Lane, at: Timestamp, amount: usize) {
        let known = self.amount.entry(lane.clone()).or_default();
        *known = amount.max(*known);
        self.tell(lane, at);
    }

    fn tell(&mut self, lane: Lane, at: Timestamp) {
        if let Some(earlier) = self.told.get(&lane).copied() {
            if earlier <= at {
                return;
            }
            self.by_time.remove(&(earlier, lane.clone()));
        }
        self.told.insert(lane.clone(), at);
        self.by_time.insert((at, lane));
    }

    /// Lets those stand in the circle whose time has come, or who have a full batch; answers how
    /// many stand there. Nothing is known about a lane whose function is gone: what is left there
    /// is claimed, too, so that it can end.
    pub(crate) fn ripen(
        &mut self,
        now: Timestamp,
        about: impl Fn(&Lane) -> Option<About>,
    ) -> usize {
        let ripe: Vec<_> = self
            .by_time
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter(|(_, lane)| !self.claiming.contains(lane))
            .cloned()
            .collect();
        for (at, lane) in ripe {
            self.told.remove(&lane);
            let project = project(about(&lane));
            self.ripe.insert(lane.clone());
            self.circle.stand(lane.clone(), project);
            self.by_time.remove(&(at, lane));
        }
        let grown = std::mem::take(&mut self.grown);
        for lane in grown {
            if self.claiming.contains(&lane) {
                self.grown.insert(lane);
            } else if let Some(about) = about(&lane)
                && let Some(full) = about.full
                && self.arrived.get(&lane).is_some_and(|arrived| *arrived >= full)
            {
                self.circle.stand(lane, about.project);
            }
        }
        self.circle.len()
    }

    /// Whose turn it is, and how much work it has. A claim for it is on its way from now on.
    pub(crate) fn take(&mut self) -> Option<Turn> {
        let lane = self.circle.take()?;
        self.claiming.insert(lane.clone());
        let early = !self.ripe.remove(&lane);
        let amount = self.amount.remove(&lane).unwrap_or(0);
        let arrived = self.arrived.remove(&lane).unwrap_or(0);
        let amount = if early { arrived } else { amount };
        Some(Turn { lane, amount: amount.max(1), early })
    }

    /// The claim has been made and found all that is due, or an early one all that it asked for;
    /// `left` are known to wait for their time.
    pub(crate) fn exhausted(&mut self, turn: Turn, left: usize) {
        let Turn { lane, early, .. } = turn;
        self.claiming.remove(&lane);
        if !early {
            return;
        }
        self.put_back(&lane, left, early);
        if !self.arrived.contains_key(&lane)
            && let Some(at) = self.told.remove(&lane)
        {
            // That was the time of those that have been claimed.
            self.by_time.remove(&(at, lane));
        }
    }

    /// The claim found as much as it had asked for, or was not made for want of room: the lane
    /// comes again, with this much work left.
    pub(crate) fn come_again(&mut self, turn: Turn, left: usize, about: Option<About>) {
        let Turn { lane, early, .. } = turn;
        self.claiming.remove(&lane);
        self.put_back(&lane, left, early);
        if !early {
            self.ripe.insert(lane.clone());
        }
        self.circle.stand(lane, project(about));
    }

    fn put_back(&mut self, lane: &Lane, left: usize, early: bool) {
        if left > 0 {
            *self.amount.entry(lane.clone()).or_default() += left;
            if early {
                *self.arrived.entry(lane.clone()).or_default() += left;
            }
        }
    }

    /// When the first work that is not due yet will be. (A lane that stands in the circle waits for
    /// room and not for a time.)
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let free = |(_, lane): &&(Timestamp, Lane)| !self.claiming.contains(lane);
        self.by_time.iter().find(free).map(|(at, _)| *at)
    }
}

fn project(about: Option<About>) -> Project {
    about.map_or_else(Project::default_project, |about| about.project)
}
