//! What a sandbox is to be, as plain data: what the server tells the launcher, and what it is told.
//!
//! Nothing here acts. [`Options`] are given once, while the caller is still root, and bound what
//! the launcher will ever do for it; [`Limits`] come with every sandbox.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Chosen by the caller, never used twice in one launcher's life.
pub type SandboxId = u64;

/// What the launcher may ever start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Names this launcher's cgroups: `lambent-<instance>`. Letters, digits, `-` and `_`, at most
    /// 64 of them. Two launchers of one instance cannot live at the same time.
    pub instance: String,
    /// [`Sender::assign`](crate::Sender::assign) names folders beneath this one, nothing else.
    pub code_root: PathBuf,
    pub runtimes: BTreeMap<String, Runtime>,
    /// As root, the sandbox in slot n runs as user and group `uid_base + n`, and the reapers of all
    /// sandboxes as `uid_base + max_sandboxes`: a range that no other program should use.
    pub uid_base: u32,
    pub max_sandboxes: u32,
}

/// What runs in a sandbox: the files it needs beside the host's `/usr`, and how to start it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    pub binds: Vec<Bind>,
    /// An absolute path inside the sandbox, and arguments.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
}

/// A file or folder of the host, seen read-only inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    pub source: PathBuf,
    /// Absolute, without `..`; its parents are made.
    pub target: PathBuf,
}

/// What one sandbox may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub memory_bytes: u64,
    /// 1000 is one core.
    pub cpu_millis: u32,
    /// Processes and threads of the function, all together.
    pub pids: u32,
    /// The size of `/tmp`. What is stored there counts as memory, too.
    pub tmp_bytes: u64,
    pub tmp_inodes: u64,
    /// Per process.
    pub open_files: u32,
}

impl Default for Limits {
    /// For sandboxes of a pool, which wait for their function: enough for an interpreter to start.
    fn default() -> Limits {
        Limits {
            memory_bytes: 128 * 1024 * 1024, // what a function has that asks for nothing
            cpu_millis: 1_000,               // one core, so that starting is not throttled
            pids: 256,                       // far above what a program starts, far below a bomb
            tmp_bytes: 512 * 1024 * 1024,    // as much as AWS gives
            tmp_inodes: 65_536,              // 8 KiB a file if the space is used up
            open_files: 1_024,               // what select(2) can name; AWS gives the same
        }
    }
}

/// How well sandboxes are contained on this machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Isolation {
    /// The launcher is root, and each sandbox has a user of its own.
    pub root: bool,
    /// Functions run in a user namespace that owns nothing else.
    pub user_namespace: bool,
    pub cgroup: Cgroup,
    /// What is not there, in sentences for people.
    pub missing: Vec<String>,
}

/// The generation of control groups that holds sandboxes to their limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cgroup {
    #[default]
    None,
    V1,
    V2,
}

/// What a sandbox has used up to now, all its processes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub memory_peak_bytes: u64,
    pub cpu: Duration,
    /// How many processes the kernel has killed for want of memory.
    pub oom_kills: u64,
}

/// How the function's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
}

/// What was asked of the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    Create,
    Assign,
    Freeze,
    Thaw,
    Usage,
    Destroy,
}
