//! What a worker is told when it starts, each number with its reason.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::RuntimeName;

use crate::code::CodeSource;

/// How a worker is to be. The defaults are in [`Config::new`], each with its reason.
#[derive(Debug)]
pub struct Config {
    /// The runtimes that the launcher was given.
    pub runtimes: Vec<RuntimeName>,
    /// What all sandboxes together may be promised.
    pub memory_total_mib: u64,
    /// As the launcher was told: it has so many users and slots.
    pub max_sandboxes: u32,
    /// Empty sandboxes to have ready, per runtime.
    pub pool_target: u32,
    /// A sandbox that served nobody for so long is removed.
    pub idle_expiry: Duration,
    /// A sandbox that served nobody for so long is stopped until its next attempt.
    pub freeze_after: Duration,
    /// Sandboxes that start at the same time.
    pub parallel_starts: u32,
    /// Attempts that may wait for a sandbox of one version.
    pub waiting_per_version: u32,
    pub code: Arc<dyn CodeSource>,
    /// The launcher's `code_root`, as this process sees it. Emptied at the start.
    pub cache: PathBuf,
    pub cache_bytes: u64,
}

impl Config {
    pub fn new(
        runtimes: Vec<RuntimeName>,
        memory_total_mib: u64,
        max_sandboxes: u32,
        code: Arc<dyn CodeSource>,
        cache: PathBuf,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Self {
            runtimes,
            memory_total_mib,
            max_sandboxes,
            // One for the call that comes, one for the call that comes while the first is being
            // replaced; each costs about 6 MiB.
            pool_target: 2,
            // A minute covers callers that come back. What it saves afterwards is a start of a few
            // milliseconds, and what it costs is the memory of the function.
            idle_expiry: Duration::from_secs(60),
            // Long enough that a busy sandbox is never frozen between two calls, short enough that
            // a thread which a function left running gets little done.
            freeze_after: Duration::from_millis(50),
            // A start is half computing, half waiting for the kernel: twice the cores keep both
            // busy, and more would make each of them later.
            parallel_starts: u32::try_from(2 * cores).unwrap_or(u32::MAX),
            // As many as a project may run at once by default: more than that is refused before it
            // gets here. A waiting attempt holds its event, of up to 6 MiB.
            waiting_per_version: model::limits::PROJECT_CONCURRENCY,
            code,
            cache,
            // Four of the largest packages, or thousands of ordinary ones.
            cache_bytes: 1024 * 1024 * 1024,
        }
    }
}
