//! What may be left of a service: its data, sound, and nothing else (I11 and I12).

use std::path::{Path, PathBuf};

use crate::service::{is_alive, wait_until};

/// The database says of itself that it is sound. To be asked while nobody has it open.
#[track_caller]
pub fn is_sound(data: &Path) {
    let conn = rusqlite::Connection::open(data.join("lambent.db")).unwrap();
    let said: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(said, "ok", "{}", data.display());
    let broken = conn.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!broken, "a foreign key of {} leads nowhere", data.display());
}

/// No process of the family, no control group of the instance, no mount of its folder.
#[track_caller]
pub fn are_gone(family: &[u32], data: &Path) {
    let server = family[0];
    wait_until("nothing is left of the service", || {
        let alive: Vec<_> = family.iter().filter(|pid| is_alive(**pid)).collect();
        let groups = groups(server);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounted = mounts.contains(&format!("{}/", data.display()));
        if alive.is_empty() && groups.is_empty() && !mounted {
            return Ok(());
        }
        Err(format!("processes {alive:?}, control groups {groups:?}, mounted: {mounted}"))
    });
}

/// The control groups, of any hierarchy, that a launcher made for this server.
pub fn groups(server: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    let name = format!("lambent-{server}");
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name() == *name {
                    found.push(entry.path());
                } else {
                    folders.push(entry.path());
                }
            }
        }
    }
    found
}
