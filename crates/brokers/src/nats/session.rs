//! One consuming connection: what was delivered and has no answer yet, and the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{self, AckKind};
use async_trait::async_trait;

use super::letters;
use super::link::Link;
use super::publish;
use super::pull::Pull;
use super::settings::Settings;
use super::topology;
use crate::message::next_connection;
use crate::{DeliveryId, Error, Kind, Message, Session};

/// A batch ends with the message that reaches this: what is stored in one commit should not keep
/// others waiting for seconds.
const BATCH_BYTES: usize = 8 << 20;
/// How long a goodbye may take: what we hold comes again anyway.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) struct NatsSession {
    settings: Arc<Settings>,
    /// Tells its deliveries from every other's.
    number: u64,
    next: u64,
    consumer: PullConsumer,
    /// None before the first message is asked for, and after some were given back.
    messages: Option<Pull>,
    /// Why there is nothing more, if that was heard together with messages.
    ended: Option<Error>,
    held: BTreeMap<u64, jetstream::Message>,
    link: Link,
}

impl NatsSession {
    pub(super) async fn connect(settings: Arc<Settings>) -> Result<NatsSession, Error> {
        let link = Link::open(&settings.server).await?;
        let attempt = format!("consume the stream {:?}", settings.stream);
        // Three questions or five.
        let wait = settings.server.answer_wait * 2;
        let consumer = link.answer(wait, &attempt, topology::ensure(&link, &settings)).await?;
        Ok(NatsSession {
            settings,
            number: next_connection(),
            next: 0,
            consumer,
            messages: None,
            ended: None,
            held: BTreeMap::new(),
            link,
        })
    }

    async fn subscribe(&mut self) -> Result<(), Error> {
        let batch = self.settings.prefetch.into();
        let messages = Pull::open(&self.link, &self.consumer, batch).await;
        self.messages = Some(messages.map_err(|why| self.lost(why))?);
        Ok(())
    }

    fn attempt(&self) -> String {
        format!("consume the stream {:?}", self.settings.stream)
    }

    fn lost(&self, why: impl std::fmt::Display) -> Error {
        Error::new(Kind::Lost, self.attempt(), why)
    }

    fn hold(&mut self, came: async_nats::Message) -> Result<Message, Error> {
        let came = jetstream::Message { message: came, context: self.link.jetstream.clone() };
        let info = came.info().map_err(|error| self.lost(error))?;
        let (redelivered, published) = (info.delivered > 1, info.published.unix_timestamp());
        let headers = came.headers.as_ref();
        let number = self.next;
        let message = Message {
            delivery: DeliveryId { connection: self.number, number },
            body: came.payload.clone(),
            content_type: headers.and_then(letters::content_type),
            headers: headers.map(letters::flatten).unwrap_or_default(),
            message_id: headers.and_then(letters::message_id),
            exchange: String::new(),
            routing_key: came.subject.to_string(),
            redelivered,
            published_at_s: u64::try_from(published).ok(),
        };
        self.next += 1;
        self.held.insert(number, came);
        Ok(message)
    }

    /// The numbers of deliveries that are ours and have no answer yet.
    fn numbers(&self, deliveries: &[DeliveryId]) -> Result<BTreeSet<u64>, Error> {
        let number = |it: &DeliveryId| {
            if it.connection == self.number && self.held.contains_key(&it.number) {
                return Ok(it.number);
            }
            Err(self.lost(format!(
                "delivery {} of session {} is answered in session {}, which does not hold it",
                it.number, it.connection, self.number
            )))
        };
        deliveries.iter().map(number).collect()
    }

    async fn say(&mut self, what: AckKind, numbers: &BTreeSet<u64>) -> Result<(), Error> {
        let attempt = format!("answer for messages of the stream {:?}", self.settings.stream);
        let wait = self.settings.server.answer_wait;
        let saying = async {
            for number in numbers {
                let said = self.held[number].ack_with(what).await;
                said.map_err(|error| Error::new(Kind::Lost, &attempt, error))?;
            }
            Ok(())
        };
        self.link.answer(wait, &attempt, saying).await?;
        self.link.flush(wait, &attempt).await?;
        self.held.retain(|number, _| !numbers.contains(number));
        Ok(())
    }

    /// First nothing more comes: a message given back while others are on their way would come again
    /// after them. What has come by then is held.
    async fn unsubscribe(&mut self) -> Result<BTreeSet<u64>, Error> {
        let Some(messages) = self.messages.take() else { return Ok(BTreeSet::new()) };
        let attempt = format!("stop consuming the stream {:?}", self.settings.stream);
        let stopping = async {
            let stopped = messages.stop().await;
            let rest = stopped.map_err(|why| Error::new(Kind::Lost, &attempt, why))?;
            // A server that is asked forgets the requests of those who have left. Older ones (2.9)
            // otherwise try to serve such a request with the next message that is given back, which
            // then comes again as late as if it had not been.
            topology::count(&self.consumer, &self.settings).await?;
            Ok(rest)
        };
        let rest = self.link.answer(self.settings.server.answer_wait, &attempt, stopping).await?;
        rest.into_iter().map(|it| Ok(self.hold(it)?.delivery.number)).collect()
    }
}

#[async_trait]
impl Session for NatsSession {
    async fn receive(&mut self, most: usize) -> Result<Vec<Message>, Error> {
        if let Some(end) = self.ended.take() {
            return Err(end);
        }
        if self.messages.is_none() {
            self.subscribe().await?;
        }
        let link = &self.link;
        let next = match &mut self.messages {
            Some(messages) => tokio::select! {
                biased;
                next = messages.next() => next,
                () = link.ended() => return Err(link.lost(&self.attempt())),
            },
            None => Err("nothing was asked for".to_owned()),
        };
        let first = next.map_err(|why| self.lost(why))?;
        let mut messages = vec![self.hold(first)?];
        let mut bytes = messages[0].body.len();
        while messages.len() < most && bytes < BATCH_BYTES {
            let message = match self.messages.as_mut().and_then(Pull::at_hand) {
                None => break,
                Some(Ok(message)) => self.hold(message)?,
                // What came before an end is told first.
                Some(Err(why)) => {
                    self.ended = Some(self.lost(why));
                    break;
                }
            };
            bytes += message.body.len();
            messages.push(message);
        }
        Ok(messages)
    }

    async fn accept(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let numbers = self.numbers(deliveries)?;
        self.say(AckKind::Ack, &numbers).await
    }

    async fn refuse(&mut self, message: &Message, reason: &str) -> Result<(), Error> {
        let numbers = self.numbers(&[message.delivery])?;
        let Settings { server, dead_letters, .. } = &*self.settings;
        let came = &self.held[&message.delivery.number];
        let headers = letters::letter(came, reason);
        let send = async |headers| {
            let body = came.payload.clone();
            publish::send(&self.link, server.publish_wait, dead_letters, headers, body).await
        };
        match send(Some(headers)).await {
            Ok(()) => {}
            // Most likely too large with what was added; without headers, it was taken before.
            Err(error) if error.kind() == Kind::Refused => send(None).await?,
            Err(error) => return Err(error),
        }
        self.say(AckKind::Term, &numbers).await
    }

    async fn give_back(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let mut numbers = self.numbers(deliveries)?;
        numbers.extend(self.unsubscribe().await?);
        self.say(AckKind::Nak(None), &numbers).await
    }

    async fn backlog(&mut self) -> Result<Option<u64>, Error> {
        let counting = topology::count(&self.consumer, &self.settings);
        let wait = self.settings.server.answer_wait;
        self.link.answer(wait, &self.attempt(), counting).await.map(Some)
    }

    async fn close(mut self: Box<Self>) {
        let leaving = async {
            self.unsubscribe().await?;
            let numbers = self.held.keys().copied().collect();
            self.say(AckKind::Nak(None), &numbers).await
        };
        // Not being heard is no reason to stay.
        drop(tokio::time::timeout(GOODBYE, leaving).await);
    }
}

impl std::fmt::Debug for NatsSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsSession")
            .field("stream", &self.settings.stream)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
