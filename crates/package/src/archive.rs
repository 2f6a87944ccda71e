//! A zip archive, read strictly and without copying.
//!
//! Reading goes from cheap to dear, so that hostile archives cost little: the end records (constant
//! work, and the claimed number of entries), the central directory (one pass, where names and
//! claimed sizes are checked), the layout (every byte has one owner, local headers agree), and only
//! then, entry by entry and on demand, the contents.
//!
//! - `records` takes fixed records apart; it judges nothing.
//! - `end` finds the one central directory.
//! - `directory` turns its records into entries, or refuses.
//! - `path` says which names are acceptable.
//! - `tree` finds names that could not be on one disk together.
//! - `layout` compares the directory with what is at the places it points to.
//! - `contents` inflates.

mod contents;
mod directory;
mod end;
mod layout;
mod path;
mod records;
mod tree;

use crate::{EntryName, Limits, Refused};

pub(crate) use contents::Inflater;

/// One entry, with names and data borrowed from the archive.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Relative, of clean components, without the slash that marks a folder.
    pub(crate) path: &'a str,
    pub(crate) kind: EntryKind,
    pub(crate) unpacked_bytes: u64,
    method: Method,
    crc: u32,
    packed_bytes: u64,
    header_offset: u64,
    /// The directory's record, to compare the local header with.
    record: records::Central<'a>,
    /// Empty until `layout` has found it.
    data: &'a [u8],
}

impl Entry<'_> {
    pub(crate) fn name(&self) -> EntryName {
        EntryName::from(self.path)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Folder,
    /// All that is kept of the mode is whether anybody may execute.
    File {
        executable: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Stored,
    Deflate,
}

/// An archive whose structure has been checked; its contents have not.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    entries: Vec<Entry<'a>>,
    folders: Vec<&'a str>,
}

impl<'a> Archive<'a> {
    pub(crate) fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refused> {
        let end = end::find(bytes, limits)?;
        let mut entries = directory::read(bytes, &end, limits)?;
        let folders = tree::check(&entries, limits)?;
        layout::check(bytes, &end, &mut entries)?;
        Ok(Self { entries, folders })
    }

    /// All entries, in the order of their data.
    pub(crate) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// All folders, also those that only paths imply; each after the one it lies in.
    pub(crate) fn folders(&self) -> &[&'a str] {
        &self.folders
    }
}
