//! What goes over a broker: a [`Message`] that came, an [`Outgoing`] that leaves.
//!
//! The body is bytes and stays so: what they mean is read by whoever asked for them.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// One delivery of a message, in one session.
///
/// It names the session, too: brokers number deliveries anew on every connection, and an answer
/// meant for the last one would accept a message that nobody has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId {
    pub(crate) connection: u64,
    pub(crate) number: u64,
}

#[cfg(feature = "testing")]
impl DeliveryId {
    /// For sessions that a test makes up.
    #[must_use]
    pub fn made_up(connection: u64, number: u64) -> DeliveryId {
        DeliveryId { connection, number }
    }

    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct Message {
    pub delivery: DeliveryId,
    pub body: Bytes,
    pub content_type: Option<String>,
    /// Names may repeat and are as the sender wrote them; values are text, numbers and times (in
    /// seconds since 1970) included. What has no plain text is left out.
    pub headers: Vec<(String, String)>,
    /// The sender's own name for it, if it gave one: the same on every delivery.
    pub message_id: Option<String>,
    /// Where it was sent to; empty if straight into the queue.
    pub exchange: String,
    pub routing_key: String,
    /// It was delivered before, to us or to somebody else.
    pub redelivered: bool,
    /// When it was sent, in the sender's opinion: seconds since 1970.
    pub published_at_s: Option<u64>,
}

/// A message to be sent.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Empty for the exchange in which every queue is known by its name.
    pub exchange: String,
    pub routing_key: String,
    pub body: Bytes,
    pub content_type: Option<String>,
    pub headers: Vec<(String, String)>,
    pub message_id: Option<String>,
    /// Seconds since 1970.
    pub published_at_s: Option<u64>,
}

/// A number that no other connection of this process has.
pub(crate) fn next_connection() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
