//! What has to exist before a message can come: the stream, its consumer, and a place for dead
//! letters.

use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::context::{
    CreateStreamErrorKind, GetStreamByNameErrorKind, GetStreamErrorKind,
};
use async_nats::jetstream::stream::{Config as StreamConfig, ConsumerErrorKind, Stream};
use async_nats::jetstream::{self, ErrorCode};

use super::link::Link;
use super::settings::{Settings, hears};
use super::words::{answered, asking};
use crate::{Error, Kind};

/// Finds it all, and makes what is missing if that is wanted.
pub(super) async fn ensure(link: &Link, settings: &Settings) -> Result<PullConsumer, Error> {
    let stream = stream(link, settings).await?;
    let letters = letters(link, settings).await?;
    let heard = if settings.filter.is_empty() {
        letters == settings.stream
    } else {
        letters == settings.stream && hears(&settings.filter, &settings.dead_letters)
    };
    if heard {
        let attempt = format!("use {:?} for dead letters", settings.dead_letters);
        let why = format!(
            "the stream {letters:?} keeps them and is the one that is read, so a refused message \
             would go round for ever"
        );
        return Err(Error::new(Kind::Refused, attempt, why));
    }
    consumer(&stream, settings).await
}

async fn stream(link: &Link, settings: &Settings) -> Result<Stream, Error> {
    let name = &settings.stream;
    let attempt = format!("use the stream {name:?}");
    let error = match link.jetstream.get_stream(name).await {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    match error.kind() {
        GetStreamErrorKind::JetStream(said) if is_missing(&said) && settings.declare => {
            make(link, name, settings.subjects.clone()).await
        }
        GetStreamErrorKind::JetStream(said) => Err(Error::new(answered(&said), attempt, said)),
        _ => Err(Error::new(asking(&error, Kind::Unreachable), attempt, error)),
    }
}

fn is_missing(said: &jetstream::Error) -> bool {
    said.error_code() == ErrorCode::STREAM_NOT_FOUND
}

async fn make(link: &Link, name: &str, subjects: Vec<String>) -> Result<Stream, Error> {
    let attempt = format!("make the stream {name:?}");
    // On disk and without a limit of its own, as the server's own default is.
    let config = StreamConfig { name: name.to_owned(), subjects, ..StreamConfig::default() };
    let made = link.jetstream.create_stream(config).await;
    made.map_err(|error| match error.kind() {
        CreateStreamErrorKind::JetStream(said) => Error::new(answered(&said), attempt, said),
        _ => Error::new(asking(&error, Kind::Unreachable), attempt, error),
    })
}

/// The stream that keeps dead letters.
async fn letters(link: &Link, settings: &Settings) -> Result<String, Error> {
    let subject = &settings.dead_letters;
    let attempt = format!("use {subject:?} for dead letters");
    let error = match link.jetstream.stream_by_subject(subject).await {
        Ok(name) => return Ok(name),
        Err(error) => error,
    };
    if error.kind() != GetStreamByNameErrorKind::NotFound {
        return Err(Error::new(asking(&error, Kind::Unreachable), attempt, error));
    }
    if !settings.declare {
        let why = "no stream keeps what is sent there";
        return Err(Error::new(Kind::Refused, attempt, why));
    }
    let name = format!("{}-dead-letters", settings.stream);
    make(link, &name, vec![subject.clone()]).await?;
    Ok(name)
}

async fn consumer(stream: &Stream, settings: &Settings) -> Result<PullConsumer, Error> {
    let name = &settings.durable;
    let attempt = format!("use the consumer {name:?} of the stream {:?}", settings.stream);
    if settings.declare {
        let config = PullConfig {
            durable_name: Some(name.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: settings.ack_wait,
            // How often is nobody's business but the caller's, who refuses what will never do.
            max_deliver: -1,
            filter_subject: settings.filter.clone(),
            max_ack_pending: settings.prefetch.into(),
            ..PullConfig::default()
        };
        return stream.create_consumer(config).await.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(said) => Error::new(answered(&said), attempt, said),
            ConsumerErrorKind::TimedOut => Error::new(Kind::Unreachable, attempt, error),
            _ => Error::new(asking(&error, Kind::Refused), attempt, error),
        });
    }
    let consumer: PullConsumer = stream
        .get_consumer(name)
        .await
        .map_err(|error| Error::new(asking(&*error, Kind::Unreachable), &attempt, error))?;
    if consumer.cached_info().config.ack_policy != AckPolicy::Explicit {
        let why = "it does not want to hear of each message, so some would be lost";
        return Err(Error::new(Kind::Refused, attempt, why));
    }
    Ok(consumer)
}

/// Messages that were never delivered.
pub(super) async fn count(consumer: &PullConsumer, settings: &Settings) -> Result<u64, Error> {
    let attempt = format!("count the messages of the stream {:?}", settings.stream);
    let info = consumer.get_info().await;
    let info = info.map_err(|error| Error::new(asking(&error, Kind::Lost), attempt, error))?;
    Ok(info.num_pending)
}
