//! Version 1: one hierarchy for each controller, so a sandbox has a folder in each of them.
//!
//! What version 1 lacks is ending a whole group when its memory runs out. The launcher is told by
//! an event and does it itself.

use super::files;
use super::locate::Located;
use crate::spec::{Limits, Usage};
use crate::step::{During, Refusal, regardless};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The kernel's default period, in microseconds; quotas are shares of it.
const PERIOD_US: u64 = 100_000;
/// The least quota that the kernel takes.
const QUOTA_LEAST_US: u64 = 1_000;

/// How long a start waits for the sandboxes of launchers that were killed to be gone, all of them
/// together: some hundred die in a second, and what stays is swept by the next.
const DYING: Duration = Duration::from_secs(2);

/// The part of a sandbox's memory that its sockets may have on top of it.
const SOCKET_SHARE: u64 = 4;

/// Every controller that is used, and what a sandbox lacks without it.
const CONTROLLERS: [(&str, &str); 5] = [
    ("memory", "Memory is not limited."),
    ("cpu", "The share of the processors is not limited."),
    ("cpuacct", "Processor time is not counted."),
    ("pids", "The number of processes is limited per user only."),
    ("freezer", "Sandboxes cannot be frozen between calls."),
];

/// `lambent-<instance>` in every hierarchy.
#[derive(Debug)]
pub(crate) struct Tree {
    folders: BTreeMap<&'static str, PathBuf>,
    _alive: OwnedFd,
}

impl Tree {
    pub(super) fn open(
        located: &Located,
        instance: &str,
        missing: &mut Vec<String>,
    ) -> Result<Option<Tree>, Refusal> {
        let memory = located.v1.get("memory").map(PathBuf::as_path).unwrap_or(Path::new("/"));
        sweep(located, memory);
        let name = format!("{}{instance}", files::PREFIX);
        let own = memory.join(&name);
        // Locked first and removed last: a folder in another hierarchy never lacks its lock.
        let alive = match files::claim(&own) {
            Ok(alive) => alive,
            Err(refusal) if is_not_ours(&refusal) => {
                missing.push(format!(
                    "Memory, processors and processes are not limited by control groups: this \
                     user may not make them in {}.",
                    memory.display()
                ));
                return Ok(None);
            }
            Err(refusal) => return Err(refusal),
        };
        let mut folders = BTreeMap::new();
        for (controller, without) in CONTROLLERS {
            match located.v1.get(controller).map(|home| home.join(&name)) {
                Some(folder) if files::make(&folder).is_ok() => {
                    folders.insert(controller, folder);
                }
                _ => missing.push(format!("{without} The controller {controller} is not usable.")),
            }
        }
        if let Some(folder) = folders.get("pids") {
            files::limit_processes_in_all(folder);
        }
        for stale in folders.values().flat_map(|folder| files::folders(folder)) {
            files::remove_tree(&stale);
        }
        Ok(Some(Tree { folders, _alive: alive }))
    }

    pub(super) fn group(&self, name: &str, limits: &Limits) -> Result<Group, Refusal> {
        let folders =
            self.folders.iter().map(|(controller, home)| (*controller, home.join(name))).collect();
        let group = Group { folders };
        // Controllers that are mounted together share a folder, which is then made once.
        let made = group.distinct().into_iter().try_for_each(|folder| files::make(folder));
        if let Err(refusal) = made.and_then(|()| group.set(limits)) {
            // Nothing is in it, so that nothing keeps it from being removed.
            regardless(group.remove());
            return Err(refusal);
        }
        Ok(group)
    }

    pub(super) fn remove(&self) {
        let (memory, others): (Vec<_>, Vec<_>) =
            self.folders.iter().partition(|(controller, _)| **controller == "memory");
        for (_, folder) in others.into_iter().chain(memory) {
            files::remove_tree(folder);
        }
    }
}

fn is_not_ours(refusal: &Refusal) -> bool {
    [libc::EACCES, libc::EPERM, libc::EROFS].contains(&refusal.errno)
}

/// Removes what launchers left that were killed.
fn sweep(located: &Located, memory: &Path) {
    let dead = files::dead(memory);
    // Its sandboxes were killed with the launcher; but who is frozen does not die, not even of
    // SIGKILL, before he is thawed, and the launcher that would have done it was killed itself.
    let names = || dead.iter().filter_map(|(folder, _lock)| folder.file_name());
    if let Some(home) = located.v1.get("freezer") {
        for sandbox in names().flat_map(|name| files::folders(&home.join(name))) {
            // It may have no processes and be removed at this moment.
            regardless(files::write(&sandbox.join("freezer.state"), "THAWED"));
        }
    }
    let until = Instant::now() + DYING;
    for name in names() {
        for home in located.v1.values().filter(|home| *home != memory) {
            files::remove_dead_tree(&home.join(name), until);
        }
        files::remove_dead_tree(&memory.join(name), until);
    }
}

#[derive(Debug)]
pub(crate) struct Group {
    folders: BTreeMap<&'static str, PathBuf>,
}

impl Group {
    fn file(&self, controller: &str, name: &str) -> Option<PathBuf> {
        self.folders.get(controller).map(|folder| folder.join(name))
    }

    fn distinct(&self) -> BTreeSet<&PathBuf> {
        self.folders.values().collect()
    }

    fn write(&self, controller: &str, name: &str, value: u64) -> Result<(), Refusal> {
        match self.file(controller, name) {
            Some(path) => files::write(&path, &value.to_string()),
            None => Ok(()), // said to be missing when the tree was opened
        }
    }

    pub(super) fn set(&self, limits: &Limits) -> Result<(), Refusal> {
        self.set_memory(limits.memory_bytes)?;
        self.set_socket_memory(limits.memory_bytes)?;
        let quota = u64::from(limits.cpu_millis) * PERIOD_US / 1_000;
        self.write("cpu", "cpu.cfs_quota_us", quota.max(QUOTA_LEAST_US))?;
        // One more for init, which is ours.
        self.write("pids", "pids.max", u64::from(limits.pids) + 1)
    }

    /// Memory and memory with swap are two limits, of which the second must never be the lower one:
    /// so it is raised first and lowered last. With both equal there is no swap.
    fn set_memory(&self, bytes: u64) -> Result<(), Refusal> {
        let limit = "memory.limit_in_bytes";
        let both = "memory.memsw.limit_in_bytes";
        let counts_swap = self.file("memory", both).is_some_and(|path| path.exists());
        if !counts_swap {
            self.write("memory", limit, bytes)?;
            return self.write("memory", "memory.swappiness", 0);
        }
        let now = self.file("memory", both).map(|path| files::number(&path)).transpose()?;
        if now.is_some_and(|now| now < bytes) {
            self.write("memory", both, bytes)?;
            self.write("memory", limit, bytes)
        } else {
            self.write("memory", limit, bytes)?;
            self.write("memory", both, bytes)
        }
    }

    /// Buffers of TCP and UDP, loopback included, count as memory in version 2. Here they are counted
    /// apart, and only once there is a limit: without it a function could take all that the kernel
    /// has for the whole machine (`net.ipv4.tcp_mem`), and with that the server's own connections.
    fn set_socket_memory(&self, bytes: u64) -> Result<(), Refusal> {
        let limit = "memory.kmem.tcp.limit_in_bytes";
        match self.file("memory", limit).is_some_and(|path| path.exists()) {
            true => self.write("memory", limit, bytes / SOCKET_SHARE),
            false => Ok(()), // this kernel counts none of it
        }
    }

    pub(super) fn doors(&self) -> Vec<PathBuf> {
        // Not "cgroup.procs", which moves all threads, and therefore waits until none can be in
        // the middle of being made: a grace period, 7 to 22 ms. A process that joins has one.
        self.distinct().into_iter().map(|folder| folder.join("tasks")).collect()
    }

    pub(super) fn usage(&self) -> Result<Usage, Refusal> {
        let mut usage = Usage::default();
        if let Some(path) = self.file("memory", "memory.max_usage_in_bytes") {
            usage.memory_peak_bytes = files::number(&path)?;
        }
        if let Some(path) = self.file("memory", "memory.oom_control") {
            usage.oom_kills = files::keyed(&path, "oom_kill")?;
        }
        if let Some(path) = self.file("cpuacct", "cpuacct.usage") {
            usage.cpu = Duration::from_nanos(files::number(&path)?);
        }
        Ok(usage)
    }

    pub(super) fn freeze(&self, freeze: bool) -> Result<(), Refusal> {
        let Some(path) = self.file("freezer", "freezer.state") else {
            return Err(Refusal::new("find the freezer controller", rustix::io::Errno::OPNOTSUPP));
        };
        files::write(&path, if freeze { "FROZEN" } else { "THAWED" })
    }

    pub(super) fn is_frozen(&self) -> Result<bool, Refusal> {
        let Some(path) = self.file("freezer", "freezer.state") else { return Ok(false) };
        Ok(files::read(&path)?.trim() == "FROZEN")
    }

    /// Registers an eventfd with the group's out-of-memory notifications.
    pub(super) fn watch_memory(&self) -> Result<OwnedFd, Refusal> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .during(|| "make an eventfd".to_owned())?;
        let Some(control) = self.file("memory", "memory.oom_control") else { return Ok(event) };
        let source = open(&control, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .during(|| format!("open {}", control.display()))?;
        let registration = format!("{} {}", event.as_raw_fd(), source.as_raw_fd());
        files::write(&control.with_file_name("cgroup.event_control"), &registration)?;
        Ok(event)
    }

    pub(super) fn remove(&self) -> Result<bool, Refusal> {
        let mut all = true;
        for folder in self.distinct() {
            all &= files::remove(folder)?;
        }
        Ok(all)
    }
}
