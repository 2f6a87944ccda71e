//! Destinations and the outbox: a message exists if its outcome does, and is sent until it is.

use bytes::Bytes;
use model::invocation::Status;
use model::{Fault, Function, InvocationId, MessageId, WorkerId, fault};

use super::World;
use super::world::{project, seconds};
use crate::{
    CLAIM_BYTES, CallRecord, Destinations, Message, MessageOutcome, MessageState, MessageStatus,
    NewMessage, Next, Purpose, Target,
};

fn target(kind: &str) -> Target {
    let sealed = Some(Bytes::from_static(b"\xffsecret"));
    Target { kind: kind.into(), settings: r#"{"url": "a\"b"}"#.into(), sealed }
}

impl World {
    pub(crate) fn message(&self, kind: &str) -> NewMessage {
        NewMessage {
            id: MessageId::new(&self.clock),
            target: target(kind),
            body: Bytes::from_static(b"\0body"),
            purpose: Purpose::Destination,
        }
    }

    /// Ends an attempt at a new event, with a message.
    pub(crate) async fn end_and_send(
        &self,
        sender_id: &str,
        function: &Function,
    ) -> (InvocationId, NewMessage) {
        self.send(sender_id, function).await;
        let claimed = self.claim_one(function).await;
        let message = self.message("webhook");
        let mut end = self.settlement(&claimed, Next::Succeeded);
        end.send = vec![message.clone()];
        assert!(self.store.settle(end).await.unwrap().ours);
        (claimed.id, message)
    }

    pub(crate) async fn claim_messages(&self) -> Vec<Message> {
        let (now, until) = (self.now(), self.now().plus(seconds(30)));
        self.store.claim_messages(self.worker, now, until, 10).await.unwrap()
    }

    pub(crate) async fn report(&self, message: &Message, outcome: MessageOutcome) -> bool {
        let (id, tries) = (message.id, message.tries);
        self.store.settle_message(id, tries, outcome, self.now()).await.unwrap()
    }

    async fn messages(&self, invocation: InvocationId) -> Vec<MessageState> {
        self.store.messages_of(&self.project, invocation).await.unwrap()
    }
}

fn retry(w: &World, after_s: u64) -> MessageOutcome {
    MessageOutcome::RetryAt { at: w.now().plus(seconds(after_s)), error: "it was down".into() }
}

pub(crate) async fn destinations_are_replaced_and_end_with_their_function(w: World) {
    let (f, g) = (w.deploy("f").await, w.deploy("g").await);
    let kept = async || {
        let catalogue = w.store.catalogue().await.unwrap();
        catalogue.into_iter().map(|it| it.destinations).collect::<Vec<_>>()
    };
    let both = Destinations { on_success: Some(target("a")), on_failure: Some(target("b")) };
    assert!(w.store.put_destinations(f.id, both.clone()).await.unwrap());
    assert_eq!(kept().await, [both, Destinations::default()]);
    w.deploy("f").await;
    let one = Destinations { on_success: None, on_failure: Some(target("c")) };
    assert!(w.store.put_destinations(f.id, one.clone()).await.unwrap());
    assert!(w.store.put_destinations(g.id, one.clone()).await.unwrap());
    assert_eq!(kept().await, [one.clone(), one.clone()]);
    let deleted = Fault::platform(fault::FUNCTION_DELETED, "the function was deleted");
    assert!(w.store.delete_function(f.id, &deleted, w.now()).await.unwrap());
    assert!(!w.store.put_destinations(f.id, one.clone()).await.unwrap());
    assert!(w.store.put_destinations(g.id, Destinations::default()).await.unwrap());
    assert_eq!(kept().await, [Destinations::default()]);
    w.wait(1);
    let swept = w.store.sweep(w.now(), w.now(), 10).await.unwrap();
    assert_eq!(swept, 1, "the function that nothing names any more");
}

pub(crate) async fn what_a_call_sends_is_recorded_with_it_once(w: World) {
    let f = w.deploy("f").await;
    let message = w.message("events");
    let call = CallRecord { send: vec![message.clone()], ..w.call(&f, None) };
    let id = call.id;
    for _ in 0..2 {
        w.store.record(call.clone()).await.unwrap();
    }
    let kept: Vec<_> = w.messages(id).await.into_iter().map(|it| it.id).collect();
    assert_eq!(kept, [message.id]);
    let claimed = w.claim_messages().await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].invocation, &claimed[0].body), (id, &message.body));
    assert!(w.report(&claimed[0], MessageOutcome::Sent).await);
}

pub(crate) async fn a_message_exists_if_the_settlement_was_ours(w: World) {
    let f = w.deploy("f").await;
    assert_eq!(w.store.outbox_due().await.unwrap(), None);
    w.send("1", &f).await;
    let claimed = w.claim_one(&f).await;
    let with_message = |next| {
        let mut end = w.settlement(&claimed, next);
        end.send = vec![w.message("webhook"), w.message("events")];
        end
    };
    assert!(w.store.settle(with_message(Next::Succeeded)).await.unwrap().ours);
    assert!(!w.store.settle(with_message(Next::GaveUp("Late"))).await.unwrap().ours);
    let kinds: Vec<_> = w.messages(claimed.id).await.into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["webhook", "events"]);
    assert_eq!(w.store.counts().await.unwrap().messages_waiting, 2);
    assert_eq!(w.store.outbox_due().await.unwrap(), Some(w.now()));
    let foreign = w.store.messages_of(&project("other"), claimed.id).await.unwrap();
    assert_eq!(foreign, []);
}

pub(crate) async fn what_was_to_be_sent_of_another_end_is_not(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let claimed = w.claim_one(&f).await;
    let deleted = Fault::platform(fault::FUNCTION_DELETED, "the function was deleted");
    assert!(w.store.delete_function(f.id, &deleted, w.now()).await.unwrap());
    let mut end = w.settlement(&claimed, Next::RetryAt(w.now()));
    end.send = vec![w.message("webhook")];
    assert!(w.store.settle(end).await.unwrap().ours);
    assert_eq!(w.status(claimed.id).await, Status::Dead);
    assert_eq!(w.messages(claimed.id).await, []);
}

pub(crate) async fn a_leased_message_has_all_that_sending_needs(w: World) {
    let f = w.deploy("f").await;
    let (invocation, sent) = w.end_and_send("1", &f).await;
    let expect = Message {
        id: sent.id,
        project: w.project.clone(),
        function: f.id,
        invocation,
        purpose: sent.purpose,
        target: sent.target,
        body: sent.body,
        created_at: w.now(),
        tries: 1,
    };
    assert_eq!(w.claim_messages().await, [expect]);
    assert_eq!(w.claim_messages().await, [], "it is leased");
    assert_eq!(w.store.outbox_due().await.unwrap(), Some(w.now().plus(seconds(30))));
}

pub(crate) async fn a_message_is_tried_until_it_is_sent(w: World) {
    let f = w.deploy("f").await;
    let (invocation, _) = w.end_and_send("1", &f).await;
    let first = w.claim_messages().await.remove(0);
    assert!(w.report(&first, retry(&w, 10)).await);
    assert!(!w.report(&first, MessageOutcome::Sent).await, "that try has ended");
    let told = w.messages(invocation).await.remove(0);
    assert_eq!((told.status, told.tries, told.ended_at), (MessageStatus::Waits, 1, None));
    assert_eq!(told.due_at, Some(w.now().plus(seconds(10))));
    assert_eq!(told.error.as_deref(), Some("it was down"));
    w.wait(9);
    assert_eq!(w.claim_messages().await, []);
    w.wait(1);
    let second = w.claim_messages().await.remove(0);
    assert_eq!(second.tries, 2);
    assert!(w.report(&second, MessageOutcome::Sent).await);
    assert!(!w.report(&second, MessageOutcome::Sent).await);
    let told = w.messages(invocation).await.remove(0);
    assert_eq!((told.status, told.due_at), (MessageStatus::Sent, None));
    assert_eq!((told.ended_at, told.error), (Some(w.now()), None));
    assert_eq!(told.body_bytes, 5);
    assert_eq!(w.store.counts().await.unwrap().messages_waiting, 0);
    assert_eq!(w.store.outbox_due().await.unwrap(), None);
}

pub(crate) async fn a_message_can_be_given_up(w: World) {
    let f = w.deploy("f").await;
    let (invocation, _) = w.end_and_send("1", &f).await;
    let only = w.claim_messages().await.remove(0);
    let error = "é".repeat(100_000);
    assert!(w.report(&only, MessageOutcome::GaveUp { error }).await);
    w.wait(1_000);
    assert_eq!(w.claim_messages().await, []);
    let told = w.messages(invocation).await.remove(0);
    assert_eq!(told.status, MessageStatus::GaveUp);
    let error = told.error.unwrap();
    assert!(error.starts_with('é') && error.len() < 2_000, "it is cut to what a person reads");
}

pub(crate) async fn a_try_that_nobody_heard_of_again_is_made_again(w: World) {
    let f = w.deploy("f").await;
    w.end_and_send("1", &f).await;
    let first = w.claim_messages().await.remove(0);
    w.wait(30);
    let second = w.claim_messages().await.remove(0);
    assert_eq!((second.id, second.tries), (first.id, 2));
    assert!(!w.report(&first, retry(&w, 0)).await, "its report comes late");
    assert_eq!(w.claim_messages().await, []);
    assert!(w.report(&second, MessageOutcome::Sent).await);
}

pub(crate) async fn messages_of_a_worker_that_is_gone_come_back_at_once(w: World) {
    let f = w.deploy("f").await;
    w.end_and_send("1", &f).await;
    let first = w.claim_messages().await.remove(0);
    w.store.interrupt(w.now(), Some(w.worker)).await.unwrap();
    w.store.interrupt(w.now(), None).await.unwrap();
    assert_eq!(w.claim_messages().await, [], "it lives");
    w.store.interrupt(w.now(), Some(WorkerId::new(&w.clock))).await.unwrap();
    let second = w.claim_messages().await;
    assert_eq!(second.iter().map(|it| (it.id, it.tries)).collect::<Vec<_>>(), [(first.id, 2)]);
}

pub(crate) async fn a_claim_of_messages_takes_the_oldest_and_stops_at_its_limit(w: World) {
    let f = w.deploy("f").await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(w.end_and_send(&n.to_string(), &f).await.1.id);
        w.wait(1);
    }
    let (now, until) = (w.now(), w.now().plus(seconds(30)));
    for expect in [&sent[..2], &sent[2..4], &sent[4..], &[]] {
        let claimed = w.store.claim_messages(w.worker, now, until, 2).await.unwrap();
        assert_eq!(claimed.iter().map(|it| it.id).collect::<Vec<_>>(), expect);
    }
}

pub(crate) async fn a_claim_of_messages_is_bounded_in_bytes(w: World) {
    let f = w.deploy("f").await;
    w.send("1", &f).await;
    let claimed = w.claim_one(&f).await;
    let mut end = w.settlement(&claimed, Next::Succeeded);
    for _ in 0..3 {
        let body = Bytes::from(vec![b'x'; CLAIM_BYTES / 2]);
        end.send.push(NewMessage { body, ..w.message("webhook") });
    }
    assert!(w.store.settle(end).await.unwrap().ours);
    assert_eq!(w.claim_messages().await.len(), 2);
    assert_eq!(w.claim_messages().await.len(), 1);
}

pub(crate) async fn an_event_is_delivered_to_this_ledger_once(w: World) {
    let (f, g) = (w.deploy("f").await, w.deploy("g").await);
    let (invocation, _) = w.end_and_send("1", &f).await;
    let message = w.claim_messages().await.remove(0);
    let event = w.event("2", &[&g]);
    let appended = w.store.deliver_event(message.id, event.clone()).await.unwrap().unwrap();
    assert_eq!((appended.id, appended.duplicate), (event.id, false));
    let again = w.event("3", &[&g]);
    assert_eq!(w.store.deliver_event(message.id, again.clone()).await.unwrap(), None);
    assert_eq!(w.store.event(&w.project, again.id).await.unwrap(), None);
    assert!(!w.report(&message, retry(&w, 0)).await);
    assert_eq!(w.messages(invocation).await[0].status, MessageStatus::Sent);
    assert_eq!(w.claim(&g, 10).await.len(), 1);
    let unknown = MessageId::new(&w.clock);
    assert_eq!(w.store.deliver_event(unknown, again).await.unwrap(), None);
}

pub(crate) async fn an_event_that_cannot_be_stored_leaves_its_message(w: World) {
    let f = w.deploy("f").await;
    w.end_and_send("1", &f).await;
    let message = w.claim_messages().await.remove(0);
    let mut bad = w.event("2", &[&f, &f]);
    bad.invocations[1].id = bad.invocations[0].id;
    w.store.deliver_event(message.id, bad).await.unwrap_err();
    assert!(w.report(&message, retry(&w, 0)).await);
    assert_eq!(w.claim_messages().await.len(), 1);
}

pub(crate) async fn messages_are_swept_with_their_invocation_and_never_before_they_ended(w: World) {
    let f = w.deploy("f").await;
    let (waits, _) = w.end_and_send("1", &f).await;
    let (sent, _) = w.end_and_send("2", &f).await;
    let messages = w.claim_messages().await;
    let one = messages.iter().find(|it| it.invocation == sent).unwrap();
    assert!(w.report(one, MessageOutcome::Sent).await);
    w.wait(1_000_000);
    let sweep = async |limit| w.store.sweep(w.now(), w.now(), limit).await.unwrap();
    assert_eq!(sweep(1).await, 1, "one invocation, with its message, past the one before it");
    assert_eq!(w.messages(sent).await, []);
    assert_eq!(w.messages(waits).await.len(), 1);
    assert_eq!(w.status(waits).await, Status::Succeeded);
    let last = w.claim_messages().await.remove(0);
    assert!(w.report(&last, MessageOutcome::GaveUp { error: "no".into() }).await);
    assert_eq!(sweep(100).await, 2, "the other one, and the event that nothing needs any more");
    assert_eq!(w.messages(waits).await, []);
}
