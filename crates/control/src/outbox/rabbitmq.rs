//! A message to an exchange of a RabbitMQ: published with the broker's confirmation.
//!
//! A broker's connection is shared by everything that goes there, closed when nothing has for a
//! while, and only so many are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokers::rabbitmq::{Address, RabbitPublisher, Server};
use brokers::{Outgoing, Publisher as _};
use bytes::Bytes;
use model::Timestamp;
use tokio::time::Instant;

use super::Failed;
use super::made::Leaving;

/// Connections kept: each is a socket here and a process at the broker.
const KEPT: usize = 32;
/// A connection that was not used for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Connections by address, the password included.
#[derive(Default)]
pub(super) struct RabbitMqs {
    kept: Mutex<HashMap<Vec<u8>, Kept>>,
}

struct Kept {
    publisher: Arc<RabbitPublisher>,
    used: Instant,
}

impl std::fmt::Debug for RabbitMqs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RabbitMqs")
    }
}

impl RabbitMqs {
    /// `key` tells brokers apart, and users of one.
    pub(super) async fn publish(
        &self,
        key: &[u8],
        address: &Address,
        exchange: String,
        routing_key: String,
        leaving: &Leaving<'_>,
        now: Timestamp,
    ) -> Result<(), Failed> {
        let publisher = self.publisher(key, address).map_err(Failed::again)?;
        let attributes = leaving.attributes().into_iter();
        let message = Outgoing {
            exchange,
            routing_key,
            body: Bytes::copy_from_slice(leaving.body().as_bytes()),
            content_type: Some("application/json".into()),
            headers: attributes.map(|(name, it)| (format!("cloudEvents:{name}"), it)).collect(),
            message_id: Some(leaving.id.clone()),
            published_at_s: u64::try_from(now.millis() / 1_000).ok(),
        };
        publisher.publish(message).await.map_err(|error| Failed::again(error.to_string()))
    }

    fn publisher(&self, key: &[u8], address: &Address) -> Result<Arc<RabbitPublisher>, String> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(found) = kept.get_mut(key) {
            found.used = now;
            return Ok(found.publisher.clone());
        }
        if kept.len() >= KEPT
            && let Some(oldest) =
                kept.iter().min_by_key(|(_, it)| it.used).map(|(key, _)| key.clone())
        {
            // Whoever publishes on it now has it until then.
            kept.remove(&oldest);
        }
        let name = concat!("lambent ", env!("CARGO_PKG_VERSION"), " outbox");
        let publisher = RabbitPublisher::new(Server::new(address.clone(), name));
        let publisher = Arc::new(publisher.map_err(|error| error.to_string())?);
        kept.insert(key.to_vec(), Kept { publisher: publisher.clone(), used: now });
        Ok(publisher)
    }

    /// Closes what was not used for a while.
    pub(super) fn close_idle(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, it| it.used.elapsed() < IDLE);
    }
}
