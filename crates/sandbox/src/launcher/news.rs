//! What the launcher does about news of a sandbox: its program was executed, it has ended, its
//! memory ran out, its freezing is done.

use super::main::{Loop, Subject};
use super::protocol::Reply;
use super::requests::{FREEZE_PATIENCE, failed};
use super::sandboxes::{Gone, Heard, Slot};
use crate::cgroup::Group;
use crate::spec::{ExitStatus, Operation};
use crate::step::{Refusal, regardless};
use rustix::fd::AsFd;
use rustix::io::{Errno, read};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus as ProcessStatus;
use std::time::{Duration, Instant};

/// How long after an out-of-memory event we look whether the kernel has killed in this sandbox: the
/// event comes before the kill, and also when a group above has run out.
const SUSPICION: Duration = Duration::from_millis(200);
/// How long removed groups may stay busy with dying processes before they are left to the next
/// launcher's sweep.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(2);

impl Loop {
    /// Handles news of a sandbox. News of one that is gone already is no news.
    pub(super) fn hear(&mut self, subject: Subject) {
        match subject {
            Subject::Status(slot) => self.hear_status(slot),
            Subject::Init(slot) => self.hear_end(slot),
            Subject::Memory(slot) => {
                if let Some(sandbox) = self.sandboxes.get(slot) {
                    if let Some(event) = &sandbox.memory {
                        // Only its being readable matters; emptied so that it is not told again.
                        regardless(read(event, &mut [0; 8]));
                    }
                    sandbox.suspect_until = Some(Instant::now() + SUSPICION);
                }
            }
            Subject::Server => (),
        }
    }

    fn hear_status(&mut self, slot: Slot) {
        let Some(sandbox) = self.sandboxes.get(slot) else { return };
        let Some(making) = &mut sandbox.making else { return };
        let heard = making.hear();
        if matches!(heard, Heard::Nothing) {
            return;
        }
        let Some(made) = sandbox.making.take() else { return };
        match heard {
            // Destroyed in the meantime: it is answered by its exit.
            Heard::Executed if sandbox.destroyed => (),
            Heard::Executed => {
                let (id, pid) = (sandbox.id, sandbox.pid);
                let reply = Reply::Created { id, pid, setup: made.began.elapsed() };
                self.reply(&reply, made.descriptors);
            }
            Heard::Failed(failure) => {
                sandbox.failure = Some(failure);
                self.kill(slot);
            }
            Heard::Nothing => (),
        }
    }

    /// Init has ended, and with it every process of its pid namespace.
    pub(super) fn hear_end(&mut self, slot: Slot) {
        let Some(sandbox) = self.sandboxes.get(slot) else { return };
        let waited = waitid(
            WaitId::PidFd(sandbox.init.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        let init = match waited {
            Ok(Some(status)) => status,
            Ok(None) | Err(_) => return,
        };
        // A pidfd stays readable for ever.
        self.unwatch(slot);
        // What the status pipe still holds comes first: created, then exited.
        self.hear_status(slot);
        let Some(sandbox) = self.sandboxes.get(slot) else { return };
        let mut word = [0; 4];
        let status = match read(&sandbox.outcome, &mut word) {
            Ok(4) => exit_status(ProcessStatus::from_raw(i32::from_ne_bytes(word))),
            // Init was killed before the function's process had ended.
            _ => match init.terminating_signal() {
                Some(signal) => ExitStatus::Signal(signal),
                None => ExitStatus::Code(init.exit_status().unwrap_or(1)),
            },
        };
        let usage = sandbox.usage().unwrap_or_default();
        let give_up_at = Instant::now() + REMOVAL_PATIENCE;
        sandbox.gone = Some(Gone { status, usage, give_up_at });
        self.remove(slot);
    }

    /// Tries to remove what is left of a sandbox whose processes are gone, and tells the server
    /// when nothing is.
    fn remove(&mut self, slot: Slot) {
        let Some(sandbox) = self.sandboxes.get(slot) else { return };
        let Some(gone) = sandbox.gone else { return };
        let removed = sandbox.group.as_ref().map_or(Ok(true), Group::remove);
        if matches!(removed, Ok(false)) && Instant::now() < gone.give_up_at {
            return;
        }
        let Some(sandbox) = self.sandboxes.remove(slot) else { return };
        let (id, Gone { status, usage, .. }) = (sandbox.id, gone);
        let reply = match sandbox.failure {
            Some(failure) if !sandbox.destroyed => failed(id, Operation::Create, failure),
            _ => Reply::Exited { id, status, oom_killed: usage.oom_kills > 0, usage },
        };
        self.reply(&reply, Vec::new());
    }

    /// Looks at everything that is waited for without an event.
    pub(super) fn look_again(&mut self) {
        for slot in self.sandboxes.slots() {
            let Some(sandbox) = self.sandboxes.get(slot) else { continue };
            if !sandbox.needs_another_look() {
                continue;
            }
            if sandbox.gone.is_some() {
                self.remove(slot);
                continue;
            }
            if let Some(until) = sandbox.suspect_until {
                if sandbox.usage().is_ok_and(|usage| usage.oom_kills > 0) {
                    sandbox.suspect_until = None;
                    self.kill(slot);
                    continue;
                }
                if Instant::now() > until {
                    sandbox.suspect_until = None;
                }
            }
            self.look_at_freezing(slot);
        }
    }

    pub(super) fn look_at_freezing(&mut self, slot: Slot) {
        let Some(sandbox) = self.sandboxes.get(slot) else { return };
        let (Some(freezing), Some(group)) = (sandbox.freezing, &sandbox.group) else { return };
        let id = sandbox.id;
        let (operation, done) = match freezing.to_frozen {
            true => (Operation::Freeze, Reply::Frozen { id }),
            false => (Operation::Thaw, Reply::Thawed { id }),
        };
        let reply = match group.is_frozen() {
            Ok(frozen) if frozen == freezing.to_frozen => done,
            Ok(_) if Instant::now() < freezing.until => return,
            Ok(_) => {
                let what = format!("see all processes stop or go on within {FREEZE_PATIENCE:?}");
                failed(id, operation, Refusal::new(what, Errno::TIMEDOUT).at("Freezer"))
            }
            Err(refusal) => failed(id, operation, refusal.at("Freezer")),
        };
        sandbox.freezing = None;
        self.reply(&reply, Vec::new());
    }

    /// Kills init, and by that every process of the sandbox.
    pub(super) fn kill(&mut self, slot: Slot) {
        let Some(sandbox) = self.sandboxes.get(slot) else { return };
        // An error means that it has ended already.
        regardless(pidfd_send_signal(&sandbox.init, Signal::KILL));
        if let Some(group) = &sandbox.group {
            // What is frozen (version 1) dies when it thaws, and not before. Where nothing is, or
            // no freezer is to be had, nothing needs to be done.
            regardless(group.freeze(false));
        }
    }
}

fn exit_status(status: ProcessStatus) -> ExitStatus {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => ExitStatus::Code(1),
    }
}
