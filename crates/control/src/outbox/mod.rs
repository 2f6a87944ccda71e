//! The outbox: what goes out because an invocation ended.
//!
//! A message is written with the outcome that it tells of, so it exists if and only if that does.
//! [`sending`] puts them into a settlement: what a function's destinations are told ([`record`]), and
//! what its handler asked to send ([`effects`]). From then on the ledger has them, and [`run`] takes
//! those that are due, sends them, and says what came of it. If this process dies in between, they
//! are sent again: at least once, with the same id. Those that go back into the ledger itself
//! ([`inside`]) are delivered once.
//!
//! What is not taken is tried again ([`backoff`]) for a day. A target that takes long gets a few
//! messages at a time, and those that find it busy go back to the ledger, so that it holds up its own
//! messages and not those of others.

mod backoff;
pub(crate) mod effects;
mod guard;
mod http;
mod inside;
mod made;
mod operations;
mod rabbitmq;
pub(crate) mod record;
pub(crate) mod sending;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Timestamp, limits};
use store::{Message, MessageOutcome, Target};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::{Control, metrics};
use http::Http;
use made::Leaving;
use rabbitmq::RabbitMqs;
use settings::Open;

/// Messages on their way at once: each holds its body (1 MiB at most) and perhaps a connection.
const AT_ONCE: usize = 32;
/// To one target: a small service is not trampled, and a slow one does not take all of the above.
const PER_TARGET: usize = 4;
/// How long a message waits for its target before it goes back to the ledger: a quick target has taken
/// the others long before.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long a message is ours: more than the patience and the longest try together.
const LEASE: Duration = Duration::from_secs(60);
/// How often the ledger is asked what is due: a hint may have been lost with another process.
const CONVERGE: Duration = Duration::from_secs(1);

/// What a process has for its messages.
#[derive(Debug)]
pub(crate) struct Outbox {
    wake: Notify,
    places: Arc<Semaphore>,
    targets: Mutex<HashMap<Vec<u8>, Arc<Semaphore>>>,
    http: Http,
    rabbitmqs: RabbitMqs,
}

/// Why a message was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Failed {
    Again {
        error: String,
        /// The other end says so.
        asked: Option<Duration>,
    },
    /// Trying again is of no use.
    Never(String),
}

impl Failed {
    fn again(error: impl Into<String>) -> Self {
        Self::Again { error: error.into(), asked: None }
    }
}

impl Outbox {
    pub(crate) fn new(private: bool) -> Self {
        Self {
            wake: Notify::new(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            targets: Mutex::default(),
            http: Http::new(private),
            rabbitmqs: RabbitMqs::default(),
        }
    }

    /// There is a message.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// A place at the target, soon or not at all.
    async fn place(&self, target: &Target) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever is at one holds it, too.
            targets.retain(|_, places| Arc::strong_count(places) > 1);
            let places = targets.entry(key(target));
            places.or_insert_with(|| Arc::new(Semaphore::new(PER_TARGET))).clone()
        };
        tokio::time::timeout(PATIENCE, places.acquire_owned()).await.ok()?.ok()
    }
}

/// Tells targets apart. What is sealed is never the same twice, so a new secret is a new target.
fn key(target: &Target) -> Vec<u8> {
    let sealed = target.sealed.as_deref().unwrap_or_default();
    [target.settings.as_bytes(), b"\n", sealed].concat()
}

/// Runs until the process drains. The messages on their way then are among its tasks.
pub(crate) async fn run(control: Arc<Control>) {
    loop {
        tokio::select! {
            () = control.draining.cancelled() => return,
            () = until_due(&control) => {}
        }
        let Some(places) = places(&control).await else { return };
        let (now, limit) = (control.clock.now(), places.len());
        let claimed = control.store.claim_messages(control.id, now, now.plus(LEASE), limit).await;
        match claimed {
            Ok(messages) => {
                for (message, place) in messages.into_iter().zip(places) {
                    let control = control.clone();
                    control.clone().tasks.spawn(async move {
                        deliver(&control, message).await;
                        drop(place);
                    });
                }
            }
            Err(error) => {
                control.health.note(&error);
                tracing::warn!(%error, "cannot lease messages of the outbox");
                tokio::time::sleep(CONVERGE).await;
            }
        }
    }
}

/// Returns when a message is due.
async fn until_due(control: &Control) {
    loop {
        let pause = match control.store.outbox_due().await {
            Ok(Some(at)) => at.since(control.clock.now()).min(CONVERGE),
            Ok(None) => CONVERGE,
            Err(error) => {
                tracing::warn!(%error, "cannot look into the outbox");
                CONVERGE
            }
        };
        if pause.is_zero() {
            return;
        }
        tokio::select! {
            () = control.outbox.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        control.outbox.rabbitmqs.close_idle();
    }
}

/// At least one, and all that are free. None if the process drains.
async fn places(control: &Control) -> Option<Vec<OwnedSemaphorePermit>> {
    let all = &control.outbox.places;
    let first = tokio::select! {
        () = control.draining.cancelled() => return None,
        place = all.clone().acquire_owned() => place.ok()?,
    };
    let mut places = vec![first];
    while let Ok(place) = all.clone().try_acquire_owned() {
        places.push(place);
    }
    Some(places)
}

/// One try, and what came of it.
async fn deliver(control: &Control, message: Message) {
    store::failpoint!("outbox.before_send");
    let tried = send(control, &message).await;
    store::failpoint!("outbox.after_send");
    let now = control.clock.now();
    let outcome = outcome(&message, tried, now, control.clock.entropy());
    let (id, invocation) = (message.id, message.invocation);
    metrics::message(&message, &outcome, now);
    match &outcome {
        MessageOutcome::Sent => {}
        MessageOutcome::RetryAt { error, .. } => {
            tracing::debug!(message = %id, %invocation, error, "a message was not taken");
        }
        MessageOutcome::GaveUp { error } => {
            tracing::warn!(message = %id, %invocation, error, "a message was given up");
        }
    }
    if outcome == MessageOutcome::Sent && is_inside(&message.target) {
        // Its event and its end were one commit.
        return;
    }
    let settled = control.store.settle_message(id, message.tries, outcome, now).await;
    if let Err(error) = settled {
        control.health.note(&error);
        tracing::warn!(message = %id, %error, "what came of a message is not stored: it is sent again");
    }
}

fn is_inside(target: &Target) -> bool {
    target.kind == effects::EVENTS || target.kind == settings::FUNCTION
}

async fn send(control: &Control, message: &Message) -> Result<(), Failed> {
    if message.target.kind == effects::EVENTS {
        return inside::to_triggers(control, message).await;
    }
    let outbox = &control.outbox;
    let open = match settings::open(control.sources.secrets(), message) {
        Ok(Open::Function(name)) => return inside::to_function(control, message, &name).await,
        Ok(open) => open,
        // An operator may bring the key back.
        Err(why) => return Err(Failed::again(why)),
    };
    let Some(_place) = outbox.place(&message.target).await else {
        let error = format!("its target was busy with {PER_TARGET} others for {PATIENCE:?}");
        return Err(Failed::again(error));
    };
    let leaving = Leaving::read(&message.body).map_err(Failed::Never)?;
    let now = control.clock.now();
    match open {
        Open::Function(_) => Ok(()),
        Open::Http { endpoint, secret } => {
            outbox.http.post(&endpoint, &secret, &leaving, now).await
        }
        Open::RabbitMq { address, exchange, routing_key } => {
            let key = key(&message.target);
            let rabbitmqs = &outbox.rabbitmqs;
            rabbitmqs.publish(&key, &address, exchange, routing_key, &leaving, now).await
        }
    }
}

/// What the ledger shall say of a try. Pure.
fn outcome(
    message: &Message,
    tried: Result<(), Failed>,
    now: Timestamp,
    chance: u128,
) -> MessageOutcome {
    let (error, asked) = match tried {
        Ok(()) => return MessageOutcome::Sent,
        Err(Failed::Never(error)) => return MessageOutcome::GaveUp { error },
        Err(Failed::Again { error, asked }) => (error, asked),
    };
    match backoff::again(now.since(message.created_at), asked, chance) {
        Some(wait) => MessageOutcome::RetryAt { at: now.plus(wait), error },
        None => {
            let hours = limits::MESSAGE_AGE.as_secs() / 3_600;
            MessageOutcome::GaveUp { error: format!("not taken for {hours} h; at last: {error}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::{FunctionId, InvocationId, MessageId, Project};
    use store::Purpose;

    use super::*;

    fn target(settings: &str) -> Target {
        Target { kind: "http".into(), settings: settings.into(), sealed: None }
    }

    fn of(tried: Result<(), Failed>, age: Duration) -> MessageOutcome {
        let created_at = Timestamp::from_millis(1_000);
        let message = Message {
            id: MessageId::from_bytes([1; 16]),
            project: Project::parse("p").unwrap(),
            function: FunctionId::from_bytes([1; 16]),
            invocation: InvocationId::from_bytes([1; 16]),
            purpose: Purpose::Destination,
            target: target("{}"),
            body: Bytes::new(),
            created_at,
            tries: 1,
        };
        outcome(&message, tried, created_at.plus(age), 0)
    }

    #[test]
    fn a_message_is_tried_again_for_a_day_unless_that_is_of_no_use() {
        let minute = Duration::from_secs(60);
        assert_eq!(of(Ok(()), minute), MessageOutcome::Sent);
        let never = Failed::Never("no".into());
        assert_eq!(of(Err(never), minute), MessageOutcome::GaveUp { error: "no".into() });
        let again = || Err(Failed::again("down"));
        let at = Timestamp::from_millis(1_000).plus(2 * minute);
        assert_eq!(of(again(), minute), MessageOutcome::RetryAt { at, error: "down".into() });
        let MessageOutcome::GaveUp { error } = of(again(), limits::MESSAGE_AGE) else { panic!() };
        assert_eq!(error, "not taken for 24 h; at last: down");
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_has_few_places_and_others_have_their_own() {
        let outbox = Outbox::new(false);
        let (slow, other) = (target("slow"), target("other"));
        let mut taken = Vec::new();
        for _ in 0..PER_TARGET {
            taken.push(outbox.place(&slow).await.unwrap());
        }
        assert!(outbox.place(&slow).await.is_none(), "it goes back to the ledger");
        assert!(outbox.place(&other).await.is_some());
        taken.pop();
        assert!(outbox.place(&slow).await.is_some());
    }
}
