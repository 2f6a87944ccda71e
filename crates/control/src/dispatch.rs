//! Dispatch: invocations that wait in the ledger get their turn.
//!
//! One task knows which functions have work due and whose turn it is ([`crate::turns`]). It enters
//! the gate for as many attempts as there is room for, leases that many invocations, and lets each
//! run in a task of its own ([`crate::attempt`]). What it knows is a hint: every second it asks the
//! ledger what really waits, so a lost hint costs a second and a crash costs nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{FunctionId, Timestamp, limits};
use store::{Claim, Claimed};
use tokio::sync::{Notify, Semaphore};

use crate::Control;
use crate::gate::Permit;
use crate::turns::Turns;

/// Invocations leased in one write: enough that the fsync is shared, few enough that a function's
/// next turn is never far away.
const CLAIM: usize = 64;
/// Attempts of events in flight in this process, all functions together. Each holds its payload
/// (1 MiB at most) in memory; more would not run sooner, since sandboxes are fewer.
const IN_FLIGHT: usize = 256;
/// How often the ledger is asked what really waits.
const CONVERGE: Duration = Duration::from_secs(1);

/// The dispatcher's ear: others tell it what became due.
#[derive(Debug)]
pub struct Dispatcher {
    turns: Mutex<Turns>,
    wake: Arc<Notify>,
    in_flight: Arc<Semaphore>,
}

impl Dispatcher {
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        Self { turns: Mutex::default(), wake, in_flight: Arc::new(Semaphore::new(IN_FLIGHT)) }
    }

    /// These functions have work from these times on.
    pub(crate) fn hint(&self, due: impl IntoIterator<Item = (FunctionId, Timestamp)>) {
        let mut turns = self.lock();
        let mut any = false;
        for (function, at) in due {
            turns.hint(function, at);
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
                turns.count(it.function, it.first_due_at, amount);
            }
        }
        Err(error) => tracing::warn!(%error, "cannot ask the ledger what waits"),
    }
}

/// One round: for each function that is due, as many leases as there is room for.
fn take_turns(control: &Arc<Control>) {
    let dispatcher = &control.dispatcher;
    let project_of = |id| control.catalogue.by_id(id).map(|it| it.function.project.clone());
    let round = dispatcher.lock().ripen(control.clock.now(), project_of);
    for _ in 0..round {
        if dispatcher.in_flight.available_permits() == 0 {
            return;
        }
        let Some((function, amount)) = dispatcher.lock().take() else { return };
        let places = places(control, function, amount.min(CLAIM));
        if places.is_empty() {
            // At its limit: whoever leaves the gate wakes us.
            dispatcher.lock().come_again(function, amount, project_of(function));
            continue;
        }
        let control = control.clone();
        control.clone().tasks.spawn(async move { claim(control, function, amount, places).await });
    }
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

async fn claim(control: Arc<Control>, function: FunctionId, amount: usize, places: Vec<Place>) {
    let now = control.clock.now();
    let claim = Claim {
        function,
        limit: places.len(),
        worker: control.id,
        now,
        until: now.plus(limits::LEASE),
        accepted_before: None,
    };
    let asked = places.len();
    let claimed = control.store.claim(claim).await;
    let left = amount.saturating_sub(asked);
    if left > 0 && claimed.as_ref().is_ok_and(|claimed| claimed.len() == asked) {
        let project = control.catalogue.by_id(function).map(|it| it.function.project.clone());
        control.dispatcher.lock().come_again(function, left, project);
    } else {
        control.dispatcher.lock().exhausted(function);
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

fn start(control: &Arc<Control>, claimed: Vec<Claimed>, places: Vec<Place>) {
    for (claimed, place) in claimed.into_iter().zip(places) {
        let control = control.clone();
        control.clone().tasks.spawn(async move {
            crate::attempt::make(&control, claimed).await;
            drop(place);
            control.dispatcher.wake.notify_one();
        });
    }
}
