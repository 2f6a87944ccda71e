//! Version 2: one hierarchy, in which processes live in the leaves only.
//!
//! That rule shapes the tree. The launcher finds itself, and the server that executed it, in some
//! group that a service manager made; to hand controllers to children, that group must have no
//! processes of its own. So both move into a leaf first:
//!
//! ```text
//! <home>                      the service's group, delegated to us
//!   lambent-<instance>/
//!     supervisor/             the server and the launcher
//!     17/                     a sandbox
//! ```
//!
//! Whether `home` is really ours to divide is the administrator's decision (`Delegate=yes` in a
//! systemd unit); if the kernel refuses, the launcher runs on without limits and says so.

use super::files;
use crate::spec::{Limits, Usage};
use crate::step::{During, Refusal, regardless};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The period of the processor quota in microseconds, the kernel's default.
const PERIOD_US: u64 = 100_000;
/// The least quota that the kernel takes.
const QUOTA_LEAST_US: u64 = 1_000;
const CONTROLLERS: &str = "+memory +cpu +pids";

#[derive(Debug)]
pub(crate) struct Tree {
    folder: PathBuf,
    _alive: OwnedFd,
}

/// The processes that live in `home` and have to move: the launcher and the server.
pub(super) fn residents() -> Vec<i32> {
    let server = rustix::process::getppid();
    let launcher = rustix::process::getpid();
    server.into_iter().chain([launcher]).map(rustix::process::Pid::as_raw_pid).collect()
}

impl Tree {
    pub(super) fn open(
        home: &Path,
        instance: &str,
        residents: &[i32],
        missing: &mut Vec<String>,
    ) -> Result<Option<Tree>, Refusal> {
        for (stale, _lock) in files::dead(home) {
            files::remove_tree(&stale);
        }
        let folder = home.join(format!("{}{instance}", files::PREFIX));
        let alive = match files::claim(&folder) {
            Err(refusal) if refusal.errno == libc::EWOULDBLOCK => return Err(refusal),
            Err(refusal) => {
                missing.push(undelegated(home, &refusal));
                return Ok(None);
            }
            Ok(alive) => alive,
        };
        match divide(home, &folder, residents) {
            Ok(()) => {
                files::limit_processes_in_all(&folder);
                Ok(Some(Tree { folder, _alive: alive }))
            }
            Err(refusal) => {
                missing.push(undelegated(home, &refusal));
                // Back to where we came from; if that fails, too, the leaf is as good a home.
                for pid in residents {
                    regardless(files::write(&home.join("cgroup.procs"), &pid.to_string()));
                }
                files::remove_tree(&folder);
                Ok(None)
            }
        }
    }

    pub(super) fn group(&self, name: &str, limits: &Limits) -> Result<Group, Refusal> {
        let group = Group { folder: self.folder.join(name) };
        files::make(&group.folder)?;
        let prepared = files::write(&group.file("memory.oom.group"), "1")
            .and_then(|()| group.set_swap_to_none())
            .and_then(|()| group.set(limits));
        if let Err(refusal) = prepared {
            // Nothing is in it, so that nothing keeps it from being removed.
            regardless(group.remove());
            return Err(refusal);
        }
        Ok(group)
    }

    pub(super) fn remove(&self) {
        // If the server is still alive in `supervisor`, that folder stays and is swept later.
        files::remove_tree(&self.folder);
    }
}

/// Moves the residents into a leaf and hands the controllers down to the sandboxes' groups.
fn divide(home: &Path, folder: &Path, residents: &[i32]) -> Result<(), Refusal> {
    let leaf = folder.join("supervisor");
    files::make(&leaf)?;
    for pid in residents {
        files::write(&leaf.join("cgroup.procs"), &pid.to_string())?;
    }
    files::write(&home.join("cgroup.subtree_control"), CONTROLLERS)?;
    files::write(&folder.join("cgroup.subtree_control"), CONTROLLERS)
}

fn undelegated(home: &Path, refusal: &Refusal) -> String {
    format!(
        "Memory, processors and processes are not limited by control groups: cannot {}: {}. Run \
         lambent as a service whose unit says Delegate=yes, so that {} is its own to divide.",
        refusal.detail,
        std::io::Error::from_raw_os_error(refusal.errno),
        home.display()
    )
}

#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn set_swap_to_none(&self) -> Result<(), Refusal> {
        match files::write(&self.file("memory.swap.max"), "0") {
            // A kernel without swap accounting has no such file.
            Err(refusal) if refusal.errno == libc::ENOENT => Ok(()),
            answer => answer,
        }
    }

    pub(super) fn set(&self, limits: &Limits) -> Result<(), Refusal> {
        files::write(&self.file("memory.max"), &limits.memory_bytes.to_string())?;
        let quota = (u64::from(limits.cpu_millis) * PERIOD_US / 1_000).max(QUOTA_LEAST_US);
        files::write(&self.file("cpu.max"), &format!("{quota} {PERIOD_US}"))?;
        // One more for init, which is ours.
        files::write(&self.file("pids.max"), &(u64::from(limits.pids) + 1).to_string())
    }

    pub(super) fn birthplace(&self) -> Result<OwnedFd, Refusal> {
        open(&self.folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .during(|| format!("open {}", self.folder.display()))
    }

    pub(super) fn usage(&self) -> Result<Usage, Refusal> {
        let peak = match files::number(&self.file("memory.peak")) {
            // Kernels before 5.19 do not keep the peak; what is used now is the best answer.
            Err(refusal) if refusal.errno == libc::ENOENT => {
                files::number(&self.file("memory.current"))?
            }
            answer => answer?,
        };
        Ok(Usage {
            memory_peak_bytes: peak,
            cpu: Duration::from_micros(files::keyed(&self.file("cpu.stat"), "usage_usec")?),
            oom_kills: files::keyed(&self.file("memory.events"), "oom_kill")?,
        })
    }

    pub(super) fn freeze(&self, freeze: bool) -> Result<(), Refusal> {
        files::write(&self.file("cgroup.freeze"), if freeze { "1" } else { "0" })
    }

    pub(super) fn is_frozen(&self) -> Result<bool, Refusal> {
        Ok(files::keyed(&self.file("cgroup.events"), "frozen")? == 1)
    }

    pub(super) fn remove(&self) -> Result<bool, Refusal> {
        files::remove(&self.folder)
    }
}

/// Against a recorded tree: the files that Linux 6.12 shows in a delegated group, in a temporary
/// folder. What it cannot show is the kernel's refusals, and that files appear with their folder:
/// the tests make the folders of a sandbox beforehand.
#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const HOME: [(&str, &str); 5] = [
        ("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n"),
        ("cgroup.subtree_control", ""),
        ("cgroup.procs", "4120\n4131\n"),
        ("cgroup.type", "domain\n"),
        ("cgroup.events", "populated 1\nfrozen 0\n"),
    ];
    const LEAF: [(&str, &str); 14] = [
        ("cgroup.controllers", "cpu memory pids\n"),
        ("cgroup.subtree_control", ""),
        ("cgroup.procs", ""),
        ("cgroup.freeze", "0\n"),
        ("cgroup.events", "populated 1\nfrozen 0\n"),
        ("cpu.max", "max 100000\n"),
        (
            "cpu.stat",
            "usage_usec 41562\nuser_usec 30001\nsystem_usec 11561\ncore_sched.force_idle_usec 0\n\
             nr_periods 3\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n",
        ),
        ("memory.max", "max\n"),
        ("memory.swap.max", "max\n"),
        ("memory.oom.group", "0\n"),
        ("memory.current", "7340032\n"),
        ("memory.peak", "8126464\n"),
        ("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 1\n"),
        ("pids.max", "max\n"),
    ];

    fn record(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        for (name, content) in files {
            fs::write(folder.join(name), content).unwrap();
        }
    }

    fn recorded() -> (tempfile::TempDir, Tree) {
        let home = tempfile::tempdir().unwrap();
        record(home.path(), &HOME);
        for folder in ["lambent-t", "lambent-t/supervisor", "lambent-t/7"] {
            record(&home.path().join(folder), &LEAF);
        }
        let mut missing = Vec::new();
        let tree = Tree::open(home.path(), "t", &[4131], &mut missing).unwrap();
        assert_eq!(missing, [""; 0]);
        (home, tree.unwrap())
    }

    /// What was written last; the kernel's files replace their content, plain ones overwrite it.
    #[track_caller]
    fn check(home: &tempfile::TempDir, file: &str, begins: &str) {
        let content = fs::read_to_string(home.path().join(file)).unwrap();
        assert!(content.starts_with(begins), "{file} holds {content:?}, not {begins:?}");
    }

    #[test]
    fn opening_moves_the_residents_into_a_leaf_and_hands_the_controllers_down() {
        let (home, _tree) = recorded();
        check(&home, "lambent-t/supervisor/cgroup.procs", "4131");
        check(&home, "cgroup.subtree_control", "+memory +cpu +pids");
        check(&home, "lambent-t/cgroup.subtree_control", "+memory +cpu +pids");
    }

    #[test]
    fn a_group_is_limited_has_no_swap_and_dies_as_a_whole() {
        let (home, tree) = recorded();
        let limits = Limits {
            memory_bytes: 256 * 1024 * 1024,
            cpu_millis: 500,
            pids: 40,
            ..Limits::default()
        };
        let group = tree.group("7", &limits).unwrap();
        check(&home, "lambent-t/7/memory.max", "268435456");
        check(&home, "lambent-t/7/memory.swap.max", "0");
        check(&home, "lambent-t/7/memory.oom.group", "1");
        check(&home, "lambent-t/7/cpu.max", "50000 100000");
        check(&home, "lambent-t/7/pids.max", "41");
        assert!(group.birthplace().is_ok());
    }

    #[test]
    fn a_tiny_share_of_the_processor_is_the_least_that_the_kernel_takes() {
        let (home, tree) = recorded();
        tree.group("7", &Limits { cpu_millis: 1, ..Limits::default() }).unwrap();
        check(&home, "lambent-t/7/cpu.max", "1000 100000");
    }

    #[test]
    fn usage_is_read_from_peak_stat_and_events() {
        let (_home, tree) = recorded();
        let usage = tree.group("7", &Limits::default()).unwrap().usage().unwrap();
        assert_eq!(usage.memory_peak_bytes, 8_126_464);
        assert_eq!(usage.cpu, Duration::from_micros(41_562));
        assert_eq!(usage.oom_kills, 2);
    }

    #[test]
    fn an_old_kernel_without_a_peak_tells_what_is_used_now() {
        let (home, tree) = recorded();
        fs::remove_file(home.path().join("lambent-t/7/memory.peak")).unwrap();
        let usage = tree.group("7", &Limits::default()).unwrap().usage().unwrap();
        assert_eq!(usage.memory_peak_bytes, 7_340_032);
    }

    #[test]
    fn freezing_is_asked_for_and_then_looked_for() {
        let (home, tree) = recorded();
        let group = tree.group("7", &Limits::default()).unwrap();
        group.freeze(true).unwrap();
        check(&home, "lambent-t/7/cgroup.freeze", "1");
        assert!(!group.is_frozen().unwrap());
        let events = home.path().join("lambent-t/7/cgroup.events");
        fs::write(events, "populated 1\nfrozen 1\n").unwrap();
        assert!(group.is_frozen().unwrap());
    }

    #[test]
    fn a_group_that_is_not_delegated_is_something_missing() {
        let home = tempfile::tempdir().unwrap();
        // Without cgroup.subtree_control: what a container with a read-only tree comes to.
        for folder in ["lambent-t", "lambent-t/supervisor"] {
            record(&home.path().join(folder), &LEAF);
        }
        let mut missing = Vec::new();
        let tree = Tree::open(home.path(), "t", &[4131], &mut missing).unwrap();
        assert!(tree.is_none());
        assert!(missing[0].contains("Delegate=yes"), "{missing:?}");
        assert!(missing[0].contains("cgroup.subtree_control"), "{missing:?}");
    }
}
