//! The way in.

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use brokers::nats::{Login, NatsPublisher};
use brokers::{Kind, Outgoing, Publisher};

use super::server::LIMITED;
use super::*;
use crate::harness::{bodies, outgoing, receive, soon};

#[tokio::test]
async fn what_no_stream_keeps_is_refused() {
    let Some(nats) = shared() else { return };
    let publisher = NatsPublisher::new(server(nats)).unwrap();
    let error = soon(publisher.publish(outgoing("nobody.listens", "1"))).await.unwrap_err();
    assert_kind(&error, Kind::Refused, "no stream found");
    let error = soon(publisher.publish(outgoing("a.*", "1"))).await.unwrap_err();
    assert_kind(&error, Kind::Refused, "many subjects");
    let large = outgoing("nobody.listens", "x".repeat((1 << 20) + 1));
    let error = soon(publisher.publish(large)).await.unwrap_err();
    assert_kind(&error, Kind::Refused, "max payload");
}

#[tokio::test]
async fn a_second_message_with_the_same_id_is_kept_once() {
    let Some(nats) = shared() else { return };
    let settings = settings(nats);
    let mut session = connect(&settings).await;
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    for (id, body) in [("m-1", "1"), ("m-1", "again"), ("m-2", "2")] {
        let message =
            Outgoing { message_id: Some(id.to_owned()), ..outgoing(&settings.subjects[0], body) };
        soon(publisher.publish(message)).await.unwrap();
    }
    assert_eq!(bodies(&receive(&mut *session, 2).await), ["1", "2"]);
}

#[tokio::test]
async fn another_stream_than_the_expected_one_is_a_refusal() {
    let Some(nats) = shared() else { return };
    let settings = settings(nats);
    drop(connect(&settings).await);
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    let message =
        Outgoing { exchange: "another".to_owned(), ..outgoing(&settings.subjects[0], "1") };
    let error = soon(publisher.publish(message)).await.unwrap_err();
    assert_kind(&error, Kind::Refused, "expected stream does not match");
}

#[tokio::test]
async fn a_stream_that_is_full_is_busy() {
    let Some(nats) = shared() else { return };
    let settings = settings(nats);
    let config = Config {
        name: settings.stream.clone(),
        subjects: settings.subjects.clone(),
        max_messages: 1,
        discard: DiscardPolicy::New,
        ..Config::default()
    };
    operator(nats).await.create_stream(config).await.unwrap();
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    soon(publisher.publish(outgoing(&settings.subjects[0], "1"))).await.unwrap();
    let error = soon(publisher.publish(outgoing(&settings.subjects[0], "2"))).await.unwrap_err();
    assert_kind(&error, Kind::Busy, "maximum messages exceeded");
}

#[tokio::test]
async fn what_is_not_allowed_is_a_refusal_in_the_servers_words() {
    let Some(nats) = shared() else { return };
    let mut server = server(nats);
    let password = Secret(PASSWORD.to_owned());
    server.login = Login::Password { user: LIMITED.to_owned(), password };
    server.publish_wait = std::time::Duration::from_secs(1);
    let publisher = NatsPublisher::new(server).unwrap();
    let error = soon(publisher.publish(outgoing("forbidden.fruit", "1"))).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("permissions violation"), "{error}");
    assert_eq!(error.kind(), Kind::Refused, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_comes_back_by_itself() {
    let Some(mut nats) = Nats::start() else { return };
    let settings = settings(&nats);
    fill_new(&settings, 1).await;
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    let send = |body: &str| publisher.publish(outgoing(&settings.subjects[0], body));
    soon(send("1")).await.unwrap();
    nats.stop();
    let error = soon(send("2")).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Lost | Kind::Unreachable), "{error}");
    nats.start_again();
    // A server answers a little before it has its streams.
    soon(async {
        while send("3").await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}
