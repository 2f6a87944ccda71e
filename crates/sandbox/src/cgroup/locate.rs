//! Where the control groups of this process are, as folders.
//!
//! Pure but for reading two files: /proc/self/cgroup names the groups relative to their hierarchy,
//! /proc/self/mountinfo says where each hierarchy, or the part of it that a container sees, is
//! mounted.

use crate::step::{During, Refusal};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Located {
    /// Version 1: controller to folder.
    pub(super) v1: BTreeMap<String, PathBuf>,
    pub(super) v2: Option<PathBuf>,
}

impl Located {
    pub(super) fn of_this_process() -> Result<Located, Refusal> {
        let read = |path: &str| fs::read_to_string(path).during(|| format!("read {path}"));
        Ok(Located::from(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?))
    }

    fn from(groups: &str, mounts: &str) -> Located {
        let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
        let mut located = Located::default();
        // hierarchy:controllers:path, and for version 2 the controllers are empty.
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            if controllers.is_empty() {
                located.v2 = mounts.iter().find(|m| m.version == 2).and_then(|m| m.find(path));
                continue;
            }
            for controller in controllers.split(',') {
                let has = |m: &&Mount| m.options.iter().any(|option| option == controller);
                let mount = mounts.iter().filter(|m| m.version == 1).find(has);
                if let Some(folder) = mount.and_then(|m| m.find(path)) {
                    located.v1.insert(controller.to_owned(), folder);
                }
            }
        }
        located
    }
}

struct Mount {
    version: u8,
    root: PathBuf,
    target: PathBuf,
    options: Vec<String>,
}

impl Mount {
    /// `36 35 98:0 ROOT TARGET options [tags…] - TYPE source OPTIONS`
    fn parse(line: &str) -> Option<Mount> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, target) = (unescape(before.next()?), unescape(before.next()?));
        let mut after = after.split(' ');
        let version = match after.next()? {
            "cgroup" => 1,
            "cgroup2" => 2,
            _ => return None,
        };
        let options = after.nth(1)?.split(',').map(str::to_owned).collect();
        Some(Mount { version, root: root.into(), target: target.into(), options })
    }

    /// The folder of the group `path`, if this mount shows it.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let below = Path::new(path).strip_prefix(&self.root).ok()?;
        // "/../x" is how the kernel names a group outside of our view.
        let inside = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        // join("") would leave a trailing slash.
        inside.then(|| match below.as_os_str().is_empty() {
            true => self.target.clone(),
            false => self.target.join(below),
        })
    }
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    ["\\040 ", "\\011\t", "\\012\n", "\\134\\"].iter().fold(text.to_owned(), |text, pair| {
        let (code, character) = pair.split_at(4);
        text.replace(code, character)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_found_through_its_mounts() {
        let located = Located::from(
            "9:name=systemd:/\n4:memory:/agent/22d8\n2:cpu,cpuacct:/\n0::/\n",
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
        );
        assert_eq!(located.v1["memory"], Path::new("/sys/fs/cgroup/memory/agent/22d8"));
        assert_eq!(located.v1["cpuacct"], Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(located.v2.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
    }

    #[test]
    fn version_2_is_found_in_a_container_that_sees_a_part() {
        let located = Located::from(
            "0::/docker/77/app\n",
            "600 599 0:26 /docker/77 /sys/fs/cgroup ro master:9 - cgroup2 cgroup rw,nsdelegate\n",
        );
        assert_eq!(located.v1.len(), 0);
        assert_eq!(located.v2.as_deref(), Some(Path::new("/sys/fs/cgroup/app")));
    }

    #[test]
    fn a_group_outside_of_the_view_is_not_found() {
        let mounts = "600 599 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(Located::from("0::/../other\n", mounts), Located::default());
    }

    #[test]
    fn spaces_in_mount_points_are_understood() {
        let mounts = "600 599 0:26 / /mnt/c\\040g rw - cgroup2 cgroup rw\n";
        assert_eq!(Located::from("0::/a\n", mounts).v2.as_deref(), Some(Path::new("/mnt/c g/a")));
    }
}
