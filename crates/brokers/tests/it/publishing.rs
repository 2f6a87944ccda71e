//! The way out, and the day on which the broker takes nothing.

use std::sync::Arc;
use std::time::Duration;

use brokers::rabbitmq::RabbitPublisher;
use brokers::testing::Rabbit;
use brokers::{Kind, Outgoing, Publisher};

use crate::harness::*;

#[tokio::test]
async fn many_publish_at_once_over_one_connection() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    let mut session = connect(&settings).await;
    let publisher = Arc::new(RabbitPublisher::new(settings.server.clone()).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..500 {
        let (publisher, queue) = (Arc::clone(&publisher), settings.queue.clone());
        tasks.spawn(async move { publisher.publish(outgoing(&queue, number.to_string())).await });
    }
    for result in soon(tasks.join_all()).await {
        result.unwrap();
    }
    let messages = receive(&mut *session, 256).await;
    let deliveries: Vec<_> = messages.iter().map(|it| it.delivery).collect();
    soon(session.accept(&deliveries)).await.unwrap();
    let mut all: Vec<usize> = bodies(&messages).iter().map(|it| it.parse().unwrap()).collect();
    let rest = receive(&mut *session, 244).await;
    all.extend(bodies(&rest).iter().map(|it| it.parse::<usize>().unwrap()));
    all.sort_unstable();
    assert_eq!(all, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_nobody_would_get_is_an_error_and_the_next_message_goes() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    let session = connect(&settings).await;
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    for (message, expected) in [
        (outgoing("no such queue", "x"), "NO_ROUTE"),
        (Outgoing { exchange: "no such".to_owned(), ..outgoing("k", "x") }, "NOT_FOUND"),
        (outgoing(&"k".repeat(256), "x"), "256 bytes"),
    ] {
        let error = soon(publisher.publish(message)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        soon(publisher.publish(outgoing(&settings.queue, "x"))).await.unwrap();
    }
    session.close().await;
}

#[tokio::test]
async fn a_full_queue_is_busy() {
    use brokers::rabbitmq::Argument::{Number, Text};
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    settings.arguments.insert("x-max-length".to_owned(), Number(1));
    settings.arguments.insert("x-overflow".to_owned(), Text("reject-publish".to_owned()));
    connect(&settings).await.close().await;
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    let error = soon(async {
        loop {
            if let Err(error) = publisher.publish(outgoing(&settings.queue, "x")).await {
                break error;
            }
        }
    });
    let error = error.await;
    assert_eq!(error.kind(), Kind::Busy, "{error}");
}

#[tokio::test]
async fn a_publisher_outlives_a_restart() {
    let Some(mut rabbit) = Rabbit::start() else { return };
    let settings = settings(&rabbit);
    connect(&settings).await.close().await;
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    soon(publisher.publish(outgoing(&settings.queue, "0"))).await.unwrap();
    rabbit.kill();
    let error = soon(publisher.publish(outgoing(&settings.queue, "x"))).await.unwrap_err();
    assert!([Kind::Lost, Kind::Unreachable].contains(&error.kind()), "{error}");
    rabbit.start_again();
    soon(async {
        while publisher.publish(outgoing(&settings.queue, "1")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let mut session = connect(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 2).await), ["0", "1"]);
}

/// With the memory alarm on, publishing fails within its bound, consuming goes on, and once the
/// alarm is off everything works again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_short_of_memory_is_busy_and_still_lets_us_consume() {
    let Some(rabbit) = Rabbit::start() else { return };
    let mut settings = settings(&rabbit);
    settings.server.publish_wait = Duration::from_secs(2);
    let mut session = connect(&settings).await;
    fill(&settings, 3).await;
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    for _ in 0..2 {
        let error = soon(publisher.publish(outgoing(&settings.queue, "late"))).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Busy, "{error}");
    }
    let messages = receive(&mut *session, 3).await;
    soon(session.accept(&[messages[0].delivery])).await.unwrap();
    let error = soon(session.refuse(&messages[1], "no JSON")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    drop(session);
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.4"]);
    soon(async {
        while let Err(error) = publisher.publish(outgoing(&settings.queue, "after")).await {
            assert_eq!(error.kind(), Kind::Busy, "{error}");
        }
    })
    .await;
    let mut session = connect(&settings).await;
    // The broker may have read a message before it stopped reading, and may take it in the end.
    let mut rest = Vec::new();
    while !bodies(&rest).contains(&"after") {
        rest.extend(receive(&mut *session, 1).await);
    }
    let rest = bodies(&rest);
    assert_eq!(rest[..2], ["1", "2"]);
    assert!(rest[2..].iter().all(|it| ["late", "after"].contains(it)), "{rest:?}");
}
