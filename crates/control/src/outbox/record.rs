//! What a destination is told of an invocation that ended: the record that AWS Lambda sends, in its
//! version 1.0, as the data of an event. Pure.
//!
//! The whole is an event and may be as large as one. Where it would be larger, or nested deeper than
//! an event may be, first the answer and then the event that was run are left out, and `omitted` says
//! which; so is an answer that the ledger does not keep.

use bytes::Bytes;
use model::{Event, FunctionName, InvocationId, MessageId, Timestamp};
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use store::{Next, Settlement};
use wire::cloudevents::Malformed;
use wire::http::rfc3339;

use super::made::{self, Draft};

pub(crate) const SUCCESS: &str = "lambent.destination.success";
pub(crate) const FAILURE: &str = "lambent.destination.failure";

/// What made an invocation run.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) invocation: InvocationId,
    /// The record of an event, or the body of a call.
    pub(crate) payload: Bytes,
    pub(crate) is_event: bool,
}

impl Cause {
    pub(crate) fn hops(&self) -> u32 {
        if self.is_event { made::hops(&self.payload) } else { 0 }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: &'static str,
    timestamp: String,
    request_context: Context<'a>,
    request_payload: Option<&'a RawValue>,
    response_context: Response,
    response_payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    omitted: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    request_id: String,
    function: &'a str,
    version: u32,
    condition: &'a str,
    attempts: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status_code: u16,
    executed_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

/// The source of events that a function makes, unless it says another.
pub(crate) fn source(function: &FunctionName) -> String {
    format!("lambent:function/{function}")
}

/// The event for a destination, if the settlement is an end.
pub(crate) fn event(
    id: MessageId,
    function: &FunctionName,
    cause: &Cause,
    settlement: &Settlement,
) -> Option<Result<Event, Malformed>> {
    let (kind, condition) = match settlement.next {
        Next::Succeeded => (SUCCESS, "Success"),
        Next::GaveUp(reason) => (FAILURE, reason),
        Next::RetryAt(_) | Next::Split { .. } => return None,
    };
    let attempt = &settlement.attempt;
    let request = as_json(&cause.payload);
    let fault = attempt.fault.as_ref().map(|fault| {
        let told = json!({
            "errorMessage": fault.message, "errorType": fault.code, "stackTrace": fault.trace,
        });
        to_raw_value(&told).expect("strings are JSON")
    });
    let answer = settlement.result.as_ref().and_then(as_json);
    let response = fault.or(answer);
    let not_kept = settlement.next == Next::Succeeded && response.is_none();
    let made = |with_request: bool, with_response: bool| {
        let mut omitted = Vec::new();
        if request.is_none() || !with_request {
            omitted.push("requestPayload");
        }
        if not_kept || !with_response {
            omitted.push("responsePayload");
        }
        let record = Record {
            version: "1.0",
            timestamp: rfc3339(attempt.ended_at),
            request_context: Context {
                request_id: settlement.invocation.to_string(),
                function: function.as_str(),
                version: attempt.version,
                condition,
                attempts: attempt.number,
            },
            request_payload: request.as_deref().filter(|_| with_request),
            response_context: Response {
                status_code: 200,
                executed_version: attempt.version.to_string(),
                function_error: attempt.fault.is_some().then_some("Unhandled"),
            },
            response_payload: response.as_deref().filter(|_| with_response),
            omitted,
        };
        let data = to_raw_value(&record).expect("strings, numbers and JSON are JSON");
        finished(id, function, kind, settlement.invocation, attempt.ended_at, cause, &data)
    };
    Some(made(true, true).or_else(|_| made(true, false)).or_else(|_| made(false, false)))
}

fn finished(
    id: MessageId,
    function: &FunctionName,
    kind: &str,
    invocation: InvocationId,
    at: Timestamp,
    cause: &Cause,
    data: &RawValue,
) -> Result<Event, Malformed> {
    let draft = Draft {
        id: &id.to_string(),
        source: &source(function),
        kind,
        subject: Some(&invocation.to_string()),
        at,
        hops: cause.hops() + 1,
        data: Some(data),
    };
    draft.finish()
}

/// It was checked to be JSON when it came.
fn as_json(bytes: &Bytes) -> Option<Box<RawValue>> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use model::invocation::{Attempt, Timing};
    use model::{Fault, limits};
    use serde_json::Value;

    use super::*;

    fn settlement(next: Next, fault: Option<Fault>, result: Option<&str>) -> Settlement {
        Settlement {
            invocation: InvocationId::from_bytes([1; 16]),
            attempt: Attempt {
                number: 3,
                version: 7,
                started_at: Timestamp::from_millis(1_000),
                ended_at: Timestamp::from_millis(2_000),
                start: None,
                timing: Timing::default(),
                memory_peak_bytes: None,
                fault,
                log_dropped_bytes: 0,
                batch: None,
            },
            next,
            result: result.map(|it| Bytes::copy_from_slice(it.as_bytes())),
            result_bytes: None,
            log: Vec::new(),
            send: Vec::new(),
        }
    }

    fn cause(payload: &str) -> Cause {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        Cause { invocation: InvocationId::from_bytes([1; 16]), payload, is_event: true }
    }

    fn told(cause: &Cause, settlement: &Settlement) -> Option<Value> {
        let function = FunctionName::parse("f").unwrap();
        let event = event(MessageId::from_bytes([2; 16]), &function, cause, settlement)?.unwrap();
        Some(serde_json::from_str(&event.record).unwrap())
    }

    #[test]
    fn a_success_is_told_as_aws_tells_it() {
        let cause = cause(r#"{"id":"e","lambenthops":4}"#);
        let told = told(&cause, &settlement(Next::Succeeded, None, Some("[1.50]"))).unwrap();
        assert_eq!(told["type"], SUCCESS);
        assert_eq!(told["source"], "lambent:function/f");
        assert_eq!(told["lambenthops"], 5);
        let id = InvocationId::from_bytes([1; 16]).to_string();
        assert_eq!(
            told["data"],
            json!({
                "version": "1.0",
                "timestamp": "1970-01-01T00:00:02.000000Z",
                "requestContext": {
                    "requestId": id, "function": "f", "version": 7, "condition": "Success",
                    "attempts": 3,
                },
                "requestPayload": {"id": "e", "lambenthops": 4},
                "responseContext": {"statusCode": 200, "executedVersion": "7"},
                "responsePayload": [1.5],
            })
        );
    }

    #[test]
    fn a_failure_is_told_with_its_reason_and_its_error() {
        let fault = Fault::function("ValueError", "no");
        let end = settlement(Next::GaveUp("RetriesExhausted"), Some(fault), None);
        let told = told(&cause("{}"), &end).unwrap();
        assert_eq!(told["type"], FAILURE);
        let data = &told["data"];
        assert_eq!(data["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(data["responseContext"]["functionError"], "Unhandled");
        let error = json!({"errorMessage": "no", "errorType": "ValueError", "stackTrace": []});
        assert_eq!(data["responsePayload"], error);
        assert_eq!(data.get("omitted"), None);
    }

    #[test]
    fn nothing_is_told_of_what_is_not_over() {
        let again = Next::RetryAt(Timestamp::from_millis(9));
        assert_eq!(told(&cause("{}"), &settlement(again, None, None)), None);
        let split = Next::Split { at: Timestamp::from_millis(9), limit: 2 };
        assert_eq!(told(&cause("{}"), &settlement(split, None, None)), None);
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_left_out_and_named() {
        let end = |result| settlement(Next::Succeeded, None, result);
        let gone = told(&cause("{}"), &end(None)).unwrap();
        assert_eq!(gone["data"]["omitted"], json!(["responsePayload"]), "not kept");
        let deep = "[".repeat(limits::JSON_DEPTH) + &"]".repeat(limits::JSON_DEPTH);
        let shallow = told(&cause("{}"), &end(Some(&deep))).unwrap();
        assert_eq!(shallow["data"]["omitted"], json!(["responsePayload"]));
        let large = format!("{:?}", "x".repeat(limits::EVENT_BYTES - 2));
        let small = told(&cause(&large), &end(Some("1"))).unwrap();
        assert_eq!(small["data"]["omitted"], json!(["requestPayload", "responsePayload"]));
        assert_eq!(small["data"]["requestPayload"], Value::Null);
    }
}
