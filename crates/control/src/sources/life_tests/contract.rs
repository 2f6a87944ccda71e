//! Each promise by itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{GOOD, SOON, World};

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_before_it_is_stored() {
    let w = World::new();
    *w.ledger.commit.lock().unwrap() = Duration::from_secs(3);
    let w = w.begin();
    w.broker.publish("1", GOOD);
    w.until("it is on its way", |w| w.ledger.tries.load(Ordering::Relaxed) == 1).await;
    tokio::time::sleep(Duration::from_millis(2_900)).await;
    assert!(w.broker.lock().accepted.is_empty());
    assert_eq!(w.broker.lock().held.len(), 1);
    w.accepted(1).await;
    assert_eq!(w.ledger.ids(), ["1"]);
    assert_eq!((w.state().messages, w.state().events), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn several_batches_are_under_way_and_answered_in_their_order() {
    let w = World::new();
    w.broker.lock().most = Some(1);
    *w.ledger.commit.lock().unwrap() = Duration::from_secs(1);
    for number in 0..20 {
        w.broker.publish(&number.to_string(), GOOD);
    }
    let w = w.begin();
    w.until("a few are under way", |w| w.broker.lock().held.len() == 8).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(w.broker.lock().held.len(), 8, "and no more");
    w.accepted(20).await;
    let expect: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(w.broker.lock().accepted, expect);
}

#[tokio::test(start_paused = true)]
async fn poison_is_refused_with_the_reason_and_its_neighbours_are_not() {
    let w = World::new();
    *w.ledger.bad.lock().unwrap() = Some("4".into());
    for (id, body) in [("1", GOOD), ("2", "{"), ("3", GOOD), ("4", GOOD), ("5", "[1]")] {
        w.broker.publish(id, body);
    }
    let w = w.begin();
    w.until("the bad ones are refused", |w| w.broker.lock().refused.len() == 3).await;
    w.accepted(2).await;
    assert_eq!(w.broker.lock().accepted, ["1", "3"]);
    let refused = w.broker.lock().refused.clone();
    let ids: Vec<_> = refused.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["2", "4", "5"]);
    assert!(refused[0].1.starts_with("event.not_json: "), "{refused:?}");
    assert!(refused[1].1.starts_with("invalid_event: "), "{refused:?}");
    assert_eq!((w.state().refused, w.state().events), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_the_store_is_waited_for_without_giving_anything_back() {
    let w = World::new().begin();
    w.until("it is connected", |w| w.state().status == "connected").await;
    w.ledger.shut_for(Duration::from_secs(1));
    w.broker.publish("1", GOOD);
    w.until("the outage is told", |w| w.state().status == "failing").await;
    assert!(w.state().error.unwrap().contains("the disk is full"));
    w.accepted(1).await;
    let inner = w.broker.lock();
    assert_eq!((inner.given_back, inner.sessions), (0, 1));
    assert_eq!(w.state().status, "connected");
}

#[tokio::test(start_paused = true)]
async fn in_a_long_outage_everything_is_given_back_and_fetched_when_the_store_is_open() {
    let w = World::new();
    w.broker.lock().most = Some(2);
    let w = w.begin();
    w.until("it is connected", |w| w.state().status == "connected").await;
    let began = Instant::now();
    w.ledger.shut_for(Duration::from_secs(60));
    for number in 0..40 {
        w.broker.publish(&number.to_string(), GOOD);
    }
    w.until("all is given back", |w| w.broker.lock().given_back == 1).await;
    assert!(began.elapsed() >= Duration::from_secs(10) && began.elapsed() < SOON);
    {
        let inner = w.broker.lock();
        assert_eq!((inner.held.len(), inner.waiting.len()), (0, 40));
        assert_eq!(inner.waiting[0].message_id.as_deref(), Some("0"), "in their order");
    }
    w.accepted(40).await;
    assert!(began.elapsed() < Duration::from_secs(60 + 31), "{:?}", began.elapsed());
    let inner = w.broker.lock();
    assert_eq!((inner.given_back, inner.sessions), (1, 2), "it was not tried in between");
    assert_eq!((w.state().events, w.state().duplicates), (40, 0));
    assert_eq!(w.ledger.ids().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_means_a_duplicate_and_nothing_else() {
    let w = World::new();
    w.broker.lock().lose_accept = 1;
    w.broker.publish("1", GOOD);
    w.broker.publish("2", GOOD);
    let w = w.begin();
    w.accepted(2).await;
    assert_eq!(w.ledger.ids(), ["1", "2"]);
    let state = w.state();
    assert_eq!((state.events, state.duplicates, state.redelivered), (2, 2, 2));
    assert_eq!((state.reconnects, state.status.as_str()), (1, "connected"));
    assert!(state.error.unwrap().contains("the broker went away"));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_tried_for_ever_with_growing_waits() {
    let w = World::new();
    w.broker.lock().refusals = 30;
    w.broker.publish("1", GOOD);
    let w = w.begin();
    w.until("it is told", |w| w.state().status == "failing").await;
    assert!(w.state().error.unwrap().contains("nobody is there"));
    w.until("it has come back", |w| w.state().status == "connected").await;
    w.accepted(1).await;
    let times = w.broker.lock().connect_times.clone();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 30);
    assert!(waits[0] <= Duration::from_millis(101), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(30_010)), "{waits:?}");
    assert!(waits[29] > Duration::from_secs(14), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_what_is_under_way_end_and_takes_nothing_more() {
    let w = World::new();
    *w.ledger.commit.lock().unwrap() = Duration::from_secs(2);
    w.broker.lock().most = Some(1);
    w.broker.publish("1", GOOD);
    let mut w = w.begin();
    w.until("it is on its way", |w| w.ledger.tries.load(Ordering::Relaxed) == 1).await;
    w.stop.cancel();
    w.broker.publish("2", GOOD);
    w.life.take().unwrap().await.unwrap();
    let inner = w.broker.lock();
    assert_eq!((inner.accepted.as_slice(), inner.waiting.len()), (&["1".to_owned()][..], 1));
    assert!(!inner.waiting[0].redelivered);
}

#[tokio::test(start_paused = true)]
async fn a_drain_during_an_outage_gives_back_what_is_not_stored_within_seconds() {
    let mut w = World::new().begin();
    w.until("it is connected", |w| w.state().status == "connected").await;
    w.ledger.shut_for(Duration::from_secs(3_600));
    w.broker.publish("1", GOOD);
    w.until("the outage is told", |w| w.state().status == "failing").await;
    let began = Instant::now();
    w.stop.cancel();
    w.life.take().unwrap().await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
    let inner = w.broker.lock();
    assert_eq!((inner.accepted.len(), inner.waiting.len(), inner.given_back), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hold_up_a_drain() {
    let w = World::new();
    *w.ledger.commit.lock().unwrap() = Duration::from_secs(86_400);
    w.broker.publish("1", GOOD);
    let mut w = w.begin();
    w.until("it is on its way", |w| w.ledger.tries.load(Ordering::Relaxed) == 1).await;
    let began = Instant::now();
    w.stop.cancel();
    w.life.take().unwrap().await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(w.broker.lock().waiting.len(), 1, "the broker gives it to somebody else");
}

#[tokio::test(start_paused = true)]
async fn events_of_several_projects_are_acknowledged_when_all_are_stored() {
    let w = World::new();
    let contract = |user: &str| {
        format!(r#"{{"event_data": {{"type": "t"}}, "user_name": "{user}", "event_source": "s"}}"#)
    };
    for (id, user) in [("1", "a"), ("2", "b"), ("3", "a")] {
        w.broker.publish(id, &contract(user));
    }
    let w = w.begin();
    w.accepted(3).await;
    let mut stored = w.ledger.stored.lock().unwrap().clone();
    stored.sort();
    let expect = [("a", "1"), ("a", "3"), ("b", "2")].map(|(p, id)| (p.into(), id.into()));
    assert_eq!(stored, expect);
}

#[tokio::test(start_paused = true)]
async fn lag_and_the_oldest_message_are_told() {
    let w = World::new();
    *w.ledger.commit.lock().unwrap() = Duration::from_secs(9);
    w.broker.lock().most = Some(1);
    for number in 0..20 {
        w.broker.publish(&number.to_string(), GOOD);
    }
    let w = w.begin();
    w.until("lag is told", |w| w.state().lag == Some(20) && w.state().oldest_unprocessed_s > 4.0)
        .await;
    w.accepted(20).await;
    w.until("lag is none", |w| w.state().lag == Some(0)).await;
    assert!(w.state().oldest_unprocessed_s.abs() < f64::EPSILON);
}
