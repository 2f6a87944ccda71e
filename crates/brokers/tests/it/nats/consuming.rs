//! What comes, and what becomes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use brokers::nats::NatsPublisher;
use brokers::{Kind, Outgoing, Publisher};

use super::*;
use crate::harness::{bodies, numbers, outgoing, receive, soon, until_backlog};

#[tokio::test]
async fn a_thousand_messages_come_in_order_and_are_accepted_in_batches() {
    let Some(nats) = shared() else { return };
    let settings = settings(nats);
    let mut session = connect(&settings).await;
    fill(&settings, 1_000).await;
    let mut seen = Vec::new();
    while seen.len() < 1_000 {
        let batch = soon(session.receive(100)).await.unwrap();
        assert!(batch.len() <= 100);
        seen.extend(bodies(&batch).into_iter().map(str::to_owned));
        soon(session.accept(&deliveries(&batch))).await.unwrap();
    }
    assert_eq!(seen, numbers(0..1_000));
    soon(session.close()).await;
    // Accepted is accepted: the next thing that comes is a new one.
    let mut session = connect(&settings).await;
    fill(&settings, 1).await;
    let last = receive(&mut *session, 1).await;
    assert!(!last[0].redelivered);
    assert_eq!(bodies(&last), ["0"]);
}

#[tokio::test]
async fn what_a_message_says_about_itself_arrives() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    settings.subjects = vec![format!("{}.*", settings.stream)];
    let mut session = connect(&settings).await;
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    let subject = format!("{}.new", settings.stream);
    let message = Outgoing {
        content_type: Some("application/json".to_owned()),
        headers: vec![("ce-type".to_owned(), "a.b".to_owned())],
        message_id: Some("m-1".to_owned()),
        exchange: settings.stream.clone(),
        ..outgoing(&subject, "{}")
    };
    soon(publisher.publish(message)).await.unwrap();
    let got = receive(&mut *session, 1).await.remove(0);
    assert_eq!(got.content_type.as_deref(), Some("application/json"));
    assert!(got.headers.contains(&("ce-type".to_owned(), "a.b".to_owned())), "{got:?}");
    assert_eq!(got.message_id.as_deref(), Some("m-1"));
    assert!(got.published_at_s > Some(1_700_000_000), "{got:?}");
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("", subject.as_str()));
    assert!(!got.redelivered);
}

#[tokio::test]
async fn what_was_not_accepted_comes_again_after_a_drop_and_what_was_does_not() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    settings.ack_wait = Duration::from_secs(1);
    let mut session = connect(&settings).await;
    fill(&settings, 10).await;
    let messages = receive(&mut *session, 10).await;
    let accepted: Vec<_> = [0, 1, 2, 3, 7].map(|index: usize| messages[index].delivery).to_vec();
    soon(session.accept(&accepted)).await.unwrap();
    drop(session);
    let mut session = connect(&settings).await;
    let again = receive(&mut *session, 5).await;
    assert_eq!(bodies(&again), ["4", "5", "6", "8", "9"]);
    assert!(again.iter().all(|it| it.redelivered));
    // An answer meant for the old session must not answer for a delivery of the new one.
    let error = session.accept(&[messages[4].delivery]).await.unwrap_err();
    assert_kind(&error, Kind::Lost, "does not hold it");
}

#[tokio::test]
async fn a_goodbye_gives_everything_back_at_once() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    settings.ack_wait = Duration::from_secs(3_600);
    fill_new(&settings, 3).await;
    let mut session = connect(&settings).await;
    receive(&mut *session, 1).await;
    soon(session.close()).await;
    assert_eq!(bodies(&receive(&mut *connect(&settings).await, 3).await), numbers(0..3));
}

#[tokio::test]
async fn a_refused_message_is_kept_with_the_reason_and_does_not_come_again() {
    let Some(nats) = shared() else { return };
    let settings = settings(nats);
    let mut session = connect(&settings).await;
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    let message = Outgoing {
        message_id: Some("m-1".to_owned()),
        headers: vec![("mine".to_owned(), "1".to_owned())],
        ..outgoing(&settings.subjects[0], "no JSON")
    };
    soon(publisher.publish(message)).await.unwrap();
    fill(&settings, 1).await;
    let messages = receive(&mut *session, 2).await;
    soon(session.refuse(&messages[0], "line 1:\nnot JSON")).await.unwrap();
    soon(session.accept(&[messages[1].delivery])).await.unwrap();
    soon(session.close()).await;
    let stream = operator(nats).await.get_stream(&settings.stream).await.unwrap();
    assert_eq!(stream.consumer_info("lambent").await.unwrap().num_ack_pending, 0);

    let letter = receive(&mut *connect(&letters(&settings)).await, 1).await.remove(0);
    assert_eq!(bodies(std::slice::from_ref(&letter)), ["no JSON"]);
    let headers: BTreeMap<_, _> = letter.headers.into_iter().collect();
    assert_eq!(headers["lambent-reason"], "line 1: not JSON");
    assert_eq!(headers["lambent-stream"], settings.stream);
    assert_eq!(headers["lambent-subject"], settings.subjects[0]);
    assert_eq!(headers["lambent-message-id"], "m-1");
    assert_eq!(headers["mine"], "1");
}

#[tokio::test]
async fn a_refused_message_that_is_too_large_for_its_reason_goes_as_it_came() {
    let Some(nats) = shared() else { return };
    let settings = settings(nats);
    let mut session = connect(&settings).await;
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    let large = "x".repeat(1 << 20);
    soon(publisher.publish(outgoing(&settings.subjects[0], large.as_str()))).await.unwrap();
    let messages = receive(&mut *session, 1).await;
    soon(session.refuse(&messages[0], "no JSON")).await.unwrap();
    let letter = receive(&mut *connect(&letters(&settings)).await, 1).await.remove(0);
    assert_eq!(letter.body.len(), 1 << 20);
}

#[tokio::test]
async fn without_a_place_for_dead_letters_a_message_is_not_accepted() {
    let Some(nats) = shared() else { return };
    let settings = settings(nats);
    let mut session = connect(&settings).await;
    fill(&settings, 1).await;
    operator(nats).await.delete_stream(letters(&settings).stream).await.unwrap();
    let messages = receive(&mut *session, 1).await;
    let error = soon(session.refuse(&messages[0], "no JSON")).await.unwrap_err();
    assert_kind(&error, Kind::Refused, "no stream found");
    soon(session.close()).await;
    assert_eq!(receive(&mut *connect(&settings).await, 1).await.len(), 1);
}

#[tokio::test]
async fn what_is_given_back_comes_again_in_its_order() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    // Fewer than there are, so that some wait at the server, some with us, and some were received.
    settings.prefetch = 20;
    fill_new(&settings, 30).await;
    let mut session = connect(&settings).await;
    let first = receive(&mut *session, 5).await;
    soon(session.accept(&[first[0].delivery])).await.unwrap();
    soon(session.give_back(&deliveries(&first[1..]))).await.unwrap();
    let again = receive(&mut *session, 19).await;
    assert_eq!(bodies(&again[..4]), numbers(1..5));
    let mut all: Vec<usize> = bodies(&again).iter().map(|it| it.parse().unwrap()).collect();
    soon(session.accept(&deliveries(&again))).await.unwrap();
    let rest = receive(&mut *session, 10).await;
    all.extend(bodies(&rest).iter().map(|it| it.parse::<usize>().unwrap()));
    all.sort_unstable();
    assert_eq!(all, (1..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_backlog_is_what_was_never_delivered() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    settings.prefetch = 3;
    fill_new(&settings, 10).await;
    let mut session = connect(&settings).await;
    receive(&mut *session, 3).await;
    until_backlog(&mut *session, 7).await;
}

#[tokio::test]
async fn a_filter_hears_its_own_subject_only() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    let subject = |word: &str| format!("{}.{word}", settings.stream);
    let (new, old) = (subject("new"), subject("old"));
    settings.subjects = vec![old.clone(), new.clone()];
    settings.filter.clone_from(&new);
    let mut session = connect(&settings).await;
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    for (subject, body) in [(&old, "1"), (&new, "2"), (&old, "3"), (&new, "4")] {
        soon(publisher.publish(outgoing(subject, body))).await.unwrap();
    }
    assert_eq!(bodies(&receive(&mut *session, 2).await), ["2", "4"]);
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    settings.ack_wait = Duration::from_secs(3_600);
    let mut session = connect(&settings).await;
    let mut seen = Vec::new();
    let filling = fill(&settings, 200);
    tokio::pin!(filling);
    let mut filled = false;
    while seen.len() < 200 {
        tokio::select! {
            biased;
            () = &mut filling, if !filled => filled = true,
            // Given up whenever the other branch is ready first.
            got = soon(session.receive(7)) => seen.extend(got.unwrap()),
            () = tokio::task::yield_now(), if !filled => {}
        }
    }
    assert_eq!(bodies(&seen), numbers(0..200));
}
