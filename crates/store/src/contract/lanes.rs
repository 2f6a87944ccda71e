//! Lanes: what is claimed together, and a trigger's delivery, which says what that is.

use std::time::Duration;

use model::delivery::Batch;
use model::function::Trigger;
use model::invocation::Status;
use model::transform::{Path, Transform};
use model::{Delivery, Fault, Function, Pattern, fault};

use super::World;
use super::world::{seconds, trigger};
use crate::{Claim, NewEvent, Next};

impl World {
    /// An event whose invocation waits in the lane `lane`.
    pub(crate) fn event_in(&self, lane: &str, sender_id: &str, function: &Function) -> NewEvent {
        let mut event = self.event(sender_id, &[function]);
        event.invocations[0].trigger = Some(trigger(lane));
        event.invocations[0].lane = Some(trigger(lane));
        event
    }
}

pub(crate) async fn what_a_trigger_does_with_its_events_is_kept(w: World) {
    let f = w.deploy("f").await;
    let delivery = Delivery {
        transform: Some(Transform::parse(r#"{"path":"$.data"}"#).unwrap()),
        batch: Some(Batch {
            size: 10,
            window: Duration::from_millis(1_500),
            partial_responses: true,
            bisect: false,
        }),
        ordering_key: Some(Path::parse("$.data['a \"b']").unwrap()),
    };
    let mut one = Trigger {
        function: f.id,
        name: trigger("t"),
        pattern: Pattern::parse(r#"{"type":["a"]}"#).unwrap(),
        delivery: delivery.clone(),
        created_at: w.now(),
    };
    let kept = async || w.store.catalogue().await.unwrap()[0].triggers[0].delivery.clone();
    assert!(w.store.put_trigger(&one).await.unwrap());
    assert_eq!(kept().await, delivery);
    one.delivery = Delivery::default();
    assert!(w.store.put_trigger(&one).await.unwrap());
    assert_eq!(kept().await, Delivery::default());
}

pub(crate) async fn a_claim_takes_from_one_lane(w: World) {
    let f = w.deploy("f").await;
    let plain = w.send("1", &f).await;
    let (a, b) = (w.event_in("a", "2", &f), w.event_in("b", "3", &f));
    let (in_a, in_b) = (a.invocations[0].id, b.invocations[0].id);
    w.store.append(vec![a, b]).await.unwrap();
    for (lane, expect) in [(Some("a"), in_a), (None, plain), (Some("b"), in_b)] {
        let claimed = w.claim_in(&f, lane, 10).await;
        assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [expect]);
        assert_eq!(claimed[0].lane, lane.map(trigger));
        assert_eq!(w.detail(expect).await.invocation.lane, lane.map(trigger));
        assert!(w.claim_in(&f, lane, 10).await.is_empty());
    }
    assert!(w.claim_in(&f, Some("none"), 10).await.is_empty());
}

pub(crate) async fn a_retry_waits_in_its_own_lane(w: World) {
    let f = w.deploy("f").await;
    w.store.append(vec![w.event_in("a", "1", &f)]).await.unwrap();
    let first = w.claim_in(&f, Some("a"), 1).await.remove(0);
    assert!(w.settle(&first, Next::RetryAt(w.now())).await);
    assert!(w.claim(&f, 1).await.is_empty());
    assert_eq!(w.claim_in(&f, Some("a"), 1).await[0].attempt, 2);
}

pub(crate) async fn what_waits_is_counted_per_lane(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    w.wait(1);
    w.store.append(vec![w.event_in("a", "2", &f), w.event_in("a", "3", &f)]).await.unwrap();
    let mut waiting = w.store.waiting().await.unwrap();
    waiting.sort_by_key(|waiting| waiting.count);
    let told: Vec<_> = waiting
        .iter()
        .map(|it| (it.lane.clone(), it.first_due_at, it.oldest_created_at, it.count))
        .collect();
    let (now, before) = (w.now(), w.now().minus(seconds(1)));
    assert_eq!(told, [(None, before, before, 1), (Some(trigger("a")), now, now, 2)]);
    assert!(waiting.iter().all(|it| it.function == f.id));
}

pub(crate) async fn a_full_batch_can_be_claimed_before_its_window_ends(w: World) {
    let f = w.deploy("f").await;
    let due_at = w.now().plus(seconds(60));
    let mut event = w.event_in("a", "1", &f);
    event.invocations[0].due_at = due_at;
    w.store.append(vec![event]).await.unwrap();
    let claim = |due_by| Claim { lane: Some(trigger("a")), due_by, ..w.claim_of(&f, 9) };
    assert!(w.store.claim(claim(due_at.minus(seconds(1)))).await.unwrap().is_empty());
    let claimed = w.store.claim(claim(due_at)).await.unwrap().remove(0);
    assert_eq!(claimed.due_at, due_at);
    let begun = w.detail(claimed.id).await.transitions.pop().unwrap();
    assert_eq!((begun.status, begun.at), (Status::Running, w.now()), "the lease begins now");
}

pub(crate) async fn a_lane_outlives_its_trigger_and_ends_with_its_function(w: World) {
    let f = w.deploy("f").await;
    let event = w.event_in("gone", "1", &f);
    let id = event.invocations[0].id;
    w.store.append(vec![event]).await.unwrap();
    assert!(!w.store.delete_trigger(f.id, &trigger("gone")).await.unwrap());
    assert_eq!(w.store.waiting().await.unwrap()[0].lane, Some(trigger("gone")));
    let deleted = Fault::platform(fault::FUNCTION_DELETED, "the function was deleted");
    assert!(w.store.delete_function(f.id, &deleted, w.now()).await.unwrap());
    assert_eq!(w.status(id).await, Status::Dead);
    assert_eq!(w.store.waiting().await.unwrap(), []);
}
