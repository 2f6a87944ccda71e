//! The life of a source that reads a queue: connect, receive, store, acknowledge; from the
//! beginning again, for ever, when anything goes wrong; and an end when it is asked for.
//!
//! # What is promised
//!
//! A message is acknowledged after the commit of all events in it, so a crash of either side at any
//! moment means at most a second delivery, which the ledger knows by the message's id. One that
//! nobody can read goes into the dead-letter queue with the reason, and is acknowledged after that.
//!
//! # When the store cannot take events
//!
//! A batch is tried again where it is for ten seconds ([`HOLD`]); nothing is acknowledged and, once
//! the few batches are full that may be under way, nothing more is received. Then everything that
//! is not stored is given back, and we leave: the broker has a disk for a backlog and we have memory,
//! another reader may be better off, and a broker ends sessions that hold messages for long. We come
//! back when the store says that it takes writes, and not before: a queue of RabbitMQ's newer kind
//! counts deliveries, and drops what came back too often.
//!
//! What kind of broker it is, and what its messages mean, is not known here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use brokers::{DeliveryId, Message, Queue, Session};
use model::Timestamp;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, HEALTHY};
#[cfg(doc)]
use super::batch::HOLD;
use super::batch::{Outcome, Store};
use super::state::Tally;

/// Messages of a batch: what shares a commit.
const BATCH: usize = 512;
/// Batches under way: one is being read while others wait for their fsync.
const AT_ONCE: usize = 8;
/// And the bytes of their messages: reading stops beyond, whatever the broker's window allows.
const AT_ONCE_BYTES: usize = 64 * 1024 * 1024;
/// Between two looks at the broker's backlog.
const MEASURE: Duration = Duration::from_secs(5);
/// How long what is under way may take when we leave. What takes longer comes again.
const LEAVE: Duration = Duration::from_secs(5);
/// How long a write of the store may take before it counts as failing.
const PROBE: Duration = Duration::from_secs(10);

/// A source that can be run.
#[derive(Debug)]
pub(crate) struct Life {
    /// For the log: project and name.
    pub(crate) name: String,
    pub(crate) queue: Box<dyn Queue>,
    pub(crate) store: Store,
    pub(crate) stop: CancellationToken,
}

/// Why a session ended.
#[derive(Debug)]
enum End {
    Asked,
    /// The session is of no more use.
    Lost(String),
    /// The session is fine and the store is not.
    Unstored(String),
}

/// A batch on its way into the store.
struct UnderWay {
    messages: Arc<[Message]>,
    bytes: usize,
    received: Timestamp,
    storing: JoinHandle<Outcome>,
}

impl Life {
    /// Until it is stopped.
    pub(crate) async fn live(self) {
        let mut backoff = Backoff::default();
        let report = &self.store.report;
        loop {
            let session = tokio::select! {
                () = self.stop.cancelled() => return,
                session = self.connect() => session,
            };
            let mut was_of_use = false;
            let why = match session {
                Ok(session) => {
                    let began = Instant::now();
                    report.connected(self.store.clock.now());
                    tracing::info!(source = self.name, "connected");
                    let end = self.consume(session, &mut was_of_use).await;
                    was_of_use |= began.elapsed() >= HEALTHY;
                    match end {
                        End::Asked => return,
                        End::Lost(why) | End::Unstored(why) => why,
                    }
                }
                Err(why) => why,
            };
            if report.failing(self.store.clock.now(), &why) {
                tracing::warn!(source = self.name, "{why}; it is tried again");
            }
            let wait = backoff.failed(was_of_use, self.store.clock.entropy());
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Nothing is fetched that cannot be stored.
    async fn connect(&self) -> Result<Box<dyn Session>, String> {
        match tokio::time::timeout(PROBE, self.store.ledger.is_open()).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => return Err(format!("cannot store events: {}", problem.detail)),
            Err(_elapsed) => {
                return Err(format!("cannot store events: no answer in {} s", PROBE.as_secs()));
            }
        }
        self.queue.connect().await.map_err(|error| error.to_string())
    }

    /// One session, from its first message to its last; whether it `was_of_use`.
    async fn consume(&self, mut session: Box<dyn Session>, was_of_use: &mut bool) -> End {
        let quit = CancellationToken::new();
        let mut under_way = VecDeque::new();
        let end = self.serve(&mut *session, &mut under_way, &quit, was_of_use).await;
        quit.cancel();
        let leaving = self.leave(&mut *session, under_way, &end);
        if tokio::time::timeout(LEAVE, leaving).await.is_err() {
            tracing::warn!(source = self.name, "left before all was answered: it comes again");
        }
        session.close().await;
        end
    }

    /// Until something ends it. What is under way then is in `under_way`.
    async fn serve(
        &self,
        session: &mut dyn Session,
        under_way: &mut VecDeque<UnderWay>,
        quit: &CancellationToken,
        was_of_use: &mut bool,
    ) -> End {
        let mut measure = tokio::time::interval(MEASURE);
        measure.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let bytes: usize = under_way.iter().map(|it| it.bytes).sum();
            let has_room = under_way.len() < AT_ONCE && bytes < AT_ONCE_BYTES;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::Asked,
                outcome = first(under_way) => {
                    let outcome = outcome_of(outcome);
                    if let Outcome::Unstored { why } = outcome {
                        // Its messages have to go back: it stays on the list.
                        if let Some(batch) = under_way.front_mut() {
                            let why = why.clone();
                            batch.storing = tokio::spawn(async { Outcome::Unstored { why } });
                        }
                        return End::Unstored(why);
                    }
                    let Some(batch) = under_way.pop_front() else { continue };
                    if let Err(why) = self.answer(session, &batch, outcome).await {
                        return End::Lost(why);
                    }
                    *was_of_use = true;
                }
                _ = measure.tick() => {
                    if let Err(why) = self.measure(session, under_way).await {
                        return End::Lost(why);
                    }
                }
                received = session.receive(BATCH), if has_room => match received {
                    Ok(messages) => {
                        store::failpoint!("source.after_receive");
                        under_way.push_back(self.begin(messages, quit));
                    }
                    Err(error) => return End::Lost(error.to_string()),
                },
            }
        }
    }

    /// Sends a batch on its way.
    fn begin(&self, messages: Vec<Message>, quit: &CancellationToken) -> UnderWay {
        let redelivered = messages.iter().filter(|it| it.redelivered).count() as u64;
        let came = Tally { messages: messages.len() as u64, redelivered, ..Tally::default() };
        self.store.report.count(came);
        let bytes = messages.iter().map(|it| it.body.len()).sum();
        let messages: Arc<[Message]> = messages.into();
        let (store, quit) = (self.store.clone(), quit.clone());
        let received = self.store.clock.now();
        let stored = messages.clone();
        let storing = tokio::spawn(async move { store.store(stored, quit).await });
        UnderWay { messages, bytes, received, storing }
    }

    /// Tells the broker what became of a batch that was stored.
    async fn answer(
        &self,
        session: &mut dyn Session,
        batch: &UnderWay,
        outcome: Outcome,
    ) -> Result<(), String> {
        let Outcome::Done { refused, tally } = outcome else { return Ok(()) };
        let bad = |index: &usize| refused.binary_search_by_key(index, |(bad, _)| *bad).is_ok();
        let good: Vec<DeliveryId> = (0..batch.messages.len())
            .filter(|index| !bad(index))
            .map(|index| batch.messages[index].delivery)
            .collect();
        self.store.report.count(Tally { refused: 0, ..tally });
        store::failpoint!("source.before_accept");
        if !good.is_empty() {
            session.accept(&good).await.map_err(|error| error.to_string())?;
        }
        store::failpoint!("source.after_accept");
        for (index, reason) in &refused {
            let message = &batch.messages[*index];
            session.refuse(message, reason).await.map_err(|error| error.to_string())?;
            self.store.report.count(Tally { refused: 1, ..Tally::default() });
            tracing::info!(source = self.name, "a message was refused: {reason}");
        }
        Ok(())
    }

    /// Waits for what is under way, and answers for it where the session is of use.
    async fn leave(&self, session: &mut dyn Session, under_way: VecDeque<UnderWay>, end: &End) {
        let mut is_lost = matches!(end, End::Lost(_));
        let mut unstored = Vec::new();
        for mut batch in under_way {
            match outcome_of((&mut batch.storing).await) {
                Outcome::Unstored { .. } => {
                    unstored.extend(batch.messages.iter().map(|it| it.delivery));
                }
                // They come again, and are duplicates then.
                Outcome::Done { tally, .. } if is_lost => {
                    self.store.report.count(Tally { refused: 0, dropped: 0, ..tally });
                }
                done @ Outcome::Done { .. } => {
                    if let Err(why) = self.answer(session, &batch, done).await {
                        tracing::debug!(source = self.name, "{why}");
                        is_lost = true;
                    }
                }
            }
        }
        // Without any, too: what has come and was not received goes back with them.
        if !is_lost && let Err(why) = session.give_back(&unstored).await {
            tracing::debug!(source = self.name, "{why}");
        }
        self.store.report.measured(None, None, self.store.clock.now());
    }

    async fn measure(
        &self,
        session: &mut dyn Session,
        under_way: &VecDeque<UnderWay>,
    ) -> Result<(), String> {
        let held: u64 = under_way.iter().map(|it| it.messages.len() as u64).sum();
        let backlog = session.backlog().await.map_err(|error| error.to_string())?;
        let oldest = under_way.front().map(|batch| {
            let sent = batch.messages.iter().filter_map(|it| it.published_at_s).min();
            let sent = sent.and_then(|it| i64::try_from(it.saturating_mul(1_000)).ok());
            sent.map_or(batch.received, |it| Timestamp::from_millis(it).min(batch.received))
        });
        let lag = backlog.map(|backlog| backlog + held);
        self.store.report.measured(lag, oldest, self.store.clock.now());
        Ok(())
    }
}

/// The outcome of the batch that came first; never, if there is none.
async fn first(under_way: &mut VecDeque<UnderWay>) -> Result<Outcome, JoinError> {
    match under_way.front_mut() {
        Some(batch) => (&mut batch.storing).await,
        None => std::future::pending().await,
    }
}

/// A task that panicked has stored nothing that we know of.
fn outcome_of(outcome: Result<Outcome, JoinError>) -> Outcome {
    outcome.unwrap_or_else(|error| Outcome::Unstored {
        why: format!("a batch of messages was not stored: {error}"),
    })
}
