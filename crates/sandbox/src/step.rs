//! The steps by which a process becomes a sandbox: their order, and why it is this one.
//!
//! [`Step::ALL`] is the order in which `launcher/init.rs` and `launcher/function.rs` take them. A
//! step that fails ends the sandbox, and is told with the value it was about and the kernel's error
//! number.
//!
//! The rule behind the order: *see the host, build the new view, leave the host, then narrow*.
//! Whatever needs the host's files or root's power comes before the step that takes it away, and
//! the narrowing of the function's process ends with the system call filter, since every step
//! before it would otherwise have to be allowed to the function as well.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One step. The first part runs as init (process 1 of the sandbox), the second as the function's
/// process (process 2), which init has forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Die with the launcher. First, so that no later step can leave an orphan.
    ParentDeath,
    /// Join the cgroups, then make them the root of what can be seen of cgroups. Before the first
    /// mount, so that the memory of everything that follows is charged to the sandbox.
    Cgroups,
    /// Be killed before the server when the whole machine is out of memory. While the host's /proc
    /// can still be written.
    OutOfMemoryScore,
    /// A neutral host name: the host's own would tell tenants where they are.
    HostName,
    /// The fresh network namespace gets its loopback device, and has no other.
    Loopback,
    /// Nothing mounted from here on is seen outside, nor the other way around.
    PrivateMounts,
    /// A small tmpfs, on which the new root is built.
    Root,
    /// The host's `/usr`, read-only with all that is mounted in it, and the links that usr-merged
    /// systems have beside it.
    System,
    /// A minimal `/etc`, written here, but for a few public files of the host.
    Etc,
    /// What the runtime adds. After `/usr` and `/etc`, so that a target may lie in neither.
    RuntimeBinds,
    /// Five harmless devices, and `/dev/shm`.
    Devices,
    /// The only place to write: `/tmp`, capped in bytes and in files.
    Temporary,
    /// `/proc` of the new pid namespace, read-only, what tells about the host masked. The host's
    /// own is still there at this step, as the kernel demands of unprivileged users.
    Proc,
    /// `/var/task`, the empty folder over which code is mounted later.
    TaskFolder,
    /// The new root becomes the root, the host's is detached: from here on it cannot be named.
    PivotRoot,
    /// After everything has been put on it, the root itself becomes read-only.
    ReadOnlyRoot,
    /// Fork the function's process, into a user namespace of its own. After all namespaces and
    /// mounts, so that this user namespace owns none of them.
    FunctionProcess,
    /// Map the one user that is known inside to the sandbox's user outside.
    UserMap,
    /// Init gives up everything but reaping. Before the function's process goes on, so that no
    /// code of a tenant ever runs beside a powerful init.
    Reaper,

    /// Arrange descriptors 0 to 3 and close all others on execution.
    Descriptors,
    /// Resource limits; while the process may still set them.
    ResourceLimits,
    /// A session of its own, and the working directory.
    Session,
    /// Empty the bounding and ambient capability sets. Before the user changes, since it needs
    /// `CAP_SETPCAP`, and changing the user may take that away.
    BoundingSet,
    /// No supplementary groups, the sandbox's group, the sandbox's user: in the order in which the
    /// next one is still allowed.
    User,
    /// Drop the remaining capability sets. After the user has changed, which needs them.
    Capabilities,
    /// No program may ever give back what was dropped. Before the filter, which demands it.
    NoNewPrivileges,
    /// The system call filter. Last, see above.
    Seccomp,
    /// The runtime's program takes over.
    Execute,
}

impl Step {
    /// Every step, in the order in which they are taken.
    pub(crate) const ALL: [Step; 28] = [
        Step::ParentDeath,
        Step::Cgroups,
        Step::OutOfMemoryScore,
        Step::HostName,
        Step::Loopback,
        Step::PrivateMounts,
        Step::Root,
        Step::System,
        Step::Etc,
        Step::RuntimeBinds,
        Step::Devices,
        Step::Temporary,
        Step::Proc,
        Step::TaskFolder,
        Step::PivotRoot,
        Step::ReadOnlyRoot,
        Step::FunctionProcess,
        Step::UserMap,
        Step::Reaper,
        Step::Descriptors,
        Step::ResourceLimits,
        Step::Session,
        Step::BoundingSet,
        Step::User,
        Step::Capabilities,
        Step::NoNewPrivileges,
        Step::Seccomp,
        Step::Execute,
    ];

    /// The steps of init, which come first.
    pub(crate) fn of_init() -> &'static [Step] {
        Step::ALL.split_at(Step::FIRST_OF_FUNCTION).0
    }

    /// The steps of the function's process.
    pub(crate) fn of_function() -> &'static [Step] {
        Step::ALL.split_at(Step::FIRST_OF_FUNCTION).1
    }

    const FIRST_OF_FUNCTION: usize = 19;
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// Why a step, or a request to the launcher, could not be done: what was attempted with which
/// value, and what the kernel said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) detail: String,
    pub(crate) errno: i32,
}

impl Refusal {
    pub(crate) fn new(detail: impl Into<String>, errno: Errno) -> Refusal {
        Refusal { detail: detail.into(), errno: errno.raw_os_error() }
    }
}

/// Goes on whether or not it worked; the comment beside each use says why that is right.
pub(crate) fn regardless<T, E>(result: Result<T, E>) {
    drop(result);
}

/// Says what was being done when the kernel refused.
pub(crate) trait During<T> {
    fn during(self, detail: impl FnOnce() -> String) -> Result<T, Refusal>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, detail: impl FnOnce() -> String) -> Result<T, Refusal> {
        self.map_err(|errno| Refusal::new(detail(), errno))
    }
}

impl<T> During<T> for std::io::Result<T> {
    fn during(self, detail: impl FnOnce() -> String) -> Result<T, Refusal> {
        self.map_err(|error| Refusal {
            // Errors that `std` itself makes (a NUL in a path, say) carry no number.
            errno: error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error()),
            detail: detail(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_listed_once() {
        for (index, step) in Step::ALL.iter().enumerate() {
            assert_eq!(*step as usize, index, "{step} is out of order in Step::ALL");
        }
        assert_eq!(Step::of_init().last(), Some(&Step::Reaper));
        assert_eq!(Step::of_function().first(), Some(&Step::Descriptors));
        assert_eq!(Step::of_function().last(), Some(&Step::Execute));
    }
}
