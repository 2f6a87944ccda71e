//! Init, process 1 of a sandbox: builds the view, forks the function's process, reaps.

use super::child::{ABOVE, Pipes, Plan, Taken, become_user, drop_all_capabilities, tell_and_exit};
use super::function::Function;
use super::view;
use crate::step::{During, Refusal, Step, regardless};
use crate::sys::{self, Cloned};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{
    DumpableBehavior, Signal, WaitOptions, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::{UnshareFlags, set_no_new_privs};
use std::path::PathBuf;
/// Becomes init.
pub(super) fn live_as_init(plan: &Plan<'_>) -> ! {
    let mut init = Init { plan, proc: None, function: None };
    tell_and_exit(&plan.pipes.status, || init.live())
}

struct Init<'a> {
    plan: &'a Plan<'a>,
    /// A writable /proc, until the user map is written.
    proc: Option<OwnedFd>,
    function: Option<Waiting>,
}

/// The function's process, forked, and waiting for a byte on `go`.
struct Waiting {
    pid: i32,
    go: OwnedFd,
}

impl Init<'_> {
    fn live(&mut self) -> Taken {
        for &step in Step::of_init() {
            self.take(step).map_err(|refusal| (step, refusal))?;
        }
        self.reap()
    }

    fn take(&mut self, step: Step) -> Result<(), Refusal> {
        let plan = self.plan;
        match step {
            Step::ParentDeath => {
                close_all_but_ours(&plan.pipes)?;
                self.die_with_the_launcher()
            }
            Step::Cgroups if plan.has_cgroups => join(&plan.doors),
            Step::Cgroups => Ok(()),
            Step::OutOfMemoryScore => offer_to_be_killed_first(),
            Step::HostName => name_the_host(),
            Step::Loopback => bring_loopback_up(),
            Step::PrivateMounts => view::private_mounts(),
            Step::Root => view::root(),
            Step::System => view::system(),
            Step::Etc => view::etc(plan.user.inside()),
            Step::RuntimeBinds => view::runtime_binds(plan.runtime),
            Step::Devices => view::devices(),
            Step::Temporary => view::temporary(plan.limits),
            Step::Proc => {
                self.proc = Some(view::proc()?);
                Ok(())
            }
            Step::TaskFolder => view::task_folder(),
            Step::PivotRoot => view::pivot(),
            Step::ReadOnlyRoot => view::read_only_root(),
            Step::FunctionProcess => self.fork(),
            Step::UserMap => self.map_the_user(),
            Step::Reaper => self.give_up(),
            other => unreachable!("{other} is a step of the function's process"),
        }
    }

    /// Asks to be killed when the launcher ends, and makes sure that it had not ended before that.
    fn die_with_the_launcher(&self) -> Result<(), Refusal> {
        set_parent_process_death_signal(Some(Signal::KILL))
            .during(|| "ask to be killed with the launcher".to_owned())?;
        let status = &self.plan.pipes.status;
        let mut polled = [PollFd::new(status, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut polled, Some(&now)).during(|| "look whether the launcher lives".to_owned())?;
        if polled.iter().any(|fd| fd.revents().contains(PollFlags::ERR)) {
            return Err(Refusal::new("find the launcher alive", Errno::SRCH));
        }
        Ok(())
    }

    fn fork(&mut self) -> Result<(), Refusal> {
        let (wait, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .during(|| "make a pipe".to_owned())?;
        let flags = if self.plan.user.namespace { libc::CLONE_NEWUSER } else { 0 };
        match sys::clone(flags, None).during(|| "fork the function's process".to_owned())? {
            Cloned::Parent { pid, pidfd } => {
                drop(pidfd);
                self.function = Some(Waiting { pid, go });
                Ok(())
            }
            Cloned::Child => {
                // Init's copy must be the only one, so that its death is seen.
                drop(go);
                let function = Function { plan: self.plan, wait };
                tell_and_exit(&self.plan.pipes.status, || function.live())
            }
        }
    }

    fn map_the_user(&mut self) -> Result<(), Refusal> {
        let (Some(proc), Some(function)) = (self.proc.take(), &self.function) else {
            unreachable!("/proc is mounted and the process forked in steps before this one")
        };
        if !self.plan.user.namespace {
            return Ok(());
        }
        let map = format!("{} {} 1", self.plan.user.inside(), self.plan.user.outside());
        for file in ["uid_map", "gid_map"] {
            let path = format!("{}/{file}", function.pid);
            openat(&proc, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                .and_then(|file| write(&file, map.as_bytes()))
                .during(|| format!("write {map:?} to /proc/{path}"))?;
        }
        Ok(())
    }

    /// Keeps nothing that a hostile function could want to use, and lets the function's process go
    /// on.
    fn give_up(&mut self) -> Result<(), Refusal> {
        if let Some(own) = self.plan.user.own {
            become_user(own.reaper)?;
        }
        drop_all_capabilities()?;
        set_no_new_privs(true).during(|| "set no_new_privs".to_owned())?;
        if self.plan.user.own.is_some() {
            // Without root it must stay traceable for the launcher, who enters its namespaces to
            // mount code; what keeps the function away then is its own user namespace, from which
            // nobody may trace a process of the one above.
            set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .during(|| "become untraceable".to_owned())?;
        }
        // Changing the user has cleared it.
        self.die_with_the_launcher()?;
        if let Some(function) = &self.function {
            write(&function.go, b"!").during(|| "let the function's process go on".to_owned())?;
        }
        // Everything but the outcome, which becomes descriptor 0.
        let outcome = fcntl_dupfd_cloexec(&self.plan.pipes.outcome, ABOVE)
            .during(|| "keep the outcome pipe".to_owned())?;
        sys::duplicate_to(outcome.as_fd(), 0).during(|| "move the outcome pipe".to_owned())?;
        std::mem::forget(outcome);
        sys::close_from(1).during(|| "close all descriptors".to_owned())
    }

    /// The rest of init's life.
    fn reap(&self) -> ! {
        let function = self.function.as_ref().map(|function| function.pid);
        loop {
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if Some(pid.as_raw_pid()) == function => {
                    // If the launcher is gone there is nobody to tell.
                    regardless(write(rustix::stdio::stdin(), &status.as_raw().to_ne_bytes()));
                    sys::exit(status.exit_status().unwrap_or(1));
                }
                Ok(_) | Err(Errno::INTR) => (),
                // No child is left, though the function's process has not been seen to end.
                Err(_) => sys::exit(1),
            }
        }
    }
}

/// Closes what was inherited from the launcher: other sandboxes' pipes, and the control socket,
/// whose end the server waits for.
fn close_all_but_ours(pipes: &Pipes) -> Result<(), Refusal> {
    let mut keep: Vec<u32> =
        [&pipes.null, &pipes.stdout, &pipes.stderr, &pipes.channel, &pipes.status, &pipes.outcome]
            .iter()
            .map(|end| end.as_raw_fd().cast_unsigned())
            .collect();
    // Where a panic would be told.
    keep.push(2);
    sys::close_all_but(keep).during(|| "close the launcher's descriptors".to_owned())
}

fn join(doors: &[PathBuf]) -> Result<(), Refusal> {
    for door in doors {
        std::fs::OpenOptions::new()
            .write(true)
            .open(door)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"0"))
            .during(|| format!("join by writing 0 to {}", door.display()))?;
    }
    sys::unshare(UnshareFlags::NEWCGROUP).during(|| "make a cgroup namespace".to_owned())
}

/// Half of the scale: as if half of the machine's memory were this sandbox's.
fn offer_to_be_killed_first() -> Result<(), Refusal> {
    let (file, score) = ("/proc/self/oom_score_adj", "500");
    std::fs::write(file, score).during(|| format!("write {score} to {file}"))
}

fn name_the_host() -> Result<(), Refusal> {
    rustix::system::sethostname(view::HOST_NAME.as_bytes())
        .during(|| format!("set the host name to {}", view::HOST_NAME))?;
    rustix::system::setdomainname(b"").during(|| "set the domain name to nothing".to_owned())
}

fn bring_loopback_up() -> Result<(), Refusal> {
    socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .and_then(|socket| sys::bring_loopback_up(socket.as_fd()))
        .during(|| "bring the device lo up".to_owned())
}
