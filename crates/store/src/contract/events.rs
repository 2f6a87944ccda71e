//! Events: stored with their invocations in one commit, and a second time only after the window.

use model::limits::DEDUPE_WINDOW;
use model::{Event, EventId, ReplayId};

use super::World;
use super::world::{page, project, seconds};
use crate::{Error, EventFilter, Filter, Page};

pub(crate) async fn an_event_is_stored_with_its_invocations(w: World) {
    let (f, g) = (w.deploy("f").await, w.deploy("g").await);
    let event = w.event("1", &[&f, &g]);
    let appended = w.store.append(vec![event.clone()]).await.unwrap().remove(0);
    assert_eq!((appended.id, appended.duplicate), (event.id, false));
    assert_eq!(appended.invocations.len(), 2);
    let stored = w.store.event(&w.project, event.id).await.unwrap().unwrap();
    assert_eq!(stored.event, event.event);
    assert_eq!(stored.received_at, event.received_at);
    let of_event = Filter { event: Some(event.id), ..Filter::default() };
    let mut expect: Vec<_> = event.invocations.iter().map(|new| new.id).collect();
    expect.reverse();
    assert_eq!(w.list(of_event, 10).await, expect);
    let claimed = w.claim_one(&g).await;
    assert_eq!(claimed.payload, event.event.record.as_bytes());
    assert_eq!(claimed.event, event.id);
    assert_eq!(claimed.trigger, event.invocations[1].trigger);
    assert_eq!((claimed.project, claimed.function, claimed.attempt), (w.project.clone(), g.id, 1));
}

pub(crate) async fn an_equal_key_within_the_window_is_the_first_event(w: World) {
    let f = w.deploy("f").await;
    let first = w.event("1", &[&f]);
    let stored = w.store.append(vec![first]).await.unwrap().remove(0);
    w.clock.advance(DEDUPE_WINDOW - seconds(1));
    let second = w.event("1", &[&f]);
    let again = w.store.append(vec![second.clone()]).await.unwrap().remove(0);
    assert!(again.duplicate);
    assert_eq!((again.id, &again.invocations), (stored.id, &stored.invocations));
    assert_eq!(w.store.event(&w.project, second.id).await.unwrap(), None);
    assert_eq!(w.store.counts().await.unwrap().queued, 1);
}

pub(crate) async fn an_equal_key_after_the_window_is_a_new_event(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    w.clock.advance(DEDUPE_WINDOW);
    let second = w.event("1", &[&f]);
    let stored = w.store.append(vec![second.clone()]).await.unwrap().remove(0);
    assert_eq!((stored.id, stored.duplicate), (second.id, false));
    let third = w.store.append(vec![w.event("1", &[&f])]).await.unwrap().remove(0);
    assert_eq!((third.id, third.duplicate), (second.id, true));
}

pub(crate) async fn the_same_key_of_another_project_is_another_event(w: World) {
    let (a, b) = (project("a"), project("b"));
    let (f, g) = (w.deploy_in(&a, "f").await, w.deploy_in(&b, "f").await);
    w.send("1", &f).await;
    w.send("1", &g).await;
    assert_eq!(w.store.counts().await.unwrap().queued, 2);
    let mut other_source = w.event("1", &[&f]);
    other_source.event.source = "elsewhere".into();
    assert!(!w.store.append(vec![other_source]).await.unwrap()[0].duplicate);
}

pub(crate) async fn one_batch_can_hold_a_duplicate_of_itself(w: World) {
    let f = w.deploy("f").await;
    let batch = vec![w.event("1", &[&f]), w.event("2", &[&f]), w.event("1", &[&f])];
    let appended = w.store.append(batch).await.unwrap();
    let duplicates: Vec<_> = appended.iter().map(|one| one.duplicate).collect();
    assert_eq!(duplicates, [false, false, true]);
    assert_eq!(appended[2].id, appended[0].id);
}

pub(crate) async fn a_replay_adds_invocations_and_does_not_show_in_duplicates(w: World) {
    let f = w.deploy("f").await;
    let event = w.event("1", &[&f]);
    w.store.append(vec![event.clone()]).await.unwrap();
    let mut replayed = w.invocation(event.id, &f);
    replayed.replay = Some(ReplayId::new(&w.clock));
    replayed.version = Some(1);
    let gone = w.invocation(EventId::new(&w.clock), &f);
    let added = w.store.append_invocations(&w.project, vec![replayed.clone(), gone]).await;
    assert_eq!(added.unwrap(), 1, "an event that is not there is left out");
    let foreign = vec![w.invocation(event.id, &f)];
    assert_eq!(w.store.append_invocations(&project("other"), foreign).await.unwrap(), 0);
    let claimed = w.claim(&f, 10).await;
    assert_eq!(claimed.len(), 2);
    let again = claimed.iter().find(|claimed| claimed.id == replayed.id).unwrap();
    assert_eq!((again.version, again.replay), (Some(1), replayed.replay));
    assert_eq!(w.detail(replayed.id).await.invocation.replay, replayed.replay);
    let duplicate = w.store.append(vec![w.event("1", &[&f])]).await.unwrap().remove(0);
    assert_eq!(duplicate.invocations.len(), 1);
    assert_eq!(duplicate.invocations[0].2, event.invocations[0].id);
}

pub(crate) async fn an_append_that_fails_stores_nothing_and_does_not_hurt_its_neighbours(w: World) {
    let f = w.deploy("f").await;
    let good = w.event("good", &[&f]);
    let mut bad = w.event("bad", &[&f, &f]);
    bad.invocations[1].id = bad.invocations[0].id;
    let other = w.event("other", &[&f]);
    let (good_id, bad_id, other_id) = (good.id, bad.id, other.id);
    let (good, bad, other) = tokio::join!(
        w.store.append(vec![good]),
        w.store.append(vec![bad]),
        w.store.append(vec![other])
    );
    assert!(matches!(bad, Err(Error::Failed { .. })), "{bad:?}");
    assert_eq!((good.unwrap()[0].id, other.unwrap()[0].id), (good_id, other_id));
    assert_eq!(w.store.event(&w.project, bad_id).await.unwrap(), None);
    assert_eq!(w.store.counts().await.unwrap().queued, 2);
    assert!(!w.store.append(vec![w.event("bad", &[&f])]).await.unwrap()[0].duplicate);
}

pub(crate) async fn events_are_listed_oldest_first_and_filtered(w: World) {
    let f = w.deploy("f").await;
    let mut sent = Vec::new();
    for n in 0..6_u32 {
        let mut event = w.event(&n.to_string(), &[&f]);
        if n % 2 == 1 {
            let Event { id, source, record, .. } = event.event;
            event.event = Event::new(&id, &source, "odd", record).unwrap();
        }
        sent.push((event.id, event.received_at));
        w.store.append(vec![event]).await.unwrap();
        w.wait(3_600);
    }
    let list = async |filter: EventFilter, limit| {
        let (mut cursor, mut ids) = (None, Vec::new());
        loop {
            let page = Page { limit, cursor };
            let listed = w.store.events(&w.project, filter.clone(), page).await.unwrap();
            ids.extend(listed.items.iter().map(|event| event.id));
            cursor = listed.next;
            if cursor.is_none() {
                return ids;
            }
        }
    };
    let ids: Vec<_> = sent.iter().map(|(id, _)| *id).collect();
    assert_eq!(list(EventFilter::default(), 4).await, ids);
    let range =
        EventFilter { from: Some(sent[1].1), to: Some(sent[4].1), ..EventFilter::default() };
    assert_eq!(list(range, 1).await, ids[1..4]);
    let odd = EventFilter { kind: Some("odd".into()), ..EventFilter::default() };
    assert_eq!(list(odd, 2).await, [ids[1], ids[3], ids[5]]);
    let nowhere = EventFilter { source: Some("nowhere".into()), ..EventFilter::default() };
    assert!(list(nowhere, 2).await.is_empty());
    let foreign = w.store.events(&project("other"), EventFilter::default(), page(10)).await;
    assert!(foreign.unwrap().items.is_empty());
    assert_eq!(w.store.event(&project("other"), ids[0]).await.unwrap(), None);
}

pub(crate) async fn events_are_listed_in_the_order_of_their_arrival(w: World) {
    let f = w.deploy("f").await;
    // Within a millisecond ids are in no order.
    let mut batch: Vec<_> = (0..5_u32).map(|n| w.event(&n.to_string(), &[&f])).collect();
    batch.reverse();
    let arrived: Vec<_> = batch.iter().map(|event| event.id).collect();
    w.store.append(batch).await.unwrap();
    let first = w.store.events(&w.project, EventFilter::default(), page(2)).await.unwrap();
    let rest = Page { limit: 9, cursor: first.next };
    let rest = w.store.events(&w.project, EventFilter::default(), rest).await.unwrap();
    let listed: Vec<_> = first.items.iter().chain(&rest.items).map(|event| event.id).collect();
    assert_eq!(listed, arrived);
    let third = Page { limit: 9, cursor: Some(rest.items[0].cursor.clone()) };
    let after = w.store.events(&w.project, EventFilter::default(), third).await.unwrap();
    assert_eq!(after.items, rest.items[1..], "each event tells its own place");
}
