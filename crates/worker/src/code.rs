//! The unpacked code of functions, by digest, ready to be mounted into sandboxes.
//!
//! [`Cache::get`] answers with a [`Folder`]: from the cache, or after the package was read from
//! the [`CodeSource`] and unpacked, once for all who ask at the same time. While anybody holds the
//! folder it stays; unused ones are removed, the one used longest ago first, when all together
//! have more bytes than the cache may have.
//!
//! The cache does not outlive the process: [`Cache::open`] empties it. Unpacking does not sync
//! each file to the disk, which would make a first start many times slower, so after a loss of
//! power a folder can be there whose files are empty, and nothing could tell it from a whole one
//! without reading all of it. Unpacking again is cheap, and never wrong.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use model::function::{Code, Digest};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::with_causes;

/// Where packages come from. Blocking; called on a thread that may.
pub trait CodeSource: Send + Sync + Debug {
    fn read(&self, digest: &Digest) -> io::Result<Bytes>;
}

/// Why code cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("cannot read package {digest}: {why}")]
    Read { digest: Digest, why: String },
    #[error("cannot unpack package {digest}: {why}")]
    Unpack { digest: Digest, why: String },
    #[error("unpacking package {digest} was interrupted")]
    Interrupted { digest: Digest },
}

/// Why the cache cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot empty the code cache {}", path.display())]
    Empty {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot make the code cache {}", path.display())]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A folder with a package's files, kept while this value lives.
#[derive(Debug)]
pub(crate) struct Folder {
    name: String,
    bytes: u64,
}

impl Folder {
    /// The path beneath the cache's root.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
    source: Arc<dyn CodeSource>,
    bytes_most: u64,
    spawner: Handle,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    bytes: u64,
    /// Counts uses; an entry's last one is its age.
    uses: u64,
    /// Names folders: a package that was removed and is unpacked again gets another one, so that
    /// the removal, which takes its time, is not in the way.
    unpacked: u64,
}

/// The same bytes under two file names are two packages: a lone source file becomes the module
/// that its name says.
type Key = (Digest, String);

type Unpacked = Option<Result<Arc<Folder>, Unavailable>>;

enum Begun {
    Ready(Arc<Folder>),
    Unpacking(watch::Receiver<Unpacked>),
}

#[derive(Debug)]
enum Entry {
    Unpacking(watch::Receiver<Unpacked>),
    Ready { folder: Arc<Folder>, used: u64 },
}

impl Cache {
    /// Blocking: empties and makes the folder.
    pub(crate) fn open(
        root: PathBuf,
        source: Arc<dyn CodeSource>,
        bytes_most: u64,
        spawner: Handle,
    ) -> Result<Self, OpenError> {
        std::fs::create_dir_all(&root)
            .map_err(|source| OpenError::Make { path: root.clone(), source })?;
        // What is in it, not the folder itself: the launcher knows that by a descriptor.
        empty(&root).map_err(|source| OpenError::Empty { path: root.clone(), source })?;
        Ok(Self { root, source, bytes_most, spawner, state: Mutex::default() })
    }

    /// The package's files. Waits for whoever is unpacking it already.
    pub(crate) async fn get(self: &Arc<Self>, code: &Code) -> Result<Arc<Folder>, Unavailable> {
        let mut unpacking = match self.begin(code) {
            Begun::Ready(folder) => return Ok(folder),
            Begun::Unpacking(receiver) => receiver,
        };
        let interrupted = Err(Unavailable::Interrupted { digest: code.digest });
        match unpacking.wait_for(Option::is_some).await {
            Ok(unpacked) => unpacked.clone().unwrap_or(interrupted),
            // The thread ended by a panic, or the process is about to end.
            Err(_closed) => {
                let mut state = self.lock();
                let key = (code.digest, code.file_name.clone());
                if matches!(state.entries.get(&key), Some(Entry::Unpacking(_))) {
                    state.entries.remove(&key);
                }
                interrupted
            }
        }
    }

    /// Has the package unpacked by the time that somebody needs it.
    pub(crate) fn prepare(self: &Arc<Self>, code: &Code) {
        drop(self.begin(code)); // whoever needs it hears how it went
    }

    fn begin(self: &Arc<Self>, code: &Code) -> Begun {
        let key = (code.digest, code.file_name.clone());
        let mut state = self.lock();
        state.uses += 1;
        let now = state.uses;
        match state.entries.get_mut(&key) {
            Some(Entry::Ready { folder, used }) => {
                *used = now;
                Begun::Ready(Arc::clone(folder))
            }
            Some(Entry::Unpacking(receiver)) => Begun::Unpacking(receiver.clone()),
            None => {
                let (sender, receiver) = watch::channel(None);
                state.unpacked += 1;
                let name = format!("{}-{}", code.digest, state.unpacked);
                state.entries.insert(key, Entry::Unpacking(receiver.clone()));
                let (cache, code) = (Arc::clone(self), code.clone());
                // Not a part of anybody's future: whoever asked first may stop waiting.
                drop(self.spawner.spawn_blocking(move || cache.fetch(&code, name, &sender)));
                Begun::Unpacking(receiver)
            }
        }
    }

    fn fetch(&self, code: &Code, name: String, done: &watch::Sender<Unpacked>) {
        let unpacked = self.unpack(code, name);
        let surplus = {
            let key = (code.digest, code.file_name.clone());
            let mut state = self.lock();
            match &unpacked {
                Ok(folder) => {
                    state.bytes += folder.bytes;
                    state.uses += 1;
                    let used = state.uses;
                    let folder = Arc::clone(folder);
                    state.entries.insert(key, Entry::Ready { folder, used });
                }
                // A failure is not kept: the next who asks tries again.
                Err(error) => {
                    tracing::error!(%error, "code cannot be had");
                    state.entries.remove(&key);
                }
            }
            state.take_surplus(self.bytes_most)
        };
        done.send_replace(Some(unpacked));
        for folder in surplus {
            let path = self.root.join(folder.name());
            if let Err(error) = package::remove_tree(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove unused code");
            }
        }
    }

    fn unpack(&self, code: &Code, name: String) -> Result<Arc<Folder>, Unavailable> {
        let digest = code.digest;
        let bytes = self
            .source
            .read(&digest)
            .map_err(|error| Unavailable::Read { digest, why: error.to_string() })?;
        let into = self.root.join(&name);
        let limits = package::Limits::default();
        let file_name = Some(code.file_name.as_str());
        let durability = package::Durability::UntilReboot;
        let summary = package::unpack(&bytes, file_name, &limits, &into, durability)
            .map_err(|error| Unavailable::Unpack { digest, why: with_causes(&error) })?;
        Ok(Arc::new(Folder { name, bytes: summary.unpacked_bytes }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn empty(root: &Path) -> io::Result<()> {
    for child in root.read_dir()? {
        let child = child?;
        if child.file_type()?.is_dir() {
            package::remove_tree(&child.path())?;
        } else {
            std::fs::remove_file(child.path())?;
        }
    }
    Ok(())
}

impl State {
    /// Takes out of the book what is used by nobody, oldest first, until the rest fits.
    fn take_surplus(&mut self, bytes_most: u64) -> Vec<Arc<Folder>> {
        let mut surplus = Vec::new();
        while self.bytes > bytes_most {
            let oldest = self
                .entries
                .iter()
                .filter_map(|(key, entry)| match entry {
                    // One reference is the book's own.
                    Entry::Ready { folder, used } if Arc::strong_count(folder) == 1 => {
                        Some((*used, key.clone()))
                    }
                    _ => None,
                })
                .min();
            let Some((_, key)) = oldest else { break };
            if let Some(Entry::Ready { folder, .. }) = self.entries.remove(&key) {
                self.bytes -= folder.bytes;
                surplus.push(folder);
            }
        }
        surplus
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Makes a package out of a digest, and counts how often.
    #[derive(Debug, Default)]
    struct Made {
        reads: AtomicU32,
    }

    impl CodeSource for Made {
        fn read(&self, digest: &Digest) -> io::Result<Bytes> {
            let read = self.reads.fetch_add(1, Ordering::SeqCst);
            match digest.0[0] {
                // Fails the first time.
                0xff if read == 0 => Err(io::ErrorKind::ConnectionReset.into()),
                0xfe => Ok(Bytes::from_static(b"PK\x03\x04 and no more")),
                number => Ok(Bytes::from(vec![b'0' + number % 10; 1_000])),
            }
        }
    }

    fn code(number: u8) -> Code {
        let digest = Digest([number; 32]);
        Code { digest, size_bytes: 1_000, file_name: "handler.py".into() }
    }

    fn open(bytes_most: u64) -> (Arc<Cache>, Arc<Made>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("left-over")).unwrap();
        std::fs::write(folder.path().join("left-over/handler.py"), "").unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let source = Arc::new(Made::default());
        let root = folder.path().to_owned();
        let cache = Cache::open(root, source.clone(), bytes_most, Handle::current()).unwrap();
        (Arc::new(cache), source, folder)
    }

    fn folders(folder: &tempfile::TempDir) -> usize {
        folder.path().read_dir().unwrap().count()
    }

    #[tokio::test]
    async fn a_package_is_unpacked_once_for_all_who_ask() {
        let (cache, source, root) = open(10_000);
        assert_eq!(folders(&root), 0, "what was there before is gone");
        let code = code(1);
        let (a, b, c) = tokio::join!(cache.get(&code), cache.get(&code), cache.get(&code));
        let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
        assert!(Arc::ptr_eq(&a, &b) && Arc::ptr_eq(&b, &c));
        assert_eq!(source.reads.load(Ordering::SeqCst), 1);
        assert!(root.path().join(a.name()).join("handler.py").is_file());
        assert!(Arc::ptr_eq(&cache.get(&code).await.unwrap(), &a));
    }

    #[tokio::test]
    async fn who_stops_waiting_stops_nobody_else() {
        let (cache, source, _root) = open(10_000);
        let code = code(1);
        {
            let mut first = std::pin::pin!(cache.get(&code));
            // Polled once, then dropped.
            tokio::select! {
                biased;
                _ = &mut first => {}
                () = std::future::ready(()) => {}
            }
        }
        cache.get(&code).await.unwrap();
        assert_eq!(source.reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_told_and_not_kept() {
        let (cache, _source, root) = open(10_000);
        let error = cache.get(&code(0xff)).await.unwrap_err();
        assert!(matches!(error, Unavailable::Read { .. }), "{error}");
        cache.get(&code(0xff)).await.unwrap();
        let error = cache.get(&code(0xfe)).await.unwrap_err();
        assert!(matches!(error, Unavailable::Unpack { .. }), "{error}");
        assert_eq!(folders(&root), 1);
    }

    /// Gets a package and lets go of it, and waits until the thread that unpacked it has, too.
    async fn use_once(cache: &Arc<Cache>, number: u8) {
        let folder = cache.get(&code(number)).await.unwrap();
        while Arc::strong_count(&folder) > 2 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_one_used_longest_ago_goes_and_what_is_in_use_stays() {
        let (cache, source, root) = open(2_500);
        let in_use = cache.get(&code(1)).await.unwrap();
        use_once(&cache, 2).await;
        use_once(&cache, 3).await;
        drop(cache.get(&code(1)).await.unwrap());
        assert!(root.path().join(in_use.name()).is_dir());
        assert_eq!(source.reads.load(Ordering::SeqCst), 3, "the first was kept");
        use_once(&cache, 2).await;
        assert_eq!(source.reads.load(Ordering::SeqCst), 4, "the second was not");
        drop(in_use);
        use_once(&cache, 4).await;
        use_once(&cache, 5).await;
        use_once(&cache, 1).await;
        assert_eq!(source.reads.load(Ordering::SeqCst), 7, "nobody used the first any more");
    }
}
