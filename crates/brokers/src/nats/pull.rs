//! Messages, asked for in batches: one request stands at a time, and the next is made when it is
//! used up.
//!
//! The client library has a stream that does so, too; it ends without waiting for what is still on
//! its way, which then comes again when `ack_wait` is over, and so out of its order.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::{StatusCode, Subject, Subscriber};
use futures_util::{FutureExt, StreamExt};

use super::link::Link;

/// The server says so often that it is there and has nothing; after twice that, it is taken for
/// gone.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long one request stands.
const STANDING: Duration = Duration::from_secs(30);
/// The server: "the time is over", and "there is nothing", both with what is left of a request.
const OVER: [u16; 2] = [404, 408];
/// The server: "this cannot be", with a reason in words.
const CONFLICT: u16 = 409;

pub(super) struct Pull {
    consumer: PullConsumer,
    inbox: Subject,
    subscriber: Subscriber,
    batch: usize,
    /// Of the request that stands.
    left: usize,
}

impl Pull {
    /// Asks for nothing yet.
    pub(super) async fn open(
        link: &Link,
        consumer: &PullConsumer,
        batch: usize,
    ) -> Result<Pull, String> {
        let inbox = Subject::from(link.client.new_inbox());
        let subscriber = link.client.subscribe(inbox.clone()).await;
        let subscriber = subscriber.map_err(|error| error.to_string())?;
        Ok(Pull { consumer: consumer.clone(), inbox, subscriber, batch, left: 0 })
    }

    /// The next message, or why there will be none. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<async_nats::Message, String> {
        loop {
            if self.left == 0 {
                let request = BatchConfig {
                    batch: self.batch,
                    expires: Some(STANDING),
                    idle_heartbeat: HEARTBEAT,
                    ..BatchConfig::default()
                };
                let asked = self.consumer.request_batch(request, self.inbox.clone()).await;
                asked.map_err(|error| error.to_string())?;
                self.left = self.batch;
            }
            let next = tokio::time::timeout(HEARTBEAT * 2, self.subscriber.next()).await;
            let next = next.map_err(|_elapsed| {
                format!("the server has said nothing for {} s", HEARTBEAT.as_secs() * 2)
            })?;
            if let Some(message) = self.read(next)? {
                return Ok(message);
            }
        }
    }

    /// What has come already, if anything has.
    pub(super) fn at_hand(&mut self) -> Option<Result<async_nats::Message, String>> {
        loop {
            let next = self.subscriber.next().now_or_never()?;
            match self.read(next) {
                Ok(Some(message)) => return Some(Ok(message)),
                Ok(None) => {}
                Err(why) => return Some(Err(why)),
            }
        }
    }

    /// Nothing more is asked for; what is on its way is waited for.
    pub(super) async fn stop(mut self) -> Result<Vec<async_nats::Message>, String> {
        self.subscriber.drain().await.map_err(|error| error.to_string())?;
        let mut messages = Vec::new();
        while let Some(message) = self.subscriber.next().await {
            messages.extend(self.read(Some(message))?);
        }
        Ok(messages)
    }

    /// A message, nothing if the server only talks, or why there will be no more.
    fn read(
        &mut self,
        next: Option<async_nats::Message>,
    ) -> Result<Option<async_nats::Message>, String> {
        let Some(message) = next else {
            return Err("the subscription has ended".to_owned());
        };
        let Some(status) = message.status.filter(|it| *it != StatusCode::OK) else {
            self.left = self.left.saturating_sub(1);
            return Ok(Some(message));
        };
        let words = message.description.as_ref().map_or("", |it| it.as_str());
        match status.as_u16() {
            // "I am here."
            100 => {}
            status if OVER.contains(&status) => self.left = 0,
            // A request that is over for a reason that has to do with the request only.
            CONFLICT if words.contains("Batch Completed") => self.left = 0,
            status => return Err(format!("the server said: {status} {words}")),
        }
        Ok(None)
    }
}
