//! Code on disk: blobs named by their own SHA-256, `code/ab/abcdef…`.
//!
//! A deploy first puts the code here and then its version into the catalogue, so a version's code
//! is always there, and a crash between the two leaves a blob that nobody names. Those are removed
//! when they have been unused for a grace period, longer than any deploy takes.
//!
//! A blob is written beside its place, synced, renamed into it, and the folder synced: under its
//! final name there is all of it or nothing. What is read is hashed again, so that a bit that
//! flipped on the disk is an error and not code that runs.
//!
//! Everything here blocks: call it where blocking is fine.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use model::Timestamp;
use model::function::Digest;
use sha2::{Digest as _, Sha256};

use crate::{Error, Result, failpoint};

/// Files that were being written when the process died have this in front, and no one's name.
const PARTIAL: &str = "partial-";

/// The blobs of one data folder.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    /// Tells the names of files that are being written apart.
    writing: AtomicU64,
    /// Held while a blob is found to be there already, and while one is removed: otherwise a
    /// deploy could rely on a blob in the moment in which it goes.
    keeping: Mutex<()>,
}

impl Blobs {
    /// Opens the folder `code` in the data folder, and makes it where it is missing.
    pub fn open(data: &Path) -> Result<Self> {
        let root = data.join("code");
        let this = Self { root, writing: AtomicU64::new(0), keeping: Mutex::default() };
        this.make_folder(&this.root)
            .map_err(|error| this.failed("make the code folder", &error))?;
        Ok(this)
    }

    /// Stores the bytes, synced; if they are there already, nothing is written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest(Sha256::digest(bytes).into());
        if !self.keep(&digest) {
            self.write(&digest, bytes).map_err(|error| self.failed("store the code", &error))?;
        }
        Ok(digest)
    }

    /// Where the blob is, if it is.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(&name[..2]).join(name)
    }

    /// The bytes, if they are what their name says.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|error| Error::Failed {
            operation: "read the code",
            why: format!("{} cannot be read: {error}", path.display()),
        })?;
        let found = Digest(Sha256::digest(&bytes).into());
        if found == *digest {
            return Ok(bytes);
        }
        let path = path.display();
        let why = format!("{path} has other bytes than its name says ({found:?}); deploy it again");
        Err(Error::Failed { operation: "read the code", why })
    }

    /// Removes what is not `in_use` and was last put more than `grace` before `now`, and what an
    /// interrupted write left. Answers how many files went.
    pub fn remove_unused(
        &self,
        in_use: &HashSet<Digest>,
        grace: Duration,
        now: Timestamp,
    ) -> Result<usize> {
        let in_use: HashSet<String> = in_use.iter().map(Digest::to_string).collect();
        let before = now.minus(grace);
        let sweep = || -> io::Result<usize> {
            let mut removed = 0;
            for folder in fs::read_dir(&self.root)? {
                let folder = folder?;
                if !folder.file_type()?.is_dir() {
                    continue;
                }
                for file in fs::read_dir(folder.path())? {
                    let file = file?;
                    let name = file.file_name();
                    let used = name.to_str().is_some_and(|name| in_use.contains(name));
                    if !used {
                        removed += usize::from(self.remove_if_old(&file.path(), before)?);
                    }
                }
            }
            Ok(removed)
        };
        sweep().map_err(|error| self.failed("remove unused code", &error))
    }

    /// Whether the blob is there, whole; then it counts as put just now.
    fn keep(&self, digest: &Digest) -> bool {
        let _keeping = self.lock();
        let Ok(mut file) = File::open(self.path(digest)) else { return false };
        let touched = rustix::fs::futimens(
            &file,
            &rustix::fs::Timestamps { last_access: NOW, last_modification: NOW },
        );
        touched.is_ok() && hash(&mut file).is_ok_and(|found| found == *digest)
    }

    fn write(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        let folder = path.parent().unwrap_or(&self.root);
        if !folder.is_dir() {
            self.make_folder(folder)?;
        }
        let number = self.writing.fetch_add(1, Ordering::Relaxed);
        let partial = folder.join(format!("{PARTIAL}{}-{number}", std::process::id()));
        let written = self.write_through(&partial, &path, bytes);
        if written.is_err() {
            // Whatever is left goes with the unused blobs.
            drop(fs::remove_file(&partial));
        }
        written
    }

    fn write_through(&self, partial: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        failpoint!("code.before_rename");
        fs::rename(partial, path)?;
        failpoint!("code.after_rename");
        sync_folder(path.parent().unwrap_or(&self.root))
    }

    /// Makes a folder whose entry survives a power cut.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        sync_folder(folder.parent().unwrap_or(&self.root))
    }

    fn remove_if_old(&self, path: &Path, before: Timestamp) -> io::Result<bool> {
        let _keeping = self.lock();
        let put = fs::metadata(path)?.modified()?;
        let put = put.duration_since(UNIX_EPOCH).unwrap_or_default();
        if Timestamp::default().plus(put) >= before {
            return Ok(false);
        }
        fs::remove_file(path)?;
        Ok(true)
    }

    fn failed(&self, operation: &'static str, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::Full { path: self.root.clone() }
            }
            _ => {
                let why = format!("{}: {error}", self.root.display());
                Error::Failed { operation, why }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kernel's own present, the one that it gives new files.
const NOW: rustix::fs::Timespec =
    rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn hash(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Later than any file of this test by so much.
    fn later(span: Duration, file: &Path) -> Timestamp {
        let made = fs::metadata(file).unwrap().modified().unwrap();
        Timestamp::default().plus(made.duration_since(UNIX_EPOCH).unwrap()).plus(span)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_blob_is_found_under_its_hash() {
        let data = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(data.path()).unwrap();
        let digest = blobs.put(b"abc").unwrap();
        let name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(blobs.path(&digest), data.path().join("code/ba").join(name));
        assert_eq!(blobs.read(&digest).unwrap(), b"abc");
        assert_eq!(names(&data.path().join("code/ba")), [name]);
    }

    #[test]
    fn a_blob_that_is_there_is_not_written_again() {
        let data = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(data.path()).unwrap();
        let digest = blobs.put(b"abc").unwrap();
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let before = inode(&blobs.path(&digest));
        assert_eq!(blobs.put(b"abc").unwrap(), digest);
        assert_eq!(inode(&blobs.path(&digest)), before);
    }

    #[test]
    fn a_flipped_bit_is_told_and_healed_by_the_next_deploy() {
        let data = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(data.path()).unwrap();
        let digest = blobs.put(b"abc").unwrap();
        fs::write(blobs.path(&digest), b"abb").unwrap();
        assert!(blobs.read(&digest).unwrap_err().to_string().contains("other bytes"));
        blobs.put(b"abc").unwrap();
        assert_eq!(blobs.read(&digest).unwrap(), b"abc");
    }

    #[test]
    fn only_what_is_unused_and_older_than_the_grace_period_is_removed() {
        let data = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(data.path()).unwrap();
        let (used, unused) = (blobs.put(b"used").unwrap(), blobs.put(b"unused").unwrap());
        let in_use = HashSet::from([used]);
        let path = blobs.path(&unused);
        let partial = path.with_file_name("partial-1-0");
        fs::write(&partial, b"x").unwrap();
        let soon = later(HOUR / 2, &partial);
        assert_eq!(blobs.remove_unused(&in_use, HOUR, soon).unwrap(), 0);
        let late = later(HOUR * 2, &partial);
        assert_eq!(blobs.remove_unused(&in_use, HOUR, late).unwrap(), 2);
        assert!(!path.exists() && !partial.exists());
        assert_eq!(blobs.read(&used).unwrap(), b"used");
    }
}
