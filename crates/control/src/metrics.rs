//! What control counts: the names are a contract with dashboards, so they stand in one place.
//!
//! `accepted`, `succeeded`, `dead` and their kin are counted when the ledger has committed the
//! fact, so they add up with what the ledger says.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram};
use model::Timestamp;
use model::invocation::Status;
use store::{Counts, Message, MessageOutcome, Purpose};

/// Says what each metric means; called once at start.
pub fn describe() {
    describe_counter!("lambent_events_accepted_total", "Events stored and acknowledged");
    describe_counter!("lambent_events_duplicate_total", "Events that were stored before");
    describe_counter!("lambent_events_refused_total", "Events not accepted, by code");
    describe_counter!("lambent_invocations_total", "Invocations that ended, by status and origin");
    describe_counter!("lambent_attempts_total", "Attempts that ended, by outcome code");
    describe_counter!("lambent_retries_total", "Attempts that were followed by another");
    describe_counter!(
        "lambent_redelivered_total",
        "Attempts interrupted by the end of their process"
    );
    describe_counter!("lambent_throttled_total", "Calls refused because of a concurrency limit");
    describe_counter!(
        "lambent_call_records_lost_total",
        "Calls that were answered and could not be recorded"
    );
    describe_histogram!(
        "lambent_queue_wait_seconds",
        Unit::Seconds,
        "From due to leased, of events"
    );
    describe_histogram!(
        "lambent_call_seconds",
        Unit::Seconds,
        "Synchronous calls, from request to answer"
    );
    sources();
    messages();
    describe_gauge!("lambent_invocations_waiting", "Invocations that wait for an attempt");
    describe_gauge!("lambent_invocations_running", "Invocations that are leased");
    describe_gauge!("lambent_dead_letters", "Dead letters in the ledger");
    describe_gauge!("lambent_damaged_rows", "Damaged rows of the ledger that were met");
    describe_gauge!(
        "lambent_oldest_unprocessed_seconds",
        Unit::Seconds,
        "Age of the oldest invocation that waits"
    );
}

/// What goes out because invocations ended.
fn messages() {
    describe_counter!(
        "lambent_messages_total",
        "Tries to send a message, by purpose, kind of target and outcome"
    );
    describe_counter!("lambent_loops_stopped_total", "Messages given up for leading in a circle");
    describe_gauge!("lambent_messages_waiting", "Messages that wait in the outbox");
    describe_histogram!(
        "lambent_message_delivery_seconds",
        Unit::Seconds,
        "From an outcome's commit until its message was taken"
    );
}

/// Counted in `crate::sources::state`, with the labels of each source.
fn sources() {
    describe_counter!("lambent_source_messages_total", "Messages that came, redeliveries included");
    describe_counter!("lambent_source_events_total", "Events of sources that were stored");
    describe_counter!("lambent_source_duplicates_total", "Events that had been stored before");
    describe_counter!("lambent_source_refused_total", "Messages put into the dead-letter queue");
    describe_counter!("lambent_source_dropped_total", "Messages that were not for this source");
    describe_counter!("lambent_source_redelivered_total", "Messages that had come before");
    describe_counter!("lambent_source_reconnects_total", "Connections after the first");
    describe_counter!("lambent_source_skipped_total", "Ticks of schedules that were left out");
    describe_gauge!("lambent_source_connected", "Whether the source is connected and stores");
    describe_gauge!("lambent_source_lag", "Messages that wait, at the broker or here");
    describe_gauge!(
        "lambent_source_oldest_unprocessed_seconds",
        Unit::Seconds,
        "Age of the oldest message that was received and is not stored yet"
    );
}

pub(crate) fn accepted(events: usize, duplicates: usize) {
    counter!("lambent_events_accepted_total").increment(events as u64);
    if duplicates > 0 {
        counter!("lambent_events_duplicate_total").increment(duplicates as u64);
    }
}

pub(crate) fn event_refused(code: &'static str) {
    counter!("lambent_events_refused_total", "code" => code).increment(1);
}

pub(crate) fn ended(status: Status, origin: &'static str) {
    let status = wire::http::invocations::status_word(status);
    counter!("lambent_invocations_total", "status" => status, "origin" => origin).increment(1);
}

/// Codes of our own are counted by name; a function's exceptions are one, since their names are
/// the user's and there is no end of them.
pub(crate) fn attempt(fault: Option<&model::Fault>) {
    let code = match fault {
        None => "ok".to_owned(),
        Some(fault) if fault.code.contains('.') => fault.code.clone(),
        Some(_) => "Function.Exception".to_owned(),
    };
    counter!("lambent_attempts_total", "code" => code).increment(1);
}

pub(crate) fn retried() {
    counter!("lambent_retries_total").increment(1);
}

pub(crate) fn redelivered(count: u64) {
    counter!("lambent_redelivered_total").increment(count);
}

pub(crate) fn throttled() {
    counter!("lambent_throttled_total").increment(1);
}

pub(crate) fn call_record_lost() {
    counter!("lambent_call_records_lost_total").increment(1);
}

pub(crate) fn message(message: &Message, outcome: &MessageOutcome, now: Timestamp) {
    let purpose = match message.purpose {
        Purpose::Destination => "destination",
        Purpose::Effect => "effect",
    };
    let outcome = match outcome {
        MessageOutcome::Sent => {
            histogram!("lambent_message_delivery_seconds").record(now.since(message.created_at));
            "sent"
        }
        MessageOutcome::RetryAt { .. } => "retried",
        MessageOutcome::GaveUp { .. } => "gave_up",
    };
    let kind = message.target.kind.clone();
    counter!("lambent_messages_total", "purpose" => purpose, "kind" => kind, "outcome" => outcome)
        .increment(1);
}

pub(crate) fn loop_stopped() {
    counter!("lambent_loops_stopped_total").increment(1);
}

pub(crate) fn queue_wait(wait: Duration) {
    histogram!("lambent_queue_wait_seconds").record(wait);
}

pub(crate) fn call(took: Duration) {
    histogram!("lambent_call_seconds").record(took);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts stay far below 2^53")]
pub(crate) fn ledger(counts: &Counts, oldest: Duration) {
    metrics::gauge!("lambent_invocations_waiting").set((counts.queued + counts.retrying) as f64);
    metrics::gauge!("lambent_invocations_running").set(counts.running as f64);
    metrics::gauge!("lambent_messages_waiting").set(counts.messages_waiting as f64);
    metrics::gauge!("lambent_dead_letters").set(counts.dead as f64);
    metrics::gauge!("lambent_damaged_rows").set(counts.damaged_rows as f64);
    metrics::gauge!("lambent_oldest_unprocessed_seconds").set(oldest.as_secs_f64());
}
