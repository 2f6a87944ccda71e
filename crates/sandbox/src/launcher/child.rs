//! The sandbox's own half of its making: two processes that take the steps of [`Step::ALL`].
//!
//! The launcher has forked the first, which is init of a new pid namespace. Init builds the view,
//! forks the function's process, and stays: it reaps what the function leaves behind, tells the
//! launcher how the function's process ended and ends with it, by which the kernel kills all the
//! others. The function's process narrows itself and executes the runtime's program.
//!
//! Neither returns. Both have a copy of the launcher's memory, in which they may allocate, since
//! the launcher has a single thread; but they run none of its code, and drop nothing of it.

use crate::seccomp::Filter;
use crate::spec::{Limits, Runtime};
use crate::step::{During, Refusal, Step, regardless};
use crate::sys;
use rustix::fd::OwnedFd;
use rustix::io::write;
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, set_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// The user, and the group, that a function sees itself as.
pub(super) const USER_INSIDE: u32 = 1000;

/// Own descriptors are moved to at least this number, out of the way of the function's 0 to 3.
pub(super) const ABOVE: i32 = 10;

/// Everything that the two processes need to know; made by the launcher before it forks.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) limits: &'a Limits,
    pub(super) filter: &'a Filter,
    pub(super) has_cgroups: bool,
    /// The files to write "0" to in order to join the cgroups, where init was not born in them.
    pub(super) doors: Vec<PathBuf>,
    pub(super) user: User,
    pub(super) pipes: Pipes,
}

/// Who the two processes become.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    /// As root: the sandbox's and the reaper's own users. Otherwise both stay the launcher's.
    pub(super) own: Option<Own>,
    pub(super) namespace: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    pub(super) sandbox: u32,
    pub(super) reaper: u32,
}

impl User {
    /// The number by which the function knows itself.
    pub(super) fn inside(self) -> u32 {
        match self.own {
            Some(own) if !self.namespace => own.sandbox,
            _ => USER_INSIDE,
        }
    }

    /// The number that stands for it in the launcher's user namespace.
    pub(super) fn outside(self) -> u32 {
        // Without root, the launcher made a namespace in which it is 0, and the only one.
        self.own.map_or(0, |own| own.sandbox)
    }
}

/// The sandbox's ends.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) null: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) channel: OwnedFd,
    /// Takes [`Word`]s, and is closed when the program is executed.
    pub(super) status: OwnedFd,
    /// Takes the wait status of the function's process, once.
    pub(super) outcome: OwnedFd,
}

/// What is written on the status pipe, one line of JSON each. The end of the stream without a
/// failure before it, and with [`Word::Ready`], means that the program runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// The next thing is `execve`.
    Ready,
    Failed {
        step: Step,
        refusal: Refusal,
    },
    /// A bug of ours.
    Panicked {
        message: String,
    },
}

pub(super) type Taken = Result<(), (Step, Refusal)>;

/// Runs `life`, which returns only if a step fails, and tells why.
pub(super) fn tell_and_exit(status: &OwnedFd, life: impl FnOnce() -> Taken) -> ! {
    // Unwinding must not get into the launcher's frames, which are still on this stack.
    let word = match catch_unwind(AssertUnwindSafe(life)) {
        Ok(Ok(())) => Word::Panicked { message: "a process returned from its life".to_owned() },
        Ok(Err((step, refusal))) => Word::Failed { step, refusal },
        Err(payload) => {
            let message = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
            Word::Panicked { message: message.unwrap_or_else(|| "no message".to_owned()) }
        }
    };
    say(status, &word);
    sys::exit(1)
}

/// Writes one line. Nobody is left to be told of a failure to do so; the launcher then sees the end
/// of the stream without a word, and says that.
pub(super) fn say(status: &OwnedFd, word: &Word) {
    if let Ok(mut line) = serde_json::to_vec(word) {
        line.push(b'\n');
        regardless(write(status, &line));
    }
}

pub(super) fn become_user(user: u32) -> Result<(), Refusal> {
    set_thread_groups(&[]).during(|| "leave all supplementary groups".to_owned())?;
    change_ids(user)
}

pub(super) fn change_ids(user: u32) -> Result<(), Refusal> {
    let (gid, uid) = (Gid::from_raw(user), Uid::from_raw(user));
    set_thread_res_gid(gid, gid, gid).during(|| format!("become group {user}"))?;
    set_thread_res_uid(uid, uid, uid).during(|| format!("become user {user}"))
}

pub(super) fn drop_all_capabilities() -> Result<(), Refusal> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).during(|| "drop all capabilities".to_owned())
}
