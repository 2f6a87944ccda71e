//! Reads what is on disk, to compare it with what should be.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Each path beneath a folder, with its mode and, for files, its contents.
pub(crate) type Tree = BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>;

/// Panics at anything that is neither a file nor a folder.
pub(crate) fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for child in fs::read_dir(&folder).unwrap() {
            let path = child.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            let relative = path.strip_prefix(root).unwrap().to_owned();
            if metadata.is_dir() {
                tree.insert(relative, (mode, None));
                open.push(path);
            } else {
                assert!(metadata.is_file(), "{path:?} is neither a file nor a folder");
                tree.insert(relative, (mode, Some(fs::read(&path).unwrap())));
            }
        }
    }
    tree
}

pub(crate) fn tree<'a>(nodes: impl IntoIterator<Item = (&'a str, u32, Option<&'a [u8]>)>) -> Tree {
    let node = |(path, mode, contents): (_, _, Option<&[u8]>)| {
        (PathBuf::from(path), (mode, contents.map(<[u8]>::to_vec)))
    };
    nodes.into_iter().map(node).collect()
}
