//! NATS, by JetStream: a durable pull consumer of a stream, with explicit acknowledgement.
//!
//! One connection per session. The server does not notice when a session is dropped: what was
//! delivered to it comes again when `ack_wait` is over, and at once after a goodbye. A message that
//! somebody works on for longer than that comes a second time, in the middle.
//!
//! What "taken" means is the stream's: by default JetStream answers before its data is on the disk,
//! so that a power failure of all replicas together can lose messages that were taken. An operator
//! who cannot have that sets `sync_interval: always`, or keeps three replicas in three places.
//!
//! The client library connects again by itself; here it may try once, and a session is lost all the
//! same: it is simpler to be sure of a new connection than of a mended one.

mod letters;
mod link;
mod publish;
mod pull;
mod session;
mod settings;
mod topology;
mod words;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Error, Kind, Queue, Session};
pub use publish::NatsPublisher;
pub use settings::{Login, Server, Settings};

/// A durable consumer of a stream, with a subject for dead letters.
#[derive(Clone, Debug)]
pub struct NatsQueue {
    settings: Arc<Settings>,
}

impl NatsQueue {
    /// Refuses settings that cannot work; [`Settings::check`] says each complaint by itself.
    pub fn new(settings: Settings) -> Result<NatsQueue, Error> {
        refuse_if("use the settings of a NATS consumer", &settings.check())?;
        Ok(NatsQueue { settings: Arc::new(settings) })
    }
}

#[async_trait]
impl Queue for NatsQueue {
    async fn connect(&self) -> Result<Box<dyn Session>, Error> {
        Ok(Box::new(session::NatsSession::connect(Arc::clone(&self.settings)).await?))
    }
}

/// Nothing, if there is no complaint.
fn refuse_if(attempt: &str, complaints: &[String]) -> Result<(), Error> {
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, attempt, complaints.join("; ")))
}
