//! `lambent watch DIR`: an event for every file that is created, modified or deleted in a folder.
//!
//! Two halves with a bounded queue between them. The [`Folder`] sees changes, as the kernel tells
//! them (inotify), and makes CloudEvents of them; the [`Sender`] brings them to the service, in
//! batches, and tries again for as long as the service is away. While the queue is full the folder
//! is not read, the kernel's own queue overflows, and the folder is compared with what was known of
//! it: then several changes of one file may become one event, but no file is forgotten.
//!
//! What it saw is kept in memory only. What changes while this command does not run is not seen;
//! `--existing` sends an event for every file that is there at the start, and those that were sent
//! before (the same file, unchanged) are duplicates for the service, within 24 hours.

mod folder;
mod record;
mod sender;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::session::note;
use super::{Failure, Session};
use folder::Folder;
use record::{Described, Describer};
use sender::Sender;

/// Events that wait for the service. Each is below 10 KiB, nearly always below one: a few MiB.
const QUEUE: usize = 10_000;

#[derive(Clone, Debug, Args)]
pub struct Watch {
    /// The folder, with all folders in it
    pub dir: PathBuf,
    /// The events' source; without it, the folder as a file: URL
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Send file.created for the files that are there at the start, too
    #[arg(long)]
    pub existing: bool,
}

impl Watch {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let failure = |source| Failure::Watch { path: self.dir.clone(), source };
        let root = self.dir.canonicalize().map_err(failure)?;
        let describer = Describer::new(&root, self.source.as_deref());
        let folder = Folder::open(root, self.existing, Instant::now()).map_err(failure)?;
        note(&format!(
            "watching {} ({} files) for {}; Ctrl-C ends it",
            self.dir.display(),
            folder.files(),
            session.client.url()
        ));
        let (queue, queued) = mpsc::channel(QUEUE);
        let (stop, stopping) = watch::channel(false);
        let seeing = async {
            let seen = tokio::select! {
                seen = see(folder, &describer, queue) => seen.map_err(failure),
                asked = asked_to_stop() => asked.map_err(failure),
            };
            // Whoever listened is gone only if the sender has ended already.
            stop.send_replace(true);
            seen
        };
        let mut sender = Sender::new(session, queued);
        tokio::pin!(seeing);
        let mut sending = std::pin::pin!(sender.run(stopping));
        tokio::select! {
            sent = &mut sending => sent,
            seen = &mut seeing => {
                let sent = sending.await;
                seen.and(sent)
            }
        }
    }
}

/// Ctrl-C, or what a service manager says.
async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Queues the folder's changes until the folder cannot be watched any more or nobody takes them.
async fn see(
    mut folder: Folder,
    describer: &Describer,
    queue: mpsc::Sender<Described>,
) -> std::io::Result<()> {
    #[expect(deprecated, reason = "its successor is unsafe; an `Arc<OwnedFd>` keeps its promise")]
    let readable = AsyncFd::with_interest(Arc::clone(folder.inotify()), Interest::READABLE)?;
    loop {
        let mut changes = folder.settle(Instant::now());
        while let Some(more) = folder.read(Instant::now())? {
            changes.extend(more);
            for change in changes.drain(..) {
                if queue.send(describer.describe(&change)).await.is_err() {
                    return Ok(());
                }
            }
        }
        for change in changes {
            if queue.send(describer.describe(&change)).await.is_err() {
                return Ok(());
            }
        }
        let settled = folder.next_to_settle();
        let quiet = async {
            match settled {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Cleared before the next read: what comes after that read makes it ready again.
            ready = readable.readable() => ready?.clear_ready(),
            () = quiet => {}
        }
    }
}
