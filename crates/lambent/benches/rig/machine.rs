//! Where and when a number was measured, without which it means nothing.

use std::process::Command;

pub(crate) fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let said = |program: &str, words: &[&str]| {
        let output =
            Command::new(program).args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.ok().filter(|output| output.status.success());
        output.map_or_else(
            || "unknown".into(),
            |it| String::from_utf8_lossy(&it.stdout).trim().to_owned(),
        )
    };
    let cpuinfo = read("/proc/cpuinfo");
    let cpu = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "cpu     {cpu}, {cores} cores for us, load {} before the start\nkernel  {}\ncommit  {}\ndate    {}",
        read("/proc/loadavg").split(' ').next().unwrap_or("unknown"),
        read("/proc/sys/kernel/osrelease").trim(),
        said("git", &["rev-parse", "--short=12", "HEAD"]),
        said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
    )
}
