//! What comes, and what becomes of it.

use std::collections::BTreeMap;

use brokers::{Kind, Outgoing, Publisher, rabbitmq::RabbitPublisher};

use crate::harness::*;

#[tokio::test]
async fn a_thousand_messages_come_in_order_and_are_accepted_in_batches() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    let mut session = connect(&settings).await;
    fill(&settings, 1_000).await;
    let mut seen = Vec::new();
    while seen.len() < 1_000 {
        let batch = soon(session.receive(100)).await.unwrap();
        assert!(batch.len() <= 100);
        seen.extend(bodies(&batch).into_iter().map(str::to_owned));
        let deliveries: Vec<_> = batch.iter().map(|it| it.delivery).collect();
        soon(session.accept(&deliveries)).await.unwrap();
    }
    assert_eq!(seen, numbers(0..1_000));
    session.close().await;
    assert_eq!(connect(&settings).await.backlog().await.unwrap(), Some(0));
}

#[tokio::test]
async fn what_a_message_says_about_itself_arrives() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    let mut session = connect(&settings).await;
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    let message = Outgoing {
        content_type: Some("application/json".to_owned()),
        headers: vec![("cloudEvents:type".to_owned(), "a.b".to_owned())],
        message_id: Some("m-1".to_owned()),
        published_at_s: Some(1_700_000_000),
        ..outgoing(&settings.queue, "{}")
    };
    soon(publisher.publish(message)).await.unwrap();
    let got = receive(&mut *session, 1).await.remove(0);
    assert_eq!(got.content_type.as_deref(), Some("application/json"));
    assert_eq!(got.headers, [("cloudEvents:type".to_owned(), "a.b".to_owned())]);
    assert_eq!(got.message_id.as_deref(), Some("m-1"));
    assert_eq!(got.published_at_s, Some(1_700_000_000));
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("", settings.queue.as_str()));
    assert!(!got.redelivered);
}

#[tokio::test]
async fn what_was_not_accepted_comes_again_after_a_drop_and_what_was_does_not() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    let mut session = connect(&settings).await;
    fill(&settings, 10).await;
    let messages = receive(&mut *session, 10).await;
    // The first four, and one in the middle.
    let accepted: Vec<_> = [0, 1, 2, 3, 7].map(|index: usize| messages[index].delivery).to_vec();
    soon(session.accept(&accepted)).await.unwrap();
    // A question after it, so that the broker has read the answer.
    session.backlog().await.unwrap();
    drop(session);
    let mut session = connect(&settings).await;
    let again = receive(&mut *session, 5).await;
    assert_eq!(bodies(&again), ["4", "5", "6", "8", "9"]);
    assert!(again.iter().all(|it| it.redelivered));
    // An answer meant for the old connection must not answer for a delivery of the new one.
    let error = session.accept(&[messages[4].delivery]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lost, "{error}");
    drop(session);
    let mut session = connect(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 5).await).len(), 5);
}

#[tokio::test]
async fn a_refused_message_is_in_the_dead_letter_queue_with_the_reason_and_does_not_come_again() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    let mut session = connect(&settings).await;
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    let message = Outgoing {
        message_id: Some("m-1".to_owned()),
        headers: vec![("mine".to_owned(), "1".to_owned())],
        ..outgoing(&settings.queue, "no JSON")
    };
    soon(publisher.publish(message)).await.unwrap();
    fill(&settings, 1).await;
    let messages = receive(&mut *session, 2).await;
    soon(session.refuse(&messages[0], "line 1: not JSON")).await.unwrap();
    soon(session.accept(&[messages[1].delivery])).await.unwrap();
    session.close().await;

    let mut session = connect(&settings).await;
    assert_eq!(session.backlog().await.unwrap(), Some(0));
    let mut letters = settings.clone();
    letters.queue.clone_from(&settings.dead_letters);
    letters.dead_letters = format!("{}.2", settings.dead_letters);
    let mut letters = connect(&letters).await;
    let letter = receive(&mut *letters, 1).await.remove(0);
    assert_eq!(bodies(std::slice::from_ref(&letter)), ["no JSON"]);
    assert_eq!(letter.message_id.as_deref(), Some("m-1"));
    let headers: BTreeMap<_, _> = letter.headers.into_iter().collect();
    assert_eq!(headers["lambent-reason"], "line 1: not JSON");
    assert_eq!(headers["lambent-queue"], settings.queue);
    assert_eq!(headers["lambent-routing-key"], settings.queue);
    assert_eq!(headers["mine"], "1");
}

#[tokio::test]
async fn without_its_dead_letter_queue_a_message_is_not_accepted() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    let mut session = connect(&settings).await;
    fill(&settings, 1).await;
    rabbit.ctl(&["delete_queue", &settings.dead_letters]);
    let messages = receive(&mut *session, 1).await;
    let error = soon(session.refuse(&messages[0], "no JSON")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("NO_ROUTE"), "{error}");
    drop(session);
    assert_eq!(receive(&mut *connect(&settings).await, 1).await.len(), 1);
}

#[tokio::test]
async fn what_is_given_back_comes_again_in_its_order() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    // Fewer than there are, so that some wait at the broker, some with us, and some were received.
    settings.prefetch = 20;
    fill_new(&settings, 30).await;
    let mut session = connect(&settings).await;
    let first = receive(&mut *session, 5).await;
    soon(session.accept(&[first[0].delivery])).await.unwrap();
    let deliveries: Vec<_> = first[1..].iter().map(|it| it.delivery).collect();
    soon(session.give_back(&deliveries)).await.unwrap();
    until_backlog(&mut *session, 29).await;
    let again = receive(&mut *session, 20).await;
    assert_eq!(bodies(&again), numbers(1..21));
    let deliveries: Vec<_> = again.iter().map(|it| it.delivery).collect();
    soon(session.accept(&deliveries)).await.unwrap();
    assert_eq!(bodies(&receive(&mut *session, 9).await), numbers(21..30));
}

/// The queue exists before somebody consumes it.
async fn fill_new(settings: &brokers::rabbitmq::Settings, count: usize) {
    connect(settings).await.close().await;
    fill(settings, count).await;
}

#[tokio::test]
async fn the_backlog_is_what_waits_at_the_broker() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    settings.prefetch = 3;
    fill_new(&settings, 10).await;
    let mut session = connect(&settings).await;
    receive(&mut *session, 3).await;
    until_backlog(&mut *session, 7).await;
}

#[tokio::test]
async fn a_batch_of_large_messages_is_short() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    connect(&settings).await.close().await;
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    for _ in 0..4 {
        let large = outgoing(&settings.queue, "x".repeat(5 << 20));
        soon(publisher.publish(large)).await.unwrap();
    }
    let mut session = connect(&settings).await;
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 4 {
        counts.push(soon(session.receive(100)).await.unwrap().len());
    }
    assert!(counts.iter().all(|count| *count <= 2), "{counts:?}");
}
