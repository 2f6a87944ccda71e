//! Brokers: messages out of other systems' queues, and into them.
//!
//! A [`Queue`] says how to reach one queue; connecting gives a [`Session`], from which messages are
//! received and to which is said, message by message, what became of them: accepted once they are
//! stored, refused if nobody will ever be able to read them, given back if they cannot be stored
//! now. A session is used by one task and is dropped on any error: what it had not accepted comes
//! again by itself. A [`Publisher`] is the way out.
//!
//! Nothing here knows of events, triggers or the store, and nothing here tries again: how long to
//! wait after an error, how often, and what to count is the caller's. The promise is that of every
//! broker, at least once: an acceptance that is lost on its way means a second delivery.

mod error;
#[cfg(feature = "kafka")]
pub mod kafka;
mod message;
#[cfg(feature = "nats")]
pub mod nats;
pub mod rabbitmq;
mod secret;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
pub mod zaqar;

use std::fmt::Debug;

use async_trait::async_trait;

pub use error::{Error, Kind};
pub use message::{DeliveryId, Message, Outgoing};
pub use secret::Secret;
pub use tls::Tls;

/// How to reach one queue. Cheap to keep; connecting is what costs.
#[async_trait]
pub trait Queue: Send + Sync + Debug {
    /// Connects and subscribes. The wait is bounded.
    async fn connect(&self) -> Result<Box<dyn Session>, Error>;
}

/// One connection, consuming. It is not used after any error.
#[async_trait]
pub trait Session: Send + Debug {
    /// Waits, without a limit, for a message, and returns it with those that have come besides it,
    /// at most `most` (and fewer if they are large). The order is the broker's. Dropping the future
    /// loses nothing.
    async fn receive(&mut self, most: usize) -> Result<Vec<Message>, Error>;

    /// We have stored these: they do not come again. `Ok` means that it was sent.
    async fn accept(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error>;

    /// Nobody will ever be able to read this: it is put into the dead-letter queue with the reason,
    /// and only then accepted, so that it is in one of the two queues, or both, at any time.
    async fn refuse(&mut self, message: &Message, reason: &str) -> Result<(), Error>;

    /// Our store cannot take these now: back into the queue, as far to its front as the broker
    /// allows. What has come and was not yet received goes back with them. The next
    /// [`receive`](Session::receive) subscribes anew, so the caller waits before it.
    async fn give_back(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error>;

    /// Messages that wait at the broker, if it tells; those that were delivered do not count.
    async fn backlog(&mut self) -> Result<Option<u64>, Error>;

    /// Says goodbye, within a bounded time. What was not accepted comes again.
    async fn close(self: Box<Self>);
}

/// The way into a broker. Connects when it must, and is shared by many tasks.
#[async_trait]
pub trait Publisher: Send + Sync + Debug {
    /// Returns once the broker has taken responsibility for the message. After an error it may have
    /// it nevertheless: give a message an id, so that a second one can be recognised. The wait is
    /// bounded.
    async fn publish(&self, message: Outgoing) -> Result<(), Error>;
}
