//! One reader of a group: what it holds, and how far it says that it has read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, OwnedHeaders};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::book::{Meant, Place};
use super::headers;
use super::publish::Producer;
use super::reader::{Consumer, Reader};
use super::settings::Settings;
use super::words::{is_mended, kind};
use crate::message::next_connection;
use crate::{DeliveryId, Error, Kind, Message, Session};

/// A batch ends with the message that reaches this: what is stored in one commit should not keep
/// others waiting for seconds.
const BATCH_BYTES: usize = 8 << 20;
/// How long a goodbye may take: the group notices by itself.
const GOODBYE: Duration = Duration::from_secs(2);
pub(super) struct KafkaSession {
    settings: Arc<Settings>,
    /// Tells its deliveries from every other's.
    number: u64,
    reader: Reader,
    /// Why there is nothing more, if that was heard together with messages.
    ended: Option<Error>,
    /// Received, for dead letters: the key and the headers as they came.
    origins: BTreeMap<u64, (Option<Bytes>, Option<OwnedHeaders>)>,
    /// For dead letters; made for the first.
    producer: Option<Producer>,
}

impl KafkaSession {
    pub(super) async fn connect(settings: Arc<Settings>) -> Result<KafkaSession, Error> {
        let attempt = format!("read the topic {:?}", settings.topic);
        let failed = |error: KafkaError| {
            Error::new(kind(&error, Kind::Unreachable), attempt.as_str(), error)
        };
        let session = KafkaSession {
            number: next_connection(),
            reader: Reader::open(&settings).map_err(failed)?,
            ended: None,
            origins: BTreeMap::new(),
            producer: None,
            settings,
        };
        let topic = session.settings.topic.clone();
        let look = move |reader: &Consumer, wait| {
            let found = reader.fetch_metadata(Some(&topic), wait)?;
            let error = found.topics().first().and_then(MetadataTopic::error);
            match error {
                Some(error) => Err(KafkaError::MetadataFetch(error.into())),
                None => reader.subscribe(&[&topic]),
            }
        };
        session.reader.ask(&attempt, Kind::Unreachable, look).await?;
        Ok(session)
    }

    fn attempt(&self) -> String {
        format!("read the topic {:?}", self.settings.topic)
    }

    fn lost(&self, why: impl std::fmt::Display) -> Error {
        Error::new(Kind::Lost, self.attempt(), why)
    }

    fn failed(&self, error: KafkaError) -> Error {
        Error::new(kind(&error, Kind::Lost), self.attempt(), error)
    }

    /// What has come already, if anything has.
    fn at_hand(&mut self) -> Option<Result<Message, Error>> {
        let reader = Arc::clone(self.reader.consumer());
        loop {
            match reader.recv().now_or_never()? {
                Ok(came) => return Some(Ok(self.hold(&came))),
                Err(error) if is_mended(&error) => {}
                Err(error) => return Some(Err(self.failed(error))),
            }
        }
    }

    fn hold(&mut self, came: &BorrowedMessage<'_>) -> Message {
        let place = Place { partition: came.partition(), offset: came.offset() };
        let (number, redelivered) = self.reader.shared.book().hold(place);
        let headers = headers::flatten(came.headers());
        let name = || format!("{}:{}:{}", self.settings.topic, place.partition, place.offset);
        let key = came.key().map(Bytes::copy_from_slice);
        let text = key.as_deref().and_then(|it| std::str::from_utf8(it).ok());
        let at_ms = came.timestamp().to_millis();
        let message = Message {
            delivery: DeliveryId { connection: self.number, number },
            // None is "forget what you know about this key", and nothing as a message.
            body: came.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
            content_type: headers::find(&headers, headers::CONTENT_TYPE),
            // The same on every delivery, if the sender gave it none.
            message_id: Some(headers::find(&headers, headers::MESSAGE_ID).unwrap_or_else(name)),
            headers,
            exchange: self.settings.topic.clone(),
            routing_key: text.unwrap_or_default().to_owned(),
            redelivered,
            published_at_s: at_ms.and_then(|it| u64::try_from(it / 1_000).ok()),
        };
        self.origins.insert(number, (key, came.headers().map(BorrowedHeaders::detach)));
        message
    }

    /// The deliveries that are meant, if they are ours.
    fn numbers(&self, deliveries: &[DeliveryId]) -> Result<BTreeSet<u64>, Error> {
        let book = self.reader.shared.book();
        let number = |it: &DeliveryId| {
            if it.connection == self.number && book.meant(it.number) != Meant::Unknown {
                return Ok(it.number);
            }
            Err(self.lost(format!(
                "delivery {} of session {} is answered in session {}, which does not hold it",
                it.number, it.connection, self.number
            )))
        };
        deliveries.iter().map(number).collect()
    }

    /// Says how far everything is answered now.
    async fn answer(&mut self, numbers: &BTreeSet<u64>) -> Result<(), Error> {
        let places = {
            let mut book = self.reader.shared.book();
            numbers.iter().for_each(|it| book.answer(*it));
            book.to_say()
        };
        self.origins.retain(|number, _| !numbers.contains(number));
        if places.is_empty() {
            return Ok(());
        }
        let list = list(&self.settings.topic, &places).map_err(|error| self.failed(error))?;
        let attempt = format!("commit what was read of the topic {:?}", self.settings.topic);
        let say = move |reader: &Consumer, _| match reader.commit(&list, CommitMode::Sync) {
            // Partitions are on the move. Those that stay are answered for with the next ones, and
            // what leaves comes again elsewhere.
            Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::AssignmentLost
                | RDKafkaErrorCode::NoOffset,
            )) => Ok(false),
            said => said.map(|()| true),
        };
        if self.reader.ask(&attempt, Kind::Lost, say).await? {
            self.reader.shared.book().said(&places);
        }
        Ok(())
    }
}

#[async_trait]
impl Session for KafkaSession {
    async fn receive(&mut self, most: usize) -> Result<Vec<Message>, Error> {
        if let Some(end) = self.ended.take() {
            return Err(end);
        }
        let reader = Arc::clone(self.reader.consumer());
        let down = Arc::clone(&self.reader.shared.down);
        let room =
            usize::from(self.settings.prefetch).saturating_sub(self.reader.shared.book().count());
        if room == 0 {
            // The window is full, which no message can change.
            down.notified().await;
            return Err(self.lost("no broker can be reached"));
        }
        let first = loop {
            tokio::select! {
                biased;
                came = reader.recv() => match came {
                    Ok(came) => break self.hold(&came),
                    Err(error) if is_mended(&error) => {}
                    Err(error) => return Err(self.failed(error)),
                },
                () = down.notified() => return Err(self.lost("no broker can be reached")),
            }
        };
        let mut bytes = first.body.len();
        let mut messages = vec![first];
        while messages.len() < most.min(room) && bytes < BATCH_BYTES {
            match self.at_hand() {
                None => break,
                Some(Ok(message)) => {
                    bytes += message.body.len();
                    messages.push(message);
                }
                // What came before an end is told first.
                Some(Err(end)) => {
                    self.ended = Some(end);
                    break;
                }
            }
        }
        Ok(messages)
    }

    async fn accept(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let numbers = self.numbers(deliveries)?;
        self.answer(&numbers).await
    }

    async fn refuse(&mut self, message: &Message, reason: &str) -> Result<(), Error> {
        let numbers = self.numbers(&[message.delivery])?;
        let number = message.delivery.number;
        let meant = self.reader.shared.book().meant(number);
        // One that has left is refused by whoever gets it.
        if let Meant::Held(place) = meant {
            let Settings { server, topic, dead_letters, .. } = &*self.settings;
            let (key, came) = self.origins.get(&number).cloned().unwrap_or_default();
            let letter = headers::letter(came.as_ref(), topic, place, reason);
            let producer = match &self.producer {
                Some(producer) => producer,
                None => self.producer.insert(Producer::open(server)?),
            };
            let (key, body) = (key.as_deref(), &message.body);
            match producer.send(dead_letters, key, body, letter, None).await {
                Ok(()) => {}
                // Most likely too large with what was added; without headers, it was taken before.
                Err(error) if error.kind() == Kind::Refused => {
                    producer.send(dead_letters, key, body, OwnedHeaders::new(), None).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.answer(&numbers).await
    }

    async fn give_back(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let numbers = self.numbers(deliveries)?;
        let places = self.reader.shared.book().give_back(&numbers);
        self.origins.retain(|number, _| !numbers.contains(number));
        if places.is_empty() {
            return Ok(());
        }
        let list = list(&self.settings.topic, &places).map_err(|error| self.failed(error))?;
        let attempt = format!("read the topic {:?} again from before", self.settings.topic);
        let seek = move |reader: &Consumer, wait| {
            for element in reader.seek_partitions(list, wait)?.elements() {
                element.error()?;
            }
            Ok(())
        };
        self.reader.ask(&attempt, Kind::Lost, seek).await
    }

    async fn backlog(&mut self) -> Result<Option<u64>, Error> {
        let (topic, shared) = (self.settings.topic.clone(), self.reader.shared.clone());
        let attempt = format!("count the messages of the topic {topic:?}");
        let count = move |reader: &Consumer, wait: Duration| {
            let assigned = reader.assignment()?;
            let committed = reader.committed_offsets(assigned, wait)?;
            let mut waiting = 0;
            for element in committed.elements() {
                let partition = element.partition();
                let (low, high) = reader.fetch_watermarks(&topic, partition, wait)?;
                let committed = match element.offset() {
                    Offset::Offset(offset) => offset,
                    _ => low,
                };
                let next = shared.book().next(partition).unwrap_or(committed);
                waiting += u64::try_from(high - next).unwrap_or_default();
            }
            Ok(waiting)
        };
        self.reader.ask(&attempt, Kind::Lost, count).await.map(Some)
    }

    async fn close(mut self: Box<Self>) {
        if let Some(left) = self.reader.leave() {
            let waiting = tokio::task::spawn_blocking(move || left.recv_timeout(GOODBYE));
            // Not being heard is no reason to stay.
            drop(waiting.await);
        }
    }
}

fn list(topic: &str, places: &[Place]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for place in places {
        list.add_partition_offset(topic, place.partition, Offset::Offset(place.offset))?;
    }
    Ok(list)
}

impl std::fmt::Debug for KafkaSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSession")
            .field("topic", &self.settings.topic)
            .field("held", &self.reader.shared.book().count())
            .finish_non_exhaustive()
    }
}
