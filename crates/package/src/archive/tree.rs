//! Finds names that could not be on one disk together, and the folders that paths imply.

use std::collections::HashMap;

use super::{Entry, EntryKind};
use crate::{Limits, Refused};

/// What a path is known as, so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    File,
    /// Named by an entry of its own.
    Folder,
    /// Known only from the paths of others.
    Implied,
}

/// All folders, each after the one it lies in.
pub(super) fn check<'a>(entries: &[Entry<'a>], limits: &Limits) -> Result<Vec<&'a str>, Refused> {
    let mut nodes: HashMap<&'a str, Node> = HashMap::with_capacity(entries.len());
    for entry in entries {
        let own = match entry.kind {
            EntryKind::Folder => Node::Folder,
            EntryKind::File { .. } => Node::File,
        };
        match (nodes.insert(entry.path, own), own) {
            (None, _) | (Some(Node::Implied), Node::Folder) => {}
            (Some(known), _) if known == own => {
                return Err(Refused::DuplicateName { entry: entry.name() });
            }
            (Some(_), _) => return Err(Refused::FileAndFolder { entry: entry.name() }),
        }
        // From the inside out, and only as far as needed: above a known folder, all are known.
        for (slash, _) in entry.path.rmatch_indices('/') {
            let folder = &entry.path[..slash];
            match nodes.get(folder) {
                Some(Node::File) => return Err(Refused::FileAndFolder { entry: folder.into() }),
                Some(Node::Folder | Node::Implied) => break,
                None => nodes.insert(folder, Node::Implied),
            };
        }
        // Implied folders cost as much as others, and a short path can imply dozens.
        if nodes.len() as u64 > limits.entries.into() {
            return Err(Refused::TooManyEntries {
                count: nodes.len() as u64,
                limit: limits.entries,
            });
        }
    }
    let mut folders: Vec<&str> =
        nodes.into_iter().filter_map(|(path, node)| (node != Node::File).then_some(path)).collect();
    // A path sorts after each of its own beginnings.
    folders.sort_unstable();
    Ok(folders)
}
