//! The function's process, process 2 of a sandbox: narrows itself and executes the program.

use super::child::{
    ABOVE, Plan, Taken, USER_INSIDE, Word, become_user, change_ids, drop_all_capabilities, say,
};
use super::view;
use crate::spec::Limits;
use crate::step::{During, Refusal, Step};
use crate::sys;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_no_new_privs,
};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The largest file, where `/tmp` caps only what is stored: a sparse file of a terabyte is refused.
/// As much as the largest `/tmp` that AWS sells.
const FILE_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// The function's process.
pub(super) struct Function<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) wait: OwnedFd,
}

impl Function<'_> {
    pub(super) fn live(&self) -> Taken {
        let mut byte = [0; 1];
        if read(&self.wait, &mut byte) != Ok(1) {
            // Init has failed and has said so; its end is ours.
            sys::exit(1);
        }
        for &step in Step::of_function() {
            self.take(step).map_err(|refusal| (step, refusal))?;
        }
        Ok(())
    }

    fn take(&self, step: Step) -> Result<(), Refusal> {
        let plan = self.plan;
        match step {
            Step::Descriptors => self.arrange_descriptors(),
            Step::ResourceLimits => limit_resources(plan.limits, !plan.has_cgroups),
            Step::Session => {
                rustix::process::setsid().during(|| "begin a session".to_owned())?;
                sys::reset_signals();
                rustix::process::chdir(view::TASK_FOLDER)
                    .during(|| format!("enter {}", view::TASK_FOLDER))
            }
            Step::BoundingSet => empty_bounding_set(),
            Step::User => match (plan.user.own, plan.user.namespace) {
                (None, false) => Ok(()),
                (None, true) => change_ids(USER_INSIDE),
                (Some(_), _) => become_user(plan.user.inside()),
            },
            Step::Capabilities => drop_all_capabilities(),
            Step::NoNewPrivileges => {
                set_no_new_privs(true).during(|| "set no_new_privs".to_owned())
            }
            Step::Seccomp => plan.filter.apply(),
            Step::Execute => {
                let mut command = Command::new(plan.runtime.argv.first().map_or("", |name| name));
                command.args(plan.runtime.argv.iter().skip(1)).env_clear();
                command.envs(plan.runtime.env.iter().map(|(key, value)| (key, value)));
                say(&plan.pipes.status, &Word::Ready);
                Err(command.exec()).during(|| format!("execute {:?}", plan.runtime.argv))
            }
            other => unreachable!("{other} is a step of init"),
        }
    }

    /// 0 is empty, 1 and 2 are the output pipes, 3 is the channel, and nothing else survives.
    fn arrange_descriptors(&self) -> Result<(), Refusal> {
        let pipes = &self.plan.pipes;
        let ends = [&pipes.null, &pipes.stdout, &pipes.stderr, &pipes.channel];
        // All are moved out of the way before the first takes its place.
        let mut moved = Vec::with_capacity(ends.len());
        for end in ends {
            let end = fcntl_dupfd_cloexec(end, ABOVE).during(|| "move a descriptor".to_owned())?;
            moved.push(end);
        }
        // `status` is used until the end, and must not sit at one of the four places.
        if pipes.status.as_raw_fd() < 4 {
            return Err(Refusal::new("keep the status pipe out of the way", Errno::BADF));
        }
        for (end, number) in moved.iter().zip(0..) {
            sys::duplicate_to(end.as_fd(), number)
                .during(|| format!("arrange descriptor {number}"))?;
        }
        sys::close_from_on_exec(4).during(|| "mark all other descriptors".to_owned())
    }
}

/// Only ever lowers: raising a hard limit takes a capability that the launcher may lack.
fn limit_resources(limits: &Limits, without_cgroups: bool) -> Result<(), Refusal> {
    let mut wanted = vec![
        (Resource::Nofile, u64::from(limits.open_files)),
        (Resource::Fsize, FILE_BYTES),
        // No dumps: a file would have to be larger. Not 0, with which the kernel would still run the
        // program that the host's core_pattern may name, as the host's root, on a tenant's memory;
        // 1 is its sign for not doing so. The filter keeps functions from changing it.
        (Resource::Core, 1),
    ];
    if without_cgroups {
        // Counted per user and user namespace, of which this sandbox has one to itself.
        wanted.push((Resource::Nproc, u64::from(limits.pids)));
        // Per process, so several can exceed it together; but of the limits that there are it is
        // nearest to memory in use: address space (RLIMIT_AS) also counts what is only reserved,
        // of which Node and Go take gigabytes, and RLIMIT_RSS does nothing.
        wanted.push((Resource::Data, limits.memory_bytes));
    }
    for (resource, value) in wanted {
        let ceiling = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let value = Some(value.min(ceiling));
        setrlimit(resource, Rlimit { current: value, maximum: value })
            .during(|| format!("set the limit {resource:?} to {value:?}"))?;
    }
    Ok(())
}

fn empty_bounding_set() -> Result<(), Refusal> {
    clear_ambient_capability_set().during(|| "clear the ambient capabilities".to_owned())?;
    for number in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => (),
            Err(Errno::INVAL) => break, // the kernel knows no more
            Err(errno) => {
                return Err(Refusal::new(format!("drop capability {number} for good"), errno));
            }
        }
    }
    Ok(())
}
