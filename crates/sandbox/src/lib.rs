//! Contains functions: what a sandbox is, and the launcher that makes them.
//!
//! The story of one sandbox. The server, still root and with a single thread, executes the
//! [`Launcher`] and then gives up root itself ([`give_up_root`]). Whenever it wants a sandbox it
//! asks with [`Sender::create`]: the launcher forks a process into new namespaces, which joins its
//! cgroups, builds a small read-only root from the host's `/usr`, leaves the host behind, forks the
//! function's process and narrows both until little is left: no capabilities, an own user, a list
//! of allowed system calls. The server gets three descriptors: a socket and the two output pipes.
//! Later, [`Sender::assign`] mounts a function's code into it; and when it has done its work, or
//! has misbehaved, [`Sender::destroy`] ends all of it at once. [`Receiver`] hears of each.
//!
//! What this crate does not do: it knows nothing of functions, events or invocations, has no
//! asynchronous runtime, and never starts a thread. It is the only crate with `unsafe`, all of it
//! in `sys.rs`.

#![deny(unsafe_code)]

mod cgroup;
mod error;
mod launcher;
mod privileges;
mod seccomp;
mod spec;
mod step;
#[expect(unsafe_code, reason = "the one place of raw system calls; each block argues for itself")]
mod sys;

pub use error::Error;
pub use launcher::{Launcher, Message, Receiver, Sender};
pub use privileges::give_up_root;
pub use spec::{
    Bind, Cgroup, ExitStatus, Isolation, Limits, Operation, Options, Runtime, SandboxId, Usage,
};

/// Becomes the launcher if this process was executed to be it, and returns its exit code when its
/// work is done. `main` calls this before anything else, above all before any thread.
pub fn run_if_launcher() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == launcher::ARGUMENT && arguments.next().is_none()).then(launcher::run)
}
