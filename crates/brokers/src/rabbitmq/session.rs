//! One consuming connection: the window of deliveries that have no answer yet, and the answers.
//!
//! The window is what makes a short answer possible (see `super::acks`), and it holds each message's
//! properties, of which a dead letter is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};

use super::acks;
use super::connect::{Link, Words, answer};
use super::headers::flatten;
use super::letters::{self, Origin};
use super::outlet::{Letter, Outlet};
use super::settings::Settings;
use super::topology::{self, name};
use crate::message::next_connection;
use crate::{DeliveryId, Error, Kind, Message, Session};

/// A batch ends with the message that reaches this: what is stored in one commit should not keep
/// others waiting for seconds.
const BATCH_BYTES: usize = 8 << 20;

pub(super) struct RabbitSession {
    settings: Arc<Settings>,
    /// Tells this connection's deliveries from every other's.
    number: u64,
    /// None before the first message is asked for again, after some were given back.
    consumer: Option<Consumer>,
    /// Whether the broker was asked for a subscription, and its answer was not heard yet.
    asking: bool,
    /// Why there is nothing more, if that was heard together with messages.
    ended: Option<Error>,
    channel: Channel,
    held: BTreeMap<u64, Origin>,
    /// For dead letters; opened for the first.
    outlet: Option<Outlet>,
    link: Link,
}

/// What to say about deliveries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Stored,
    GivenBack,
}

impl RabbitSession {
    pub(super) async fn connect(settings: Arc<Settings>) -> Result<RabbitSession, Error> {
        let server = &settings.server;
        let link = Link::open(server).await?;
        topology::ensure(&link, &settings).await?;
        let attempt = || format!("consume the queue {:?}", settings.queue);
        let channel = link.connection.create_channel();
        let channel = answer(server, attempt, Kind::Lost, channel).await?;
        let window = channel.basic_qos(settings.prefetch, BasicQosOptions::default());
        answer(server, attempt, Kind::Lost, window).await?;
        let mut session = RabbitSession {
            settings,
            number: next_connection(),
            consumer: None,
            asking: false,
            ended: None,
            channel,
            held: BTreeMap::new(),
            outlet: None,
            link,
        };
        session.subscribe().await?;
        Ok(session)
    }

    async fn subscribe(&mut self) -> Result<(), Error> {
        // Asked a second time, there would be two subscriptions, and nobody who hears the first.
        if std::mem::replace(&mut self.asking, true) {
            return Err(self.lost("an earlier wait for the subscription was given up"));
        }
        let Settings { server, queue, consumer_tag, .. } = &*self.settings;
        let consuming = self.channel.basic_consume(
            name(queue),
            name(consumer_tag),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let attempt = || format!("consume the queue {queue:?}");
        self.consumer = Some(answer(server, attempt, Kind::Lost, consuming).await?);
        self.asking = false;
        Ok(())
    }

    /// What has come already, if anything has.
    fn at_hand(&mut self) -> Option<lapin::Result<Delivery>> {
        self.consumer.as_mut()?.next().now_or_never()?
    }

    fn lost(&self, why: impl std::fmt::Display) -> Error {
        Error::new(Kind::Lost, format!("consume the queue {:?}", self.settings.queue), why)
    }

    /// A delivery, or the reason why there are no more.
    fn take(&mut self, next: Option<lapin::Result<Delivery>>) -> Result<Message, Error> {
        match next {
            Some(Ok(delivery)) => Ok(self.hold(delivery)),
            Some(Err(error)) => Err(self.lost(Words(&error))),
            None => Err(self.lost("the broker ended the subscription: was the queue deleted?")),
        }
    }

    fn hold(&mut self, delivery: Delivery) -> Message {
        let Delivery { delivery_tag, exchange, routing_key, redelivered, properties, data, .. } =
            delivery;
        let text = |it: &Option<ShortString>| it.as_ref().map(ToString::to_string);
        let message = Message {
            delivery: DeliveryId { connection: self.number, number: delivery_tag },
            body: data.into(),
            content_type: text(properties.content_type()),
            headers: properties.headers().as_ref().map(flatten).unwrap_or_default(),
            message_id: text(properties.message_id()),
            exchange: exchange.to_string(),
            routing_key: routing_key.to_string(),
            redelivered,
            published_at_s: *properties.timestamp(),
        };
        self.held.insert(delivery_tag, Origin { exchange, routing_key, properties });
        message
    }

    /// The numbers of deliveries that are ours and have no answer yet.
    fn numbers(&self, deliveries: &[DeliveryId]) -> Result<BTreeSet<u64>, Error> {
        let mut numbers = BTreeSet::new();
        for delivery in deliveries {
            if delivery.connection != self.number || !self.held.contains_key(&delivery.number) {
                return Err(self.lost(format!(
                    "delivery {} of connection {} is answered on connection {}, which does not \
                     hold it",
                    delivery.number, delivery.connection, self.number
                )));
            }
            numbers.insert(delivery.number);
        }
        Ok(numbers)
    }

    async fn say(&mut self, what: Answer, numbers: &BTreeSet<u64>) -> Result<(), Error> {
        let plan = acks::plan(self.held.keys().copied(), numbers);
        // From the last to the first: each goes to the front of the queue.
        let single = plan.single.into_iter().rev().map(|number| (number, false));
        let frames = single.chain(plan.up_to.map(|number| (number, true)));
        let channel = &self.channel;
        let saying = async {
            for (number, multiple) in frames {
                match what {
                    Answer::Stored => {
                        channel.basic_ack(number, BasicAckOptions { multiple }).await?;
                    }
                    Answer::GivenBack => {
                        let options = BasicNackOptions { multiple, requeue: true };
                        channel.basic_nack(number, options).await?;
                    }
                }
            }
            Ok(())
        };
        let attempt = || format!("answer for messages of the queue {:?}", self.settings.queue);
        answer(&self.settings.server, attempt, Kind::Lost, saying).await?;
        self.held.retain(|number, _| !numbers.contains(number));
        Ok(())
    }
}

#[async_trait]
impl Session for RabbitSession {
    async fn receive(&mut self, most: usize) -> Result<Vec<Message>, Error> {
        if let Some(end) = self.ended.take() {
            return Err(end);
        }
        if self.consumer.is_none() {
            self.subscribe().await?;
        }
        let next = match &mut self.consumer {
            Some(consumer) => consumer.next().await,
            None => None,
        };
        let mut messages = vec![self.take(next)?];
        let mut bytes = messages[0].body.len();
        while messages.len() < most && bytes < BATCH_BYTES {
            let Some(next) = self.at_hand() else { break };
            let message = match self.take(Some(next)) {
                Ok(message) => message,
                // What came before an end is told first.
                Err(end) => {
                    self.ended = Some(end);
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
        self.say(Answer::Stored, &numbers).await
    }

    async fn refuse(&mut self, message: &Message, reason: &str) -> Result<(), Error> {
        let numbers = self.numbers(&[message.delivery])?;
        let settings = Arc::clone(&self.settings);
        let server = &settings.server;
        let origin = &self.held[&message.delivery.number];
        let letter = Letter {
            exchange: ShortString::default(),
            routing_key: name(&settings.dead_letters),
            body: &message.body,
            properties: letters::properties(origin, &settings.queue, reason),
        };
        let outlet = match &mut self.outlet {
            Some(outlet) => outlet,
            none => none.insert(Outlet::open(server).await?),
        };
        match tokio::time::timeout(server.publish_wait, outlet.send(letter)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(outlet.abandon(server.publish_wait.as_secs_f32())),
        }
        self.say(Answer::Stored, &numbers).await
    }

    async fn give_back(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let mut numbers = self.numbers(deliveries)?;
        // First nothing more comes: a message given back while others are on their way would come
        // again after them.
        if let Some(mut consumer) = self.consumer.take() {
            let tag = consumer.tag();
            let cancelling = self.channel.basic_cancel(tag, BasicCancelOptions::default());
            let attempt = || format!("stop consuming the queue {:?}", self.settings.queue);
            answer(&self.settings.server, attempt, Kind::Lost, cancelling).await?;
            while let Some(Some(next)) = consumer.next().now_or_never() {
                let message = self.take(Some(next))?;
                numbers.insert(message.delivery.number);
            }
        }
        self.say(Answer::GivenBack, &numbers).await
    }

    async fn backlog(&mut self) -> Result<Option<u64>, Error> {
        let Settings { server, queue, .. } = &*self.settings;
        topology::count(&self.link, server, queue).await.map(Some)
    }

    async fn close(self: Box<Self>) {
        if let Some(outlet) = &self.outlet {
            outlet.close().await;
        }
        self.link.close().await;
    }
}

impl std::fmt::Debug for RabbitSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitSession")
            .field("queue", &self.settings.queue)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
