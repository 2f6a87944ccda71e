//! The book of the sandboxes that live: who they are, what is being waited for.
//!
//! A sandbox has a slot for as long as anything of it is left. The slot decides which user it runs
//! as, so a user is given out again only when its last owner is gone.

use super::child::Word;
use crate::cgroup::Group;
use crate::spec::{ExitStatus, Limits, SandboxId, Usage};
use crate::step::Refusal;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read};
use std::collections::BTreeMap;
use std::time::Instant;

/// Numbers a sandbox among those that live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(pub(super) u32);

#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) id: SandboxId,
    /// Init, as the launcher sees it.
    pub(super) pid: i32,
    pub(super) init: OwnedFd,
    pub(super) group: Option<Group>,
    pub(super) limits: Limits,
    /// Where init tells how the function's process ended.
    pub(super) outcome: OwnedFd,
    /// Readable when memory ran out, where the launcher has to act on it.
    pub(super) memory: Option<OwnedFd>,
    pub(super) making: Option<Making>,
    /// Why its making failed, once it has.
    pub(super) failure: Option<Failure>,
    pub(super) assigned: bool,
    pub(super) destroyed: bool,
    pub(super) freezing: Option<Freezing>,
    /// Memory ran out, here or in a group above; until then we look whether it was here.
    pub(super) suspect_until: Option<Instant>,
    /// All processes are gone; the groups remain to be removed.
    pub(super) gone: Option<Gone>,
}

/// From the fork to the execution of the runtime's program.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) began: Instant,
    pub(super) status: OwnedFd,
    pub(super) heard: Vec<u8>,
    /// The server's ends.
    pub(super) descriptors: Vec<OwnedFd>,
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: String,
    pub(super) refusal: Refusal,
}

/// A freeze or a thaw that the kernel is still working on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freezing {
    pub(super) to_frozen: bool,
    pub(super) until: Instant,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    pub(super) status: ExitStatus,
    pub(super) usage: Usage,
    pub(super) give_up_at: Instant,
}

/// What the status pipe has told.
#[derive(Debug)]
pub(super) enum Heard {
    /// More may come.
    Nothing,
    Executed,
    Failed(Failure),
}

impl Making {
    /// Reads what there is. After [`Heard::Executed`] or [`Heard::Failed`] nothing more comes.
    pub(super) fn hear(&mut self) -> Heard {
        let mut buffer = [0; 4096];
        loop {
            match read(&self.status, &mut buffer) {
                Ok(0) => return self.understand(),
                Ok(count) => self.heard.extend(buffer.iter().take(count)),
                Err(Errno::INTR) => (),
                Err(Errno::AGAIN) => return Heard::Nothing,
                Err(errno) => {
                    let refusal = Refusal::new("read what the sandbox says", errno);
                    return Heard::Failed(Failure { step: "Status".to_owned(), refusal });
                }
            }
        }
    }

    fn understand(&self) -> Heard {
        let mut ready = false;
        for line in self.heard.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(Word::Ready) => ready = true,
                Ok(Word::Failed { step, refusal }) => {
                    return Heard::Failed(Failure { step: step.to_string(), refusal });
                }
                Ok(Word::Panicked { message }) => return Heard::Failed(Failure::panic(&message)),
                Err(error) => return Heard::Failed(Failure::panic(&error.to_string())),
            }
        }
        if ready { Heard::Executed } else { Heard::Failed(Failure::silence()) }
    }
}

impl Failure {
    fn panic(message: &str) -> Failure {
        let detail = format!("carry on after a bug of the sandbox's set-up: {message}");
        Failure { step: "Panic".to_owned(), refusal: Refusal::new(detail, Errno::NOTRECOVERABLE) }
    }

    /// Killed before it could say anything.
    fn silence() -> Failure {
        let detail = "finish the set-up: it was killed (does the memory limit leave room for it?)";
        Failure { step: "Killed".to_owned(), refusal: Refusal::new(detail, Errno::NOMEM) }
    }
}

/// All sandboxes, by slot and by name.
#[derive(Debug)]
pub(super) struct Sandboxes {
    slots: Vec<Option<Sandbox>>,
    by_id: BTreeMap<SandboxId, Slot>,
}

impl Sandboxes {
    pub(super) fn new(most: u32) -> Sandboxes {
        let slots = (0..most).map(|_| None).collect();
        Sandboxes { slots, by_id: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The slot for another sandbox, if there is one.
    pub(super) fn free(&self) -> Option<Slot> {
        let index = self.slots.iter().position(Option::is_none)?;
        u32::try_from(index).ok().map(Slot)
    }

    pub(super) fn insert(&mut self, slot: Slot, sandbox: Sandbox) {
        self.by_id.insert(sandbox.id, slot);
        if let Some(place) = self.place(slot) {
            *place = Some(sandbox);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Sandbox> {
        let sandbox = self.place(slot)?.take()?;
        self.by_id.remove(&sandbox.id);
        Some(sandbox)
    }

    pub(super) fn find(&self, id: SandboxId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&mut self, slot: Slot) -> Option<&mut Sandbox> {
        self.place(slot)?.as_mut()
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        self.by_id.values().copied().collect()
    }

    fn place(&mut self, slot: Slot) -> Option<&mut Option<Sandbox>> {
        self.slots.get_mut(usize::try_from(slot.0).ok()?)
    }
}

impl Sandbox {
    /// Whether the loop has to look at this sandbox again without being told to.
    pub(super) fn needs_another_look(&self) -> bool {
        self.freezing.is_some() || self.suspect_until.is_some() || self.gone.is_some()
    }

    pub(super) fn usage(&self) -> Result<Usage, Refusal> {
        self.group.as_ref().map_or(Ok(Usage::default()), Group::usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn making(said: &[u8]) -> Heard {
        let (status, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&writer, said).unwrap();
        drop(writer);
        let (began, heard, descriptors) = (Instant::now(), Vec::new(), Vec::new());
        Making { began, status, heard, descriptors }.hear()
    }

    #[test]
    fn only_a_word_before_the_end_means_that_the_program_runs() {
        assert!(matches!(making(b"\"Ready\"\n"), Heard::Executed));
        assert!(matches!(making(b""), Heard::Failed(failure) if failure.step == "Killed"));
    }

    #[test]
    fn a_failure_after_the_word_is_still_a_failure() {
        let said = br#""Ready"
{"Failed":{"step":"Execute","refusal":{"detail":"execute [\"/no\"]","errno":2}}}
"#;
        let Heard::Failed(failure) = making(said) else { panic!("not failed") };
        assert_eq!(failure.step, "Execute");
        assert_eq!(failure.refusal, Refusal::new("execute [\"/no\"]", Errno::NOENT));
    }
}
