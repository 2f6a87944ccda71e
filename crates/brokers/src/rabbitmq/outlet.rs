//! A connection for publishing, with confirmations: a message is sent when the broker says that it
//! has it.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};

use super::connect::{Link, Words, answer, asking};
use super::settings::Server;
use crate::{Error, Kind};

/// AMQP's number for "written to disk, if the queue is durable".
pub(super) const PERSISTENT: u8 = 2;

pub(super) struct Outlet {
    channel: Channel,
    link: Link,
}

/// What goes out, in AMQP's terms.
pub(super) struct Letter<'a> {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) body: &'a [u8],
    pub(super) properties: BasicProperties,
}

impl Outlet {
    pub(super) async fn open(server: &Server) -> Result<Outlet, Error> {
        let link = Link::open(server).await?;
        let attempt = || "open a channel for publishing".to_owned();
        let channel = link.connection.create_channel();
        let channel = answer(server, attempt, Kind::Lost, channel).await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        answer(server, attempt, Kind::Lost, confirming).await?;
        Ok(Outlet { channel, link })
    }

    /// Waits for the confirmation, without a limit of its own: whoever gives up calls
    /// [`abandon`](Outlet::abandon).
    pub(super) async fn send(&self, letter: Letter<'_>) -> Result<(), Error> {
        let to = place(&letter.exchange, &letter.routing_key);
        let attempt = || format!("publish to {to}");
        let failed = |error| Error::new(asking(&error, Kind::Lost), attempt(), Words(&error));
        let Letter { exchange, routing_key, body, properties } = letter;
        // Unroutable messages come back rather than vanish.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let publishing =
            self.channel.basic_publish(exchange, routing_key, options, body, properties);
        match publishing.await.map_err(failed)?.await.map_err(failed)? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
                let why = format!(
                    "the broker returned it, {} {}: no queue is bound there",
                    returned.reply_code, returned.reply_text
                );
                Err(Error::new(Kind::Refused, attempt(), why))
            }
            Confirmation::Nack(None) => {
                let why = "the broker did not take it: is the queue full?";
                Err(Error::new(Kind::Busy, attempt(), why))
            }
            Confirmation::NotRequested => {
                Err(Error::new(Kind::Lost, attempt(), "the channel does not confirm"))
            }
        }
    }

    /// Ends the connection without a word, so that what was not sent yet is not sent later, after
    /// its sender was told that it failed. What the broker has in its own buffers it may still take.
    /// The error says why it took too long.
    pub(super) fn abandon(&self, waited_s: f32) -> Error {
        let (kind, why) = if self.link.is_blocked() {
            (Kind::Busy, "the broker takes nothing now, being short of memory or disk")
        } else {
            (Kind::Lost, "no confirmation came")
        };
        self.link.cut();
        Error::new(kind, "publish", format!("{why} (waited {waited_s} s)"))
    }

    /// Whether the next message can go this way, too.
    pub(super) fn is_usable(&self) -> bool {
        self.channel.status().connected() && !self.link.is_cut()
    }

    pub(super) async fn close(&self) {
        self.link.close().await;
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("usable", &self.is_usable()).finish_non_exhaustive()
    }
}

fn place(exchange: &ShortString, routing_key: &ShortString) -> String {
    if exchange.as_str().is_empty() {
        format!("the queue {:?}", routing_key.as_str())
    } else {
        format!("the exchange {:?} with {:?}", exchange.as_str(), routing_key.as_str())
    }
}
