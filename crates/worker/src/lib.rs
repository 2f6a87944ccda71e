//! Does: runs attempts at invocations in sandboxes, on this machine.
//!
//! The story of an attempt. Control hands a job to [`LocalWorker`]. The pool (`pool`, a state
//! machine that only decides) has an idle sandbox of the function's version, and gives it; or an
//! empty one that was made ahead (`start`), into which the launcher mounts the function's code out
//! of the cache (`code`) and whose shim loads it; or it has the job wait for one of these, and
//! starts another sandbox if waiting would take longer than that. Then the event goes in on the
//! sandbox's socket (`live`) and the answer comes out, or the sandbox ends, or the deadline passes
//! (`run`). What the function wrote meanwhile becomes lines that belong to this attempt (`logs`).
//! The sandbox is given back, or destroyed if there is any doubt about it, and the report says how
//! it went, where the time went, and what it used.
//!
//! A worker keeps nothing that must survive: that is in the report, and control writes it down.
//! It does not retry, knows no events, triggers or projects' rights, and starts no sandbox by
//! itself: the `sandbox` crate's launcher does, which `launcher` makes askable from async code.
//! When the launcher is gone the worker is of no more use, and says so ([`LocalWorker::fatal`]).
//!
//! [`runtimes`] finds the interpreters that this machine can offer, before all that. [`sim`] is
//! the same contract without sandboxes, for the tests of whoever gives work.

mod agent;
mod code;
mod config;
mod launcher;
mod live;
mod logs;
mod metrics;
mod pool;
mod run;
pub mod runtimes;
pub mod sim;
mod start;

pub use agent::{LocalWorker, StartError};
pub use code::{CodeSource, OpenError};
pub use config::Config;

/// An error and its causes, as one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
