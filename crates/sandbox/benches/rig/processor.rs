//! Processor time of a process, all its threads together and to the nanosecond, as the scheduler
//! counts it. `/proc/PID/stat` counts whole hundredths of a second, too coarse for what is measured
//! here. Other processes, such as a worker's sandboxes, are not in it.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// What each thread had used at one moment.
pub(crate) struct Processor {
    pid: u32,
    used_ns: HashMap<u32, u64>,
}

impl Processor {
    pub(crate) fn now(pid: u32) -> Self {
        let folder = format!("/proc/{pid}/task");
        let threads = fs::read_dir(&folder).unwrap_or_else(|why| panic!("list {folder}: {why}"));
        let used_ns = threads
            .filter_map(|thread| {
                let thread = thread.ok()?;
                // A thread that ends just now has no files any more.
                let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
                let used_ns = text.split(' ').next()?.parse().ok()?;
                Some((thread.file_name().to_str()?.parse().ok()?, used_ns))
            })
            .collect();
        Self { pid, used_ns }
    }

    /// What has been used since. A thread that ended in the meantime is not counted.
    pub(crate) fn since(&self) -> Duration {
        let now = Self::now(self.pid);
        let used = now.used_ns.iter().map(|(thread, used_ns)| {
            used_ns.saturating_sub(self.used_ns.get(thread).copied().unwrap_or(0))
        });
        Duration::from_nanos(used.sum())
    }
}
