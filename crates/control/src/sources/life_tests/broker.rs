//! A broker with one queue that does what a test says, and holds the life to its promise: what is
//! accepted is stored.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use brokers::{DeliveryId, Error, Message, Queue, Session};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ledger::TestLedger;

/// A broker with one queue.
#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) state: Mutex<Inner>,
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) waiting: VecDeque<Message>,
    /// Delivered on the session that lives, and without an answer.
    pub(super) held: BTreeMap<u64, Message>,
    pub(super) sessions: u64,
    pub(super) delivered: u64,
    pub(super) accepted: Vec<String>,
    pub(super) refused: Vec<(String, String)>,
    /// Receive no more than this at once; none is no limit.
    pub(super) most: Option<usize>,
    /// Connections that are refused before one is let in.
    pub(super) refusals: u32,
    /// How often the next calls of each kind fail.
    pub(super) lose_receive: u32,
    pub(super) lose_accept: u32,
    pub(super) given_back: u32,
    pub(super) connect_times: Vec<Instant>,
    /// Where what is accepted must be.
    pub(super) ledger: Option<Arc<TestLedger>>,
}

impl Broker {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.state.lock().unwrap()
    }

    pub(super) fn publish(&self, id: &str, body: &str) {
        let message = Message {
            delivery: DeliveryId::made_up(0, 0),
            body: body.to_owned().into(),
            content_type: None,
            headers: Vec::new(),
            message_id: Some(id.into()),
            exchange: String::new(),
            routing_key: "q".into(),
            redelivered: false,
            published_at_s: None,
        };
        self.lock().waiting.push_back(message);
        self.changed.notify_one();
    }
}

#[derive(Debug)]
pub(super) struct TestQueue(pub(super) Arc<Broker>);

#[derive(Debug)]
pub(super) struct TestSession {
    pub(super) broker: Arc<Broker>,
    pub(super) number: u64,
}

pub(super) fn lost() -> Error {
    Error::made_up("consume the queue \"q\"", "the broker went away")
}

impl TestSession {
    /// What a broker does when a connection ends.
    pub(super) fn end(&self) {
        let mut inner = self.broker.lock();
        if inner.sessions == self.number {
            let held = std::mem::take(&mut inner.held);
            for (_, mut message) in held.into_iter().rev() {
                message.redelivered = true;
                inner.waiting.push_front(message);
            }
        }
    }
}

impl Drop for TestSession {
    fn drop(&mut self) {
        self.end();
    }
}

#[async_trait]
impl Queue for TestQueue {
    async fn connect(&self) -> Result<Box<dyn Session>, Error> {
        let mut inner = self.0.lock();
        inner.connect_times.push(Instant::now());
        if inner.refusals > 0 {
            inner.refusals -= 1;
            return Err(Error::made_up("connect to q", "nobody is there"));
        }
        inner.sessions += 1;
        Ok(Box::new(TestSession { broker: self.0.clone(), number: inner.sessions }))
    }
}

#[async_trait]
impl Session for TestSession {
    async fn receive(&mut self, most: usize) -> Result<Vec<Message>, Error> {
        loop {
            {
                let mut inner = self.broker.lock();
                if inner.lose_receive > 0 {
                    inner.lose_receive -= 1;
                    return Err(lost());
                }
                let count = most.min(inner.most.unwrap_or(most)).min(inner.waiting.len());
                if count > 0 {
                    let mut messages: Vec<_> = inner.waiting.drain(..count).collect();
                    for message in &mut messages {
                        inner.delivered += 1;
                        message.delivery = DeliveryId::made_up(self.number, inner.delivered);
                        let number = inner.delivered;
                        inner.held.insert(number, message.clone());
                    }
                    return Ok(messages);
                }
            }
            self.broker.changed.notified().await;
        }
    }

    async fn accept(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let mut inner = self.broker.lock();
        if inner.lose_accept > 0 {
            inner.lose_accept -= 1;
            return Err(lost());
        }
        for delivery in deliveries {
            let message = inner.held.remove(&delivery.number()).expect("it is held");
            let id = message.message_id.unwrap();
            if let Some(ledger) = &inner.ledger {
                assert!(ledger.ids().contains(&id), "message {id} is accepted and not stored");
            }
            inner.accepted.push(id);
        }
        Ok(())
    }

    async fn refuse(&mut self, message: &Message, reason: &str) -> Result<(), Error> {
        let mut inner = self.broker.lock();
        inner.held.remove(&message.delivery.number()).expect("it is held");
        inner.refused.push((message.message_id.clone().unwrap(), reason.to_owned()));
        Ok(())
    }

    async fn give_back(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let mut inner = self.broker.lock();
        inner.given_back += 1;
        for delivery in deliveries.iter().rev() {
            let mut message = inner.held.remove(&delivery.number()).expect("it is held");
            message.redelivered = true;
            inner.waiting.push_front(message);
        }
        Ok(())
    }

    async fn backlog(&mut self) -> Result<Option<u64>, Error> {
        Ok(Some(self.broker.lock().waiting.len() as u64))
    }

    async fn close(self: Box<Self>) {}
}
