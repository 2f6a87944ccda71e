//! A reader of one queue: claims batches, renews the claims, answers for the messages.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::body;
use super::claims::{Answer, Claims, Held};
use super::service::{Claimed, Zaqar};
use super::settings::Settings;
use crate::message::next_connection;
use crate::{DeliveryId, Error, Kind, Message, Session};

/// Deletions at a time: each is a request of a few milliseconds, and a batch has twenty.
const AT_ONCE: usize = 8;
/// How long a goodbye may take: the claims end anyway.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) struct ZaqarSession {
    settings: Arc<Settings>,
    zaqar: Arc<Zaqar>,
    /// Tells its deliveries from every other's.
    number: u64,
    shared: Arc<Shared>,
    /// Claimed and not received yet.
    ready: VecDeque<Message>,
    /// A claim under way. It is a task, so that its answer is not lost with whoever waits for it.
    claiming: Option<JoinHandle<Result<Option<Claimed>, Error>>>,
    /// When the claim under way was asked for: its time runs from here at the earliest.
    asked: Instant,
    /// How long to wait when there was nothing, and until when.
    idle: Duration,
    not_before: Instant,
    renewing: JoinHandle<()>,
}

/// What the session and its renewing task share.
#[derive(Debug, Default)]
struct Shared {
    claims: Mutex<Claims>,
    /// Why messages that we hold may be somebody else's by now.
    lost: Mutex<Option<Error>>,
}

impl Shared {
    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, error: Error) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn check(&self) -> Result<(), Error> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.as_ref().map_or(Ok(()), |error| Err(error.clone()))
    }
}

impl ZaqarSession {
    pub(super) async fn connect(settings: Arc<Settings>) -> Result<ZaqarSession, Error> {
        let zaqar = Arc::new(Zaqar::open(&settings.server).await?);
        let reaching = async {
            if settings.declare {
                zaqar.declare(&settings.dead_letters).await?;
                zaqar.declare(&settings.queue).await
            } else {
                zaqar.count(&settings.queue).await.map(drop)
            }
        };
        // Whatever breaks before the first message is no loss.
        reaching.await.map_err(|error| match error.kind() {
            Kind::Lost => Error::new(Kind::Unreachable, "connect to Zaqar", error),
            _ => error,
        })?;
        let shared = Arc::new(Shared::default());
        let renewing = renew(Arc::clone(&settings), Arc::clone(&zaqar), Arc::clone(&shared));
        Ok(ZaqarSession {
            zaqar,
            number: next_connection(),
            shared,
            ready: VecDeque::new(),
            claiming: None,
            asked: Instant::now(),
            idle: settings.poll.0,
            not_before: Instant::now(),
            renewing: tokio::spawn(renewing),
            settings,
        })
    }

    /// Waits for the claim under way, or for a new one.
    async fn claim(&mut self, most: usize) -> Result<(), Error> {
        let claiming = match &mut self.claiming {
            Some(claiming) => claiming,
            none => {
                tokio::time::sleep_until(self.not_before).await;
                self.asked = Instant::now();
                let (settings, zaqar) = (Arc::clone(&self.settings), Arc::clone(&self.zaqar));
                let most = most.clamp(1, settings.claim_most.into());
                none.insert(tokio::spawn(async move {
                    zaqar.claim(&settings.queue, most, settings.claim).await
                }))
            }
        };
        let claimed = claiming.await;
        self.claiming = None;
        let attempt = || format!("claim messages of the queue {:?}", self.settings.queue);
        let claimed = claimed.map_err(|error| Error::new(Kind::Lost, attempt(), error))?;
        match claimed? {
            Some(claimed) if !claimed.messages.is_empty() => {
                self.idle = self.settings.poll.0;
                self.hold(claimed);
            }
            _ => {
                self.not_before = Instant::now() + self.idle;
                self.idle = (self.idle * 2).min(self.settings.poll.1);
            }
        }
        Ok(())
    }

    fn hold(&mut self, claimed: Claimed) {
        let mut claims = self.shared.claims();
        claims.open(Arc::clone(&claimed.claim), self.asked + self.settings.claim);
        for came in claimed.messages {
            let (body, content_type) = body::read(&came.body);
            let message_id = Some(came.id.clone());
            let claim = Arc::clone(&claimed.claim);
            let number = claims.hold(Held { id: came.id.into(), claim, body: came.body.into() });
            self.ready.push_back(Message {
                delivery: DeliveryId { connection: self.number, number },
                body,
                content_type,
                headers: Vec::new(),
                message_id,
                exchange: String::new(),
                routing_key: self.settings.queue.clone(),
                // Zaqar does not tell, nor when it was sent.
                redelivered: false,
                published_at_s: None,
            });
        }
    }

    /// The messages that are meant, if they are ours and have no answer yet.
    fn meant(&self, deliveries: &[DeliveryId]) -> Result<Vec<(u64, Held)>, Error> {
        let claims = self.shared.claims();
        let numbers: BTreeSet<DeliveryId> = deliveries.iter().copied().collect();
        let find = |it: DeliveryId| {
            let held = claims.get(it.number).filter(|_| it.connection == self.number);
            let held = held.ok_or_else(|| {
                let why = format!(
                    "delivery {} of session {} is answered in session {}, which does not hold it",
                    it.number, it.connection, self.number
                );
                let attempt = format!("answer for messages of the queue {:?}", self.settings.queue);
                Error::new(Kind::Lost, attempt, why)
            })?;
            Ok((it.number, held.clone()))
        };
        numbers.into_iter().map(find).collect()
    }

    async fn delete(&self, meant: Vec<(u64, Held)>) -> Result<(), Error> {
        let queue = &self.settings.queue;
        let deleting = stream::iter(meant).map(|(number, held)| async move {
            self.zaqar.delete(queue, &held.id, &held.claim).await?;
            let released = self.shared.claims().answer(number, Answer::Done);
            match released {
                Some(claim) => self.zaqar.release(queue, &claim).await,
                None => Ok(()),
            }
        });
        deleting.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn release(&self, claims: Vec<Arc<str>>) -> Result<(), Error> {
        let queue = &self.settings.queue;
        let releasing = stream::iter(claims)
            .map(|claim| async move { self.zaqar.release(queue, &claim).await });
        releasing.buffer_unordered(AT_ONCE).try_collect().await
    }
}

#[async_trait]
impl Session for ZaqarSession {
    async fn receive(&mut self, most: usize) -> Result<Vec<Message>, Error> {
        while self.ready.is_empty() {
            self.shared.check()?;
            self.claim(most).await?;
        }
        self.shared.check()?;
        let count = self.ready.len().min(most.max(1));
        Ok(self.ready.drain(..count).collect())
    }

    async fn accept(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let meant = self.meant(deliveries)?;
        self.delete(meant).await
    }

    async fn refuse(&mut self, message: &Message, reason: &str) -> Result<(), Error> {
        let meant = self.meant(&[message.delivery])?;
        let Settings { queue, dead_letters, dead_letter_life, .. } = &*self.settings;
        for (_, held) in &meant {
            let letter = body::letter(&held.body, &held.id, queue, reason);
            let posted = self.zaqar.post(dead_letters, *dead_letter_life, &letter).await;
            match posted {
                Ok(()) => {}
                // Most likely too large with the reason around it; without, it was taken before.
                Err(error) if error.kind() == Kind::Refused => {
                    self.zaqar.post(dead_letters, *dead_letter_life, &held.body).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.delete(meant).await
    }

    async fn give_back(&mut self, deliveries: &[DeliveryId]) -> Result<(), Error> {
        let mut meant = self.meant(deliveries)?;
        if self.claiming.is_some() {
            self.claim(1).await?;
        }
        let unread: Vec<_> = self.ready.drain(..).map(|it| it.delivery).collect();
        meant.extend(self.meant(&unread)?);
        let released = {
            let mut claims = self.shared.claims();
            let answer = |(number, _)| claims.answer(number, Answer::GivenBack);
            meant.into_iter().filter_map(answer).collect()
        };
        self.release(released).await
    }

    async fn backlog(&mut self) -> Result<Option<u64>, Error> {
        self.zaqar.count(&self.settings.queue).await.map(Some)
    }

    async fn close(mut self: Box<Self>) {
        let leaving = async {
            if self.claiming.is_some() {
                self.claim(1).await?;
            }
            let open = self.shared.claims().all();
            self.release(open).await
        };
        // Not being heard is no reason to stay.
        drop(tokio::time::timeout(GOODBYE, leaving).await);
    }
}

impl Drop for ZaqarSession {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Says again and again that what has no answer is still ours. Ends when the session is lost.
async fn renew(settings: Arc<Settings>, zaqar: Arc<Zaqar>, shared: Arc<Shared>) {
    let Settings { queue, claim: time, .. } = &*settings;
    loop {
        tokio::time::sleep(settings.renew_every).await;
        let open = shared.claims().all();
        for claim in open {
            let asked = Instant::now();
            let why = match zaqar.renew(queue, &claim, *time).await {
                Ok(true) => {
                    shared.claims().renewed(&claim, asked + *time);
                    continue;
                }
                // It may have got its last answer while we asked.
                Ok(false) if shared.claims().is_open(&claim) => "it is over".to_owned(),
                Ok(false) => continue,
                // The next time may be better, if there is one.
                Err(error) if shared.claims().is_over(&claim, Instant::now()) => error.to_string(),
                Err(_) => continue,
            };
            let attempt = format!("keep a claim on the queue {queue:?}");
            shared.lose(Error::new(Kind::Lost, attempt, why));
            return;
        }
    }
}

impl std::fmt::Debug for ZaqarSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZaqarSession")
            .field("queue", &self.settings.queue)
            .field("held", &self.shared.claims().count())
            .finish_non_exhaustive()
    }
}
