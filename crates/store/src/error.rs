//! How a store can fail, for those who have to decide what to tell the caller.

use std::path::{Path, PathBuf};

/// A store did not do what was asked. Nothing was changed.
#[expect(clippy::error_impl_error, reason = "everyone outside reads it as `store::Error`")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the disk that holds {} is full: nothing was stored; free some space, and it goes on by itself", path.display())]
    Full { path: PathBuf },
    #[error("cannot open the data folder {}: {why}", path.display())]
    Open { path: PathBuf, why: String },
    #[error("the data folder {} is in use by another lambent process (pid {pid})", path.display())]
    InUse { path: PathBuf, pid: String },
    #[error(
        "the data in {} was written by a newer lambent (schema {found}, this one knows up to {known}): \
         run that version or newer",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// Before anything is served: starting again does not help.
    #[error(
        "the database in {} is damaged ({why}), and starting again does not help: keep a copy of the \
         folder and restore it from a backup; `PRAGMA integrity_check` in sqlite3 tells what is damaged",
        path.display()
    )]
    Unsound { path: PathBuf, why: String },
    #[error("the cursor {cursor:?} is not one that this list gave")]
    Cursor { cursor: String },
    /// Too many writes wait for the disk; the caller may come again.
    #[error("the store has {waiting} writes waiting for the disk, which is as many as it takes")]
    Overloaded { waiting: usize },
    #[error("the store cannot {operation}: {why}")]
    Failed { operation: &'static str, why: String },
    /// Not a row, which would be left out, but what leads to rows.
    #[error(
        "the store cannot {operation}: its database is damaged ({why}); keep a copy of the data folder \
         and restore it from a backup; `PRAGMA integrity_check` in sqlite3 tells what is damaged"
    )]
    Damaged { operation: &'static str, why: String },
    /// The process is on its way out.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// The same about the folder by another of its names: the one that whoever reads it knows.
    #[must_use]
    pub fn about_folder(mut self, name: &Path) -> Self {
        match &mut self {
            Self::Full { path }
            | Self::Open { path, .. }
            | Self::InUse { path, .. }
            | Self::Newer { path, .. }
            | Self::Unsound { path, .. } => name.clone_into(path),
            Self::Cursor { .. }
            | Self::Overloaded { .. }
            | Self::Failed { .. }
            | Self::Damaged { .. }
            | Self::Closed => {}
        }
        self
    }
}
