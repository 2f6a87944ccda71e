//! Unpacks a package beneath a folder, all or nothing.
//!
//! Everything happens in a **staging** folder beside the destination, which nobody but us may
//! enter. The last step opens it to all and renames it to its final name, without replacing
//! anything: of two unpackers of the same package one wins, and the other learns that it exists. A
//! failure, or a panic, removes the staging folder; what a killed process left behind is swept by
//! [`remove_abandoned`].
//!
//! Paths have been checked before, and the folder is empty and private, so there is nothing that
//! could lead a path astray. The kernel is asked to make sure all the same: each file is opened
//! with `openat2`, beneath the staging folder, through no link, and only if it is new.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, chmodat, fchmod, mkdirat, openat,
    openat2, renameat, renameat_with, syncfs,
};
use rustix::io::Errno;

use crate::archive::{Archive, Entry, EntryKind, Inflater};
use crate::kind::{Content, decide};
use crate::remove::remove_tree;
use crate::{EntryName, Limits, Refused, Summary};

/// What an unpacked package must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of any process, but not a power failure: for a cache that is emptied at boot.
    UntilReboot,
    /// A power failure too. Syncs the whole file system once, which may take long on a busy one,
    /// but not as long as syncing thousands of files one by one.
    OnDisk,
}

/// Why a package was not unpacked. Nothing is left of the attempt, with one exception: if syncing
/// fails after the rename, the package is in place but might not survive a power failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("cannot unpack to {path}: it exists already")]
    Exists { path: PathBuf },
    #[error("cannot unpack to {path}: a destination needs a name and an existing parent folder")]
    NoDestination { path: PathBuf },
    #[error("cannot make a staging folder in {parent}")]
    Stage { parent: PathBuf, source: io::Error },
    #[error("cannot make the folder {entry} of the package")]
    MakeFolder { entry: EntryName, source: io::Error },
    #[error(
        "cannot create the file {entry} of the package beneath the staging folder (openat2, Linux 5.6 or newer)"
    )]
    CreateFile { entry: EntryName, source: io::Error },
    #[error("cannot write the file {entry} of the package")]
    WriteFile { entry: EntryName, source: io::Error },
    #[error("cannot sync the file system of {path}")]
    Sync { path: PathBuf, source: io::Error },
    #[error("cannot rename the staging folder to {path}")]
    Publish { path: PathBuf, source: io::Error },
}

impl UnpackError {
    /// Whether the disk or a quota is full: worth another try once there is room.
    pub fn is_storage_full(&self) -> bool {
        let (Self::Stage { source, .. }
        | Self::MakeFolder { source, .. }
        | Self::CreateFile { source, .. }
        | Self::WriteFile { source, .. }
        | Self::Sync { source, .. }
        | Self::Publish { source, .. }) = self
        else {
            return false;
        };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Folders and executables.
const FOR_ALL_TO_ENTER: Mode = Mode::from_raw_mode(0o755);
/// All other files. No more is kept of modes: set-id and sticky bits are dropped, and a file that
/// nobody may read becomes readable, since the function's own user owns nothing here.
const FOR_ALL_TO_READ: Mode = Mode::from_raw_mode(0o644);

/// Unpacks a package into the folder `into`, which must not exist; its parent must.
///
/// Makes the same checks as [`crate::inspect`], and refuses for the same reasons.
pub fn unpack(
    bytes: &[u8],
    file_name: Option<&str>,
    limits: &Limits,
    into: &Path,
    durability: Durability,
) -> Result<Summary, UnpackError> {
    if into.symlink_metadata().is_ok() {
        return Err(UnpackError::Exists { path: into.to_owned() });
    }
    let content = decide(bytes, file_name, limits)?;
    let summary = match content {
        Content::Source { module_file } => {
            let staging = Staging::new(into)?;
            let mut file = staging.create(&module_file)?;
            write(&mut file, &module_file, bytes)?;
            set_mode(&file, &module_file, FOR_ALL_TO_READ)?;
            staging.publish(into, durability)?;
            Summary::of_source(&module_file, bytes)
        }
        Content::Zip => {
            // Before anything is made on disk.
            let archive = Archive::read(bytes, limits)?;
            let staging = Staging::new(into)?;
            for folder in archive.folders() {
                staging.make_folder(folder)?;
            }
            let mut inflater = Inflater::new();
            for entry in archive.entries() {
                staging.unpack_entry(entry, &mut inflater)?;
            }
            staging.publish(into, durability)?;
            Summary::of_archive(&archive)
        }
    };
    Ok(summary)
}

/// Removes what killed processes left of unpacking into `parent`, and says how many folders that
/// were. Call it before the first [`unpack`] there: it takes every staging folder for abandoned.
pub fn remove_abandoned(parent: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for child in parent.read_dir()? {
        let child = child?;
        let name = child.file_name();
        if name.as_encoded_bytes().starts_with(STAGING_PREFIX.as_bytes())
            && child.file_type()?.is_dir()
        {
            remove_tree(&child.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

const STAGING_PREFIX: &str = ".unpacking-";

/// Tells apart the staging folders of one process; its id tells apart those of several.
static STAGED: AtomicU64 = AtomicU64::new(0);

/// A private folder that removes itself unless it is published.
#[derive(Debug)]
struct Staging {
    path: PathBuf,
    root: OwnedFd,
    published: bool,
}

impl Staging {
    /// A name is taken only if another process of our id (in another pid namespace, or one that
    /// was killed) works in the same parent, so a few tries are many.
    const TRIES: usize = 1_000;

    fn new(into: &Path) -> Result<Self, UnpackError> {
        let no_destination = || UnpackError::NoDestination { path: into.to_owned() };
        let parent = into.parent().filter(|_| into.file_name().is_some());
        let parent = match parent.ok_or_else(no_destination)? {
            empty if empty.as_os_str().is_empty() => Path::new("."),
            parent => parent,
        };
        let failed =
            |source: Errno| UnpackError::Stage { parent: parent.to_owned(), source: source.into() };
        for _ in 0..Self::TRIES {
            let number = STAGED.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{STAGING_PREFIX}{}-{number}", std::process::id()));
            match mkdirat(CWD, &path, Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(Errno::NOENT | Errno::NOTDIR) => return Err(no_destination()),
                Err(errno) => return Err(failed(errno)),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return match openat(CWD, &path, flags, Mode::empty()) {
                Ok(root) => Ok(Self { path, root, published: false }),
                Err(errno) => {
                    discard(&path);
                    Err(failed(errno))
                }
            };
        }
        Err(failed(Errno::EXIST))
    }

    fn open(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        openat2(&self.root, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode, resolve)
    }

    fn make_folder(&self, path: &str) -> Result<(), UnpackError> {
        let failed =
            |errno: Errno| UnpackError::MakeFolder { entry: path.into(), source: errno.into() };
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let parent =
            self.open(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).map_err(failed)?;
        mkdirat(&parent, name, FOR_ALL_TO_ENTER).map_err(failed)?;
        // Whatever the process's umask took away.
        chmodat(&parent, name, FOR_ALL_TO_ENTER, AtFlags::empty()).map_err(failed)
    }

    fn create(&self, path: &str) -> Result<File, UnpackError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = self.open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| {
            UnpackError::CreateFile { entry: path.into(), source: errno.into() }
        })?;
        Ok(file.into())
    }

    fn unpack_entry(&self, entry: &Entry<'_>, inflater: &mut Inflater) -> Result<(), UnpackError> {
        let EntryKind::File { executable } = entry.kind else {
            // Made already; this checks that there is nothing in it.
            return inflater.copy(entry, |_| Ok(()));
        };
        let mut file = self.create(entry.path)?;
        inflater.copy(entry, |piece| write(&mut file, entry.path, piece))?;
        set_mode(&file, entry.path, if executable { FOR_ALL_TO_ENTER } else { FOR_ALL_TO_READ })
    }

    fn publish(mut self, into: &Path, durability: Durability) -> Result<(), UnpackError> {
        let failed =
            |errno: Errno| UnpackError::Publish { path: into.to_owned(), source: errno.into() };
        fchmod(&self.root, FOR_ALL_TO_ENTER).map_err(failed)?;
        if durability == Durability::OnDisk {
            self.sync()?;
        }
        let renamed = match renameat_with(CWD, &self.path, CWD, into, RenameFlags::NOREPLACE) {
            // Some network and layered file systems cannot promise not to replace. A plain rename
            // still fails on any folder that is not empty, as all published ones are not.
            Err(Errno::INVAL | Errno::NOSYS) => renameat(CWD, &self.path, CWD, into),
            outcome => outcome,
        };
        match renamed {
            Ok(()) => self.published = true,
            Err(Errno::EXIST | Errno::NOTEMPTY) => {
                return Err(UnpackError::Exists { path: into.to_owned() });
            }
            Err(errno) => return Err(failed(errno)),
        }
        if durability == Durability::OnDisk { self.sync_name() } else { Ok(()) }
    }

    /// All files of the package, before its name can be seen.
    fn sync(&self) -> Result<(), UnpackError> {
        syncfs(&self.root)
            .map_err(|errno| UnpackError::Sync { path: self.path.clone(), source: errno.into() })
    }

    /// The name itself, which is an entry of the parent folder.
    fn sync_name(&self) -> Result<(), UnpackError> {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| UnpackError::Sync { path: parent.to_owned(), source })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            discard(&self.path);
        }
    }
}

/// The reason for discarding is the error that is told; a folder that stays is swept at the next
/// start.
fn discard(staging: &Path) {
    drop(remove_tree(staging));
}

fn write(file: &mut File, path: &str, piece: &[u8]) -> Result<(), UnpackError> {
    file.write_all(piece).map_err(|source| UnpackError::WriteFile { entry: path.into(), source })
}

fn set_mode(file: &File, path: &str, mode: Mode) -> Result<(), UnpackError> {
    fchmod(file, mode)
        .map_err(|errno| UnpackError::WriteFile { entry: path.into(), source: errno.into() })
}
