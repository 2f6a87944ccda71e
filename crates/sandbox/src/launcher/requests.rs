//! What the launcher does about requests of the server.

use super::main::{Loop, UNSENT_MOST, server};
use super::protocol::{self, Reply, Request};
use super::sandboxes::{Failure, Freezing, Slot};
use crate::spec::{Limits, Operation, SandboxId, Usage};
use crate::step::{Refusal, regardless};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::time::{Duration, Instant};

/// How long the kernel may take to stop every process of a sandbox. It takes microseconds, unless
/// one of them is deep in a disk's driver.
pub(super) const FREEZE_PATIENCE: Duration = Duration::from_secs(1);
/// How many characters of a failure's detail are told: a screenful.
const DETAIL_MOST: usize = 2_000;
/// How many requests are read in one round, so that sandboxes get their turn.
const REQUESTS_PER_ROUND: usize = 64;

impl Loop {
    /// Reads requests and does them.
    pub(super) fn answer(&mut self, buffer: &mut [u8]) {
        for _ in 0..REQUESTS_PER_ROUND {
            if self.unsent.len() > UNSENT_MOST {
                return;
            }
            let packet = match protocol::receive(server(), buffer, RecvFlags::DONTWAIT) {
                Ok(Some(packet)) => packet,
                Err(Errno::AGAIN) => return,
                // Gone, or so broken that it is as good as gone.
                Ok(None) | Err(_) => {
                    self.server_gone = true;
                    return;
                }
            };
            match packet.decode() {
                Ok(request) => self.handle(request),
                Err(_) => self.server_gone = true,
            }
        }
    }

    fn handle(&mut self, request: Request) {
        let (id, operation) = match &request {
            Request::Create { id, .. } => (*id, Operation::Create),
            Request::Assign { id, .. } => (*id, Operation::Assign),
            Request::Freeze { id } => (*id, Operation::Freeze),
            Request::Thaw { id } => (*id, Operation::Thaw),
            Request::Usage { id } => (*id, Operation::Usage),
            Request::Destroy { id } => (*id, Operation::Destroy),
        };
        let answer = match request {
            Request::Create { id, runtime, limits } => {
                self.begin(id, &runtime, limits).map(|()| None)
            }
            Request::Assign { id, code, limits } => self.slot(id).and_then(|slot| {
                self.assign(slot, &code, limits)?;
                Ok(Some(Reply::Assigned { id }))
            }),
            Request::Freeze { id } => self.freeze(id, true).map(|()| None),
            Request::Thaw { id } => self.freeze(id, false).map(|()| None),
            Request::Usage { id } => self.usage(id).map(Some),
            Request::Destroy { id } => self.slot(id).map(|slot| {
                if let Some(sandbox) = self.sandboxes.get(slot) {
                    sandbox.destroyed = true;
                }
                self.kill(slot);
                None
            }),
        };
        match answer {
            Ok(None) => (),
            Ok(Some(reply)) => self.reply(&reply, Vec::new()),
            Err(failure) => self.reply(&failed(id, operation, failure), Vec::new()),
        }
    }

    fn slot(&self, id: SandboxId) -> Result<Slot, Failure> {
        self.sandboxes
            .find(id)
            .ok_or_else(|| Refusal::new(format!("find sandbox {id}"), Errno::SRCH).at("Request"))
    }

    fn begin(&mut self, id: SandboxId, runtime: &str, limits: Limits) -> Result<(), Failure> {
        let slot = self.create(id, runtime, limits)?;
        if let Err(refusal) = self.watch(slot) {
            // Unwatched, it would never be reaped: so it is, here and now.
            self.kill(slot);
            if let Some(sandbox) = self.sandboxes.remove(slot) {
                let init = WaitId::PidFd(sandbox.init.as_fd());
                regardless(waitid(init, WaitIdOptions::EXITED));
                if let Some(group) = &sandbox.group {
                    regardless(group.remove());
                }
            }
            return Err(refusal.at("Watch"));
        }
        Ok(())
    }

    fn usage(&mut self, id: SandboxId) -> Result<Reply, Failure> {
        let slot = self.slot(id)?;
        let usage = match self.sandboxes.get(slot) {
            Some(sandbox) => sandbox.usage().map_err(|refusal| refusal.at("Usage"))?,
            None => Usage::default(),
        };
        Ok(Reply::Usage { id, usage })
    }

    fn freeze(&mut self, id: SandboxId, to_frozen: bool) -> Result<(), Failure> {
        let slot = self.slot(id)?;
        let Some(sandbox) = self.sandboxes.get(slot) else { return Ok(()) };
        let Some(group) = &sandbox.group else {
            let refusal = Refusal::new("freeze or thaw without control groups", Errno::OPNOTSUPP);
            return Err(refusal.at("Freezer"));
        };
        group.freeze(to_frozen).map_err(|refusal| refusal.at("Freezer"))?;
        let replaced = sandbox.freezing.take();
        sandbox.freezing = Some(Freezing { to_frozen, until: Instant::now() + FREEZE_PATIENCE });
        if let Some(Freezing { to_frozen, .. }) = replaced {
            let operation = if to_frozen { Operation::Freeze } else { Operation::Thaw };
            let refusal = Refusal::new("finish before the next freeze or thaw", Errno::CANCELED);
            self.reply(&failed(id, operation, refusal.at("Freezer")), Vec::new());
        }
        self.look_at_freezing(slot);
        Ok(())
    }
}

/// The answer to an operation that could not be done.
pub(super) fn failed(id: SandboxId, operation: Operation, failure: Failure) -> Reply {
    let Failure { step, refusal: Refusal { mut detail, errno } } = failure;
    // A detail may quote a runtime's whole command line.
    if let Some((cut, _)) = detail.char_indices().nth(DETAIL_MOST) {
        detail.truncate(cut);
        detail.push('…');
    }
    Reply::Failed { id, operation, step, detail, errno }
}
