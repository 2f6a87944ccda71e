//! Ordering keys: one after the other, whatever becomes of each.

use model::invocation::Status;
use model::limits::ORDERING_KEY_BYTES;
use model::{EventId, Fault, Function, InvocationId, ReplayId, fault};

use super::World;
use super::world::seconds;
use crate::{Claimed, Error, Filter, NewEvent, Next, Settled};

const LANE: Option<&str> = Some("ordered");

impl World {
    pub(crate) fn keyed(&self, key: &str, sender_id: &str, function: &Function) -> NewEvent {
        let mut event = self.event_in("ordered", sender_id, function);
        event.invocations[0].ordering_key = Some(key.to_owned());
        event
    }

    /// Stores events of these keys, in this order.
    pub(crate) async fn send_keyed(&self, keys: &[&str], function: &Function) -> Vec<InvocationId> {
        let sender_id = || EventId::new(&self.clock).to_string();
        let events: Vec<_> =
            keys.iter().map(|key| self.keyed(key, &sender_id(), function)).collect();
        let ids = events.iter().map(|event| event.invocations[0].id).collect();
        self.store.append(events).await.unwrap();
        ids
    }

    async fn claim_keyed(&self, function: &Function) -> Vec<Claimed> {
        self.claim_in(function, LANE, 100).await
    }

    async fn end(&self, claimed: &Claimed, next: Next) -> Settled {
        self.store.settle(self.settlement(claimed, next)).await.unwrap()
    }
}

fn ids(claimed: &[Claimed]) -> Vec<InvocationId> {
    claimed.iter().map(|one| one.id).collect()
}

pub(crate) async fn of_each_key_one_can_be_claimed_and_the_others_are_held(w: World) {
    let f = w.deploy("f").await;
    let sent = w.send_keyed(&["a", "b", "a", "a"], &f).await;
    let mut elsewhere = w.event_in("other", "x", &f);
    elsewhere.invocations[0].ordering_key = Some("a".into());
    w.store.append(vec![elsewhere, w.event_in("ordered", "no key", &f)]).await.unwrap();
    let waiting = w.store.waiting().await.unwrap();
    let count = |lane: &str| {
        waiting.iter().find(|it| it.lane == Some(super::world::trigger(lane))).unwrap().count
    };
    assert_eq!((count("ordered"), count("other")), (3, 1), "what is held does not wait for a turn");
    assert_eq!(w.store.counts().await.unwrap().queued, 6, "and yet it is queued");
    let claimed = w.claim_keyed(&f).await;
    assert_eq!(ids(&claimed)[..2], sent[..2]);
    assert_eq!(claimed.len(), 3);
    assert_eq!(claimed[0].ordering_key.as_deref(), Some("a"));
    assert_eq!(claimed[2].ordering_key, None);
    for (id, held) in [(sent[0], false), (sent[2], true), (sent[3], true)] {
        let told = w.detail(id).await.invocation;
        assert_eq!((told.held, told.due_at), (held, None));
        assert_eq!(told.ordering_key.as_deref(), Some("a"));
    }
    let filter = Filter { status: Some(Status::Queued), ..Filter::default() };
    assert_eq!(w.list(filter, 10).await.len(), 3);
    w.wait(1_000_000);
    assert!(w.claim_keyed(&f).await.is_empty(), "however late it is");
}

pub(crate) async fn the_next_is_due_when_the_one_before_has_ended(w: World) {
    let f = w.deploy("f").await;
    let sent = w.send_keyed(&["a", "a", "a"], &f).await;
    let first = w.claim_keyed(&f).await.remove(0);
    w.wait(5);
    let again = w.now().plus(seconds(60));
    assert_eq!(w.end(&first, Next::RetryAt(again)).await, Settled { ours: true, released: false });
    assert!(w.claim_keyed(&f).await.is_empty(), "a retry keeps its turn");
    w.wait(60);
    let first = w.claim_keyed(&f).await.remove(0);
    assert_eq!((first.id, first.attempt), (sent[0], 2));
    w.wait(5);
    let gave_up = Next::GaveUp("RetriesExhausted");
    assert_eq!(w.end(&first, gave_up).await, Settled { ours: true, released: true });
    assert_eq!(w.end(&first, Next::Succeeded).await, Settled { ours: false, released: false });
    let second = w.claim_keyed(&f).await;
    assert_eq!(ids(&second), [sent[1]]);
    assert_eq!(second[0].due_at, w.now());
    assert!(w.end(&second[0], Next::Succeeded).await.released);
    let third = w.claim_keyed(&f).await;
    assert_eq!(ids(&third), [sent[2]]);
    assert_eq!(w.end(&third[0], Next::Succeeded).await, Settled { ours: true, released: false });
    let late = w.send_keyed(&["a"], &f).await;
    assert_eq!(ids(&w.claim_keyed(&f).await), late, "nothing is before it");
}

pub(crate) async fn the_order_is_that_of_storing_and_not_of_ids(w: World) {
    let f = w.deploy("f").await;
    let mut events: Vec<_> = (0..4).map(|n| w.keyed("a", &n.to_string(), &f)).collect();
    // As it happens to ids of one millisecond.
    let mut order: Vec<_> = events.iter().map(|event| event.invocations[0].id).collect();
    order.reverse();
    for (event, id) in events.iter_mut().zip(&order) {
        event.invocations[0].id = *id;
    }
    w.store.append(events).await.unwrap();
    for id in order {
        let claimed = w.claim_keyed(&f).await;
        assert_eq!(ids(&claimed), [id]);
        w.end(&claimed[0], Next::Succeeded).await;
    }
}

pub(crate) async fn an_interrupted_one_keeps_its_turn(w: World) {
    let f = w.deploy("f").await;
    let sent = w.send_keyed(&["a", "a"], &f).await;
    let first = w.claim_keyed(&f).await.remove(0);
    w.wait(31);
    assert_eq!(w.store.interrupt(w.now(), None).await.unwrap(), 1);
    assert!(!w.end(&first, Next::Succeeded).await.ours);
    let again = w.claim_keyed(&f).await;
    assert_eq!(ids(&again), [sent[0]]);
    assert!(w.end(&again[0], Next::Succeeded).await.released);
    assert_eq!(ids(&w.claim_keyed(&f).await), [sent[1]]);
}

pub(crate) async fn another_round_is_behind_those_that_are_there(w: World) {
    let f = w.deploy("f").await;
    let sent = w.send_keyed(&["a", "a", "a"], &f).await;
    let first = w.claim_keyed(&f).await.remove(0);
    w.end(&first, Next::GaveUp("RetriesExhausted")).await;
    assert!(w.store.redrive(&w.project, sent[0], w.now()).await.unwrap());
    let told = w.detail(sent[0]).await.invocation;
    assert_eq!((told.status, told.held, told.due_at), (Status::Retrying, true, None));
    for expect in [sent[1], sent[2], sent[0]] {
        let claimed = w.claim_keyed(&f).await;
        assert_eq!(ids(&claimed), [expect]);
        w.end(&claimed[0], Next::GaveUp("RetriesExhausted")).await;
    }
    assert!(w.store.redrive(&w.project, sent[1], w.now()).await.unwrap());
    assert_eq!(ids(&w.claim_keyed(&f).await), [sent[1]], "nothing is before it");
}

pub(crate) async fn a_replay_is_behind_those_that_are_there(w: World) {
    let f = w.deploy("f").await;
    let event = w.keyed("a", "1", &f);
    let mut again = event.invocations[0].clone();
    w.store.append(vec![event]).await.unwrap();
    (again.id, again.replay) = (InvocationId::new(&w.clock), Some(ReplayId::new(&w.clock)));
    w.store.append_invocations(&w.project, vec![again.clone()]).await.unwrap();
    let first = w.claim_keyed(&f).await;
    assert_eq!(first.len(), 1);
    assert!(w.end(&first[0], Next::Succeeded).await.released);
    assert_eq!(ids(&w.claim_keyed(&f).await), [again.id]);
}

pub(crate) async fn what_is_held_is_buried_with_its_function(w: World) {
    let f = w.deploy("f").await;
    let sent = w.send_keyed(&["a", "a", "b", "b"], &f).await;
    let running = w.claim_keyed(&f).await.remove(0);
    let deleted = Fault::platform(fault::FUNCTION_DELETED, "the function was deleted");
    assert!(w.store.delete_function(f.id, &deleted, w.now()).await.unwrap());
    assert_eq!(w.store.counts().await.unwrap().queued, 0);
    assert!(w.settle(&running, Next::RetryAt(w.now())).await);
    assert_eq!(w.status(sent[1]).await, Status::Dead);
    w.wait(31);
    w.store.interrupt(w.now(), None).await.unwrap();
    for id in sent {
        assert_eq!(w.status(id).await, Status::Dead);
    }
    let late = w.send_keyed(&["a"], &f).await;
    assert_eq!(w.status(late[0]).await, Status::Dead);
}

pub(crate) async fn a_key_that_is_too_long_is_refused(w: World) {
    let f = w.deploy("f").await;
    w.send_keyed(&[&"k".repeat(ORDERING_KEY_BYTES)], &f).await;
    let long = w.keyed(&"k".repeat(ORDERING_KEY_BYTES + 1), "long", &f);
    let refused = w.store.append(vec![long]).await;
    assert!(matches!(refused, Err(Error::Failed { .. })), "{refused:?}");
}
