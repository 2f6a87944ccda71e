//! Publishing: one idempotent producer, shared, made when there is none. A message is taken when
//! every replica that keeps up has it.

use std::sync::Arc;

use async_trait::async_trait;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio::sync::{Mutex, Semaphore};

use super::headers;
use super::settings::{Server, millis, named};
use super::words::kind;
use crate::{Error, Kind, Outgoing, Publisher};

/// Publications at a time. More only wait in our memory rather than in the caller's.
const AT_ONCE: usize = 256;
/// What the library may keep for those: as many of the largest messages that brokers usually take.
const QUEUED_KIB: &str = "262144";

/// The way into a Kafka. A message's exchange is the topic and its routing key the message's key;
/// without an exchange, the routing key is the topic. Its type and its id become headers.
pub struct KafkaPublisher {
    server: Server,
    producer: Mutex<Option<Arc<Producer>>>,
    places: Semaphore,
}

/// Let go of on a thread of its own, since that waits for the library's.
pub(super) struct Producer(Option<FutureProducer>);

impl Producer {
    pub(super) fn open(server: &Server) -> Result<Producer, Error> {
        let mut config = server.config();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", millis(server.publish_wait))
            .set("queue.buffering.max.kbytes", QUEUED_KIB)
            // A message that waits for others to come with it waits in vain most of the time.
            .set("linger.ms", "1");
        let producer = config.create();
        let producer = producer.map_err(|error: KafkaError| {
            Error::new(kind(&error, Kind::Unreachable), "make a producer", error)
        })?;
        Ok(Producer(Some(producer)))
    }

    /// Waits for the confirmation; the library's own limit applies.
    pub(super) async fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        body: &[u8],
        headers: OwnedHeaders,
        published_at_ms: Option<i64>,
    ) -> Result<(), Error> {
        let producer = self.0.as_ref().expect("it is there until it is dropped");
        let mut record = FutureRecord::to(topic).payload(body).headers(headers);
        record.key = key;
        record.timestamp = published_at_ms;
        let sent = producer.send(record, Timeout::After(std::time::Duration::ZERO)).await;
        sent.map(drop).map_err(|(error, _)| {
            Error::new(kind(&error, Kind::Lost), format!("publish to the topic {topic:?}"), error)
        })
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let producer = self.0.take();
        std::thread::spawn(move || drop(producer));
    }
}

impl KafkaPublisher {
    /// Does not connect yet.
    pub fn new(server: Server) -> Result<KafkaPublisher, Error> {
        super::refuse_if("use the settings of a Kafka", &server.check())?;
        Ok(KafkaPublisher { server, producer: Mutex::new(None), places: Semaphore::new(AT_ONCE) })
    }
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&self, message: Outgoing) -> Result<(), Error> {
        let (topic, key) = if message.exchange.is_empty() {
            (&message.routing_key, None)
        } else {
            let key = Some(message.routing_key.as_bytes()).filter(|it| !it.is_empty());
            (&message.exchange, key)
        };
        if let Some(why) = named("topic", topic) {
            return Err(Error::new(Kind::Refused, "publish to Kafka", why));
        }
        let at_ms =
            message.published_at_s.and_then(|it| i64::try_from(it).ok()?.checked_mul(1_000));
        let mut used = None;
        let sending = async {
            let _place = self.places.acquire().await.expect("nobody closes the semaphore");
            let producer = {
                let mut producer = self.producer.lock().await;
                match &*producer {
                    Some(producer) => Arc::clone(producer),
                    None => Arc::clone(producer.insert(Arc::new(Producer::open(&self.server)?))),
                }
            };
            let headers = headers::outgoing(&message);
            used.insert(producer).send(topic, key, &message.body, headers, at_ms).await
        };
        let wait = self.server.publish_wait;
        // The library has the same limit, and says more about it.
        let sent = tokio::time::timeout(wait + wait / 2, sending).await.unwrap_or_else(|_| {
            let why = format!("no confirmation within {} s", wait.as_secs_f32());
            Err(Error::new(Kind::Lost, format!("publish to the topic {topic:?}"), why))
        });
        // An idempotent producer that is not sure of its place in the order takes nothing any more.
        if sent.as_ref().is_err_and(|error| error.kind() == Kind::Lost) {
            let mut producer = self.producer.lock().await;
            let same = |it: &Arc<Producer>| used.as_ref().is_some_and(|used| Arc::ptr_eq(it, used));
            if producer.as_ref().is_some_and(same) {
                *producer = None;
            }
        }
        sent
    }
}

impl std::fmt::Debug for KafkaPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaPublisher").field("server", &self.server).finish_non_exhaustive()
    }
}
