//! RabbitMQ, by AMQP 0-9-1.
//!
//! One consuming connection per session, with a window of messages that are delivered and not yet
//! accepted; its channel is used for nothing else, since whatever is wrong on a channel closes it.
//! Publishing has connections of its own: a broker short of memory stops reading from those that
//! publish, and must not stop reading our acceptances. The client library's own recovery is off:
//! it is simpler to be sure of a new connection than of a mended one.
//!
//! The library logs what it also returns; its target, `lapin`, is best left out of the log.

mod acks;
mod address;
mod connect;
mod headers;
mod letters;
mod line;
mod outlet;
mod publish;
mod runtime;
mod session;
mod settings;
mod topology;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Error, Kind, Queue, Session};
pub use address::Address;
pub use publish::RabbitPublisher;
pub use settings::{Argument, Binding, ExchangeKind, Server, Settings};

/// A queue of a RabbitMQ, with what belongs to it: bindings, and a queue for dead letters.
#[derive(Clone, Debug)]
pub struct RabbitQueue {
    settings: Arc<Settings>,
}

impl RabbitQueue {
    /// Refuses settings that cannot work; [`Settings::check`] says each complaint by itself.
    pub fn new(settings: Settings) -> Result<RabbitQueue, Error> {
        refuse_if("use the settings of a RabbitMQ queue", &settings.check())?;
        Ok(RabbitQueue { settings: Arc::new(settings) })
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    async fn connect(&self) -> Result<Box<dyn Session>, Error> {
        let session = session::RabbitSession::connect(Arc::clone(&self.settings)).await?;
        Ok(Box::new(session))
    }
}

/// Nothing, if there is no complaint.
fn refuse_if(attempt: &str, complaints: &[String]) -> Result<(), Error> {
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, attempt, complaints.join("; ")))
}
