//! How the server gives up root once the launcher runs.
//!
//! The server speaks to the network, so it should not be the process that is root. What it needs
//! afterwards is its data folder, which may lie where only root can go (below `/root`, say). So it
//! first makes a mount namespace of its own, in which the folder is bound to a fixed path that
//! everybody may reach, and hands the folder to its new user.
//!
//! The path is the same in every server's namespace, so many can run at once. It is a real path, of
//! real folders with mode 755, since SQLite for one resolves every part of it.

use crate::error::Error;
use crate::sys;
use rustix::fs::{AtFlags, CWD, chownat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags, set_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the server finds its data folder.
const DATA: &str = "/run/lambent/data";

/// Puts this process out of root's reach: it keeps the data folder and nothing else that root has.
///
/// Returns the path under which the data folder is found from now on; it is also the new working
/// directory. Without root, does nothing and returns `data` as it is. Panics if the process has a
/// second thread, which would keep what this one gives up.
pub fn give_up_root(data: &Path, uid: u32) -> Result<PathBuf, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(data.to_owned());
    }
    assert_eq!(sys::threads(), 1, "root is given up before the first thread is started");
    let at = |attempt: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source: std::io::Error| Error::GiveUpRoot { attempt, path, source }
    };
    let target = Path::new(DATA);
    let parent = target.parent().unwrap_or(target);
    for folder in [parent, target] {
        // Made as root, and reachable for all whatever the umask is.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder.create(folder).map_err(at("make the folder", folder))?;
    }
    fs::set_permissions(parent, fs::Permissions::from_mode(0o755))
        .map_err(at("set the mode of", parent))?;

    sys::unshare(UnshareFlags::NEWNS)
        .map_err(|errno| at("make a mount namespace for", data)(errno.into()))?;
    // Not private: what the administrator mounts or unmounts later should still be seen.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(|errno| at("keep to ourselves the mounts under", Path::new("/"))(errno.into()))?;
    mount_bind_recursive(data, target)
        .map_err(|errno| at("bind the data folder", data)(errno.into()))?;
    hand_over(target, uid)?;
    std::env::set_current_dir(target).map_err(at("enter the data folder", target))?;

    become_user(uid)?;
    Ok(target.to_owned())
}

/// Gives the folder and what is in it to `uid`, as far as it belongs to somebody else: earlier
/// runs may have been root's.
///
/// Symbolic links are not followed, and files with several names are left alone: a link that a
/// server's user has planted must not get a file of root's for him.
fn hand_over(path: &Path, uid: u32) -> Result<(), Error> {
    let at = |source: std::io::Error| Error::GiveUpRoot {
        attempt: "hand over",
        path: path.to_owned(),
        source,
    };
    let found = fs::symlink_metadata(path).map_err(at)?;
    let is_theirs = (found.uid(), found.gid()) == (uid, uid);
    if !is_theirs && (found.is_dir() || found.nlink() == 1) {
        let (owner, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
        chownat(CWD, path, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| at(errno.into()))?;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(at)? {
            hand_over(&entry.map_err(at)?.path(), uid)?;
        }
    }
    Ok(())
}

fn become_user(uid: u32) -> Result<(), Error> {
    let to = |attempt: &'static str| {
        move |errno: Errno| Error::BecomeUser { attempt, uid, source: errno.into() }
    };
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    set_thread_groups(&[]).map_err(to("leave the supplementary groups"))?;
    set_thread_res_gid(group, group, group).map_err(to("change the group"))?;
    set_thread_res_uid(user, user, user).map_err(to("change the user"))?;
    // Changing from root to another user has emptied all but the inheritable set.
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(to("drop the capabilities"))?;
    set_no_new_privs(true).map_err(to("set no_new_privs"))?;
    // Other processes of this user may not trace it or read its memory, which holds secrets.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(to("become untraceable"))
}
