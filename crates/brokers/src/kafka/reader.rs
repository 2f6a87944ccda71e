//! The client library's reader: how it is set up, how it is asked without holding up the runtime,
//! and how it is let go of.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::sync::Notify;

use super::book::Book;
use super::settings::{Settings, millis};
use super::words::kind;
use crate::{Error, Kind};

/// What the library may fetch ahead of us, of all partitions.
const AHEAD_KIB: &str = "16384";
/// How long we may be busy with what was received before the next is asked for; our partitions then
/// go to others, and the session is lost. Storing a batch takes seconds at the worst.
const BUSY: Duration = Duration::from_secs(300);

pub(super) type Consumer = StreamConsumer<Shared>;

pub(super) struct Reader {
    consumer: Option<Arc<Consumer>>,
    pub(super) shared: Shared,
    wait: Duration,
}

/// What the library's callbacks have to know.
#[derive(Clone)]
pub(super) struct Shared {
    book: Arc<Mutex<Book>>,
    /// No broker at all can be reached.
    pub(super) down: Arc<Notify>,
}

impl Shared {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Shared {
    /// What matters comes as an error, too.
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, _reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.down.notify_one();
        }
    }
}

impl ConsumerContext for Shared {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let mut book = self.book();
            partitions.elements().iter().for_each(|it| book.leave(it.partition()));
        }
    }
}

impl Reader {
    /// Reads nothing yet.
    pub(super) fn open(settings: &Settings) -> KafkaResult<Reader> {
        let shared = Shared { book: Arc::default(), down: Arc::default() };
        let mut config = settings.server.config();
        config
            .set("group.id", &settings.group)
            .set("session.timeout.ms", millis(settings.silence))
            .set("heartbeat.interval.ms", millis(settings.silence / 10))
            .set("max.poll.interval.ms", millis(BUSY.max(settings.silence)))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("queued.max.messages.kbytes", AHEAD_KIB);
        let consumer = config.create_with_context(shared.clone())?;
        let wait = settings.server.answer_wait;
        Ok(Reader { consumer: Some(Arc::new(consumer)), shared, wait })
    }

    pub(super) fn consumer(&self) -> &Arc<Consumer> {
        self.consumer.as_ref().expect("it is there until it is let go of")
    }

    /// A question that blocks, on a thread for such.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        attempt: &str,
        otherwise: Kind,
        question: impl FnOnce(&Consumer, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (consumer, wait) = (Arc::clone(self.consumer()), self.wait);
        let asking = tokio::task::spawn_blocking(move || question(&consumer, wait));
        // Several of the library's waits may follow one another.
        let most = wait * 2;
        match tokio::time::timeout(most, asking).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(Error::new(kind(&error, otherwise), attempt, error)),
            Ok(Err(error)) => Err(Error::new(Kind::Lost, attempt, error)),
            Err(_) => {
                let why = format!("no answer within {} s", most.as_secs_f32());
                Err(Error::new(otherwise, attempt, why))
            }
        }
    }

    /// Leaves the group, on a thread of its own, since that waits for the library's. What is returned
    /// is closed when it is done.
    pub(super) fn leave(&mut self) -> Option<Receiver<()>> {
        let consumer = self.consumer.take()?;
        let (done, left) = sync_channel(0);
        std::thread::spawn(move || {
            drop(consumer);
            drop(done);
        });
        Some(left)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.leave());
    }
}
