//! One batch of messages: read, grouped by project, appended; tried again while the store cannot
//! take it, and given up after a while.
//!
//! It says what is to be answered for each message and answers none: the session is the life's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brokers::Message;
use futures_util::future::join_all;
use model::{Clock, Event, EventId, Project, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::http::problem::Problem;

use super::read::{Reader, Verdict};
use super::state::{Report, Tally};

/// A disk that hiccups is over it by then. After that the messages are better off at the broker,
/// where others may take them and where they do not fill our memory.
pub(crate) const HOLD: Duration = Duration::from_secs(10);
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_MOST: Duration = Duration::from_secs(2);

/// Where events go. `Ok` means that they are committed.
#[async_trait]
pub(crate) trait Ledger: Send + Sync + std::fmt::Debug {
    /// Stores events of one project, all or none; answers how many had been stored before.
    async fn store(&self, project: &Project, events: Vec<Event>) -> Result<u64, Problem>;
    /// Whether something could be stored now.
    async fn is_open(&self) -> Result<(), Problem>;
}

/// What to say to the broker about a batch.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Everything is stored, except for what has to be refused: by index, with the reason.
    Done { refused: Vec<(usize, String)>, tally: Tally },
    /// Not all of it could be stored.
    Unstored { why: String },
}

/// Events of one project, and the messages they came in.
struct Part {
    project: Project,
    events: Vec<(usize, Event)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) reader: Arc<Reader>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) report: Arc<Report>,
}

impl Store {
    /// Ends when it is done, when [`HOLD`] is over, or soon after `quit`.
    pub(crate) async fn store(&self, messages: Arc<[Message]>, quit: CancellationToken) -> Outcome {
        let mut refused = Vec::new();
        let mut tally = Tally::default();
        let mut parts = self.read(&messages, &mut refused, &mut tally);
        let (mut failing_since, mut again) = (None, AGAIN_FIRST);
        loop {
            let why = self.append(&mut parts, &mut refused, &mut tally).await;
            let Some(problem) = why else { break };
            if parts.iter().any(|part| part.events.is_empty()) {
                parts.retain(|part| !part.events.is_empty());
            }
            let since = *failing_since.get_or_insert_with(Instant::now);
            let why = format!("cannot store events: {}", problem.detail);
            if quit.is_cancelled() || since.elapsed() >= HOLD {
                return Outcome::Unstored { why };
            }
            if self.report.failing(self.clock.now(), &why) {
                tracing::warn!(source = %self.reader.queue, "{why}; it is tried again");
            }
            tokio::select! {
                () = quit.cancelled() => return Outcome::Unstored { why },
                () = tokio::time::sleep(again) => {}
            }
            again = (again * 2).min(AGAIN_MOST);
        }
        if failing_since.is_some() {
            self.report.recovered(self.clock.now());
        }
        refused.sort_unstable();
        refused.dedup_by_key(|(index, _)| *index);
        tally.refused = refused.len() as u64;
        Outcome::Done { refused, tally }
    }

    fn read(
        &self,
        messages: &[Message],
        refused: &mut Vec<(usize, String)>,
        tally: &mut Tally,
    ) -> Vec<Part> {
        let received: Timestamp = self.clock.now();
        let mut by_project: BTreeMap<Project, Vec<(usize, Event)>> = BTreeMap::new();
        for (index, message) in messages.iter().enumerate() {
            let fallback_id = match &message.message_id {
                Some(id) if !id.is_empty() => String::new(),
                _ => EventId::new(&*self.clock).to_string(),
            };
            match self.reader.read(message, &fallback_id, received) {
                Verdict::Store(events) => {
                    for (project, event) in events {
                        by_project.entry(project).or_default().push((index, event));
                    }
                }
                Verdict::Drop => tally.dropped += 1,
                Verdict::Refuse(why) => refused.push((index, why)),
            }
        }
        by_project.into_iter().map(|(project, events)| Part { project, events }).collect()
    }

    /// Stores what can be; what is left in `parts` could not, for the problem that is returned.
    async fn append(
        &self,
        parts: &mut Vec<Part>,
        refused: &mut Vec<(usize, String)>,
        tally: &mut Tally,
    ) -> Option<Problem> {
        let mut left = Vec::new();
        let mut problem = None;
        while !parts.is_empty() {
            let storing = parts.iter().map(|part| {
                let events = part.events.iter().map(|(_, event)| event.clone()).collect();
                self.ledger.store(&part.project, events)
            });
            let answers = join_all(storing).await;
            for (part, answer) in std::mem::take(parts).into_iter().zip(answers) {
                match answer {
                    Ok(duplicates) => {
                        tally.duplicates += duplicates;
                        tally.events += (part.events.len() as u64).saturating_sub(duplicates);
                    }
                    // It is the events' fault: find out which.
                    Err(why) if (400..500).contains(&why.status) && why.status != 429 => {
                        parts.extend(blame(part, &why, refused));
                    }
                    Err(why) => {
                        left.push(part);
                        problem = Some(why);
                    }
                }
            }
        }
        *parts = left;
        problem
    }
}

/// Message by message, if there are several; the one at fault is refused.
fn blame(part: Part, why: &Problem, refused: &mut Vec<(usize, String)>) -> Vec<Part> {
    let mut by_message: BTreeMap<usize, Vec<(usize, Event)>> = BTreeMap::new();
    for (index, event) in part.events {
        by_message.entry(index).or_default().push((index, event));
    }
    if by_message.len() < 2 {
        let reason = format!("{}: {}", why.code, why.detail);
        refused.extend(by_message.into_keys().map(|index| (index, reason.clone())));
        return Vec::new();
    }
    let one = |events| Part { project: part.project.clone(), events };
    by_message.into_values().map(one).collect()
}
