//! Synchronous calls: recorded once, and the keys that make equal calls one.

use std::time::Duration;

use bytes::Bytes;
use model::invocation::{Origin, Status};
use model::limits::{IDEMPOTENCY_WINDOW, RESULT_KEPT_BYTES};
use model::{Fault, Function, InvocationId};

use super::World;
use super::world::{line, page};
use crate::{CallKey, CallKeyState, LogOf};

impl World {
    fn key(&self, function: &Function, body: u8) -> CallKey {
        let (project, function) = (function.project.clone(), function.id);
        CallKey { project, function, key: "k".into(), body: [body; 32] }
    }

    async fn begin(&self, key: &CallKey) -> (InvocationId, CallKeyState) {
        let id = InvocationId::new(&self.clock);
        let state = self.store.begin_call(key.clone(), id, self.now()).await.unwrap();
        (id, state)
    }
}

pub(crate) async fn a_call_is_recorded_whole(w: World) {
    let f = w.deploy("f").await;
    let mut call = w.call(&f, None);
    call.attempt.ended_at = call.attempt.started_at.plus(Duration::from_millis(3));
    call.log = vec![line(w.now(), "one"), line(w.now(), "two")];
    w.store.record(call.clone()).await.unwrap();
    let detail = w.detail(call.id).await;
    let told = &detail.invocation;
    assert_eq!((told.status, told.origin, told.attempts), (Status::Succeeded, Origin::Call, 1));
    assert_eq!((told.event, told.due_at, told.version), (None, None, Some(1)));
    assert_eq!(told.ended_at, Some(call.attempt.ended_at));
    assert_eq!(told.last.as_ref(), Some(&call.attempt));
    assert_eq!(detail.attempts, [call.attempt]);
    assert_eq!(detail.result, call.result);
    let path: Vec<_> = detail.transitions.iter().map(|line| line.status).collect();
    assert_eq!(path, [Status::Queued, Status::Running, Status::Succeeded]);
    let log = w.store.log(&w.project, LogOf::Invocation(call.id), page(10)).await.unwrap();
    assert_eq!(log.items.len(), 2);
    assert_eq!(w.store.waiting().await.unwrap(), []);
}

pub(crate) async fn a_failed_call_is_failed_and_not_dead(w: World) {
    let f = w.deploy("f").await;
    let fault = Fault::function("ValueError", "no");
    let call = w.call(&f, Some(fault.clone()));
    w.store.record(call.clone()).await.unwrap();
    let detail = w.detail(call.id).await;
    assert_eq!(detail.invocation.status, Status::Failed);
    assert_eq!(detail.invocation.last.unwrap().fault, Some(fault));
    assert_eq!(detail.transitions.last().unwrap().reason, "ValueError");
    assert_eq!(w.store.counts().await.unwrap().dead, 0);
}

pub(crate) async fn recording_twice_changes_nothing(w: World) {
    let f = w.deploy("f").await;
    let mut call = w.call(&f, None);
    call.log = vec![line(w.now(), "once")];
    w.store.record(call.clone()).await.unwrap();
    let before = w.detail(call.id).await;
    call.attempt.fault = Some(Fault::function("ValueError", "no"));
    w.store.record(call.clone()).await.unwrap();
    assert_eq!(w.detail(call.id).await, before);
    let log = w.store.log(&w.project, LogOf::Invocation(call.id), page(10)).await.unwrap();
    assert_eq!(log.items.len(), 1);
}

pub(crate) async fn a_key_belongs_to_the_first_call_and_its_answer_to_all(w: World) {
    let (f, g) = (w.deploy("f").await, w.deploy("g").await);
    let key = w.key(&f, 1);
    let (first, state) = w.begin(&key).await;
    assert_eq!(state, CallKeyState::Taken);
    assert_eq!(w.begin(&key).await.1, CallKeyState::Begun { invocation: first });
    assert_eq!(w.begin(&w.key(&g, 1)).await.1, CallKeyState::Taken, "another function's");
    let mut call = w.call(&f, None);
    (call.id, call.key) = (first, Some(key.clone()));
    w.store.record(call).await.unwrap();
    let outcome = Ok(Bytes::from_static(b"1"));
    let answered = CallKeyState::Answered { invocation: first, outcome };
    assert_eq!(w.begin(&key).await.1, answered);
    assert_eq!(w.begin(&key).await.1, answered);
}

pub(crate) async fn a_key_with_another_body_is_told(w: World) {
    let f = w.deploy("f").await;
    let key = w.key(&f, 1);
    let (first, _) = w.begin(&key).await;
    assert_eq!(w.begin(&w.key(&f, 2)).await.1, CallKeyState::OtherBody);
    let fault = Fault::function("ValueError", "no");
    let mut call = w.call(&f, Some(fault.clone()));
    (call.id, call.key) = (first, Some(key.clone()));
    w.store.record(call).await.unwrap();
    assert_eq!(w.begin(&w.key(&f, 2)).await.1, CallKeyState::OtherBody);
    let answered = CallKeyState::Answered { invocation: first, outcome: Err(fault) };
    assert_eq!(w.begin(&key).await.1, answered);
}

pub(crate) async fn a_key_is_free_again_after_its_window(w: World) {
    let f = w.deploy("f").await;
    let key = w.key(&f, 1);
    w.begin(&key).await;
    w.clock.advance(IDEMPOTENCY_WINDOW);
    let (second, state) = w.begin(&w.key(&f, 2)).await;
    assert_eq!(state, CallKeyState::Taken);
    assert_eq!(w.begin(&w.key(&f, 2)).await.1, CallKeyState::Begun { invocation: second });
}

pub(crate) async fn a_released_key_can_be_taken_again(w: World) {
    let f = w.deploy("f").await;
    let key = w.key(&f, 1);
    let (first, _) = w.begin(&key).await;
    let stranger = InvocationId::new(&w.clock);
    assert!(!w.store.release_call(key.clone(), stranger).await.unwrap());
    assert!(w.store.release_call(key.clone(), first).await.unwrap());
    let (second, state) = w.begin(&key).await;
    assert_eq!(state, CallKeyState::Taken);
    let mut call = w.call(&f, None);
    (call.id, call.key) = (second, Some(key.clone()));
    w.store.record(call).await.unwrap();
    assert!(!w.store.release_call(key, second).await.unwrap(), "an answer is kept");
}

pub(crate) async fn an_answer_larger_than_the_ledger_keeps_is_kept_for_its_key(w: World) {
    let f = w.deploy("f").await;
    let key = w.key(&f, 1);
    let (first, _) = w.begin(&key).await;
    let large = Bytes::from(vec![7; RESULT_KEPT_BYTES + 1]);
    let mut call = w.call(&f, None);
    (call.id, call.key) = (first, Some(key.clone()));
    (call.result, call.result_bytes) = (Some(large.clone()), Some(large.len() as u64));
    w.store.record(call).await.unwrap();
    let detail = w.detail(first).await;
    assert_eq!(detail.result, None);
    assert_eq!(detail.invocation.result_bytes, Some(large.len() as u64));
    let answered = CallKeyState::Answered { invocation: first, outcome: Ok(large) };
    assert_eq!(w.begin(&key).await.1, answered);
}
