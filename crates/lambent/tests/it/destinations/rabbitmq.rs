//! Messages to a real RabbitMQ. Skipped, saying so, where there is none.

use std::time::Duration;

use brokers::rabbitmq::{Address, RabbitQueue, Server, Settings};
use brokers::testing::Rabbit;
use brokers::{Message, Queue as _};
use serde_json::{Value, json};

use super::{ECHO, message, set};
use crate::service::Service;

/// Longer than anything takes that does come to an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Declares the queue, and takes the first message that comes.
fn take(url: &str, queue: &str, act: impl FnOnce()) -> Message {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = Server::new(Address::parse(url).unwrap(), "lambent tests");
    let queue = RabbitQueue::new(Settings::new(server, queue)).unwrap();
    let mut session = runtime.block_on(queue.connect()).unwrap();
    act();
    let taken = async {
        let mut messages = session.receive(1).await.unwrap();
        let message = messages.remove(0);
        session.accept(&[message.delivery]).await.unwrap();
        session.close().await;
        message
    };
    let within = async { tokio::time::timeout(PATIENCE, taken).await };
    runtime.block_on(within).expect("a message came within a minute")
}

#[test]
fn a_queue_gets_the_record_with_the_attributes_of_an_event() {
    let Some(rabbit) = Rabbit::start() else { return };
    let service = Service::start();
    service.deploy("works", ECHO, &[]).expect(201);
    service.trigger("works", "x");
    let to = json!({"kind": "rabbitmq", "url": rabbit.url(), "routing_key": "outcomes"});
    let shown = set(&service, "works", &json!({"on_success": to}));
    assert!(!shown["on_success"]["url"].as_str().unwrap().contains("guest:guest"), "{shown}");
    let mut id = String::new();
    let came = take(&rabbit.url(), "outcomes", || {
        id = service.send("x", &json!({"n": 1})).remove(0);
    });
    let sent = message(&service, &id, |it| it["status"] == "sent");
    assert_eq!(came.message_id.as_deref(), sent["id"].as_str());
    let header = |name: &str| came.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    assert_eq!(header("cloudEvents:type"), Some("lambent.destination.success"));
    assert_eq!(header("cloudEvents:lambenthops"), Some("1"));
    let body: Value = serde_json::from_slice(&came.body).unwrap();
    assert_eq!(body["requestContext"]["requestId"], json!(id));
}

#[test]
fn a_broker_that_does_not_know_the_exchange_says_so_in_the_message() {
    let Some(rabbit) = Rabbit::start() else { return };
    let service = Service::start();
    service.deploy("works", ECHO, &[]).expect(201);
    service.trigger("works", "x");
    let to = json!({"kind": "rabbitmq", "url": rabbit.url(), "exchange": "nowhere"});
    set(&service, "works", &json!({"on_success": to}));
    let id = service.send("x", &json!({})).remove(0);
    let waits = message(&service, &id, |it| it["error"].is_string());
    assert_eq!(waits["status"], "waiting");
    assert!(waits["error"].as_str().unwrap().contains("nowhere"), "{waits}");
}
