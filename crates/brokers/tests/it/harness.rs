//! A queue per test, a way to put things into it, and a relay that can go silent.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brokers::rabbitmq::{Address, RabbitPublisher, RabbitQueue, Server, Settings};
use brokers::testing::{PASSWORD, Rabbit};
use brokers::{Error, Message, Outgoing, Publisher, Queue, Session};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Longer than anything takes that does come to an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The node that is neither stopped nor frightened; None if there is no RabbitMQ.
pub(crate) fn shared() -> Option<&'static Rabbit> {
    static SHARED: OnceLock<Option<Rabbit>> = OnceLock::new();
    SHARED.get_or_init(Rabbit::start).as_ref()
}

pub(crate) fn server(url: &str) -> Server {
    Server::new(Address::parse(url).unwrap(), "lambent 0.1.0 tests")
}

/// With a queue that no other test has.
pub(crate) fn settings(rabbit: &Rabbit) -> Settings {
    static QUEUES: AtomicU32 = AtomicU32::new(0);
    let number = QUEUES.fetch_add(1, Ordering::Relaxed);
    Settings::new(server(&rabbit.url()), format!("lambda Queue {number}"))
}

pub(crate) async fn connect(settings: &Settings) -> Box<dyn Session> {
    let queue = RabbitQueue::new(settings.clone()).unwrap();
    soon(queue.connect()).await.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn refusal(settings: &Settings) -> Error {
    let queue = RabbitQueue::new(settings.clone()).unwrap();
    let error = soon(queue.connect()).await.unwrap_err();
    assert!(!error.to_string().contains(PASSWORD), "{error}");
    error
}

/// Bodies "0" to "n-1", in order, each confirmed.
pub(crate) async fn fill(settings: &Settings, count: usize) {
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    for number in 0..count {
        soon(publisher.publish(outgoing(&settings.queue, number.to_string()))).await.unwrap();
    }
}

pub(crate) fn outgoing(queue: &str, body: impl Into<String>) -> Outgoing {
    Outgoing {
        routing_key: queue.to_owned(),
        body: body.into().into_bytes().into(),
        ..Outgoing::default()
    }
}

/// Exactly so many messages, in as many batches as they come in.
pub(crate) async fn receive(session: &mut dyn Session, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        messages.extend(soon(session.receive(count - messages.len())).await.unwrap());
    }
    messages
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|it| std::str::from_utf8(&it.body).unwrap()).collect()
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Waits for what has to happen.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it did not happen within a minute")
}

/// Until the broker counts so many waiting messages.
pub(crate) async fn until_backlog(session: &mut dyn Session, expected: u64) {
    soon(async {
        while session.backlog().await.unwrap() != Some(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Passes everything on until it is told to be silent; then nothing, and nobody hangs up.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    silent: CancellationToken,
}

impl Relay {
    pub(crate) async fn to(port: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = CancellationToken::new();
        let told = silent.clone();
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let mut outer = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {
                            drop(inner.shutdown().await);
                        }
                        () = told.cancelled() => std::future::pending().await,
                    }
                });
            }
        });
        Relay { address, silent }
    }

    pub(crate) fn fall_silent(&self) {
        self.silent.cancel();
    }
}
