//! Control groups: what holds a sandbox to its memory, its share of the processors and its number
//! of processes, and tells what it has used.
//!
//! The launcher finds the groups that it runs in itself ([`locate`]), makes `lambent-<instance>`
//! beneath them ([`Tree`]), and in it one [`Group`] for each sandbox. Version 1 and version 2 of
//! the kernel's interface differ in every file name and in a few ideas; the two modules hide it.
//!
//! Whether an instance is alive is known by a lock (flock) on its folder, which the kernel drops
//! with the launcher, however that ends: the next launcher removes the folders that nobody locks.

mod files;
mod locate;
mod v1;
mod v2;

use crate::spec::{Cgroup, Limits, Usage};
use crate::step::Refusal;
use locate::Located;
use rustix::fd::OwnedFd;
use std::path::PathBuf;

/// The groups of one launcher.
#[derive(Debug)]
pub(crate) enum Tree {
    V1(v1::Tree),
    V2(v2::Tree),
}

/// The groups of one sandbox.
#[derive(Debug)]
pub(crate) enum Group {
    V1(v1::Group),
    V2(v2::Group),
}

/// The tree, if there can be one, and what is missing otherwise.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) tree: Option<Tree>,
    pub(crate) missing: Vec<String>,
}

impl Tree {
    /// Finds where groups may be made, removes what dead launchers left, and claims the instance.
    ///
    /// That no groups can be had is not an error but something missing; that the instance is in use
    /// is one.
    pub(crate) fn open(instance: &str) -> Result<Opened, Refusal> {
        let located = Located::of_this_process()?;
        let mut missing = Vec::new();
        if located.v1.contains_key("memory") {
            match v1::Tree::open(&located, instance, &mut missing)? {
                Some(tree) => return Ok(Opened { tree: Some(Tree::V1(tree)), missing }),
                None => return Ok(Opened { tree: None, missing }),
            }
        }
        if let Some(home) = &located.v2 {
            let tree = v2::Tree::open(home, instance, &v2::residents(), &mut missing)?;
            return Ok(Opened { tree: tree.map(Tree::V2), missing });
        }
        missing.push("No control groups are mounted at /sys/fs/cgroup.".to_owned());
        Ok(Opened { tree: None, missing })
    }

    pub(crate) fn version(&self) -> Cgroup {
        match self {
            Tree::V1(_) => Cgroup::V1,
            Tree::V2(_) => Cgroup::V2,
        }
    }

    /// Makes the groups of the sandbox called `name`.
    pub(crate) fn group(&self, name: &str, limits: &Limits) -> Result<Group, Refusal> {
        match self {
            Tree::V1(tree) => tree.group(name, limits).map(Group::V1),
            Tree::V2(tree) => tree.group(name, limits).map(Group::V2),
        }
    }

    /// Removes the launcher's groups, which must be empty of sandboxes.
    pub(crate) fn remove(&self) {
        match self {
            Tree::V1(tree) => tree.remove(),
            Tree::V2(tree) => tree.remove(),
        }
    }
}

impl Group {
    pub(crate) fn set(&self, limits: &Limits) -> Result<(), Refusal> {
        match self {
            Group::V1(group) => group.set(limits),
            Group::V2(group) => group.set(limits),
        }
    }

    /// The folder of the group in which a process can be born (version 2), which spares the kernel
    /// the wait of moving one: 7 to 22 ms measured, for a grace period in which no thread is made.
    pub(crate) fn birthplace(&self) -> Result<Option<OwnedFd>, Refusal> {
        match self {
            Group::V1(_) => Ok(None),
            Group::V2(group) => group.birthplace().map(Some),
        }
    }

    /// The files into which a process writes "0" to join (version 1).
    pub(crate) fn doors(&self) -> Vec<PathBuf> {
        match self {
            Group::V1(group) => group.doors(),
            Group::V2(_) => Vec::new(),
        }
    }

    pub(crate) fn usage(&self) -> Result<Usage, Refusal> {
        match self {
            Group::V1(group) => group.usage(),
            Group::V2(group) => group.usage(),
        }
    }

    /// Asks for all processes to stop or to go on; [`Group::is_frozen`] tells when they have.
    pub(crate) fn freeze(&self, freeze: bool) -> Result<(), Refusal> {
        match self {
            Group::V1(group) => group.freeze(freeze),
            Group::V2(group) => group.freeze(freeze),
        }
    }

    pub(crate) fn is_frozen(&self) -> Result<bool, Refusal> {
        match self {
            Group::V1(group) => group.is_frozen(),
            Group::V2(group) => group.is_frozen(),
        }
    }

    /// A descriptor that becomes readable when memory has run out, where the kernel does not end
    /// the whole group by itself (version 1).
    pub(crate) fn watch_memory(&self) -> Result<Option<OwnedFd>, Refusal> {
        match self {
            Group::V1(group) => group.watch_memory().map(Some),
            Group::V2(_) => Ok(None),
        }
    }

    /// Removes the groups. `false`: the kernel still counts a dying process; try again.
    pub(crate) fn remove(&self) -> Result<bool, Refusal> {
        match self {
            Group::V1(group) => group.remove(),
            Group::V2(group) => group.remove(),
        }
    }
}
