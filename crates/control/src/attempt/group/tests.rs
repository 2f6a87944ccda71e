//! Who shares an attempt with whom, and that nobody is left out.

use std::time::Duration;

use model::invocation::Origin;
use model::{Delivery, EventId, FunctionId, InvocationId, Pattern, Project, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn name(text: &str) -> TriggerName {
    TriggerName::parse(text).unwrap()
}

fn claimed(n: u8, trigger: Option<&str>) -> Claimed {
    Claimed {
        id: InvocationId::from_bytes([n; 16]),
        project: Project::default_project(),
        function: FunctionId::from_bytes([9; 16]),
        origin: Origin::Event,
        event: EventId::from_bytes([n; 16]),
        trigger: trigger.map(name),
        replay: None,
        lane: trigger.map(name),
        ordering_key: None,
        batch_limit: None,
        version: None,
        attempt: 1,
        failures: 0,
        disturbances: 0,
        accepted_at: Timestamp::from_millis(0),
        due_at: Timestamp::from_millis(0),
        payload: json!({"id": n, "data": {"n": n}}).to_string().into(),
    }
}

fn batch(size: u32) -> Batch {
    Batch { size, window: Duration::ZERO, partial_responses: false, bisect: false }
}

/// "b" batches by three, "c" by three with a transform, "t" transforms, "p" does nothing.
fn trigger_of(claimed: &Claimed) -> Option<Arc<Trigger>> {
    let transform = || Some(Transform::parse(r#"{"path":"$.data.n"}"#).unwrap());
    let delivery = match claimed.trigger.as_ref()?.as_str() {
        "b" => Delivery { batch: Some(batch(3)), ..Delivery::default() },
        "c" => Delivery { batch: Some(batch(3)), transform: transform(), ..Delivery::default() },
        "t" => Delivery { transform: transform(), ..Delivery::default() },
        "p" => Delivery::default(),
        _gone => return None,
    };
    Some(Arc::new(Trigger {
        function: claimed.function,
        name: claimed.trigger.clone()?,
        pattern: Pattern::parse(r#"{"type":["x"]}"#).unwrap(),
        delivery,
        created_at: Timestamp::from_millis(0),
    }))
}

/// The groups, as the first bytes of their ids.
fn ids(groups: &[Group]) -> Vec<Vec<u8>> {
    let of = |group: &Group| group.claimed.iter().map(|it| it.id.as_bytes()[0]).collect();
    groups.iter().map(of).collect()
}

fn payload(group: &Group) -> Value {
    serde_json::from_slice(&group.claimed[0].payload).unwrap()
}

#[test]
fn events_of_a_trigger_with_batches_share_attempts_and_others_have_their_own() {
    let all =
        [None, Some("b"), Some("p"), Some("b"), Some("gone"), Some("b"), Some("b"), Some("t")];
    let all = (1..).zip(all).map(|(n, trigger)| claimed(n, trigger)).collect();
    let groups = grouped(all, trigger_of);
    let expect: [&[u8]; 7] = [&[1], &[3], &[5], &[8], &[2, 4, 6], &[7], &[]];
    assert_eq!(ids(&groups), expect[..6]);
    assert_eq!(groups[0].input, Input::One);
    assert_eq!(groups[2].input, Input::One, "its trigger is gone");
    assert_eq!(payload(&groups[2]), json!({"id": 5, "data": {"n": 5}}));
    assert_eq!(payload(&groups[3]), json!(8), "as the transform says");
    assert_eq!(groups[5].input, Input::Batch(batch(3)), "one is a batch, too");
}

#[test]
fn a_record_of_a_batch_has_its_invocation_and_the_event_as_the_trigger_makes_it() {
    let groups = grouped(vec![claimed(1, Some("b")), claimed(2, Some("c"))], trigger_of);
    let id = InvocationId::from_bytes([1; 16]).to_string();
    let event_id = EventId::from_bytes([1; 16]).to_string();
    let event = json!({"id": 1, "data": {"n": 1}});
    let whole = json!({"id": id, "event_id": event_id, "attempt": 1, "event": event});
    assert_eq!(payload(&groups[0]), whole);
    assert_eq!(payload(&groups[1])["event"], json!(2));
}

#[test]
fn what_failed_together_and_what_asked_for_a_version_is_kept_among_its_like() {
    let mut all: Vec<_> = (1..=6).map(|n| claimed(n, Some("b"))).collect();
    all[0].batch_limit = Some(2);
    all[2].batch_limit = Some(2);
    all[4].batch_limit = Some(2);
    all[3].version = Some(1);
    let groups = grouped(all, trigger_of);
    assert_eq!(ids(&groups), [vec![1, 3], vec![5], vec![2, 6], vec![4]]);
}

#[test]
fn what_becomes_too_large_is_refused_by_itself() {
    let large = |it: &Claimed| {
        let trigger = trigger_of(it)?;
        let twice = r#"{"template":["<event>","<event>"]}"#;
        let delivery = Delivery {
            transform: Some(Transform::parse(twice).unwrap()),
            ..trigger.delivery.clone()
        };
        Some(Arc::new(Trigger { delivery, ..(*trigger).clone() }))
    };
    let mut all: Vec<_> = (1..=3).map(|n| claimed(n, Some("b"))).collect();
    all[1].payload = json!({"data": "x".repeat(600 * 1024)}).to_string().into();
    let groups = grouped(all, large);
    assert_eq!(ids(&groups), [vec![2], vec![1, 3]]);
    let Input::Refused(fault) = &groups[0].input else { panic!("{:?}", groups[0].input) };
    assert_eq!((fault.blame, &*fault.code), (model::Blame::Function, "Lambent.InputTooLarge"));
}

proptest! {
    #[test]
    fn no_group_is_larger_than_it_may_be_and_every_event_is_in_one(
        lengths in prop::collection::vec(0_usize..400, 0..60),
        most in 1_usize..20,
        bytes in 300_usize..1_500,
    ) {
        let parts = cut(&lengths, most, bytes);
        let mut next = 0;
        for part in &parts {
            prop_assert_eq!(part.start, next, "in order, and none left out");
            next = part.end;
            prop_assert!((1..=most).contains(&part.len()));
            let whole = wire::batch::event_bytes(lengths[part.clone()].iter().copied());
            prop_assert!(whole <= bytes || part.len() == 1, "{whole}");
        }
        prop_assert_eq!(next, lengths.len());
        // And none is smaller than it has to be.
        for pair in parts.windows(2) {
            let whole = lengths[pair[0].start..=pair[0].end].iter().copied();
            prop_assert!(pair[0].len() == most || wire::batch::event_bytes(whole) > bytes);
        }
    }
}
