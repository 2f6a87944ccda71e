//! Publishing: one connection, shared, made when there is none, and left when anything is wrong
//! with it. A message is taken when a stream has answered that it keeps it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::letters;
use super::link::Link;
use super::settings::{Server, subject};
use super::words::publishing;
use crate::{Error, Kind, Outgoing, Publisher};

/// Publications at a time. More only wait in our memory rather than in the caller's.
const AT_ONCE: usize = 256;

/// The way into a NATS. A message's routing key is the subject; its exchange, if it has one, is the
/// stream that has to keep it. Its id becomes the one by which the stream knows a second one, within
/// its own window of two minutes; its time is left out, since the stream gives it one.
#[derive(Debug)]
pub struct NatsPublisher {
    server: Server,
    link: Mutex<Option<Arc<Link>>>,
    places: Semaphore,
}

impl NatsPublisher {
    /// Does not connect yet.
    pub fn new(server: Server) -> Result<NatsPublisher, Error> {
        super::refuse_if("use the settings of a NATS", &server.check())?;
        Ok(NatsPublisher { server, link: Mutex::new(None), places: Semaphore::new(AT_ONCE) })
    }

    /// The one that everybody uses; while it is being opened, everybody waits for it.
    async fn link(&self) -> Result<Arc<Link>, Error> {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| link.is_usable()) {
            return Ok(Arc::clone(link));
        }
        *link = None;
        Ok(Arc::clone(link.insert(Arc::new(Link::open(&self.server).await?))))
    }
}

#[async_trait]
impl Publisher for NatsPublisher {
    async fn publish(&self, message: Outgoing) -> Result<(), Error> {
        let refused = |why: String| Error::new(Kind::Refused, "publish to NATS", why);
        if let Some(why) = subject("routing key", &message.routing_key) {
            return Err(refused(why));
        }
        let headers = letters::outgoing(&message).map_err(refused)?;
        let headers = Some(headers).filter(|it| !it.is_empty());
        let until = Instant::now() + self.server.publish_wait;
        let reaching = async {
            let place = self.places.acquire().await.expect("nobody closes the semaphore");
            Ok((place, self.link().await?))
        };
        let (_place, link) = match tokio::time::timeout_at(until, reaching).await {
            Ok(reached) => reached?,
            Err(_) => {
                let waited = self.server.publish_wait.as_secs_f32();
                let why = format!("no connection within {waited} s");
                return Err(Error::new(Kind::Unreachable, attempt(&message.routing_key), why));
            }
        };
        let wait = until.saturating_duration_since(Instant::now());
        send(&link, wait, &message.routing_key, headers, message.body).await
    }
}

/// Waits for the stream's answer.
pub(super) async fn send(
    link: &Link,
    wait: Duration,
    subject: &str,
    headers: Option<HeaderMap>,
    body: Bytes,
) -> Result<(), Error> {
    let attempt = attempt(subject);
    let sending = async {
        let subject = subject.to_owned();
        let sent = match headers {
            Some(headers) => link.jetstream.publish_with_headers(subject, headers, body).await,
            None => link.jetstream.publish(subject, body).await,
        };
        let answered = match sent {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        answered.map_err(|error| Error::new(publishing(&error), &attempt, error)).map(drop)
    };
    link.answer(wait, &attempt, sending).await
}

fn attempt(subject: &str) -> String {
    format!("publish to the subject {subject:?}")
}
