//! Dispatch: invocations that wait in the ledger get their turn.
//!
//! One task knows which lanes have work due and whose turn it is ([`crate::turns`]). It enters the
//! gate for as many attempts as there is room for, leases invocations for that many, and lets each
//! attempt run in a task of its own ([`crate::attempt`]). What it knows is a hint: every second it
//! asks the ledger what really waits, so a lost hint costs a second and a crash costs nothing.
//!
//! A lane with batches is claimed when the first event in it is due, or before that when there are
//! enough for a full batch; either way with all that would become due within the window, since that
//! is what has arrived. Which of them make one attempt is [`crate::attempt::group`]'s to say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::delivery::Batch;
use model::{FunctionId, Timestamp, TriggerName, limits};
use store::{Claim, Claimed};
use tokio::sync::{Notify, Semaphore};

use crate::Control;
use crate::attempt::Group;
use crate::gate::Permit;
use crate::turns::{About, Lane, Turn, Turns, Weights};

/// Invocations leased in one write: enough that the fsync is shared, few enough that a function's
/// next turn is never far away.
const CLAIM: usize = 64;
/// The same in a lane with batches, where several share an attempt: the largest batch.
const CLAIM_BATCHED: usize = 1_000;
/// Attempts of events in flight in this process, all functions together. Each holds its payload
/// (1 MiB at most, and 6 for a batch) in memory; more would not run sooner, since sandboxes are
/// fewer.
const IN_FLIGHT: usize = 256;
/// How often the ledger is asked what really waits.
const CONVERGE: Duration = Duration::from_secs(1);

/// Function and lane, as the ledger has them.
pub(crate) type Due = (FunctionId, Option<TriggerName>);

/// The dispatcher's ear: others tell it what became due.
#[derive(Debug)]
pub struct Dispatcher {
    turns: Mutex<Turns>,
    wake: Arc<Notify>,
    in_flight: Arc<Semaphore>,
}

impl Dispatcher {
    pub(crate) fn new(wake: Arc<Notify>, weights: Weights) -> Self {
        let turns = Mutex::new(Turns::new(weights));
        Self { turns, wake, in_flight: Arc::new(Semaphore::new(IN_FLIGHT)) }
    }

    /// Invocations have arrived in these lanes, due from these times on.
    pub(crate) fn hint(&self, due: impl IntoIterator<Item = (Due, Timestamp)>) {
        self.tell(due, Turns::hint);
    }

    /// The same of some that were there before: they are tried again, or are not held any more.
    pub(crate) fn hint_again(&self, due: impl IntoIterator<Item = (Due, Timestamp)>) {
        self.tell(due, Turns::hint_again);
    }

    fn tell(
        &self,
        due: impl IntoIterator<Item = (Due, Timestamp)>,
        how: impl Fn(&mut Turns, Lane, Timestamp),
    ) {
        let mut turns = self.lock();
        let mut any = false;
        for ((function, trigger), at) in due {
            how(&mut turns, Lane { function, trigger }, at);
            any = true;
        }
        drop(turns);
        if any {
            self.wake.notify_one();
        }
    }

    /// Something changed that may let waiting work run.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Attempts of events that run now.
    pub fn in_flight(&self) -> usize {
        IN_FLIGHT - self.in_flight.available_permits()
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the process drains.
pub(crate) async fn run(control: Arc<Control>) {
    let mut converge = tokio::time::interval(CONVERGE);
    converge.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let dispatcher = &control.dispatcher;
        let now = control.clock.now();
        let next = dispatcher.lock().next_due().filter(|at| *at > now);
        let pause = next.map_or(CONVERGE, |at| at.since(now).min(CONVERGE));
        tokio::select! {
            () = control.draining.cancelled() => return,
            _ = converge.tick() => self::converge(&control).await,
            () = dispatcher.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        if !control.draining.is_cancelled() {
            take_turns(&control);
        }
    }
}

/// Asks the ledger what waits: hints may have been lost with another process, or with this one's
/// predecessor.
async fn converge(control: &Control) {
    match control.store.waiting().await {
        Ok(waiting) => {
            let mut turns = control.dispatcher.lock();
            for it in waiting {
                let amount = usize::try_from(it.count).unwrap_or(usize::MAX);
                let lane = Lane { function: it.function, trigger: it.lane };
                turns.count(lane, it.first_due_at, amount);
            }
        }
        Err(error) => tracing::warn!(%error, "cannot ask the ledger what waits"),
    }
}

/// What is known of a lane now: nothing if its function is deleted.
fn about(control: &Control, lane: &Lane) -> Option<About> {
    let entry = control.catalogue.by_id(lane.function)?;
    let full = batch_of(control, lane).map(|batch| batch.size as usize);
    Some(About { project: entry.function.project.clone(), full })
}

/// How the lane's trigger puts events together, if it (still) does.
fn batch_of(control: &Control, lane: &Lane) -> Option<Batch> {
    let entry = control.catalogue.by_id(lane.function)?;
    entry.trigger(lane.trigger.as_ref()?)?.delivery.batch
}

/// One round: for each lane that is due, as many leases as there is room for.
fn take_turns(control: &Arc<Control>) {
    let dispatcher = &control.dispatcher;
    let round = dispatcher.lock().ripen(control.clock.now(), |lane| about(control, lane));
    for _ in 0..round {
        if dispatcher.in_flight.available_permits() == 0 {
            return;
        }
        let Some(turn) = dispatcher.lock().take() else { return };
        let batch = batch_of(control, &turn.lane);
        let places = places(control, turn.lane.function, attempts(&turn, batch.as_ref()));
        if places.is_empty() {
            // At its limit: whoever leaves the gate wakes us.
            let (amount, about) = (turn.amount, about(control, &turn.lane));
            dispatcher.lock().come_again(turn, amount, about);
            continue;
        }
        let control = control.clone();
        control.clone().tasks.spawn(async move { claim(control, turn, batch, places).await });
    }
}

/// How many attempts a turn is good for, if there is room.
fn attempts(turn: &Turn, batch: Option<&Batch>) -> usize {
    let Some(batch) = batch else { return turn.amount.min(CLAIM) };
    let size = batch.size as usize;
    // What would be less than a batch is not claimed early.
    let wanted = if turn.early { turn.amount / size } else { turn.amount.div_ceil(size) };
    wanted.clamp(1, (CLAIM_BATCHED / size).clamp(1, CLAIM))
}

/// Places for at most so many attempts.
fn places(control: &Control, function: FunctionId, most: usize) -> Vec<Place> {
    let entry = control.catalogue.by_id(function);
    let mut places = Vec::new();
    while places.len() < most {
        let Ok(slot) = control.dispatcher.in_flight.clone().try_acquire_owned() else { break };
        let permit = match &entry {
            // It was deleted: nothing will run, so nothing is counted.
            None => None,
            Some(entry) => match control.gate.enter(entry) {
                Ok(permit) => Some(permit),
                Err(_full) => break,
            },
        };
        places.push(Place { _slot: slot, permit });
    }
    places
}

/// Room for one attempt: in this process, and under the limits of function and project.
#[derive(Debug)]
pub(crate) struct Place {
    _slot: tokio::sync::OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held for its Drop: it gives the place back")]
    permit: Option<Permit>,
}

async fn claim(control: Arc<Control>, turn: Turn, batch: Option<Batch>, places: Vec<Place>) {
    let now = control.clock.now();
    let Lane { function, trigger } = turn.lane.clone();
    let limit = places.len() * batch.map_or(1, |batch| batch.size as usize);
    let claim = Claim {
        function,
        lane: trigger,
        limit,
        worker: control.id,
        now,
        due_by: now.plus(batch.map_or(Duration::ZERO, |batch| batch.window)),
        until: now.plus(limits::LEASE),
        accepted_before: None,
    };
    let claimed = control.store.claim(claim).await;
    let left = turn.amount.saturating_sub(limit);
    let size = batch.map_or(1, |batch| batch.size as usize);
    let more = match &claimed {
        // A claim that was cut short says nothing of what is left.
        Ok(claimed) if store::is_claim_cut(claimed) => Some(left.max(1)),
        Ok(claimed) if claimed.len() == limit && left > 0 => Some(left),
        Ok(_) | Err(_) => None,
    };
    match more {
        Some(left) if !turn.early || left >= size => {
            let about = about(&control, &turn.lane);
            control.dispatcher.lock().come_again(turn, left, about);
        }
        Some(_) | None => control.dispatcher.lock().exhausted(turn, more.unwrap_or(0)),
    }
    match claimed {
        Ok(claimed) => start(&control, claimed, places),
        Err(error) => {
            // The ledger still has them; the next convergence finds them.
            control.health.note(&error);
            tracing::warn!(%error, %function, "cannot lease invocations");
        }
    }
    control.dispatcher.wake.notify_one();
}

/// Shares the attempts among the places. A place has more than one only where batches turned out
/// smaller than they could be: then it makes one after the other, and their leases are renewed
/// meanwhile.
fn start(control: &Arc<Control>, claimed: Vec<Claimed>, places: Vec<Place>) {
    let mut shares: Vec<Vec<Group>> = places.iter().map(|_| Vec::new()).collect();
    let count = shares.len();
    for (index, group) in Group::all(control, claimed).into_iter().enumerate() {
        if let Some(share) = shares.get_mut(index % count) {
            share.push(group);
        }
    }
    for (place, share) in places.into_iter().zip(shares) {
        if share.is_empty() {
            continue;
        }
        let control = control.clone();
        control.clone().tasks.spawn(async move {
            for group in share {
                crate::attempt::make(&control, group).await;
            }
            drop(place);
            control.dispatcher.wake.notify_one();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_good_for_as_many_attempts_as_its_events_make_batches() {
        let lane = Lane { function: FunctionId::from_bytes([1; 16]), trigger: None };
        let turn = |amount, early| Turn { lane: lane.clone(), amount, early };
        let batch = |size| Batch {
            size,
            window: Duration::from_secs(1),
            partial_responses: false,
            bisect: false,
        };
        assert_eq!(attempts(&turn(7, false), None), 7);
        assert_eq!(attempts(&turn(700, false), None), CLAIM);
        assert_eq!(attempts(&turn(25, false), Some(&batch(10))), 3);
        assert_eq!(attempts(&turn(25, true), Some(&batch(10))), 2, "5 wait for company");
        assert_eq!(attempts(&turn(1, false), Some(&batch(10))), 1);
        assert_eq!(attempts(&turn(9_999, true), Some(&batch(400))), 2);
        assert_eq!(attempts(&turn(9_999, true), Some(&batch(1_000))), 1);
        assert_eq!(attempts(&turn(9_999, true), Some(&batch(1))), CLAIM);
    }
}
