//! How a source stands: what `/v1/sources` tells of it and `/metrics` counts.
//!
//! In memory and of this process: what must survive is in the ledger. The labels of the metrics are
//! the source's kind, project and name, of which there are as many as sources.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Label, counter, gauge};
use model::Timestamp;
use wire::http::rfc3339;
use wire::http::schedules::ScheduleState;
use wire::http::sources::State;

/// What a source does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Connecting,
    Connected,
    /// Something is wrong; it is tried again.
    Failing,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Failing => "failing",
        }
    }
}

/// What became of some messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) events: u64,
    pub(crate) duplicates: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
    pub(crate) redelivered: u64,
}

/// Written by one life, read by whoever asks.
#[derive(Debug)]
pub(crate) struct Report {
    labels: Vec<Label>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    status: Status,
    since: Timestamp,
    error: Option<(Timestamp, String)>,
    tally: Tally,
    connections: u64,
    lag: Option<u64>,
    /// When the oldest message that is held was sent, or came.
    oldest: Option<Timestamp>,
    /// Of a schedule alone.
    schedule: Option<ScheduleState>,
}

impl Report {
    pub(crate) fn new(kind: &str, project: &str, source: &str, now: Timestamp) -> Self {
        let label = |name, value: &str| Label::new(name, value.to_owned());
        let labels = vec![label("kind", kind), label("project", project), label("source", source)];
        let inner = Inner {
            status: Status::Connecting,
            since: now,
            error: None,
            tally: Tally::default(),
            connections: 0,
            lag: None,
            oldest: None,
            schedule: None,
        };
        Self { labels, inner: Mutex::new(inner) }
    }

    pub(crate) fn connected(&self, now: Timestamp) {
        let mut inner = self.lock();
        inner.turn(Status::Connected, now);
        inner.connections += 1;
        if inner.connections > 1 {
            counter!("lambent_source_reconnects_total", self.labels.clone()).increment(1);
        }
        gauge!("lambent_source_connected", self.labels.clone()).set(1.0);
    }

    /// Something went wrong. True if it is not what went wrong before, so that it is told once.
    pub(crate) fn failing(&self, now: Timestamp, error: &str) -> bool {
        let mut inner = self.lock();
        let new = inner.status != Status::Failing
            || inner.error.as_ref().is_none_or(|(_, last)| last != error);
        inner.turn(Status::Failing, now);
        inner.error = Some((now, error.to_owned()));
        gauge!("lambent_source_connected", self.labels.clone()).set(0.0);
        new
    }

    /// What was wrong without the connection's fault is over.
    pub(crate) fn recovered(&self, now: Timestamp) {
        self.lock().turn(Status::Connected, now);
        gauge!("lambent_source_connected", self.labels.clone()).set(1.0);
    }

    pub(crate) fn count(&self, tally: Tally) {
        let counted = {
            let sum = &mut self.lock().tally;
            sum.messages += tally.messages;
            sum.events += tally.events;
            sum.duplicates += tally.duplicates;
            sum.refused += tally.refused;
            sum.dropped += tally.dropped;
            sum.redelivered += tally.redelivered;
            [
                ("lambent_source_messages_total", tally.messages),
                ("lambent_source_events_total", tally.events),
                ("lambent_source_duplicates_total", tally.duplicates),
                ("lambent_source_refused_total", tally.refused),
                ("lambent_source_dropped_total", tally.dropped),
                ("lambent_source_redelivered_total", tally.redelivered),
            ]
        };
        for (name, count) in counted.into_iter().filter(|(_, count)| *count > 0) {
            counter!(name, self.labels.clone()).increment(count);
        }
    }

    /// Messages that wait, where that is known, and the time of the oldest that is held.
    pub(crate) fn measured(&self, lag: Option<u64>, oldest: Option<Timestamp>, now: Timestamp) {
        {
            let mut inner = self.lock();
            inner.lag = lag;
            inner.oldest = oldest;
        }
        #[expect(clippy::cast_precision_loss, reason = "a queue has fewer than 2^53 messages")]
        if let Some(lag) = lag {
            gauge!("lambent_source_lag", self.labels.clone()).set(lag as f64);
        }
        let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        gauge!("lambent_source_oldest_unprocessed_seconds", self.labels.clone())
            .set(age.as_secs_f64());
    }

    /// How far a schedule has come.
    pub(crate) fn ticked(&self, state: ScheduleState) {
        self.lock().schedule = Some(state);
    }

    /// Ticks of a schedule were left out.
    pub(crate) fn skipped(&self, skipped: u64) {
        counter!("lambent_source_skipped_total", self.labels.clone()).increment(skipped);
    }

    /// The source is gone or was changed: its gauges say nothing any more.
    pub(crate) fn ended(&self) {
        for name in [
            "lambent_source_connected",
            "lambent_source_lag",
            "lambent_source_oldest_unprocessed_seconds",
        ] {
            gauge!(name, self.labels.clone()).set(0.0);
        }
    }

    pub(crate) fn shape(&self, now: Timestamp) -> State {
        let inner = self.lock();
        let tally = inner.tally;
        State {
            status: inner.status.as_str().into(),
            since: Some(rfc3339(inner.since)),
            error: inner.error.as_ref().map(|(_, error)| error.clone()),
            error_at: inner.error.as_ref().map(|(at, _)| rfc3339(*at)),
            messages: tally.messages,
            events: tally.events,
            duplicates: tally.duplicates,
            refused: tally.refused,
            dropped: tally.dropped,
            redelivered: tally.redelivered,
            reconnects: inner.connections.saturating_sub(1),
            lag: inner.lag,
            oldest_unprocessed_s: inner
                .oldest
                .map_or(0.0, |oldest| now.since(oldest).as_secs_f64()),
            schedule: inner.schedule.clone(),
        }
    }

    /// What is held is whole after every statement.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn turn(&mut self, status: Status, now: Timestamp) {
        if self.status != status {
            self.status = status;
            self.since = now;
        }
    }
}

/// A source without a life.
pub(crate) fn off() -> State {
    State { status: "off".into(), ..State::default() }
}

/// A source whose life has not begun.
pub(crate) fn waiting() -> State {
    State { status: Status::Connecting.as_str().into(), ..State::default() }
}
