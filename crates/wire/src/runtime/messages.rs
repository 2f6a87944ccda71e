//! What each kind of frame says, as types; and the frames of a shim, checked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::frame::{Frame, FrameError, Kind};

/// The most that a call may answer. The shim refuses more in a function's name; a frame that
/// carries more was not made by the shim.
pub const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// A trace has at most 65 lines where the shim made it. Who writes frames by hand gets no more.
const MAX_TRACE_LINES: usize = 65;

/// The metadata of one kind of frame.
pub trait Message: Serialize {
    const KIND: Kind;
}

/// Which function to load, and all that it is told about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init<'a> {
    #[serde(borrow)]
    pub function: Cow<'a, str>,
    pub version: Cow<'a, str>,
    pub project: Cow<'a, str>,
    /// `module.function`, `folder/module.function` or `folder.module.function`.
    pub handler: Cow<'a, str>,
    pub memory_mib: u32,
    pub env: Cow<'a, BTreeMap<String, String>>,
    /// Where the package is mounted.
    pub task_root: Cow<'a, str>,
    pub log_group: Cow<'a, str>,
    pub log_stream: Cow<'a, str>,
    pub function_arn: Cow<'a, str>,
}

/// One attempt at one invocation. The payload of its frame is the event; none is read as `{}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Invoke<'a> {
    #[serde(borrow)]
    pub invocation: Cow<'a, str>,
    pub attempt: u32,
    /// Since the epoch. The shim only tells it to the handler; the worker keeps it.
    pub deadline_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Cow<'a, str>>,
    /// As the caller sent it: a JSON object.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub client_context: Option<&'a RawValue>,
    /// A tracing header, shown to the function as `_X_AMZN_TRACE_ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Cow<'a, str>>,
}

/// The interpreter is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Such as `python3.11`.
    pub runtime: String,
    /// As the sandbox counts processes. For people; nothing may rely on it.
    pub pid: u32,
}

/// The handler is imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    pub init_us: u64,
}

/// The handler could not be imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitError {
    pub error_type: String,
    pub error_message: String,
    #[serde(default)]
    pub stack_trace: Vec<String>,
}

/// The handler answered; the payload of the frame is its answer, JSON by the shim's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    pub invocation: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

/// An event that the handler wants sent if it succeeds, as it said it. What is left out is control's
/// to fill in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Effect {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

impl Effect {
    fn parts(&self) -> (&str, [Option<&str>; 4]) {
        let data = self.data.as_deref().map(RawValue::get);
        (&self.kind, [self.source.as_deref(), self.id.as_deref(), self.subject.as_deref(), data])
    }
}

impl PartialEq for Effect {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Effect {}

/// The handler raised, or its answer could not be passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    pub invocation: String,
    pub error_type: String,
    pub error_message: String,
    #[serde(default)]
    pub stack_trace: Vec<String>,
}

impl Message for Init<'_> {
    const KIND: Kind = Kind::Init;
}
impl Message for Invoke<'_> {
    const KIND: Kind = Kind::Invoke;
}
impl Message for Hello {
    const KIND: Kind = Kind::Hello;
}
impl Message for Ready {
    const KIND: Kind = Kind::Ready;
}
impl Message for InitError {
    const KIND: Kind = Kind::InitError;
}
impl Message for Response {
    const KIND: Kind = Kind::Response;
}
impl Message for CallError {
    const KIND: Kind = Kind::Error;
}

/// A frame from a sandbox, as far as it can be checked without knowing what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromShim {
    Hello(Hello),
    Ready(Ready),
    InitError(InitError),
    Response { response: Response, answer: Bytes },
    Error(CallError),
}

impl TryFrom<Frame> for FromShim {
    type Error = FrameError;

    fn try_from(frame: Frame) -> Result<Self, FrameError> {
        let bytes = frame.payload.len();
        let kind = frame.kind;
        if bytes > 0 && kind != Kind::Response {
            return Err(FrameError::UnexpectedPayload { kind, bytes });
        }
        if bytes > MAX_ANSWER_BYTES {
            return Err(FrameError::AnswerTooLong(bytes));
        }
        Ok(match kind {
            Kind::Init | Kind::Invoke => return Err(FrameError::WrongDirection(kind)),
            Kind::Hello => Self::Hello(read(&frame)?),
            Kind::Ready => Self::Ready(read(&frame)?),
            Kind::InitError => {
                let mut error: InitError = read(&frame)?;
                error.stack_trace.truncate(MAX_TRACE_LINES);
                Self::InitError(error)
            }
            Kind::Response => Self::Response { response: read(&frame)?, answer: frame.payload },
            Kind::Error => {
                let mut error: CallError = read(&frame)?;
                error.stack_trace.truncate(MAX_TRACE_LINES);
                Self::Error(error)
            }
        })
    }
}

fn read<T: DeserializeOwned>(frame: &Frame) -> Result<T, FrameError> {
    serde_json::from_slice(&frame.meta)
        .map_err(|source| FrameError::ReadMeta { kind: frame.kind, source })
}
