//! What happens when the server goes away, in the ways in which servers do.

use std::time::Duration;

use brokers::nats::NatsQueue;
use brokers::{Kind, Queue};

use super::*;
use crate::harness::{Relay, bodies, numbers, receive, soon};

/// A server answers a little before it has its streams.
async fn connect_when_ready(settings: &Settings) -> Box<dyn Session> {
    let queue = NatsQueue::new(settings.clone()).unwrap();
    soon(async {
        loop {
            if let Ok(session) = queue.connect().await {
                break session;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_lost_session_and_the_next_one_has_every_message() {
    let Some(mut nats) = Nats::start() else { return };
    let mut settings = settings(&nats);
    settings.ack_wait = Duration::from_secs(1);
    fill_new(&settings, 50).await;
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 10).await;
    soon(session.accept(&deliveries(&messages[..5]))).await.unwrap();
    // A question after it, so that the server has read the answer.
    soon(session.backlog()).await.unwrap();

    nats.stop();
    assert_lost(&mut *session).await;
    let error = soon(session.accept(&[messages[5].delivery])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lost, "{error}");
    assert_eq!(refusal(&settings).await.kind(), Kind::Unreachable);

    nats.start_again();
    let mut session = connect_when_ready(&settings).await;
    let mut seen: Vec<usize> = Vec::new();
    while seen.len() < 45 {
        let batch = soon(session.receive(100)).await.unwrap();
        soon(session.accept(&deliveries(&batch))).await.unwrap();
        seen.extend(bodies(&batch).iter().map(|it| it.parse::<usize>().unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, (5..50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_every_confirmed_message_is_there() {
    let Some(mut nats) = Nats::start() else { return };
    let settings = settings(&nats);
    let mut session = connect(&settings).await;
    fill(&settings, 100).await;
    nats.kill();
    assert_lost(&mut *session).await;
    drop(session);
    nats.start_again();
    let mut session = connect_when_ready(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 100).await), numbers(0..100));
}

#[tokio::test]
async fn a_deleted_consumer_is_a_lost_session() {
    let Some(nats) = shared() else { return };
    let settings = settings(nats);
    fill_new(&settings, 1).await;
    let mut session = connect(&settings).await;
    receive(&mut *session, 1).await;
    let stream = operator(nats).await.get_stream(&settings.stream).await.unwrap();
    stream.delete_consumer("lambent").await.unwrap();
    assert_lost(&mut *session).await;
}

#[tokio::test]
async fn a_server_that_falls_silent_is_noticed() {
    let Some(nats) = shared() else { return };
    let relay = Relay::to(nats.port).await;
    let mut settings = settings(nats);
    settings.server.urls = vec![format!("nats://{}", relay.address)];
    fill_new(&settings, 1).await;
    let mut session = connect(&settings).await;
    receive(&mut *session, 1).await;
    relay.fall_silent();
    assert_lost(&mut *session).await;
}
