//! Retention: what ended long ago goes, what is in use stays.

use std::time::Duration;

use model::invocation::Status;
use model::limits::DEDUPE_WINDOW;
use model::{Fault, fault};

use super::World;
use super::world::{line, page};
use crate::{CallKey, CallKeyState, EventFilter, Filter, LogOf, Next};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

impl World {
    /// Sweeps what ended more than a week ago.
    async fn sweep(&self, limit: usize) -> usize {
        self.store.sweep(self.now().minus(WEEK), self.now(), limit).await.unwrap()
    }

    async fn events_left(&self) -> usize {
        let listed = self.store.events(&self.project, EventFilter::default(), page(1_000)).await;
        listed.unwrap().items.len()
    }
}

pub(crate) async fn what_ended_long_ago_is_swept_with_everything_of_it(w: World) {
    let f = w.deploy("f").await;
    let old = w.send("1", &f).await;
    let claimed = w.claim_one(&f).await;
    assert!(w.settle(&claimed, Next::RetryAt(w.now())).await);
    let claimed = w.claim_one(&f).await;
    assert!(w.settle(&claimed, Next::Succeeded).await);
    let key =
        CallKey { project: w.project.clone(), function: f.id, key: "k".into(), body: [0; 32] };
    let call = w.call(&f, None);
    w.store.begin_call(key.clone(), call.id, w.now()).await.unwrap();
    let orphan = crate::LogAppend {
        invocation: call.id,
        function: f.id,
        attempt: 1,
        lines: vec![line(w.now(), "of a call that never ended")],
    };
    w.store.append_log(vec![orphan]).await.unwrap();
    w.clock.advance(WEEK);
    assert_eq!(w.sweep(100).await, 1, "only the key is past its time");
    w.wait(1);
    let young = w.send("2", &f).await;
    assert_eq!(w.sweep(100).await, 2, "the invocation and the orphaned line");
    assert_eq!(w.sweep(100).await, 1, "now nothing needs its event");
    assert_eq!(w.sweep(100).await, 0);
    assert_eq!(w.store.invocation(&w.project, old).await.unwrap(), None);
    assert_eq!(w.list(Filter::default(), 10).await, [young]);
    assert_eq!(w.events_left().await, 1);
    let of = LogOf::Function { function: f.id, since: None };
    assert!(w.store.log(&w.project, of, page(10)).await.unwrap().items.is_empty());
    let again = w.store.begin_call(key, call.id, w.now()).await.unwrap();
    assert_eq!(again, CallKeyState::Taken);
    w.send("1", &f).await;
}

pub(crate) async fn what_still_waits_or_runs_is_never_swept(w: World) {
    let f = w.deploy("f").await;
    for sender_id in ["1", "2", "3"] {
        w.send(sender_id, &f).await;
    }
    let claimed = w.claim(&f, 2).await;
    assert!(w.settle(&claimed[0], Next::RetryAt(w.now())).await);
    w.clock.advance(WEEK * 10);
    assert_eq!(w.sweep(100).await, 0);
    assert_eq!(w.list(Filter::default(), 10).await.len(), 3);
    assert_eq!(w.events_left().await, 3);
    assert_eq!(w.status(claimed[1].id).await, Status::Running);
}

pub(crate) async fn an_event_within_the_dedupe_window_outlives_its_invocations(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let claimed = w.claim_one(&f).await;
    assert!(w.settle(&claimed, Next::Succeeded).await);
    w.wait(60);
    let swept = async || w.store.sweep(w.now(), w.now(), 100).await.unwrap();
    assert_eq!(swept().await, 1);
    assert_eq!(swept().await, 0);
    let again = w.store.append(vec![w.event("1", &[&f])]).await.unwrap().remove(0);
    assert!(again.duplicate);
    assert!(again.invocations.is_empty());
    w.clock.advance(DEDUPE_WINDOW);
    assert_eq!(swept().await, 1);
}

pub(crate) async fn a_sweep_stops_at_its_limit(w: World) {
    let f = w.deploy("f").await;
    for _ in 0..300 {
        w.store.record(w.call(&f, None)).await.unwrap();
    }
    w.clock.advance(WEEK * 2);
    assert_eq!(w.sweep(200).await, 200);
    assert_eq!(w.sweep(200).await, 100);
    assert_eq!(w.sweep(200).await, 0);
}

pub(crate) async fn a_deleted_function_is_forgotten_when_nothing_names_it(w: World) {
    let f = w.deploy("f").await;
    let call = w.call(&f, None);
    w.store.record(call.clone()).await.unwrap();
    let deleted = Fault::platform(fault::FUNCTION_DELETED, "the function was deleted");
    assert!(w.store.delete_function(f.id, &deleted, w.now()).await.unwrap());
    w.clock.advance(WEEK * 2);
    assert_eq!(w.sweep(100).await, 1);
    assert_eq!(w.sweep(100).await, 1);
    assert_eq!(w.sweep(100).await, 0);
    // A call that was long in flight is recorded nevertheless.
    let late = w.call(&f, None);
    w.store.record(late.clone()).await.unwrap();
    assert_eq!(w.detail(late.id).await.invocation.function_name, f.name);
}

pub(crate) async fn code_of_a_version_is_in_use(w: World) {
    assert!(w.store.code_in_use().await.unwrap().is_empty());
    let f = w.deploy("f").await;
    w.deploy("f").await;
    assert_eq!(w.store.code_in_use().await.unwrap(), [f.latest.code.digest]);
    let deleted = Fault::platform(fault::FUNCTION_DELETED, "the function was deleted");
    assert!(w.store.delete_function(f.id, &deleted, w.now()).await.unwrap());
    assert!(w.store.code_in_use().await.unwrap().is_empty());
}
