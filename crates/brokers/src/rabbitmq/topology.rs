//! The queues, exchanges and bindings that a session needs: made where they are missing, checked
//! where they are not ours to make. Each question has a channel of its own, since a "no" closes it; one
//! that is dropped is closed, too.
//!
//! Nothing is ever deleted, and nothing that exists is made again with other flags.

use std::collections::BTreeMap;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{Channel, Connection};

use super::connect::{Link, Words, answer, asking, is_not_found};
use super::settings::{Argument, Binding, ExchangeKind, Server, Settings};
use crate::{Error, Kind};

/// A name that [`Settings::check`] has found short enough.
pub(super) fn name(text: &str) -> ShortString {
    ShortString::try_new(text).expect("names are checked when the settings are")
}

pub(super) async fn ensure(link: &Link, settings: &Settings) -> Result<(), Error> {
    let Settings { server, queue, .. } = settings;
    if settings.declare {
        let channel = open(link, server).await?;
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declaring = channel.queue_declare(name(queue), options, arguments(&settings.arguments));
        answer(server, || format!("declare the queue {queue:?}"), Kind::Lost, declaring).await?;
    } else {
        count(link, server, queue).await?;
    }
    ensure_dead_letters(link, settings).await?;
    for binding in &settings.bindings {
        bind(link, settings, binding).await?;
    }
    Ok(())
}

/// How many messages wait in a queue; an error if there is no such queue.
pub(super) async fn count(link: &Link, server: &Server, queue: &str) -> Result<u64, Error> {
    let channel = open(link, server).await?;
    let found = answer(
        server,
        || format!("find the queue {queue:?}"),
        Kind::Lost,
        channel.queue_declare(name(queue), passive(), FieldTable::default()),
    );
    let found = found.await?;
    Ok(u64::from(found.message_count()))
}

/// An existing one is taken as it is: what matters is that letters find it.
async fn ensure_dead_letters(link: &Link, settings: &Settings) -> Result<(), Error> {
    let Settings { server, dead_letters: queue, .. } = settings;
    if !settings.declare {
        return count(link, server, queue).await.map(drop);
    }
    let channel = open(link, server).await?;
    let looking = channel.queue_declare(name(queue), passive(), FieldTable::default());
    if !missing(server, || format!("find the dead-letter queue {queue:?}"), looking).await? {
        return Ok(());
    }
    let channel = open(link, server).await?;
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declaring = channel.queue_declare(name(queue), options, FieldTable::default());
    answer(server, || format!("declare the dead-letter queue {queue:?}"), Kind::Lost, declaring)
        .await?;
    Ok(())
}

/// The exchange of a service that has not run yet is made, so that nothing it sends is missed; one
/// that exists belongs to that service, whatever its flags.
async fn bind(link: &Link, settings: &Settings, binding: &Binding) -> Result<(), Error> {
    let Settings { server, queue, .. } = settings;
    let Binding { exchange, kind, durable, routing_keys } = binding;
    let channel = open(link, server).await?;
    let looking = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let looking =
        channel.exchange_declare(name(exchange), library(*kind), looking, FieldTable::default());
    let channel = if missing(server, || format!("find the exchange {exchange:?}"), looking).await? {
        let channel = open(link, server).await?;
        let options =
            ExchangeDeclareOptions { durable: *durable, ..ExchangeDeclareOptions::default() };
        let table = FieldTable::default();
        let declaring = channel.exchange_declare(name(exchange), library(*kind), options, table);
        answer(server, || format!("declare the exchange {exchange:?}"), Kind::Lost, declaring)
            .await?;
        channel
    } else {
        channel
    };
    for key in routing_keys {
        let options = QueueBindOptions::default();
        let table = FieldTable::default();
        let binding = channel.queue_bind(name(queue), name(exchange), name(key), options, table);
        let attempt = || format!("bind the queue {queue:?} to {exchange:?} with {key:?}");
        answer(server, attempt, Kind::Lost, binding).await?;
    }
    Ok(())
}

/// Whether the broker answers that there is none.
async fn missing<T>(
    server: &Server,
    attempt: impl Fn() -> String,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<bool, Error> {
    let question = async {
        match question.await {
            Ok(_) => Ok(Ok(false)),
            Err(error) if is_not_found(&error) => Ok(Ok(true)),
            Err(error) => Ok(Err(Error::new(asking(&error, Kind::Lost), attempt(), Words(&error)))),
        }
    };
    answer(server, &attempt, Kind::Lost, question).await?
}

async fn open(link: &Link, server: &Server) -> Result<Channel, Error> {
    let connection: &Connection = &link.connection;
    let opening = connection.create_channel();
    answer(server, || "open a channel".to_owned(), Kind::Lost, opening).await
}

fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() }
}

fn library(kind: ExchangeKind) -> lapin::ExchangeKind {
    match kind {
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
        ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
        ExchangeKind::Headers => lapin::ExchangeKind::Headers,
        ExchangeKind::Topic => lapin::ExchangeKind::Topic,
    }
}

fn arguments(arguments: &BTreeMap<String, Argument>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        let value = match value {
            Argument::Flag(it) => AMQPValue::Boolean(*it),
            Argument::Number(it) => AMQPValue::LongLongInt(*it),
            Argument::Text(it) => AMQPValue::LongString(LongString::from(it.as_bytes())),
        };
        table.insert(name(key), value);
    }
    table
}
