//! Zaqar, OpenStack's queue service, by its HTTP interface, version 2.
//!
//! Zaqar has no connection that could be lost: messages are claimed for a time, and what is neither
//! deleted nor claimed anew when the time is over comes again. A session claims batches, renews its
//! claims while somebody still works on them, deletes what was accepted, and asks again and again
//! while there is nothing. A session that is dropped without a goodbye leaves its claims to their
//! time, a minute at least, since Zaqar knows none shorter.
//!
//! What Zaqar cannot do is not made up: a message is a JSON value with neither headers nor type, so
//! nothing that needs them can be sent; messages end after their time to live, and dead letters do,
//! too. Its own dead-letter queues lose what they are given, depending on where it keeps messages,
//! and are left alone: ours is an ordinary queue.
//!
//! Tokens are somebody else's: see [`Tokens`].

mod body;
mod claims;
mod connector;
mod http;
mod keystone;
mod publish;
mod service;
mod session;
mod settings;
mod token;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Error, Kind, Queue, Session};
pub use keystone::{Domain, Keystone, KeystoneSettings, Login, Named};
pub use publish::ZaqarPublisher;
pub use settings::{Server, Settings};
pub use token::{FixedToken, Interface, Token, Tokens};

/// A queue of a Zaqar, with a second one for dead letters.
#[derive(Clone, Debug)]
pub struct ZaqarQueue {
    settings: Arc<Settings>,
}

impl ZaqarQueue {
    /// Refuses settings that cannot work; [`Settings::check`] says each complaint by itself.
    pub fn new(settings: Settings) -> Result<ZaqarQueue, Error> {
        refuse_if("use the settings of a Zaqar queue", &settings.check())?;
        Ok(ZaqarQueue { settings: Arc::new(settings) })
    }
}

#[async_trait]
impl Queue for ZaqarQueue {
    async fn connect(&self) -> Result<Box<dyn Session>, Error> {
        Ok(Box::new(session::ZaqarSession::connect(Arc::clone(&self.settings)).await?))
    }
}

/// Nothing, if there is no complaint.
fn refuse_if(attempt: &str, complaints: &[String]) -> Result<(), Error> {
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, attempt, complaints.join("; ")))
}
