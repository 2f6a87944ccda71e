//! Errors of the HTTP API: problem+json (RFC 9457) with a stable `code`.
//!
//! `code` is for programs and never changes; `detail` is a sentence for people: what was attempted,
//! with which value, why it failed, what to do. [`Code`] is the list of them all, with the status
//! that each is answered with, and `docs/reference/errors.md` is made from it.

use model::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of an error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI reference that identifies the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors#invalid_value")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    pub status: u16,
    /// Stable: test for this.
    #[schema(example = "invalid_value")]
    pub code: String,
    /// What went wrong here, as sentences.
    pub detail: String,
    /// The field or the entry that is at fault, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A finer code of the part that refused: of a package, an event, a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where the function failed: its own frames, innermost last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// Seconds after which it is worth trying again (also in the header `Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $status:literal, $meaning:literal;)*) => {
        /// Every code of the API.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that it is answered with.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What it means, for the reference.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidValue = "invalid_value", 400, "A name, a setting or a parameter is not valid; `field` names it.";
    InvalidJson = "invalid_json", 400, "The body is not one JSON document, or is nested too deep.";
    InvalidEvent = "invalid_event", 400, "The event is not a CloudEvent; `reason` has the finer code.";
    InvalidPattern = "invalid_pattern", 400, "The trigger's pattern is not valid; `reason` has the finer code.";
    InvalidPackage = "invalid_package", 400, "The uploaded code cannot be accepted; `reason` has the finer code.";
    InvalidUpload = "invalid_upload", 400, "The multipart body of a deploy is malformed or incomplete.";
    UnknownRuntime = "unknown_runtime", 400, "This service does not have the runtime; `GET /v1/workers` lists those it has.";
    InvalidCursor = "invalid_cursor", 400, "The cursor is not one that this list gave.";
    Unauthorized = "unauthorized", 401, "No API key, or one that is not known; of a webhook, a signature that is missing or wrong (`reason`).";
    Forbidden = "forbidden", 403, "This service does not let a project do that; `detail` says who can allow it.";
    NotFound = "not_found", 404, "There is nothing of this name or id in this project, or no such path.";
    MethodNotAllowed = "method_not_allowed", 405, "The path exists, and does not take this method.";
    NotADeadLetter = "not_a_dead_letter", 409, "Only a dead letter can be redriven.";
    CallInterrupted = "call_interrupted", 409, "An earlier call with this idempotency key began and its end is not known; it may have run.";
    TooManyTriggers = "too_many_triggers", 409, "The function has as many triggers as it may.";
    TooManySources = "too_many_sources", 409, "The project has as many sources as it may.";
    TooManyReplays = "too_many_replays", 409, "The project runs as many replays as it may.";
    BodyTooLarge = "body_too_large", 413, "The body is larger than this operation takes; `detail` has the limit.";
    UnsupportedMediaType = "unsupported_media_type", 415, "The content type is not one that this operation takes.";
    KeyReused = "idempotency_key_reused", 422, "The idempotency key was used before with another body.";
    TooManyRequests = "too_many_requests", 429, "The function or the project runs as many attempts as it may; try again after `Retry-After`.";
    NoCapacity = "no_capacity", 429, "The machine has no room for another sandbox at the moment; try again after `Retry-After`.";
    HeadersTooLarge = "headers_too_large", 431, "The request's header fields are larger than accepted.";
    Internal = "internal", 500, "The service failed; its log says how.";
    FunctionFailed = "function_failed", 502, "The function ran and failed: `reason` has the error's code, `detail` its message, `trace` its frames.";
    FunctionTimedOut = "function_timed_out", 504, "The function ran longer than its timeout and was ended.";
    SandboxFailed = "sandbox_failed", 502, "The sandbox could not be made or died for a reason of the platform's; the call may be tried again.";
    Draining = "draining", 503, "The service is shutting down or starting; try another node, or again.";
    Overloaded = "overloaded", 503, "Too many requests wait for the disk; try again after `Retry-After`.";
    StorageFull = "storage_full", 507, "The disk is full: nothing was accepted. It goes on by itself when there is space.";
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/docs/errors#{}", code.as_str()),
            title: title(code.status()).into(),
            status: code.status(),
            code: code.as_str().into(),
            detail: detail.into(),
            field: None,
            reason: None,
            trace: Vec::new(),
            retry_after_s: None,
        }
    }

    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::new(Code::InvalidValue, format!("{invalid}.")).field(invalid.field)
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        504 => "Gateway Timeout",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Internal Server Error",
    }
}
