//! Removes a folder with all that is in it, however deep that goes.
//!
//! The standard library recurses and holds a descriptor per level, so a tree that is deeper than
//! the descriptor limit cannot be removed by it. Here no level is ever entered: a folder's
//! subfolders are moved up beside it, which leaves a folder of files, which can go. Links are
//! removed and never followed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

/// How many names are read before they are acted upon; bounds memory, nothing else.
const BATCH: usize = 1_024;

/// Removes the folder at `path` and everything beneath it. Nobody else may be writing there.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let root = open_folder(CWD, path)?;
    let mut moved = 0_u64;
    loop {
        let children = list(&root)?;
        if children.is_empty() {
            return Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?);
        }
        for (name, is_folder) in children {
            if is_folder {
                empty(&root, &name, &mut moved)?;
                unlinkat(&root, &name, AtFlags::REMOVEDIR)?;
            } else {
                unlinkat(&root, &name, AtFlags::empty())?;
            }
        }
    }
}

/// Removes a folder's files and moves its folders up into `root`.
fn empty(root: &OwnedFd, name: &CString, moved: &mut u64) -> io::Result<()> {
    let folder = open_folder(root, name)?;
    loop {
        let children = list(&folder)?;
        if children.is_empty() {
            return Ok(());
        }
        for (child, is_folder) in children {
            if is_folder {
                move_up(&folder, &child, root, moved)?;
            } else {
                unlinkat(&folder, &child, AtFlags::empty())?;
            }
        }
    }
}

fn move_up(folder: &OwnedFd, child: &CString, root: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    loop {
        let name = format!(".removed-{moved}");
        *moved += 1;
        match renameat(folder, child, root, name) {
            Ok(()) => return Ok(()),
            // Something of that name was there before; the next number may be free.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn open_folder(at: impl AsFd, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

/// Some of a folder's children, and of each whether it is a folder; none only if there are none.
fn list(folder: &OwnedFd) -> io::Result<Vec<(CString, bool)>> {
    let mut children = Vec::new();
    for child in Dir::read_from(folder)? {
        let child = child?;
        let name = child.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let file_type = match child.file_type() {
            FileType::Unknown => {
                let status = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(status.st_mode)
            }
            known => known,
        };
        children.push((name.to_owned(), file_type == FileType::Directory));
        if children.len() == BATCH {
            break;
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn removes_files_folders_and_links_but_not_what_links_point_to() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(tree.join(".removed-0/x")).unwrap();
        fs::write(tree.join(".removed-1"), "").unwrap();
        fs::write(tree.join("a/b/c/file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/link")).unwrap();

        remove_tree(&tree).unwrap();

        assert!(!tree.exists());
        assert_eq!(fs::read(outside.join("kept")).unwrap(), b"kept");
    }

    #[test]
    fn removes_a_tree_that_is_deeper_than_descriptors_and_paths_reach() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut inner = open_folder(CWD, &tree).unwrap();
        // The customary descriptor limit is 1,024, and PATH_MAX 4,096 bytes.
        for _ in 0..2_500 {
            rustix::fs::mkdirat(&inner, "d", Mode::RWXU).unwrap();
            inner = open_folder(&inner, "d").unwrap();
        }

        remove_tree(&tree).unwrap();

        assert!(!tree.exists());
    }

    #[test]
    fn refuses_to_start_at_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::create_dir(&target).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        remove_tree(&link).unwrap_err();
        assert!(target.exists());
    }
}
