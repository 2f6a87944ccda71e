//! How an attempt can fail, and whose fault that is.
//!
//! The code is a contract: it is what a user's script tests, what metrics count and what
//! `explain` shows. Codes that start with `Runtime.`, `Sandbox.` or `Function.` are AWS's own
//! where AWS has one; an exception's class name is the code of what a handler raised.

/// Who has to act.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Blame {
    /// The function's author: trying again may help, changing nothing else will not.
    Function,
    /// Us, or the machine: the attempt does not count against the function's retries.
    Platform,
}

/// Why an attempt did not succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub blame: Blame,
    /// Stable, such as `Runtime.OutOfMemory` or `ValueError`.
    pub code: String,
    /// A sentence for the person who reads it.
    pub message: String,
    /// The function's own frames, innermost last; empty where there are none.
    pub trace: Vec<String>,
}

impl Fault {
    pub fn function(code: impl Into<String>, message: impl Into<String>) -> Self {
        let (code, message) = (code.into(), message.into());
        Self { blame: Blame::Function, code, message, trace: Vec::new() }
    }

    pub fn platform(code: impl Into<String>, message: impl Into<String>) -> Self {
        let (code, message) = (code.into(), message.into());
        Self { blame: Blame::Platform, code, message, trace: Vec::new() }
    }
}

/// The attempt ran past its deadline.
pub const TIMEOUT: &str = "Sandbox.Timeout";
/// The sandbox could not be made, or died for a reason of ours.
pub const SANDBOX_FAILURE: &str = "Sandbox.Failure";
/// The function's memory limit was met and the kernel ended it.
pub const OUT_OF_MEMORY: &str = "Runtime.OutOfMemory";
/// The function's process ended without an answer.
pub const EXIT: &str = "Runtime.ExitError";
/// Something that is not our protocol came out of the sandbox.
pub const PROTOCOL: &str = "Runtime.ProtocolError";
/// Loading the code took longer than `limits::INIT_TIMEOUT`.
pub const INIT_TIMEOUT: &str = "Runtime.InitTimeout";
/// No room on the machine for another sandbox before the deadline.
pub const NO_CAPACITY: &str = "Lambent.NoCapacity";
/// The handler asked to send something that is no event, or too large for one.
pub const INVALID_EFFECT: &str = "Function.InvalidEffect";
/// The handler asked to send more than one attempt may.
pub const TOO_MANY_EFFECTS: &str = "Function.TooManyEffects";
/// The process that ran the attempt ended before it settled.
pub const INTERRUPTED: &str = "Lambent.Interrupted";
/// The function was deleted before its event ran.
pub const FUNCTION_DELETED: &str = "Lambent.FunctionDeleted";
/// The event became older than the function allows.
pub const EVENT_TOO_OLD: &str = "Lambent.EventAgeExceeded";
/// What is stored of the event is not what was accepted.
pub const EVENT_DAMAGED: &str = "Lambent.EventDamaged";
/// The handler named this event among those of its batch that failed.
pub const BATCH_ITEM_FAILED: &str = "Lambent.BatchItemFailed";
/// The answer to a batch does not tell which of its events failed, so all of them did.
pub const BATCH_ANSWER: &str = "Lambent.InvalidBatchAnswer";
