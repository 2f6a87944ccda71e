//! The queue held against a model: random sequences of what can happen to invocations, done to the
//! store and to a few lines of ordinary Rust, which must agree after each step.

use std::collections::BTreeMap;

use model::invocation::Status;
use model::{Fault, Function, InvocationId, Timestamp, fault};
use proptest::prelude::*;

use super::world;
use crate::contract::World;
use crate::contract::world::{seconds, trigger};
use crate::{Claimed, Next};

/// The lanes; the first is the plain one.
const LANES: [Option<&str>; 3] = [None, Some("a"), Some("b")];

/// Where an invocation waits: its lane, and its ordering key there.
type Place = (usize, Option<u8>);

#[derive(Clone, Debug)]
enum Step {
    Append {
        function: usize,
        key: u8,
        delay_s: u64,
        place: Place,
    },
    Claim {
        function: usize,
        lane: usize,
        limit: usize,
    },
    /// Ends one of the attempts that were ever begun, whether or not it still runs.
    Settle {
        which: usize,
        how: u8,
    },
    Interrupt,
    Redrive {
        which: usize,
    },
    Delete {
        function: usize,
    },
    Wait {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let function = 0..2_usize;
    // Mostly the same place, so that keys meet.
    let lane = prop_oneof![2 => Just(0), 3 => Just(1), 1 => Just(2)];
    let place = (lane.clone(), prop::option::weighted(0.7, 0..2_u8));
    prop_oneof![
        6 => (function.clone(), any::<u8>(), 0..40_u64, place)
            .prop_map(|(function, key, delay_s, place)| Step::Append {
                function,
                key,
                delay_s,
                place,
            }),
        4 => (function.clone(), lane, 1..4_usize)
            .prop_map(|(function, lane, limit)| Step::Claim { function, lane, limit }),
        5 => (any::<usize>(), 0..4_u8).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => Just(Step::Interrupt),
        1 => any::<usize>().prop_map(|which| Step::Redrive { which }),
        1 => function.prop_map(|function| Step::Delete { function }),
        3 => (1..40_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

#[derive(Clone, Debug)]
struct Expected {
    function: usize,
    status: Status,
    attempts: u32,
    failures: u32,
    disturbances: u32,
    due_at: Timestamp,
    until: Timestamp,
    place: Place,
    turn: usize,
    held: bool,
    limit: Option<u32>,
}

struct Model {
    invocations: BTreeMap<InvocationId, Expected>,
    keys: BTreeMap<u8, InvocationId>,
    functions: Vec<Function>,
    deleted: [bool; 2],
    begun: Vec<Claimed>,
    turns: usize,
}

impl Model {
    fn due(&self, function: usize, lane: usize, limit: usize, now: Timestamp) -> Vec<InvocationId> {
        let mut due: Vec<_> = self
            .invocations
            .iter()
            .filter(|(_, one)| {
                one.function == function
                    && one.place.0 == lane
                    && !one.held
                    && one.status.is_due()
                    && one.due_at <= now
                    && !self.deleted[function]
            })
            .map(|(id, one)| (one.due_at, *id))
            .collect();
        due.sort();
        due.into_iter().take(limit).map(|(_, id)| id).collect()
    }

    /// The unfinished of a key, first the one that stands first.
    fn of_key(&self, function: usize, place: Place) -> Vec<(usize, InvocationId)> {
        let mut found: Vec<_> = self
            .invocations
            .iter()
            .filter(|(_, one)| {
                place.1.is_some()
                    && one.function == function
                    && one.place == place
                    && !one.status.is_terminal()
            })
            .map(|(id, one)| (one.turn, *id))
            .collect();
        found.sort();
        found
    }

    /// The turn of one that is about to stand there, and whether it is held.
    fn stand(&mut self, function: usize, place: Place) -> (usize, bool) {
        self.turns += 1;
        (self.turns, !self.of_key(function, place).is_empty())
    }

    /// One of the key has ended. Whether another is due for it.
    fn release(&mut self, function: usize, place: Place, now: Timestamp) -> bool {
        let Some((_, first)) = self.of_key(function, place).first().copied() else { return false };
        let first = self.invocations.get_mut(&first).unwrap();
        if first.held {
            (first.held, first.due_at) = (false, now);
            return true;
        }
        false
    }

    async fn run(&mut self, w: &World, step: Step) {
        match step {
            Step::Append { function, key, delay_s, place } => {
                self.append(w, function, key, delay_s, place).await;
            }
            Step::Claim { function, lane, limit } => self.claim(w, function, lane, limit).await,
            Step::Settle { which, how } => self.settle(w, which, how).await,
            Step::Interrupt => self.interrupt(w).await,
            Step::Redrive { which } => self.redrive(w, which).await,
            Step::Delete { function } => self.delete(w, function).await,
            Step::Wait { seconds } => w.wait(seconds),
        }
    }

    async fn append(&mut self, w: &World, function: usize, key: u8, delay_s: u64, place: Place) {
        let mut event = w.event(&key.to_string(), &[&self.functions[function]]);
        let due_at = w.now().plus(seconds(delay_s));
        event.invocations[0].due_at = due_at;
        event.invocations[0].lane = LANES[place.0].map(trigger);
        event.invocations[0].ordering_key = place.1.map(|key| key.to_string());
        let id = event.invocations[0].id;
        let appended = w.store.append(vec![event]).await.unwrap().remove(0);
        if let Some(first) = self.keys.get(&key) {
            assert!(appended.duplicate);
            assert_eq!(appended.invocations[0].2, *first);
            return;
        }
        assert!(!appended.duplicate);
        self.keys.insert(key, id);
        let status = if self.deleted[function] { Status::Dead } else { Status::Queued };
        let (attempts, failures, disturbances) = (0, 0, 0);
        let (until, limit) = (due_at, None);
        let (turn, held) = self.stand(function, place);
        let one = Expected {
            function,
            status,
            attempts,
            failures,
            disturbances,
            due_at,
            until,
            place,
            turn,
            held,
            limit,
        };
        self.invocations.insert(id, one);
    }

    async fn claim(&mut self, w: &World, function: usize, lane: usize, limit: usize) {
        let claimed = w.claim_in(&self.functions[function], LANES[lane], limit).await;
        let ids: Vec<_> = claimed.iter().map(|one| one.id).collect();
        assert_eq!(ids, self.due(function, lane, limit, w.now()));
        for claimed in claimed {
            let one = self.invocations.get_mut(&claimed.id).unwrap();
            one.status = Status::Running;
            one.attempts += 1;
            one.until = w.now().plus(seconds(30));
            let counts = (claimed.attempt, claimed.failures, claimed.disturbances);
            assert_eq!(counts, (one.attempts, one.failures, one.disturbances));
            assert_eq!(claimed.batch_limit, one.limit);
            self.begun.push(claimed);
        }
    }

    async fn settle(&mut self, w: &World, which: usize, how: u8) {
        if self.begun.is_empty() {
            return;
        }
        let attempt = self.begun[which % self.begun.len()].clone();
        let one = self.invocations.get_mut(&attempt.id).unwrap();
        let retry_at = w.now().plus(seconds(10));
        let next = match how {
            0 => Next::Succeeded,
            1 => Next::RetryAt(retry_at),
            2 => Next::Split { at: retry_at, limit: attempt.attempt },
            _ => Next::GaveUp("RetriesExhausted"),
        };
        let holds = one.status == Status::Running && one.attempts == attempt.attempt;
        let settled = w.store.settle(w.settlement(&attempt, next.clone())).await.unwrap();
        assert_eq!(settled.ours, holds);
        if !holds {
            assert!(!settled.released);
            return;
        }
        one.failures += u32::from(matches!(next, Next::RetryAt(_) | Next::GaveUp(_)));
        one.status = match next {
            Next::Succeeded => Status::Succeeded,
            Next::RetryAt(at) if !self.deleted[one.function] => {
                one.due_at = at;
                Status::Retrying
            }
            Next::Split { at, limit } if !self.deleted[one.function] => {
                (one.due_at, one.limit) = (at, Some(limit));
                Status::Retrying
            }
            Next::RetryAt(_) | Next::Split { .. } | Next::GaveUp(_) => Status::Dead,
        };
        let (ended, function, place) = (one.status.is_terminal(), one.function, one.place);
        assert_eq!(settled.released, ended && self.release(function, place, w.now()));
    }

    async fn interrupt(&mut self, w: &World) {
        let now = w.now();
        let mut count = 0;
        for one in self.invocations.values_mut() {
            if one.status == Status::Running && one.until < now {
                count += 1;
                one.disturbances += 1;
                one.due_at = now;
                let dead = self.deleted[one.function];
                one.status = if dead { Status::Dead } else { Status::Retrying };
            }
        }
        assert_eq!(w.store.interrupt(now, None).await.unwrap(), count);
    }

    async fn redrive(&mut self, w: &World, which: usize) {
        if self.invocations.is_empty() {
            return;
        }
        let id = *self.invocations.keys().nth(which % self.invocations.len()).unwrap();
        let one = &self.invocations[&id];
        let can = one.status == Status::Dead && !self.deleted[one.function];
        let (function, place) = (one.function, one.place);
        assert_eq!(w.store.redrive(&w.project, id, w.now()).await.unwrap(), can);
        if can {
            let (turn, held) = self.stand(function, place);
            let one = self.invocations.get_mut(&id).unwrap();
            (one.turn, one.held) = (turn, held);
            (one.status, one.due_at) = (Status::Retrying, w.now());
            (one.failures, one.disturbances) = (0, 0);
        }
    }

    async fn delete(&mut self, w: &World, function: usize) {
        let fault = Fault::platform(fault::FUNCTION_DELETED, "deleted");
        let id = self.functions[function].id;
        let deleted = w.store.delete_function(id, &fault, w.now()).await.unwrap();
        assert_eq!(deleted, !self.deleted[function]);
        self.deleted[function] = true;
        for one in self.invocations.values_mut() {
            if one.function == function && one.status.is_due() {
                one.status = Status::Dead;
            }
        }
    }

    async fn check(&self, w: &World) {
        let count =
            |status| self.invocations.values().filter(|one| one.status == status).count() as u64;
        let counts = w.store.counts().await.unwrap();
        assert_eq!(counts.queued, count(Status::Queued));
        assert_eq!(counts.running, count(Status::Running));
        assert_eq!(counts.retrying, count(Status::Retrying));
        assert_eq!(counts.dead, count(Status::Dead));
    }

    async fn check_each(&self, w: &World) {
        for (id, one) in &self.invocations {
            let told = w.detail(*id).await;
            assert_eq!(told.invocation.status, one.status);
            assert_eq!(told.invocation.attempts, one.attempts);
            assert_eq!(told.transitions.last().unwrap().status, one.status);
            let ended = one.attempts - u32::from(one.status == Status::Running);
            assert_eq!(told.attempts.len(), ended as usize);
            let numbers = told.attempts.iter().map(|attempt| attempt.number);
            assert!(numbers.eq(1..=ended), "attempts are numbered without gaps");
            let held = one.status.is_due() && one.held;
            let due = (one.status.is_due() && !held).then_some(one.due_at);
            assert_eq!((told.invocation.due_at, told.invocation.held), (due, held));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn the_queue_does_what_the_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let w = world();
            let functions = vec![w.deploy("f").await, w.deploy("g").await];
            let mut model = Model {
                invocations: BTreeMap::new(),
                keys: BTreeMap::new(),
                functions,
                deleted: [false; 2],
                begun: Vec::new(),
                turns: 0,
            };
            for step in steps {
                model.run(&w, step).await;
                model.check(&w).await;
            }
            model.check_each(&w).await;
        });
    }
}
