//! The launcher's half of making a sandbox: pipes, cgroups, fork. The rest happens in the sandbox's
//! own processes (`child`), while the launcher goes on with other work; what they say arrives on
//! the status pipe.

use super::child::{Own, Pipes, Plan, User};
use super::init::live_as_init;
use super::main::Loop;
use super::sandboxes::{Failure, Making, Sandbox, Slot};
use crate::spec::{Limits, SandboxId};
use crate::step::{During, Refusal, regardless};
use crate::sys::{self, Cloned};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use std::time::Instant;

/// New mount, pid, ipc, uts and network namespaces. A cgroup namespace follows when the cgroups
/// have been joined, a user namespace when nothing is left to be owned by it.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWNET;

impl Loop {
    pub(super) fn create(
        &mut self,
        id: SandboxId,
        runtime: &str,
        limits: Limits,
    ) -> Result<Slot, Failure> {
        let began = Instant::now();
        let refuse = |detail: String, errno| Refusal::new(detail, errno).at("Request");
        if self.sandboxes.find(id).is_some() {
            return Err(refuse(format!("use the number {id} twice"), Errno::EXIST));
        }
        let runtime = self
            .options
            .runtimes
            .get(runtime)
            .ok_or_else(|| refuse(format!("find the runtime {runtime:?}"), Errno::NOENT))?;
        let most = self.options.max_sandboxes;
        let slot = self
            .sandboxes
            .free()
            .ok_or_else(|| refuse(format!("have more than {most} sandboxes"), Errno::AGAIN))?;

        let (pipes, ours) = pipes().map_err(|refusal| refusal.at("Pipes"))?;
        let tree = self.tree.as_ref();
        let group = tree
            .map(|tree| tree.group(&id.to_string(), &limits))
            .transpose()
            .map_err(|refusal| refusal.at("Cgroups"))?;
        // From here on something would be left behind.
        let give_back = |refusal: Refusal, step| {
            if let Some(group) = &group {
                // Nobody has joined, so that nothing keeps it from being removed.
                regardless(group.remove());
            }
            refusal.at(step)
        };
        let memory = match group.as_ref().map(|group| group.watch_memory()).transpose() {
            Ok(memory) => memory.flatten(),
            Err(refusal) => return Err(give_back(refusal, "Cgroups")),
        };
        let birthplace = match group.as_ref().map(|group| group.birthplace()).transpose() {
            Ok(birthplace) => birthplace.flatten(),
            Err(refusal) => return Err(give_back(refusal, "Cgroups")),
        };
        let plan = Plan {
            runtime,
            limits: &limits,
            filter: &self.filter,
            has_cgroups: group.is_some(),
            doors: group.as_ref().map(|group| group.doors()).unwrap_or_default(),
            user: self.user(slot),
            pipes,
        };
        let (pid, init) = match sys::clone(NAMESPACES, birthplace.as_ref().map(AsFd::as_fd)) {
            Ok(Cloned::Child) => live_as_init(&plan),
            Ok(Cloned::Parent { pid, pidfd }) => (pid, pidfd),
            Err(errno) => {
                let refusal = Refusal::new("fork into new namespaces", errno);
                return Err(give_back(refusal, "Namespaces"));
            }
        };
        // The sandbox's ends are closed here, so that the end of each stream can be seen.
        drop(plan);
        let making = Making {
            began,
            status: ours.status,
            heard: Vec::new(),
            descriptors: vec![ours.channel, ours.stdout, ours.stderr],
        };
        let sandbox = Sandbox {
            id,
            pid,
            init,
            group,
            limits,
            outcome: ours.outcome,
            memory,
            making: Some(making),
            failure: None,
            assigned: false,
            destroyed: false,
            freezing: None,
            suspect_until: None,
            gone: None,
        };
        self.sandboxes.insert(slot, sandbox);
        Ok(slot)
    }

    fn user(&self, slot: Slot) -> User {
        // The sum was checked when the launcher started.
        let own = self.isolation.root.then(|| Own {
            sandbox: self.options.uid_base + slot.0,
            reaper: self.options.uid_base + self.options.max_sandboxes,
        });
        User { own, namespace: self.isolation.user_namespace }
    }
}

impl Refusal {
    pub(super) fn at(self, step: &str) -> Failure {
        Failure { step: step.to_owned(), refusal: self }
    }
}

/// The launcher's and the server's ends.
struct Ours {
    stdout: OwnedFd,
    stderr: OwnedFd,
    channel: OwnedFd,
    status: OwnedFd,
    outcome: OwnedFd,
}

fn pipes() -> Result<(Pipes, Ours), Refusal> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).during(|| "make a pipe".to_owned());
    let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .during(|| "open /dev/null".to_owned())?;
    let (our_stdout, stdout) = pipe()?;
    let (our_stderr, stderr) = pipe()?;
    let (our_status, status) = pipe()?;
    let (our_outcome, outcome) = pipe()?;
    let (our_channel, channel) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .during(|| "make a socket pair".to_owned())?;
    // The launcher never waits for a sandbox.
    for end in [&our_status, &our_outcome] {
        ioctl_fionbio(end, true).during(|| "set a pipe to not wait".to_owned())?;
    }
    let ours = Ours {
        stdout: our_stdout,
        stderr: our_stderr,
        channel: our_channel,
        status: our_status,
        outcome: our_outcome,
    };
    Ok((Pipes { null, stdout, stderr, channel, status, outcome }, ours))
}
