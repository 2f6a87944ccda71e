//! Reading and writing the one-value files of which control groups are made, and the folders that
//! hold them.

use crate::step::{During, Refusal, regardless};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat};
use rustix::io::Errno;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The prefix of every folder that a launcher makes among the groups.
pub(super) const PREFIX: &str = "lambent-";

/// How long a launcher waits for its predecessor of the same instance, which may still be killing
/// its sandboxes: a little more than it allows itself (see `launcher/main.rs`).
const PREDECESSOR: Duration = Duration::from_secs(6);

pub(super) fn write(path: &Path, value: &str) -> Result<(), Refusal> {
    // Not fs::write, which would create and truncate: a group's files exist or are not supported.
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .during(|| format!("write {value} to {}", path.display()))
}

pub(super) fn read(path: &Path) -> Result<String, Refusal> {
    fs::read_to_string(path).during(|| format!("read {}", path.display()))
}

/// Holds all sandboxes of a launcher together to three quarters of the processes and threads that the
/// machine has numbers for. A thousand of them, each at its own limit, would need eight times the
/// usual `kernel.pid_max`, and then nobody on the machine could start anything.
pub(super) fn limit_processes_in_all(folder: &Path) {
    let numbers = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"];
    let most = numbers.iter().filter_map(|path| number(Path::new(path)).ok()).min();
    if let Some(most) = most {
        // Each sandbox has its own limit; where this one cannot be had, that is what there is.
        regardless(write(&folder.join("pids.max"), &(most / 4 * 3).to_string()));
    }
}

/// Reads a file that holds a single number.
pub(super) fn number(path: &Path) -> Result<u64, Refusal> {
    let text = read(path)?;
    text.trim().parse().map_err(|_not_a_number: std::num::ParseIntError| {
        Refusal::new(
            format!("understand {:?} in {} as a number", text.trim(), path.display()),
            Errno::INVAL,
        )
    })
}

/// Reads one number of a file of `key number` lines; 0 if the kernel does not count it.
pub(super) fn keyed(path: &Path, key: &str) -> Result<u64, Refusal> {
    let text = read(path)?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0))
}

/// Makes a folder, or takes over the one that a predecessor left.
pub(super) fn make(path: &Path) -> Result<(), Refusal> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        answer => answer.during(|| format!("make the control group {}", path.display())),
    }
}

/// Removes a group's folder. `false`: it is still busy.
pub(super) fn remove(path: &Path) -> Result<bool, Refusal> {
    match rustix::fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::BUSY) => Ok(false),
        Err(errno) => {
            Err(Refusal::new(format!("remove the control group {}", path.display()), errno))
        }
    }
}

/// Removes a launcher's folder and the folders in it, as far as it goes: what is busy stays, and is
/// found by the next launcher.
pub(super) fn remove_tree(path: &Path) {
    for child in folders(path) {
        remove_tree(&child);
    }
    // A failure leaves an empty group, which costs little and is swept later.
    regardless(remove(path));
}

/// The same for a folder whose processes are dying.
pub(super) fn remove_dead_tree(path: &Path, until: Instant) {
    loop {
        remove_tree(path);
        if !path.exists() || Instant::now() > until {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Makes `path` ours and returns the lock that says so for as long as we live.
pub(super) fn claim(path: &Path) -> Result<OwnedFd, Refusal> {
    let began = Instant::now();
    loop {
        make(path)?;
        let lock = match open_folder(path) {
            Err(Errno::NOENT) => continue, // swept between the two calls
            answer => answer.during(|| format!("open {}", path.display()))?,
        };
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            // A sweeper may have removed the folder after we opened it and before we locked it.
            Ok(()) if is_still_at(&lock, path) => return Ok(lock),
            Ok(()) => (),
            Err(Errno::WOULDBLOCK) if began.elapsed() < PREDECESSOR => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(errno) => {
                return Err(Refusal::new(
                    format!("lock {}, which another living launcher holds", path.display()),
                    errno,
                ));
            }
        }
    }
}

/// The launchers' folders in `home` whose launchers are dead, each with its lock.
pub(super) fn dead(home: &Path) -> Vec<(PathBuf, OwnedFd)> {
    let ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
    };
    folders(home)
        .into_iter()
        .filter(ours)
        .filter_map(|path| {
            let lock = open_folder(&path).ok()?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
            Some((path, lock))
        })
        .collect()
}

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn is_still_at(lock: impl AsFd, path: &Path) -> bool {
    match (fstat(lock), stat(path)) {
        (Ok(locked), Ok(named)) => (locked.st_dev, locked.st_ino) == (named.st_dev, named.st_ino),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_launchers_folder_is_not_dead() {
        let home = tempfile::tempdir().unwrap();
        let lock = claim(&home.path().join("lambent-alive")).unwrap();
        make(&home.path().join("lambent-dead")).unwrap();
        make(&home.path().join("somebody-elses")).unwrap();
        let names: Vec<_> = dead(home.path()).into_iter().map(|(path, _lock)| path).collect();
        assert_eq!(names, [home.path().join("lambent-dead")]);
        drop(lock);
        assert_eq!(dead(home.path()).len(), 2);
    }

    #[test]
    fn a_failed_write_tells_value_path_and_number() {
        let refusal = write(Path::new("/nonexistent/pids.max"), "17").unwrap_err();
        assert_eq!(refusal, Refusal::new("write 17 to /nonexistent/pids.max", Errno::NOENT));
    }

    #[test]
    fn keyed_files_give_their_numbers() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("memory.events");
        fs::write(&file, "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\n").unwrap();
        assert_eq!(keyed(&file, "oom_kill").unwrap(), 2);
        assert_eq!(keyed(&file, "oom_group_kill").unwrap(), 0);
    }
}
