//! An invocation as text. Pure: the same record gives the same text.
//!
//! First what it is and how it stands; then every change of its state with its reason and how long
//! it lasted; then each attempt with where its time went, its error and its log.

mod messages;

use std::fmt::Write as _;

use wire::http::invocations::{
    Attempt, BatchPart, Fault, Invocation, InvocationDetail, LogLine, Timeline, Transition,
};

use crate::commands::screen::{Colour, Paint, clean, status_colour};
use crate::commands::time::{between, size, span};

/// Cells of an attempt's bar.
const BAR: usize = 40;

/// `ahead` is what a held one waits for, if that is known.
pub(super) fn render(
    detail: &InvocationDetail,
    log: &[LogLine],
    ahead: Option<&str>,
    paint: Paint,
) -> String {
    let mut page = Page { text: String::new(), paint };
    page.summary(detail, ahead);
    page.timeline(detail);
    for attempt in &detail.attempt_list {
        page.attempt(attempt, &detail.invocation.id, log);
    }
    page.rest_of_log(detail, log);
    page.outcome(detail);
    page.messages(&detail.messages);
    page.text
}

struct Page {
    text: String,
    paint: Paint,
}

impl Page {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{}", line.trim_end()).expect("a String takes every write");
    }

    fn field(&mut self, name: &str, value: &str) {
        let name = self.paint.paint(Colour::Dim, format!("{name:<10}"));
        self.line(&format!("  {name}{}", clean(value)));
    }

    fn heading(&mut self, text: &str) {
        let text = self.paint.paint(Colour::Bold, text);
        self.line("");
        self.line(&text);
    }

    fn summary(&mut self, detail: &InvocationDetail, ahead: Option<&str>) {
        let it = &detail.invocation;
        let heading = self.paint.paint(Colour::Bold, format!("invocation {}", it.id));
        self.line(&heading);
        let version = it.version.map(|number| format!(", version {number}")).unwrap_or_default();
        self.field("function", &format!("{}{version}", it.function));
        self.field("because", &because(it));
        let attempts = match it.attempts {
            0 => "before its first attempt".into(),
            1 => "1 attempt".into(),
            many => format!("{many} attempts"),
        };
        let status = self.paint.paint(status_colour(&it.status), &it.status);
        let name = self.paint.paint(Colour::Dim, format!("{:<10}", "status"));
        self.line(&format!("  {name}{status}, {attempts}"));
        if let Some(key) = &it.ordering_key {
            self.field("order", &order(it.held, key, ahead));
        }
        self.field("created", &it.created_at);
        let took = it.ended_at.as_ref().and_then(|ended| between(&it.created_at, ended));
        if let Some(took) = took {
            self.field("took", &span(took));
        }
        if let (Some(due), None) = (&it.due_at, &it.ended_at) {
            self.field("next", &format!("an attempt, not before {due}"));
        }
    }

    /// Every change, when it happened counted from the first, how long the state lasted, and why
    /// it came to be.
    fn timeline(&mut self, detail: &InvocationDetail) {
        let Some(first) = detail.transitions.first() else { return };
        self.heading("Timeline");
        let next = detail.transitions.iter().skip(1).map(Some).chain([None]);
        for (change, next) in detail.transitions.iter().zip(next) {
            let at = between(&first.at, &change.at).unwrap_or(0.0);
            let lasted = next.and_then(|next| between(&change.at, &next.at));
            let status = format!("{:<9}", clean(&change.status));
            let status = self.paint.paint(status_colour(&change.status), status);
            let line =
                format!("  {:>12}  {status}  {}", format!("+{}", span(at)), reason(change, lasted));
            self.line(&line);
        }
    }

    fn attempt(&mut self, attempt: &Attempt, invocation: &str, log: &[LogLine]) {
        let Timeline { queued_ms, placed_ms, sandbox_ms, init_ms, run_ms } = attempt.timeline;
        let all = queued_ms + placed_ms + sandbox_ms + init_ms + run_ms;
        let outcome = match &attempt.error {
            None => "succeeded".into(),
            Some(error) => format!("failed: {}", clean(&error.code)),
        };
        let start = match attempt.start.as_deref() {
            None => "no sandbox",
            Some("warm") => "a warm sandbox",
            Some("pool") => "a sandbox made ahead",
            Some(_) => "a fresh sandbox",
        };
        self.heading(&format!("Attempt {} {outcome}", attempt.number));
        self.field("ran", &format!("version {} in {start}, {} in all", attempt.version, span(all)));
        let phases = [
            ("queued", queued_ms, "for its turn"),
            ("placed", placed_ms, "for room on the worker"),
            ("sandbox", sandbox_ms, "making the sandbox"),
            ("init", init_ms, "loading the code"),
            ("run", run_ms, "in the handler"),
        ];
        if let Some(batch) = &attempt.batch {
            self.field("batch", &company(batch, invocation));
        }
        let mut before = 0.0;
        for (name, ms, what) in phases {
            let bar = self.paint.paint(Colour::Blue, bar(before, ms, all));
            before += ms;
            let dim = self.paint.paint(Colour::Dim, format!("{name:<10}"));
            self.line(&format!("  {dim}{bar}  {:>9}  {what}", span(ms)));
        }
        let memory =
            attempt.memory_peak_bytes.map(|bytes| format!(", {} of memory at most", size(bytes)));
        self.field("billed", &format!("{} ms{}", attempt.billed_ms, memory.unwrap_or_default()));
        if let Some(error) = &attempt.error {
            self.error(error);
        }
        let lines = log.iter().filter(|line| line.attempt == attempt.number);
        self.log(&attempt.started_at, lines);
        if attempt.log_dropped_bytes > 0 {
            let dropped = size(attempt.log_dropped_bytes);
            self.field("", &format!("({dropped} more were written, beyond the limit of a log)"));
        }
    }

    fn error(&mut self, error: &Fault) {
        let blame = if error.blame == "platform" { " (not the function's fault)" } else { "" };
        let code = self.paint.paint(Colour::Red, clean(&error.code));
        let name = self.paint.paint(Colour::Dim, format!("{:<10}", "error"));
        let message = clean(&error.message).replace('\n', "\n            ");
        self.line(&format!("  {name}{code}: {message}{blame}"));
        for frame in error.trace.iter().flat_map(|frame| frame.trim_end().lines()) {
            self.line(&format!("            {}", clean(frame)));
        }
    }

    fn log<'a>(&mut self, from: &str, lines: impl Iterator<Item = &'a LogLine>) {
        for (index, line) in lines.enumerate() {
            let name = if index == 0 { "log" } else { "" };
            let at = between(from, &line.at).map(|ms| format!("+{}", span(ms))).unwrap_or_default();
            let at = self.paint.paint(Colour::Dim, format!("{at:>10}"));
            let stream = match line.stream.as_str() {
                "stdout" => String::new(),
                other => format!("{other}: "),
            };
            let name = self.paint.paint(Colour::Dim, format!("{name:<10}"));
            self.line(&format!("  {name}{at}  {stream}{}", clean(&line.text)));
        }
    }

    /// Lines of an attempt that has not ended.
    fn rest_of_log(&mut self, detail: &InvocationDetail, log: &[LogLine]) {
        let ended = |number| detail.attempt_list.iter().any(|attempt| attempt.number == number);
        let rest: Vec<_> = log.iter().filter(|line| !ended(line.attempt)).collect();
        if let Some(first) = rest.first() {
            self.heading(&format!("Attempt {} has not ended", first.attempt));
            self.log(&first.at, rest.iter().copied());
        }
    }

    fn outcome(&mut self, detail: &InvocationDetail) {
        if let Some(result) = &detail.result {
            self.heading("Answer");
            self.line(&format!("  {}", clean(result.get())));
        } else if let (Some(bytes), "succeeded") =
            (detail.invocation.result_bytes, detail.invocation.status.as_str())
        {
            self.heading("Answer");
            self.line(&format!("  {}, not kept", size(bytes)));
        }
    }
}

fn order(held: bool, key: &str, ahead: Option<&str>) -> String {
    match (held, ahead) {
        (false, _) => format!("ordering key {key:?}"),
        (true, Some(ahead)) => format!("held behind {ahead} (ordering key {key:?})"),
        (true, None) => format!("held behind an earlier one (ordering key {key:?})"),
    }
}

fn company(batch: &BatchPart, invocation: &str) -> String {
    match (batch.size, batch.first_invocation_id.as_str()) {
        (1, _) => "of 1".into(),
        (size, first) if first == invocation => {
            format!("of {size}, with {} more; this is its first", size - 1)
        }
        (size, first) => format!("of {size}; its log and its answer are those of {first}"),
    }
}

fn because(it: &Invocation) -> String {
    let replay = it.replay_id.as_ref().map(|id| format!(", in replay {id}")).unwrap_or_default();
    match (it.origin.as_str(), &it.event_id, &it.trigger) {
        ("call", ..) => "of a call that waited for the answer".into(),
        ("async_call", ..) => "of a call that did not wait".into(),
        (_, Some(event), Some(trigger)) => {
            format!("trigger {trigger} matched event {event}{replay}")
        }
        (_, Some(event), None) => format!("of event {event}{replay}"),
        (origin, None, _) => format!("of {origin}{replay}"),
    }
}

/// Why a state came to be, and for a state that is left again, how long it lasted.
fn reason(change: &Transition, lasted: Option<f64>) -> String {
    let attempt = match (change.status.as_str(), change.attempt) {
        ("running", number) => format!("attempt {number}"),
        _ => String::new(),
    };
    let lasted = lasted.map(|ms| match change.status.as_str() {
        "running" => format!("for {}", span(ms)),
        _ => format!("waited {}", span(ms)),
    });
    let reason = match change.reason.strip_prefix("BatchSplit") {
        Some(rest) => clean(&format!("its batch failed and is tried again in halves{rest}")),
        None => clean(&change.reason),
    };
    let parts = [attempt, reason, lasted.unwrap_or_default()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

/// A phase's share of the whole, where it lies in it. A phase that took any time is at least seen.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a cell of a bar; a cast of a float saturates"
)]
fn bar(before: f64, ms: f64, all: f64) -> String {
    let cell = |at: f64| ((at / all * BAR as f64).round() as usize).min(BAR);
    if ms <= 0.0 || all <= 0.0 {
        return "·".repeat(BAR);
    }
    let from = cell(before).min(BAR - 1);
    let to = cell(before + ms).max(from + 1);
    format!("{}{}{}", "·".repeat(from), "█".repeat(to - from), "·".repeat(BAR - to))
}

#[cfg(test)]
mod tests;
