//! Zaqar, played by a stand-in that behaves as recorded from a real one, and, where there is one, a
//! real one.

mod cloud;
mod consuming;
mod real;
mod tokens;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use brokers::zaqar::{
    Domain, Keystone, KeystoneSettings, Login, Named, Server, Settings, ZaqarPublisher, ZaqarQueue,
};
use brokers::{Error, Kind, Message, Publisher, Queue, Secret, Session};
use cloud::Cloud;

use crate::harness::{outgoing, soon};

const PASSWORD: &str = "a secret of the test";
/// Longer than any test.
const LIFE: Duration = Duration::from_secs(3_600);

fn login(password: &str) -> Login {
    let named =
        || Named::Name { name: "demo".to_owned(), domain: Domain::Id("default".to_owned()) };
    let password = Secret(password.to_owned());
    Login::Password { user: named(), password, project: named() }
}

/// By the catalogue, with a password.
fn server(cloud: &Cloud) -> Server {
    let keystone = KeystoneSettings::new(format!("{}/v3", cloud.url()), login(PASSWORD));
    Server::new(Arc::new(Keystone::new(keystone).unwrap()))
}

fn settings(cloud: &Cloud) -> Settings {
    Settings::new(server(cloud), "orders")
}

async fn connect(settings: &Settings) -> Box<dyn Session> {
    let queue = ZaqarQueue::new(settings.clone()).unwrap();
    soon(queue.connect()).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn refusal(settings: &Settings) -> Error {
    let error = soon(ZaqarQueue::new(settings.clone()).unwrap().connect()).await.unwrap_err();
    assert!(!error.to_string().contains(PASSWORD), "{error}");
    error
}

/// Texts "0" to "n-1", in order.
async fn fill(settings: &Settings, count: usize) {
    let publisher = ZaqarPublisher::new(settings.server.clone(), LIFE).unwrap();
    for number in 0..count {
        soon(publisher.publish(outgoing(&settings.queue, number.to_string()))).await.unwrap();
    }
}

fn deliveries(messages: &[Message]) -> Vec<brokers::DeliveryId> {
    messages.iter().map(|it| it.delivery).collect()
}

/// Until the session hears that it is over, which it does not do while messages wait.
async fn ended(session: &mut dyn Session) -> Error {
    loop {
        if let Err(error) = soon(session.receive(20)).await {
            return error;
        }
    }
}

#[track_caller]
fn assert_kind(error: &Error, kind: Kind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}
