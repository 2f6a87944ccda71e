//! Kafka, by consumer groups.
//!
//! Kafka knows no answers for single messages, only how far a group has read a partition. So a
//! session keeps which of its messages have no answer yet, and says "up to here" where everything
//! before is answered; what is behind an unanswered message comes again with it after a crash. Given
//! back means that the partition is read again from there.
//!
//! Partitions move from one reader to another. What we hold of one that has left comes again to
//! somebody else, and an answer for it is taken and has no effect.
//!
//! What "taken" means is Kafka's: a message is with all replicas that keep up, in memory, and not
//! necessarily on any disk.
//!
//! The client library is built without TLS and SASL: for a network that is trusted. Its threads
//! connect again by themselves; a session is lost when no broker at all is left.

mod book;
mod headers;
mod publish;
mod reader;
mod session;
mod settings;
mod words;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Error, Kind, Queue, Session};
pub use publish::KafkaPublisher;
pub use settings::{Server, Settings};

/// A group's reading of a topic, with a topic for dead letters.
#[derive(Clone, Debug)]
pub struct KafkaQueue {
    settings: Arc<Settings>,
}

impl KafkaQueue {
    /// Refuses settings that cannot work; [`Settings::check`] says each complaint by itself.
    pub fn new(settings: Settings) -> Result<KafkaQueue, Error> {
        refuse_if("use the settings of a Kafka topic", &settings.check())?;
        Ok(KafkaQueue { settings: Arc::new(settings) })
    }
}

#[async_trait]
impl Queue for KafkaQueue {
    async fn connect(&self) -> Result<Box<dyn Session>, Error> {
        Ok(Box::new(session::KafkaSession::connect(Arc::clone(&self.settings)).await?))
    }
}

/// Nothing, if there is no complaint.
fn refuse_if(attempt: &str, complaints: &[String]) -> Result<(), Error> {
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, attempt, complaints.join("; ")))
}
