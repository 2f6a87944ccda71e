//! What control and a worker say to each other.
//!
//! Control hands over a [`Job`] and gets a [`Report`]; in one process that is a method call, on
//! many machines these values cross a socket. A worker keeps nothing: whatever must survive is in
//! the report, and control writes it down.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

pub use crate::runtime::Effect;
use async_trait::async_trait;
use bytes::Bytes;
use model::fault::Fault;
use model::function::Code;
use model::invocation::{LogLine, Start, Timing};
use model::{
    EventId, FunctionId, FunctionName, Handler, InvocationId, Project, RuntimeName, Timestamp,
    TriggerName,
};

/// A version of a function, as far as running it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionSpec {
    pub function: FunctionId,
    pub project: Project,
    pub name: FunctionName,
    pub version: u32,
    pub runtime: RuntimeName,
    pub handler: Handler,
    pub env: BTreeMap<String, String>,
    pub memory_mib: u32,
    pub timeout: Duration,
    pub code: Code,
}

/// One attempt, to be made.
#[derive(Clone, Debug)]
pub struct Job {
    pub invocation: InvocationId,
    pub attempt: u32,
    pub spec: Arc<FunctionSpec>,
    /// JSON: the body of a call, or a CloudEvents record.
    pub payload: Bytes,
    /// Without a sandbox by then, the attempt fails with `Lambent.NoCapacity`. The function's own
    /// timeout begins when its handler does, and no other timer cuts it.
    pub start_by: Timestamp,
    pub event: Option<(EventId, Option<TriggerName>)>,
    /// Takes the lines of an attempt that is still running, so that a long one can be followed.
    pub live_log: Option<Arc<dyn LogSink>>,
}

/// One attempt, made.
#[derive(Clone, Debug)]
pub struct Report {
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// None where no sandbox was had.
    pub start: Option<Start>,
    /// `queued` is control's to fill in.
    pub timing: Timing,
    pub memory_peak_bytes: Option<u64>,
    /// The answer, byte for byte, or what went wrong.
    pub outcome: Result<Bytes, Fault>,
    /// What the handler wants sent, if it succeeded. Not checked here.
    pub effects: Vec<Effect>,
    /// What `live_log` has not been given already.
    pub log: Vec<LogLine>,
    pub log_dropped_bytes: u64,
}

/// Where the lines of a running attempt go. Must not block.
pub trait LogSink: Send + Sync + Debug {
    fn take(&self, invocation: InvocationId, attempt: u32, lines: Vec<LogLine>);
}

/// How a worker stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capacity {
    pub runtimes: Vec<RuntimeName>,
    pub memory_total_mib: u64,
    pub memory_reserved_mib: u64,
    pub sandboxes_idle: u32,
    pub sandboxes_busy: u32,
    /// Made ahead, without code.
    pub sandboxes_pooled: u32,
    /// Attempts that wait for a sandbox.
    pub waiting: u32,
    pub draining: bool,
    /// What isolation lacks here, in sentences; empty where it is whole.
    pub isolation_missing: Vec<String>,
}

/// Somebody who runs attempts: the worker of this process, one on another machine, or a simulated
/// one.
#[async_trait]
pub trait Worker: Send + Sync + Debug {
    /// Makes one attempt. Never fails itself: what goes wrong is in the report.
    async fn run(&self, job: Job) -> Report;

    /// A version was deployed: a worker may fetch and unpack its code ahead. A hint only.
    fn prepare(&self, spec: Arc<FunctionSpec>);

    /// A function was deleted, or has a newer version than `keep`: idle sandboxes of older ones go.
    fn forget(&self, function: FunctionId, keep: Option<u32>);

    fn capacity(&self) -> Capacity;

    /// Takes no more jobs, lets running ones end, then removes every sandbox.
    async fn drain(&self);
}
