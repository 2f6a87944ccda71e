//! NATS: a real server from the distribution's package.

mod consuming;
mod outages;
mod publishing;
mod server;
mod topology;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use brokers::nats::{Login, NatsPublisher, NatsQueue, Server, Settings};
use brokers::{DeliveryId, Error, Kind, Message, Publisher, Queue, Secret, Session};
use server::{Nats, PASSWORD, USER};

use crate::harness::{outgoing, soon};

/// The server that is neither stopped nor reconfigured; None if there is none to be had.
fn shared() -> Option<&'static Nats> {
    static SHARED: OnceLock<Option<Nats>> = OnceLock::new();
    SHARED.get_or_init(Nats::start).as_ref()
}

fn server(nats: &Nats) -> Server {
    let mut server = Server::new(nats.url(), "lambent 0.1.0 tests");
    let password = Secret(PASSWORD.to_owned());
    server.login = Login::Password { user: USER.to_owned(), password };
    server
}

/// With a stream that no other test has.
fn settings(nats: &Nats) -> Settings {
    static STREAMS: AtomicU32 = AtomicU32::new(0);
    let number = STREAMS.fetch_add(1, Ordering::Relaxed);
    Settings::new(server(nats), format!("orders-{number}"), "lambent")
}

async fn connect(settings: &Settings) -> Box<dyn Session> {
    let queue = NatsQueue::new(settings.clone()).unwrap();
    soon(queue.connect()).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn refusal(settings: &Settings) -> Error {
    let error = soon(NatsQueue::new(settings.clone()).unwrap().connect()).await.unwrap_err();
    assert!(!error.to_string().contains(PASSWORD), "{error}");
    error
}

/// Bodies "0" to "n-1", in order, each confirmed. The stream has to be there.
async fn fill(settings: &Settings, count: usize) {
    let publisher = NatsPublisher::new(settings.server.clone()).unwrap();
    for number in 0..count {
        soon(publisher.publish(outgoing(&settings.subjects[0], number.to_string()))).await.unwrap();
    }
}

/// The stream exists before somebody consumes it.
async fn fill_new(settings: &Settings, count: usize) {
    soon(connect(settings).await.close()).await;
    fill(settings, count).await;
}

/// Where the settings' dead letters are, to be read like any other stream.
fn letters(settings: &Settings) -> Settings {
    let mut letters = settings.clone();
    letters.stream = format!("{}-dead-letters", settings.stream);
    letters.dead_letters = format!("{}.2", settings.dead_letters);
    letters
}

/// A client of its own, for what a reader does not do.
async fn operator(nats: &Nats) -> async_nats::jetstream::Context {
    let options =
        async_nats::ConnectOptions::with_user_and_password(USER.to_owned(), PASSWORD.to_owned());
    async_nats::jetstream::new(options.connect(nats.url()).await.unwrap())
}

fn deliveries(messages: &[Message]) -> Vec<DeliveryId> {
    messages.iter().map(|it| it.delivery).collect()
}

async fn assert_lost(session: &mut dyn Session) {
    let error = loop {
        if let Err(error) = soon(session.receive(100)).await {
            break error;
        }
    };
    assert_eq!(error.kind(), Kind::Lost, "{error}");
}

#[track_caller]
fn assert_kind(error: &Error, kind: Kind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}
