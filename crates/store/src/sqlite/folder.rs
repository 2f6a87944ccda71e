//! The data folder, and the lock that keeps a second process out.
//!
//! The lock is an flock on the file `lock`, which the kernel gives up when the process dies, in
//! whatever way. The pid in it is there to be told, and is taken away by an end in good order: whoever
//! finds one there knows that the process before it was ended.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::Error;

/// Held as long as the store is open.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    left_behind: bool,
}

impl Lock {
    /// Whether the process that had it before did not end in good order, or nobody knows.
    pub(super) fn is_left_behind(&self) -> bool {
        self.left_behind
    }

    /// The files are as they should be: the next one has nothing to check.
    pub(super) fn ends_well(&mut self) {
        // If not, the next one checks.
        drop(self.file.set_len(0));
    }
}

/// Whether a process has the lock. Leaves everything as it is.
pub(super) fn is_taken(folder: &Path) -> bool {
    matches!(lock(folder), Err(Error::InUse { .. }))
}

/// Makes the folder where it is missing, and takes the lock.
pub(super) fn take(folder: &Path) -> Result<Lock, Error> {
    let mut file = lock(folder)?;
    let left_behind = file.metadata().is_ok_and(|found| found.len() > 0);
    let pid = format!("{}\n", std::process::id());
    // Flushed, since a power failure is an end that has to be noticed.
    let noted = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(pid.as_bytes()))
        .and_then(|()| file.sync_data());
    if let Err(error) = noted {
        // A full disk keeps nobody from reading what is there.
        let path = folder.join("lock");
        tracing::warn!(path = %path.display(), "cannot note the pid in the lock: {error}");
    }
    Ok(Lock { file, left_behind })
}

/// The file, locked.
fn lock(folder: &Path) -> Result<File, Error> {
    let refused = |why: String| Error::Open { path: folder.to_owned(), why };
    std::fs::create_dir_all(folder).map_err(|error| refused(cannot_make(folder, &error)))?;
    let path = folder.join("lock");
    // Not truncated: the pid in it is another process's until the lock is ours.
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            refused(format!("this user cannot write there ({error})"))
        }
        io::ErrorKind::StorageFull => Error::Full { path: folder.to_owned() },
        _ => refused(format!("its file `lock` cannot be opened ({error})")),
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Without the pid the sentence is poorer, and still true.
            let read = file.read_to_string(&mut pid);
            let pid = pid.trim();
            let pid = if read.is_err() || pid.is_empty() { "unknown" } else { pid };
            return Err(Error::InUse { path: folder.to_owned(), pid: pid.to_owned() });
        }
        Err(TryLockError::Error(error)) => {
            return Err(refused(format!("its file system cannot lock files ({error})")));
        }
    }
    Ok(file)
}

fn cannot_make(folder: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "it, or a part of its path, is a file and not a folder".to_owned()
        }
        io::ErrorKind::PermissionDenied => format!(
            "this user may not make it in {} ({error})",
            folder.parent().unwrap_or(folder).display()
        ),
        _ => format!("it cannot be made ({error})"),
    }
}
