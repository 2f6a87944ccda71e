//! Publishing into a Zaqar. A message is taken when Zaqar has answered that it is in the queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, Semaphore};

use super::body;
use super::service::Zaqar;
use super::settings::{Server, life, named};
use crate::{Error, Kind, Outgoing, Publisher};

/// Posts at a time: Zaqar is a web application with a few dozen workers for all of its clients.
const AT_ONCE: usize = 16;

/// The way into a Zaqar. A message's routing key is the queue, which the first message makes.
///
/// There is no place for headers, and a message that has some is refused. Its id and its time are
/// left out: Zaqar gives it new ones.
#[derive(Debug)]
pub struct ZaqarPublisher {
    server: Server,
    life: Duration,
    zaqar: Mutex<Option<Arc<Zaqar>>>,
    places: Semaphore,
}

impl ZaqarPublisher {
    /// Asks nothing yet. After `message_life`, Zaqar throws away a message that nobody has read.
    pub fn new(server: Server, message_life: Duration) -> Result<ZaqarPublisher, Error> {
        let mut complaints = server.check();
        complaints.extend(life("message_life", message_life));
        super::refuse_if("use the settings of a Zaqar", &complaints)?;
        let places = Semaphore::new(AT_ONCE);
        Ok(ZaqarPublisher { server, life: message_life, zaqar: Mutex::new(None), places })
    }

    /// The one that everybody uses.
    async fn zaqar(&self) -> Result<Arc<Zaqar>, Error> {
        let mut zaqar = self.zaqar.lock().await;
        match &*zaqar {
            Some(zaqar) => Ok(Arc::clone(zaqar)),
            None => Ok(Arc::clone(zaqar.insert(Arc::new(Zaqar::open(&self.server).await?)))),
        }
    }
}

#[async_trait]
impl Publisher for ZaqarPublisher {
    async fn publish(&self, message: Outgoing) -> Result<(), Error> {
        let refused = |why: String| Error::new(Kind::Refused, "publish to Zaqar", why);
        if !message.exchange.is_empty() {
            return Err(refused("it has no exchanges: name a queue as the routing key".to_owned()));
        }
        if !message.headers.is_empty() {
            return Err(refused("it has no place for headers".to_owned()));
        }
        if let Some(why) = named("routing key", &message.routing_key) {
            return Err(refused(why));
        }
        let body = body::write(&message.body, message.content_type.as_deref()).map_err(refused)?;
        let posting = async {
            let _place = self.places.acquire().await.expect("nobody closes the semaphore");
            self.zaqar().await?.post(&message.routing_key, self.life, &body).await
        };
        let posted = match tokio::time::timeout(self.server.answer_wait, posting).await {
            Ok(posted) => posted,
            Err(_) => {
                let wait = self.server.answer_wait.as_secs_f32();
                let attempt = format!("post to the queue {:?}", message.routing_key);
                Err(Error::new(Kind::Lost, attempt, format!("no answer within {wait} s")))
            }
        };
        // It may have moved, or its certificate may be a new one.
        if posted.as_ref().is_err_and(|error| error.kind() != Kind::Busy) {
            *self.zaqar.lock().await = None;
        }
        posted
    }
}
