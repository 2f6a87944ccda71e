//! Kafka, played by the client library's own stand-in: brokers in this process that speak the
//! protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brokers::kafka::{KafkaPublisher, KafkaQueue, Server, Settings};
use brokers::{DeliveryId, Error, Kind, Message, Outgoing, Publisher, Queue, Session};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::harness::{bodies, numbers, outgoing, receive, soon};

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// One broker, and a topic of so many partitions with another one for its dead letters.
fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", partitions, 1).unwrap();
    cluster.create_topic("orders.dead-letters", 1, 1).unwrap();
    cluster
}

fn settings(cluster: &Cluster) -> Settings {
    let server = Server::new(cluster.bootstrap_servers(), "lambent 0.1.0 tests");
    let mut settings = Settings::new(server, "orders", "lambent");
    // So that a reader that is gone is not waited for.
    settings.silence = Duration::from_secs(6);
    settings
}

async fn connect(settings: &Settings) -> Box<dyn Session> {
    let queue = KafkaQueue::new(settings.clone()).unwrap();
    soon(queue.connect()).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn refusal(settings: &Settings) -> Error {
    soon(KafkaQueue::new(settings.clone()).unwrap().connect()).await.unwrap_err()
}

/// Bodies "0" to "n-1", in order, each confirmed.
async fn fill(settings: &Settings, count: usize) {
    let publisher = KafkaPublisher::new(settings.server.clone()).unwrap();
    for number in 0..count {
        soon(publisher.publish(outgoing(&settings.topic, number.to_string()))).await.unwrap();
    }
}

fn deliveries(messages: &[Message]) -> Vec<DeliveryId> {
    messages.iter().map(|it| it.delivery).collect()
}

#[track_caller]
fn assert_kind(error: &Error, kind: Kind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn after_a_restart_everything_from_the_first_message_without_an_answer_comes_again() {
    let cluster = cluster(1);
    let settings = settings(&cluster);
    fill(&settings, 300).await;
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 200).await;
    assert_eq!(bodies(&messages), numbers(0..200));
    let mut accepted = deliveries(&messages[..150]);
    accepted.push(messages[170].delivery);
    soon(session.accept(&accepted)).await.unwrap();
    soon(session.close()).await;
    let mut session = connect(&settings).await;
    let again = receive(&mut *session, 150).await;
    assert_eq!(bodies(&again), numbers(150..300));
    // An answer meant for the old session must not answer for a delivery of the new one.
    let error = soon(session.accept(&[messages[160].delivery])).await.unwrap_err();
    assert_kind(&error, Kind::Lost, "does not hold it");
    assert_eq!(again[0].message_id, messages[150].message_id);
}

#[tokio::test]
async fn what_a_message_says_about_itself_arrives() {
    let cluster = cluster(1);
    let settings = settings(&cluster);
    let publisher = KafkaPublisher::new(settings.server.clone()).unwrap();
    let message = Outgoing {
        exchange: "orders".to_owned(),
        routing_key: "customer-1".to_owned(),
        content_type: Some("application/json".to_owned()),
        headers: vec![("ce_type".to_owned(), "a.b".to_owned())],
        message_id: Some("m-1".to_owned()),
        published_at_s: Some(1_700_000_000),
        body: "{}".into(),
    };
    soon(publisher.publish(message)).await.unwrap();
    fill(&settings, 1).await;
    let got = receive(&mut *connect(&settings).await, 2).await;
    assert_eq!(got[0].content_type.as_deref(), Some("application/json"));
    assert!(got[0].headers.contains(&("ce_type".to_owned(), "a.b".to_owned())), "{got:?}");
    assert_eq!(got[0].message_id.as_deref(), Some("m-1"));
    assert_eq!(got[0].published_at_s, Some(1_700_000_000));
    let places: Vec<_> =
        got.iter().map(|it| (it.exchange.as_str(), it.routing_key.as_str())).collect();
    assert_eq!(places, [("orders", "customer-1"), ("orders", "")]);
    assert_eq!(got[1].message_id.as_deref(), Some("orders:0:1"));
    assert!(got.iter().all(|it| !it.redelivered));
}

#[tokio::test]
async fn a_refused_message_is_in_the_other_topic_with_the_reason_and_does_not_come_again() {
    let cluster = cluster(1);
    let settings = settings(&cluster);
    let publisher = KafkaPublisher::new(settings.server.clone()).unwrap();
    let message = Outgoing {
        exchange: "orders".to_owned(),
        routing_key: "customer-1".to_owned(),
        headers: vec![("mine".to_owned(), "1".to_owned())],
        body: "no JSON".into(),
        ..Outgoing::default()
    };
    soon(publisher.publish(message)).await.unwrap();
    fill(&settings, 1).await;
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 2).await;
    soon(session.refuse(&messages[0], "line 1: not JSON")).await.unwrap();
    soon(session.close()).await;
    assert_eq!(bodies(&receive(&mut *connect(&settings).await, 1).await), ["0"]);

    let mut letters = settings.clone();
    letters.topic.clone_from(&settings.dead_letters);
    letters.dead_letters = "more".to_owned();
    letters.group = "letters".to_owned();
    let letter = receive(&mut *connect(&letters).await, 1).await.remove(0);
    assert_eq!(bodies(std::slice::from_ref(&letter)), ["no JSON"]);
    assert_eq!(letter.routing_key, "customer-1");
    let headers: BTreeMap<_, _> = letter.headers.into_iter().collect();
    assert_eq!(headers["lambent-reason"], "line 1: not JSON");
    assert_eq!(headers["lambent-topic"], "orders");
    assert_eq!(headers["lambent-offset"], "0:0");
    assert_eq!(headers["mine"], "1");
}

#[tokio::test]
async fn what_is_given_back_comes_again_in_its_order() {
    let cluster = cluster(1);
    let settings = settings(&cluster);
    fill(&settings, 30).await;
    let mut session = connect(&settings).await;
    let first = receive(&mut *session, 10).await;
    soon(session.accept(&deliveries(&first[..3]))).await.unwrap();
    soon(session.give_back(&deliveries(&first[3..8]))).await.unwrap();
    // Those behind come again, too; an answer for them is taken and has no effect.
    soon(session.accept(&deliveries(&first[8..]))).await.unwrap();
    let again = receive(&mut *session, 27).await;
    assert_eq!(bodies(&again), numbers(3..30));
    let seen: Vec<_> = again.iter().map(|it| it.redelivered).collect();
    assert_eq!(seen, [vec![true; 7], vec![false; 20]].concat());
    soon(session.accept(&deliveries(&again))).await.unwrap();
    soon(session.close()).await;
    fill(&settings, 1).await;
    assert_eq!(bodies(&receive(&mut *connect(&settings).await, 1).await), ["0"]);
}

#[tokio::test]
async fn the_window_holds_no_more_than_it_may() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster);
    settings.prefetch = 3;
    fill(&settings, 10).await;
    let mut session = connect(&settings).await;
    let first = receive(&mut *session, 3).await;
    tokio::select! {
        biased;
        _ = session.receive(1) => panic!("the window is full"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(soon(session.backlog()).await.unwrap(), Some(7));
    soon(session.accept(&deliveries(&first))).await.unwrap();
    assert_eq!(bodies(&receive(&mut *session, 3).await), numbers(3..6));
    assert_eq!(soon(session.backlog()).await.unwrap(), Some(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_move_to_a_second_reader_lose_nothing() {
    let cluster = cluster(4);
    let settings = settings(&cluster);
    fill(&settings, 100).await;
    let mut first = connect(&settings).await;
    // Held while the second one comes.
    let held = receive(&mut *first, 20).await;
    let mut second = connect(&settings).await;
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut of_second = 0;
    soon(async {
        while of_second == 0 {
            tokio::select! {
                got = first.receive(5) => {
                    let got = got.unwrap();
                    seen.extend(bodies(&got).into_iter().map(str::to_owned));
                    first.accept(&deliveries(&got)).await.unwrap();
                }
                got = second.receive(5) => {
                    let got = got.unwrap();
                    of_second += got.len();
                    seen.extend(bodies(&got).into_iter().map(str::to_owned));
                    second.accept(&deliveries(&got)).await.unwrap();
                }
            }
        }
    })
    .await;
    // Whether they are still ours or not, that is no error.
    soon(first.accept(&deliveries(&held))).await.unwrap();
    seen.extend(bodies(&held).into_iter().map(str::to_owned));
    soon(async {
        while seen.len() < 100 {
            let (got, by_first) = tokio::select! {
                got = first.receive(20) => (got.unwrap(), true),
                got = second.receive(20) => (got.unwrap(), false),
            };
            seen.extend(bodies(&got).into_iter().map(str::to_owned));
            let session = if by_first { &mut first } else { &mut second };
            session.accept(&deliveries(&got)).await.unwrap();
        }
    })
    .await;
    assert_eq!(seen, numbers(0..100).into_iter().collect());
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_a_refusal_and_a_broker_that_is_not_is_unreachable() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster);
    settings.topic = "nothing".to_owned();
    assert_kind(&refusal(&settings).await, Kind::Refused, "nothing");
    settings.topic = "orders".to_owned();
    settings.server.brokers = vec!["127.0.0.1:1".to_owned()];
    settings.server.answer_wait = Duration::from_secs(1);
    assert_eq!(refusal(&settings).await.kind(), Kind::Unreachable);
    settings.server.publish_wait = Duration::from_secs(1);
    let publisher = KafkaPublisher::new(settings.server.clone()).unwrap();
    let error = soon(publisher.publish(outgoing("orders", "1"))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lost, "{error}");
}

#[tokio::test]
async fn a_cluster_that_is_down_is_a_lost_session_and_the_next_one_has_everything() {
    let cluster = cluster(1);
    let settings = settings(&cluster);
    fill(&settings, 5).await;
    let mut session = connect(&settings).await;
    assert_eq!(receive(&mut *session, 5).await.len(), 5);
    cluster.broker_down(1).unwrap();
    let error = soon(session.receive(1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lost, "{error}");
    drop(session);
    cluster.broker_up(1).unwrap();
    let mut session = connect(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 5).await), numbers(0..5));
}

#[tokio::test]
async fn what_kafka_cannot_carry_is_refused() {
    let cluster = cluster(1);
    let publisher = KafkaPublisher::new(settings(&cluster).server).unwrap();
    let large = outgoing("orders", "x".repeat(2 << 20));
    let error = soon(publisher.publish(large)).await.unwrap_err();
    assert_kind(&error, Kind::Refused, "too large");
    let error = soon(publisher.publish(outgoing("a b", "1"))).await.unwrap_err();
    assert_kind(&error, Kind::Refused, "no name for a topic");
    // It is not the worse for it.
    soon(publisher.publish(outgoing("orders", "1"))).await.unwrap();
}
