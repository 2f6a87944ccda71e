//! Publishing: one connection, shared, made when there is none, and left when anything is wrong
//! with it.
//!
//! A publication waits for its confirmation, many at a time. It is not repeated: whether the same
//! message may go twice is for the caller to say.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::BasicProperties;
use tokio::sync::{Mutex, Semaphore};

use super::headers::{self, short};
use super::outlet::{Letter, Outlet, PERSISTENT};
use super::settings::Server;
use crate::{Error, Kind, Outgoing, Publisher};

/// Publications at a time. RabbitMQ confirms several hundred with one fsync; more only wait in our
/// memory rather than in the caller's.
const AT_ONCE: usize = 256;

/// The way into a RabbitMQ.
#[derive(Debug)]
pub struct RabbitPublisher {
    server: Server,
    outlet: Mutex<Option<Arc<Outlet>>>,
    places: Semaphore,
}

impl RabbitPublisher {
    /// Does not connect yet.
    pub fn new(server: Server) -> Result<RabbitPublisher, Error> {
        super::refuse_if("use the settings of a RabbitMQ", &server.check())?;
        Ok(RabbitPublisher { server, outlet: Mutex::new(None), places: Semaphore::new(AT_ONCE) })
    }

    /// The one that everybody uses; while it is being opened, everybody waits for it.
    async fn outlet(&self) -> Result<Arc<Outlet>, Error> {
        let mut outlet = self.outlet.lock().await;
        if let Some(outlet) = outlet.as_ref().filter(|outlet| outlet.is_usable()) {
            return Ok(Arc::clone(outlet));
        }
        *outlet = None;
        let new = Arc::new(Outlet::open(&self.server).await?);
        Ok(Arc::clone(outlet.insert(new)))
    }
}

#[async_trait]
impl Publisher for RabbitPublisher {
    async fn publish(&self, message: Outgoing) -> Result<(), Error> {
        let letter = letter(&message).map_err(|why| Error::new(Kind::Refused, "publish", why))?;
        let mut used = None;
        let sending = async {
            let _place = self.places.acquire().await.expect("nobody closes the semaphore");
            let outlet = self.outlet().await?;
            used.insert(outlet).send(letter).await
        };
        match tokio::time::timeout(self.server.publish_wait, sending).await {
            Ok(result) => result,
            Err(_) => {
                let waited_s = self.server.publish_wait.as_secs_f32();
                Err(match used {
                    Some(outlet) => outlet.abandon(waited_s),
                    None => {
                        let attempt = format!("publish to {}", self.server.address);
                        let why = format!("no connection within {waited_s} s");
                        Error::new(Kind::Unreachable, attempt, why)
                    }
                })
            }
        }
    }
}

fn letter(message: &Outgoing) -> Result<Letter<'_>, String> {
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers::table(&message.headers)?);
    if let Some(it) = &message.content_type {
        properties = properties.with_content_type(short("content type", it)?);
    }
    if let Some(it) = &message.message_id {
        properties = properties.with_message_id(short("message id", it)?);
    }
    if let Some(it) = message.published_at_s {
        properties = properties.with_timestamp(it);
    }
    Ok(Letter {
        exchange: short("name of the exchange", &message.exchange)?,
        routing_key: short("routing key", &message.routing_key)?,
        body: &message.body,
        properties,
    })
}
