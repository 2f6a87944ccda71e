//! Leases: who holds an attempt, until when, and that a late report changes nothing.

use model::invocation::Status;
use model::{Fault, WorkerId, fault};

use super::World;
use super::world::{project, seconds};
use crate::{Claim, Next, Waiting};

pub(crate) async fn due_invocations_are_claimed_oldest_due_first(w: World) {
    let f = w.deploy("f").await;
    let mut events = Vec::new();
    for (sender_id, due) in [("1", 30), ("2", 10), ("3", 20), ("4", 10)] {
        let mut event = w.event(sender_id, &[&f]);
        event.invocations[0].due_at = w.now().plus(seconds(due));
        events.push(event);
    }
    let order = [1, 3, 2, 0].map(|index: usize| events[index].invocations[0].id);
    w.store.append(events).await.unwrap();
    w.wait(60);
    let mut claimed = w.claim(&f, 3).await;
    claimed.extend(w.claim(&f, 3).await);
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), order);
}

pub(crate) async fn nothing_is_claimed_before_it_is_due(w: World) {
    let f = w.deploy("f").await;
    let mut event = w.event("1", &[&f]);
    event.invocations[0].due_at = w.now().plus(seconds(10));
    w.store.append(vec![event]).await.unwrap();
    w.wait(9);
    assert!(w.claim(&f, 1).await.is_empty());
    w.wait(1);
    assert_eq!(w.claim(&f, 1).await.len(), 1);
}

pub(crate) async fn what_has_become_too_old_can_be_claimed_apart(w: World) {
    let f = w.deploy("f").await;
    let old = w.send("1", &f).await;
    w.wait(60);
    w.send("2", &f).await;
    let claim = Claim { accepted_before: Some(w.now()), ..w.claim_of(&f, 9) };
    let claimed = w.store.claim(claim).await.unwrap();
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [old]);
}

pub(crate) async fn two_claims_never_get_the_same_invocation(w: World) {
    let f = w.deploy("f").await;
    let events = (0..40).map(|n| w.event(&n.to_string(), &[&f])).collect();
    w.store.append(events).await.unwrap();
    let claims = tokio::join!(w.claim(&f, 16), w.claim(&f, 16), w.claim(&f, 16), w.claim(&f, 16));
    let mut ids: Vec<_> =
        [claims.0, claims.1, claims.2, claims.3].iter().flatten().map(|one| one.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}

pub(crate) async fn only_the_running_attempt_settles_and_only_once(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let claimed = w.claim_one(&f).await;
    let mut early = claimed.clone();
    early.attempt = 2;
    assert!(!w.settle(&early, Next::Succeeded).await);
    assert!(w.settle(&claimed, Next::Succeeded).await);
    let before = w.detail(claimed.id).await;
    assert!(!w.settle(&claimed, Next::Succeeded).await);
    assert!(!w.settle(&claimed, Next::GaveUp("RetriesExhausted")).await);
    assert!(!w.settle(&claimed, Next::RetryAt(w.now())).await);
    assert_eq!(w.detail(claimed.id).await, before);
    assert_eq!(before.invocation.status, Status::Succeeded);
    assert_eq!(before.result.as_deref(), Some(&b"42"[..]));
    assert_eq!(before.invocation.result_bytes, Some(2));
    assert_eq!(before.attempts, [w.attempt(1, None)]);
    assert!(w.claim(&f, 1).await.is_empty());
}

pub(crate) async fn a_retry_waits_and_counts_whose_fault_it_was(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let first = w.claim_one(&f).await;
    let accepted_at = w.now();
    assert!(w.settle(&first, Next::RetryAt(w.now().plus(seconds(60)))).await);
    assert_eq!(w.status(first.id).await, Status::Retrying);
    w.wait(59);
    assert!(w.claim(&f, 1).await.is_empty());
    w.wait(1);
    let second = w.claim_one(&f).await;
    assert_eq!((second.attempt, second.failures, second.disturbances), (2, 1, 0));
    assert_eq!(second.accepted_at, accepted_at);
    let mut ours = w.settlement(&second, Next::RetryAt(w.now()));
    ours.attempt.fault = Some(Fault::platform(fault::NO_CAPACITY, "no room"));
    assert!(w.store.settle(ours).await.unwrap().ours);
    let third = w.claim_one(&f).await;
    assert_eq!((third.attempt, third.failures, third.disturbances), (3, 1, 1));
    assert!(w.settle(&third, Next::Succeeded).await);
    let detail = w.detail(first.id).await;
    let faults: Vec<_> = detail
        .attempts
        .iter()
        .map(|attempt| attempt.fault.as_ref().map(|fault| fault.code.as_str()))
        .collect();
    assert_eq!(faults, [Some("ValueError"), Some(fault::NO_CAPACITY), None]);
    assert_eq!(detail.invocation.attempts, 3);
    assert_eq!(detail.invocation.last, detail.attempts.last().cloned());
}

pub(crate) async fn giving_up_makes_a_dead_letter(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let claimed = w.claim_one(&f).await;
    w.wait(2);
    assert!(w.settle(&claimed, Next::GaveUp("RetriesExhausted")).await);
    let detail = w.detail(claimed.id).await;
    assert_eq!(detail.invocation.status, Status::Dead);
    assert_eq!(detail.invocation.ended_at, Some(w.now()));
    assert_eq!(detail.invocation.due_at, None);
    assert_eq!(detail.transitions.last().unwrap().reason, "RetriesExhausted");
    w.wait(100_000);
    assert!(w.claim(&f, 1).await.is_empty());
    assert_eq!(w.store.interrupt(w.now(), None).await.unwrap(), 0);
}

pub(crate) async fn a_lease_that_ends_is_taken_back_and_its_late_result_refused(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let first = w.claim_one(&f).await;
    w.wait(30);
    assert_eq!(w.store.interrupt(w.now(), None).await.unwrap(), 0, "it ends now, not before");
    w.wait(1);
    assert_eq!(w.store.interrupt(w.now(), None).await.unwrap(), 1);
    assert!(!w.settle(&first, Next::Succeeded).await, "before the next attempt");
    let second = w.claim_one(&f).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    assert_eq!((second.failures, second.disturbances), (0, 1));
    assert!(!w.settle(&first, Next::Succeeded).await, "during the next attempt");
    let until = w.now().plus(seconds(30));
    let lost = w.store.renew(w.worker, vec![(first.id, 1)], until).await.unwrap();
    assert_eq!(lost, [first.id]);
    assert!(w.settle(&second, Next::Succeeded).await);
    let detail = w.detail(first.id).await;
    assert_eq!(detail.attempts.len(), 2);
    assert_eq!(detail.attempts[0].fault.as_ref().unwrap().code, fault::INTERRUPTED);
    assert_eq!(detail.attempts[0].version, 1);
}

pub(crate) async fn a_renewed_lease_holds(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let claimed = w.claim_one(&f).await;
    let held = vec![(claimed.id, claimed.attempt)];
    w.wait(20);
    let until = w.now().plus(seconds(30));
    assert!(w.store.renew(w.worker, held.clone(), until).await.unwrap().is_empty());
    w.wait(20);
    assert_eq!(w.store.interrupt(w.now(), Some(w.worker)).await.unwrap(), 0);
    let stranger = WorkerId::new(&w.clock);
    assert_eq!(w.store.renew(stranger, held, until).await.unwrap(), [claimed.id]);
    assert!(w.settle(&claimed, Next::Succeeded).await);
}

pub(crate) async fn leases_of_other_workers_are_taken_back_when_only_one_is_alive(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    w.claim_one(&f).await;
    let fresh = WorkerId::new(&w.clock);
    assert_eq!(w.store.interrupt(w.now(), Some(fresh)).await.unwrap(), 1);
    assert_eq!(w.claim_one(&f).await.attempt, 2);
    assert_eq!(w.store.interrupt(w.now(), Some(w.worker)).await.unwrap(), 0);
}

pub(crate) async fn a_redriven_dead_letter_starts_afresh_and_numbers_go_on(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let first = w.claim_one(&f).await;
    assert!(w.settle(&first, Next::GaveUp("RetriesExhausted")).await);
    w.wait(50_000);
    assert!(w.store.redrive(&w.project, first.id, w.now()).await.unwrap());
    assert!(!w.store.redrive(&w.project, first.id, w.now()).await.unwrap());
    let second = w.claim_one(&f).await;
    assert_eq!((second.attempt, second.failures, second.disturbances), (2, 0, 0));
    assert_eq!(second.accepted_at, w.now());
    assert!(w.settle(&second, Next::Succeeded).await);
    let detail = w.detail(first.id).await;
    assert_eq!(detail.invocation.status, Status::Succeeded);
    assert_eq!(detail.attempts.len(), 2);
    assert!(detail.invocation.created_at < second.accepted_at);
}

pub(crate) async fn only_dead_letters_of_the_project_are_redriven(w: World) {
    let f = w.deploy("f").await;
    let waits = w.send("1", &f).await;
    assert!(!w.store.redrive(&w.project, waits, w.now()).await.unwrap());
    let claimed = w.claim_one(&f).await;
    assert!(!w.store.redrive(&w.project, waits, w.now()).await.unwrap());
    assert!(w.settle(&claimed, Next::GaveUp("RetriesExhausted")).await);
    assert!(!w.store.redrive(&project("other"), waits, w.now()).await.unwrap());
    let call = w.call(&f, Some(Fault::function("ValueError", "no")));
    let failed = call.id;
    w.store.record(call).await.unwrap();
    assert!(!w.store.redrive(&w.project, failed, w.now()).await.unwrap());
    assert!(w.store.redrive(&w.project, waits, w.now()).await.unwrap());
}

pub(crate) async fn every_transition_is_told_in_order(w: World) {
    let f = w.deploy("f").await;
    let id = w.send("1", &f).await;
    let first = w.claim_one(&f).await;
    assert!(w.settle(&first, Next::RetryAt(w.now().plus(seconds(60)))).await);
    w.wait(60);
    w.claim_one(&f).await;
    w.wait(31);
    w.store.interrupt(w.now(), None).await.unwrap();
    let third = w.claim_one(&f).await;
    assert!(w.settle(&third, Next::GaveUp("RetriesExhausted")).await);
    assert!(w.store.redrive(&w.project, id, w.now()).await.unwrap());
    let told = w.detail(id).await.transitions;
    let told: Vec<_> =
        told.iter().map(|line| (line.status, line.attempt, line.reason.as_str())).collect();
    let expect = [
        (Status::Queued, 0, "accepted"),
        (Status::Running, 1, ""),
        (Status::Retrying, 1, "ValueError: waits until 2025-11-24T16:01:00Z"),
        (Status::Running, 2, ""),
        (Status::Retrying, 2, fault::INTERRUPTED),
        (Status::Running, 3, ""),
        (Status::Dead, 3, "RetriesExhausted"),
        (Status::Retrying, 3, "Redriven"),
    ];
    assert_eq!(told, expect);
}

pub(crate) async fn what_waits_is_counted_per_function(w: World) {
    let (f, g) = (w.deploy("f").await, w.deploy("g").await);
    let begin = w.now();
    w.send("1", &f).await;
    w.wait(5);
    w.send("2", &f).await;
    w.send("3", &g).await;
    let mut waiting = w.store.waiting().await.unwrap();
    waiting.sort_by_key(|waiting| waiting.count);
    let (now, one) = (w.now(), |function, first_due_at, count| Waiting {
        function,
        lane: None,
        first_due_at,
        oldest_created_at: first_due_at,
        count,
    });
    assert_eq!(waiting, [one(g.id, now, 1), one(f.id, begin, 2)]);
    w.claim(&f, 10).await;
    assert_eq!(w.store.waiting().await.unwrap(), [one(g.id, now, 1)]);
}
