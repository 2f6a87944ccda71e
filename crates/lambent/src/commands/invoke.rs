//! `lambent invoke NAME`: the function's answer, byte for byte and nothing else, on the standard
//! output; its error, with the trace and the end of its log, on the standard error.

use std::fmt::Write as _;

use bytes::Bytes;
use clap::Args;
use model::limits::CALL_BYTES;
use wire::client::{Answer, Call, Called};
use wire::http::invocations::{Fault, LogLine};
use wire::http::list::PageQuery;
use wire::http::problem::Problem;

use super::pages::collect;
use super::screen::{Colour, Paint, clean};
use super::{Failure, Session, values};

/// Lines of the log that are shown with an error: what fits a terminal beside it.
const LOG_TAIL: usize = 20;

#[derive(Clone, Debug, Args)]
pub struct Invoke {
    /// The function
    pub name: String,
    /// The event that the function gets: JSON, @FILE, or - for the standard input
    #[arg(short, long, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    pub data: String,
    /// Do not wait: print the invocation's id as soon as the call is stored
    #[arg(long = "async")]
    pub is_async: bool,
    /// Calls with the same key within 24 hours are one call, with one answer
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// The version to run instead of the latest
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
}

impl Invoke {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let body = Bytes::from(values::data(&self.data, CALL_BYTES)?);
        let (version, idempotency_key) = (self.version, self.idempotency_key);
        let call = Call { body, version, idempotency_key };
        if self.is_async {
            let accepted = session.client.call_async(&self.name, call).await?;
            return session.answer(&accepted, |it| format!("{}\n", it.invocation_id));
        }
        let called = session.client.call(&self.name, call).await?;
        let Some(code) = &called.function_error else {
            return session.bytes(&called.body);
        };
        if session.is_json() {
            session.json(&called.body)?;
        }
        session.flush()?;
        let (fault, log) = circumstances(session, &called, code).await;
        let paint = Paint::for_stderr();
        let report = report(&self.name, &called, &fault, &log, paint);
        Err(Failure::Function { report })
    }
}

/// What the service has on record about the failed call. The failure itself is known; if its
/// circumstances cannot be had, it is told without them.
async fn circumstances(
    session: &Session,
    called: &Called,
    code: &str,
) -> (Fault, Vec<Answer<LogLine>>) {
    // The answer to a failed call is a problem with the function's own code and frames.
    let fault = match serde_json::from_slice::<Problem>(&called.body) {
        Ok(it) => Fault {
            code: it.reason.unwrap_or_else(|| code.into()),
            message: it.detail,
            blame: "function".into(),
            trace: it.trace,
        },
        Err(_not_a_problem) => Fault {
            code: code.into(),
            message: String::from_utf8_lossy(&called.body).into_owned(),
            blame: "function".into(),
            trace: Vec::new(),
        },
    };
    let Some(id) = &called.invocation_id else { return (fault, Vec::new()) };
    let ask = async |page: PageQuery| session.client.invocation_log(id, &page).await;
    let log = collect(None, ask).await.map(|log| log.items).unwrap_or_default();
    (fault, log)
}

fn report(
    name: &str,
    called: &Called,
    fault: &Fault,
    log: &[Answer<LogLine>],
    paint: Paint,
) -> String {
    let code = paint.paint(Colour::Red, clean(&fault.code));
    let mut text = format!("{name} failed: {code}: {}", clean(&fault.message));
    let mut line = |line: &str| write!(text, "\n{line}").expect("a String takes every write");
    for frame in fault.trace.iter().flat_map(|frame| frame.trim_end().lines()) {
        line(&format!("  {}", clean(frame)));
    }
    let tail = &log[log.len().saturating_sub(LOG_TAIL)..];
    if !tail.is_empty() {
        let all = if tail.len() < log.len() {
            format!(", the last {LOG_TAIL} lines")
        } else {
            String::new()
        };
        line(&paint.paint(Colour::Dim, format!("log{all}:")));
        for Answer { value: it, .. } in tail {
            line(&format!("  {}", clean(&it.text)));
        }
    }
    if let Some(id) = &called.invocation_id {
        line(&paint.paint(Colour::Dim, format!("more: lambent explain {id}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_trace_and_the_end_of_its_log() {
        let called = Called {
            invocation_id: Some("i-1".into()),
            function_error: Some("ValueError".into()),
            body: Bytes::new(),
        };
        let fault = Fault {
            code: "ValueError".into(),
            message: "bad\u{7} size".into(),
            blame: "function".into(),
            trace: vec!["File \"hello.py\", line 3, in handler\n".into()],
        };
        let line = |number| {
            let value = LogLine {
                at: "t".into(),
                invocation_id: "i-1".into(),
                attempt: 1,
                stream: "stdout".into(),
                text: format!("line {number}"),
            };
            Answer { json: Bytes::new(), value }
        };
        let log: Vec<_> = (1..=2).map(line).collect();
        assert_eq!(
            report("hello", &called, &fault, &log, Paint::NEVER),
            "hello failed: ValueError: bad\\u{7} size\n  \
             File \"hello.py\", line 3, in handler\n\
             log:\n  line 1\n  line 2\n\
             more: lambent explain i-1"
        );
        let log: Vec<_> = (1..=21).map(line).collect();
        let text = report("hello", &called, &fault, &log, Paint::NEVER);
        assert!(text.contains("log, the last 20 lines:\n  line 2\n"), "{text}");
    }
}
