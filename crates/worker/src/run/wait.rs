//! Getting a sandbox for a job, or learning why there is none.

use std::sync::Arc;
use std::time::Duration;

use model::fault::Fault;
use model::invocation::Start;
use tokio::sync::oneshot;
use wire::worker::Job;

use super::verdict;
use crate::agent::{Got, Shared, Taken};
use crate::pool::{Answer, Need, Refusal, Ticket};

/// A place in a queue, left when it is dropped: whoever asked for the attempt may go away.
struct Place<'a> {
    ticket: Ticket,
    shared: &'a Arc<Shared>,
    left: bool,
}

impl Place<'_> {
    /// False if a sandbox has been given already.
    fn leave(&mut self) -> bool {
        self.left = true;
        self.shared.with_pool(|state, now| {
            state.pool.cancel(self.ticket, now) && state.waiters.remove(&self.ticket).is_some()
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.left {
            self.leave();
        }
    }
}

enum Asked {
    Got(Option<Got>),
    Wait(Ticket, Duration, oneshot::Receiver<Result<Got, Refusal>>),
    Refused(Refusal),
}

/// Takes an idle sandbox of the version, or waits for one until the job's `start_by`.
pub(super) async fn sandbox(shared: &Arc<Shared>, need: Need, job: &Job) -> Result<Got, Fault> {
    let asked = shared.with_pool(|state, now| match state.pool.request(need, now) {
        Answer::Take { sandbox, thaw } => {
            Asked::Got(state.parked.remove(&sandbox).map(|live| Got {
                taken: Taken::new(live, shared),
                start: Start::Warm,
                thaw,
            }))
        }
        Answer::Wait { ticket, overdue } => {
            let (sender, receiver) = oneshot::channel();
            state.waiters.insert(ticket, sender);
            Asked::Wait(ticket, overdue, receiver)
        }
        Answer::Refuse(why) => Asked::Refused(why),
    });
    let (ticket, overdue, mut receiver) = match asked {
        Asked::Got(Some(got)) => return Ok(got),
        // Cannot be: what is idle is parked.
        Asked::Got(None) => return Err(verdict::missing()),
        Asked::Refused(why) => return Err(verdict::refused(&why, job)),
        Asked::Wait(ticket, overdue, receiver) => (ticket, overdue, receiver),
    };
    let mut place = Place { ticket, shared, left: false };
    shared.cache.prepare(&job.spec.code);
    let patience = job.start_by.since(shared.clock.now());
    let mut overdue = std::pin::pin!(tokio::time::sleep(overdue));
    let mut start_by = std::pin::pin!(tokio::time::sleep(patience));
    let mut told = false;
    let given = loop {
        tokio::select! {
            biased;
            given = &mut receiver => break given,
            () = &mut start_by => {
                if place.leave() {
                    let counts = shared.with_pool(|state, _| state.pool.counts());
                    return Err(verdict::no_capacity(patience, &counts, job));
                }
                break receiver.await; // it is on its way
            }
            () = overdue.as_mut(), if !told => {
                match shared.with_pool(|state, now| state.pool.overdue(ticket, now)) {
                    Some(later) => overdue.as_mut().reset(tokio::time::Instant::now() + later),
                    None => told = true,
                }
            }
        }
    };
    place.left = true;
    match given {
        Ok(Ok(got)) => Ok(got),
        Ok(Err(why)) => Err(verdict::refused(&why, job)),
        Err(_closed) => Err(verdict::missing()),
    }
}
