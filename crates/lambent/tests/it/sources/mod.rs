//! Sources, with a real RabbitMQ: what its messages become ([`formats`]), who may add a source and
//! what is shown of it ([`asking`]), and what is left when either side dies ([`faults`]).
//!
//! Where RabbitMQ is not installed these say that they were skipped; with `LAMBENT_REQUIRE_BROKERS=1`
//! they fail.

mod asking;
mod faults;
mod formats;

use std::time::Duration;

use brokers::rabbitmq::{Address, RabbitPublisher, RabbitQueue, Server, Settings};
use brokers::testing::Rabbit;
use brokers::{Error, Message, Outgoing, Publisher, Queue};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::service::{Service, wait_until};

/// Longer than anything takes that does come to an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A RabbitMQ, and a way to speak with it.
struct Broker {
    rabbit: Rabbit,
    runtime: Runtime,
    publisher: RabbitPublisher,
}

impl Broker {
    /// None if there is no RabbitMQ on this machine.
    fn start() -> Option<Self> {
        let rabbit = Rabbit::start()?;
        let publisher = RabbitPublisher::new(server(&rabbit.url())).unwrap();
        Some(Self { rabbit, runtime: runtime(), publisher })
    }

    fn url(&self) -> String {
        self.rabbit.url()
    }

    /// Publishes together; an answer for each.
    fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), Error>> {
        let publishing = messages.into_iter().map(|message| self.publisher.publish(message));
        self.runtime.block_on(futures_util::future::join_all(publishing))
    }

    /// Publishes one that has to arrive.
    fn send(&self, message: Outgoing) {
        self.publish(vec![message]).remove(0).unwrap();
    }

    /// Takes so many messages off a queue.
    fn take(&self, queue: &str, count: usize) -> Vec<Message> {
        let mut settings = Settings::new(server(&self.url()), queue);
        settings.dead_letters = "nowhere".into();
        let taking = async {
            let queue = RabbitQueue::new(settings).unwrap();
            let mut session = queue.connect().await.unwrap();
            let mut messages = Vec::new();
            while messages.len() < count {
                messages.extend(session.receive(count - messages.len()).await.unwrap());
            }
            let deliveries: Vec<_> = messages.iter().map(|it| it.delivery).collect();
            session.accept(&deliveries).await.unwrap();
            session.close().await;
            messages
        };
        let within = async { tokio::time::timeout(PATIENCE, taking).await };
        self.runtime.block_on(within).expect("the messages came within a minute")
    }
}

/// Its one thread goes on with connections while nobody waits for anything.
fn runtime() -> Runtime {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.unwrap()
}

fn server(url: &str) -> Server {
    Server::new(Address::parse(url).unwrap(), "lambent tests")
}

fn message(queue: &str, id: &str, body: impl Into<String>) -> Outgoing {
    Outgoing {
        routing_key: queue.to_owned(),
        message_id: (!id.is_empty()).then(|| id.to_owned()),
        body: body.into().into_bytes().into(),
        ..Outgoing::default()
    }
}

/// Adds a source of RabbitMQ with these settings, and waits until it is connected.
fn add(service: &Service, name: &str, settings: Value) -> Value {
    let body = json!({"kind": "rabbitmq", "settings": settings}).to_string();
    let path = format!("/v1/sources/{name}");
    service.request("PUT", &path, &[], body.as_bytes()).expect(201);
    state(service, name, "it is connected", |state| state["status"] == "connected")
}

/// Waits until a source's state is as it should be.
#[track_caller]
fn state(service: &Service, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, || {
        let source = service.get(&format!("/v1/sources/{name}")).expect(200).json();
        if is(&source["state"]) { Ok(source) } else { Err(source) }
    })
}

/// Invocations of a project, all of them terminal.
fn ended(service: &Service, project: &str, count: usize) -> Vec<Value> {
    wait_until("all have ended", || {
        let headers = [("lambent-project", project)];
        let list = service.request("GET", "/v1/invocations?limit=1000", &headers, b"").expect(200);
        let items = list.json()["items"].as_array().unwrap().clone();
        let done = items.iter().filter(|it| it["status"] == "succeeded").count();
        if done >= count { Ok(items) } else { Err(items) }
    })
}
