//! A folder and what is known of it.
//!
//! A file is *created* or *modified* when a writer closes it or when it is moved in, never while it
//! is being written, and compared with what was known: a file that was opened for writing and not
//! written gives nothing. Within a new folder there may be files whose writer closed them before
//! the folder could be watched; these, and all that is found after the kernel's queue overflowed,
//! are reported when they have been left alone for [`QUIET`], or are closed, whichever is first.
//!
//! Only regular files count. Links are not followed. Two writes of the same length, both within one
//! tick of the file system's clock (4 ms on older kernels), may be taken for one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::time::Instant;

/// Longer than a writer pauses, in most programs; short enough to wait for.
pub(super) const QUIET: Duration = Duration::from_secs(1);
/// Read from the kernel at once: 250 of its events at their largest, some 2,000 usually.
const READ_BYTES: usize = 64 * 1024;

/// What happened to a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Created,
    Modified,
    Deleted,
}

/// A file as it was when it was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) inode: u64,
    pub(super) modified_ns: i128,
    /// Also changes when a file is moved: the same file at the same place again is another event.
    pub(super) changed_ns: i128,
    pub(super) size_bytes: u64,
}

impl Seen {
    fn is_same_content(self, other: Self) -> bool {
        (self.inode, self.modified_ns, self.size_bytes)
            == (other.inode, other.modified_ns, other.size_bytes)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) kind: Kind,
    /// Within the folder.
    pub(super) path: PathBuf,
    /// As it is, or for a deleted file as it last was.
    pub(super) seen: Seen,
}

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    inotify: Arc<OwnedFd>,
    /// Folders within the root by the kernel's number for them; the root's own path is empty.
    watches: HashMap<i32, PathBuf>,
    known: BTreeMap<PathBuf, Seen>,
    /// Files that may be in the middle of being written: as last seen, and when that was new.
    unsettled: BTreeMap<PathBuf, (Seen, Instant)>,
}

/// One of the kernel's events.
struct Told {
    watch: i32,
    flags: ReadFlags,
    name: Option<PathBuf>,
}

impl Folder {
    /// Watches a folder. Files that are there are known, or with `existing` about to be reported.
    pub(super) fn open(root: PathBuf, existing: bool, now: Instant) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let mut folder = Self {
            root,
            inotify: Arc::new(inotify),
            watches: HashMap::new(),
            known: BTreeMap::new(),
            unsettled: BTreeMap::new(),
        };
        let found = folder.walk(Path::new(""))?;
        if !folder.watches.values().any(|path| path.as_os_str().is_empty()) {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"));
        }
        if existing {
            folder.unsettled = found.into_iter().map(|(path, seen)| (path, (seen, now))).collect();
        } else {
            folder.known = found;
        }
        Ok(folder)
    }

    pub(super) fn inotify(&self) -> &Arc<OwnedFd> {
        &self.inotify
    }

    pub(super) fn files(&self) -> usize {
        self.known.len() + self.unsettled.len()
    }

    /// What the kernel has to tell, a buffer of it; none if there is nothing.
    pub(super) fn read(&mut self, now: Instant) -> io::Result<Option<Vec<Change>>> {
        let mut told = Vec::new();
        let mut buffer = vec![MaybeUninit::uninit(); READ_BYTES];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => told.push(Told {
                    watch: event.wd(),
                    flags: event.events(),
                    name: event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).into()),
                }),
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        let mut changes = Vec::new();
        for event in told {
            self.take(event, now, &mut changes)?;
        }
        Ok(Some(changes))
    }

    /// Files that have been left alone for long enough.
    pub(super) fn settle(&mut self, now: Instant) -> Vec<Change> {
        let due = |(_, (_, since)): &(&PathBuf, &(Seen, Instant))| now >= *since + QUIET;
        let due: Vec<_> = self.unsettled.iter().filter(due).map(|(path, _)| path.clone()).collect();
        let mut changes = Vec::new();
        for path in due {
            let before = self.unsettled.remove(&path);
            match (before, self.look(&path)) {
                (Some((before, _)), Some(seen)) if before != seen => {
                    self.unsettled.insert(path, (seen, now));
                }
                (_, Some(_)) => self.report(&path, &mut changes),
                (_, None) => {}
            }
        }
        changes
    }

    /// When [`Self::settle`] has something to do.
    pub(super) fn next_to_settle(&self) -> Option<Instant> {
        self.unsettled.values().map(|(_, since)| *since + QUIET).min()
    }

    fn take(&mut self, told: Told, now: Instant, changes: &mut Vec<Change>) -> io::Result<()> {
        let Told { watch, flags, name } = told;
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            return self.rescan(now, changes);
        }
        let Some(folder) = self.watches.get(&watch) else { return Ok(()) };
        let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT;
        if flags.intersects(gone) {
            if folder.as_os_str().is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the folder is gone"));
            }
            // Its own folder tells the same.
            return Ok(());
        }
        if flags.contains(ReadFlags::IGNORED) {
            self.watches.remove(&watch);
            return Ok(());
        }
        let Some(name) = name else { return Ok(()) };
        let path = folder.join(name);
        let is_folder = flags.contains(ReadFlags::ISDIR);
        if flags.intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE) {
            if is_folder {
                self.remove_folder(&path, changes);
            } else {
                self.remove_file(path, changes);
            }
        } else if is_folder {
            if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                let found = self.walk(&path)?;
                self.suspect(found, now);
            }
        } else if flags.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO) {
            self.report(&path, changes);
        } else if flags.contains(ReadFlags::CREATE) && self.links(&path) > 1 {
            // A hard link has no writer who would close it.
            self.report(&path, changes);
        }
        Ok(())
    }

    /// A file is whole: what is it, compared with what was known?
    fn report(&mut self, path: &Path, changes: &mut Vec<Change>) {
        self.unsettled.remove(path);
        // Gone again: its removal is told, too.
        let Some(seen) = self.look(path) else { return };
        let kind = match self.known.insert(path.into(), seen) {
            None => Kind::Created,
            Some(before) if before.is_same_content(seen) => return,
            Some(_) => Kind::Modified,
        };
        changes.push(Change { kind, path: path.into(), seen });
    }

    fn remove_file(&mut self, path: PathBuf, changes: &mut Vec<Change>) {
        self.unsettled.remove(&path);
        if let Some(seen) = self.known.remove(&path) {
            changes.push(Change { kind: Kind::Deleted, path, seen });
        }
    }

    fn remove_folder(&mut self, folder: &Path, changes: &mut Vec<Change>) {
        let within = |path: &&PathBuf| path.starts_with(folder);
        let files: Vec<_> = self.known.keys().filter(within).cloned().collect();
        for path in files {
            self.remove_file(path, changes);
        }
        self.unsettled.retain(|path, _| !path.starts_with(folder));
        let watches = self.watches.iter().filter(|(_, path)| path.starts_with(folder));
        let watches: Vec<_> = watches.map(|(watch, _)| *watch).collect();
        self.forget_watches(&watches);
    }

    fn forget_watches(&mut self, watches: &[i32]) {
        for watch in watches {
            self.watches.remove(watch);
            // A folder that was deleted took its watch with it.
            let _gone_already = inotify::remove_watch(&self.inotify, *watch);
        }
    }

    /// The kernel dropped events: compare what is there with what was known.
    fn rescan(&mut self, now: Instant, changes: &mut Vec<Change>) -> io::Result<()> {
        let before: HashSet<i32> = std::mem::take(&mut self.watches).into_keys().collect();
        let found = self.walk(Path::new(""))?;
        let stale: Vec<_> =
            before.into_iter().filter(|watch| !self.watches.contains_key(watch)).collect();
        self.forget_watches(&stale);
        let gone = self.known.keys().filter(|path| !found.contains_key(*path));
        let gone: Vec<_> = gone.cloned().collect();
        for path in gone {
            self.remove_file(path, changes);
        }
        self.unsettled.retain(|path, _| found.contains_key(path));
        self.suspect(found, now);
        Ok(())
    }

    /// Files that were found rather than told: those that are news wait until they are quiet.
    fn suspect(&mut self, found: BTreeMap<PathBuf, Seen>, now: Instant) {
        for (path, seen) in found {
            let is_known = self.known.get(&path).is_some_and(|it| it.is_same_content(seen));
            if !is_known {
                self.unsettled.entry(path).or_insert((seen, now));
            }
        }
    }

    /// Watches a folder and all within, then lists their files: in this order, so that nothing
    /// falls in between.
    fn walk(&mut self, from: &Path) -> io::Result<BTreeMap<PathBuf, Seen>> {
        let mask = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW
            | WatchFlags::EXCL_UNLINK;
        let mut files = BTreeMap::new();
        let mut folders = vec![from.to_owned()];
        while let Some(folder) = folders.pop() {
            let absolute = self.root.join(&folder);
            let is_root = folder.as_os_str().is_empty();
            match inotify::add_watch(&self.inotify, &absolute, mask) {
                Ok(watch) => drop(self.watches.insert(watch, folder.clone())),
                Err(Errno::NOENT | Errno::NOTDIR) if !is_root => continue,
                Err(Errno::NOSPC) => return Err(too_many_folders()),
                Err(Errno::ACCESS) if !is_root => {
                    super::note(&format!("{} is not watched: no permission", absolute.display()));
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            }
            let entries = match fs::read_dir(&absolute) {
                Ok(entries) => entries,
                Err(error) if is_root => return Err(error),
                // Gone since, which is told.
                Err(_gone) => continue,
            };
            for entry in entries.flatten() {
                let path = folder.join(entry.file_name());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(kind) if kind.is_file() => {
                        if let Some(seen) = self.look(&path) {
                            files.insert(path, seen);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(files)
    }

    /// A regular file as it is now; none if it is gone or something else.
    fn look(&self, path: &Path) -> Option<Seen> {
        let about = fs::symlink_metadata(self.root.join(path)).ok()?;
        let nanos =
            |seconds: i64, part: i64| i128::from(seconds) * 1_000_000_000 + i128::from(part);
        about.is_file().then(|| Seen {
            inode: about.ino(),
            modified_ns: nanos(about.mtime(), about.mtime_nsec()),
            changed_ns: nanos(about.ctime(), about.ctime_nsec()),
            size_bytes: about.len(),
        })
    }

    fn links(&self, path: &Path) -> u64 {
        fs::symlink_metadata(self.root.join(path)).map_or(0, |about| about.nlink())
    }
}

fn too_many_folders() -> io::Error {
    io::Error::other(
        "there are more folders than this user may watch; raise the sysctl \
         fs.inotify.max_user_watches",
    )
}

#[cfg(test)]
mod tests;
