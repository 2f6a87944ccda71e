//! The launcher, as the async side sees it: requests that can be awaited, and news.
//!
//! [`Launcher`] sends a request and gives back what its answer arrives in. A thread of its own
//! waits for the launcher's messages, which is a blocking affair, and hands each to whoever waits
//! for it. Two kinds nobody asked for: that a sandbox has ended goes to the sandbox's own
//! [`Exit`] receiver and to the pool; and that the launcher itself has ended goes to everybody,
//! after which each request fails at once.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use sandbox::{ExitStatus, Limits, Message, Operation, Receiver, SandboxId, Sender, Usage};
use tokio::sync::oneshot;

use crate::with_causes;

/// What the launcher said to a request.
#[derive(Debug)]
pub(crate) enum Reply {
    Done,
    Created(Created),
    Usage(Usage),
}

/// Our ends of a new sandbox.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) channel: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// Comes when nothing of the sandbox is left.
    pub(crate) exit: oneshot::Receiver<Exit>,
    pub(crate) setup: Duration,
}

/// How a sandbox ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    pub(crate) oom_killed: bool,
    pub(crate) usage: Usage,
}

/// Why a request came to nothing.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The launcher tried, and this step of it did not work.
    Step { operation: Operation, step: String, detail: String, errno: i32 },
    /// The sandbox ended before the answer.
    Ended,
    /// The launcher is gone, or cannot be asked.
    Gone(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { operation, step, detail, errno } => {
                let verb = match operation {
                    Operation::Create => "make",
                    Operation::Assign => "mount code into",
                    Operation::Freeze => "freeze",
                    Operation::Thaw => "thaw",
                    Operation::Usage => "measure",
                    Operation::Destroy => "destroy",
                };
                write!(f, "cannot {verb} the sandbox at step {step}: {detail}")?;
                if *errno != 0 {
                    write!(f, ": {}", io::Error::from_raw_os_error(*errno))?;
                }
                Ok(())
            }
            Self::Ended => f.write_str("the sandbox ended before it was ready for the attempt"),
            Self::Gone(why) => f.write_str(why),
        }
    }
}

/// What nobody asked for.
#[derive(Debug)]
pub(crate) enum News {
    Exited(SandboxId),
    /// A sandbox could not be frozen, for a reason that others will meet, too.
    NotFrozen(SandboxId, Failure),
    /// No sandbox lives, and none will.
    Gone(String),
}

/// An answer that is on its way.
pub(crate) type Pending = oneshot::Receiver<Result<Reply, Failure>>;

type Waits = oneshot::Sender<Result<Reply, Failure>>;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Launcher {
    sender: Sender,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// At most a few per sandbox, in the order of the requests.
    replies: HashMap<SandboxId, Vec<(Operation, Waits)>>,
    exits: HashMap<SandboxId, oneshot::Sender<Exit>>,
    gone: Option<String>,
}

/// The half that hears. Nothing is answered before it listens.
#[derive(Debug)]
pub(crate) struct Listener {
    receiver: Receiver,
    waiting: Arc<Mutex<Waiting>>,
}

impl Listener {
    /// Starts the thread that listens. It tells `news` what nobody asked for, and ends with the
    /// launcher.
    pub(crate) fn listen(self, news: impl Fn(News) + Send + 'static) -> io::Result<()> {
        std::thread::Builder::new()
            .name("launcher-news".into())
            .spawn(move || listen(self.receiver, &self.waiting, &news))
            .map(drop) // it ends by itself
    }
}

impl Launcher {
    pub(crate) fn new(launcher: sandbox::Launcher) -> (Self, Listener) {
        let (sender, receiver) = launcher.split();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        (Self { sender, waiting: Arc::clone(&waiting) }, Listener { receiver, waiting })
    }

    pub(crate) fn create(&self, id: SandboxId, runtime: &str, limits: Limits) -> Pending {
        self.ask(id, Operation::Create, |sender| sender.create(id, runtime, limits))
    }

    pub(crate) fn assign(&self, id: SandboxId, code: &str, limits: Limits) -> Pending {
        self.ask(id, Operation::Assign, |sender| sender.assign(id, code, limits))
    }

    pub(crate) fn thaw(&self, id: SandboxId) -> Pending {
        self.ask(id, Operation::Thaw, |sender| sender.thaw(id))
    }

    pub(crate) fn usage(&self, id: SandboxId) -> Pending {
        self.ask(id, Operation::Usage, |sender| sender.usage(id))
    }

    /// Nobody waits for this: a thaw that follows is carried out after it.
    pub(crate) fn freeze(&self, id: SandboxId) {
        self.tell(self.sender.freeze(id));
    }

    /// Answered by the sandbox's [`Exit`].
    pub(crate) fn destroy(&self, id: SandboxId) {
        self.tell(self.sender.destroy(id));
    }

    fn tell(&self, sent: Result<(), sandbox::Error>) {
        // A launcher that cannot be told anything is gone, which the listening thread reports.
        if let Err(error) = sent {
            tracing::debug!(error = with_causes(&error), "the launcher was not told");
        }
    }

    fn ask(
        &self,
        id: SandboxId,
        operation: Operation,
        send: impl FnOnce(&Sender) -> Result<(), sandbox::Error>,
    ) -> Pending {
        let (reply, pending) = oneshot::channel();
        // Held while sending, or the answer could arrive before anybody waits for it.
        let mut waiting = lock(&self.waiting);
        let sent = match &waiting.gone {
            Some(why) => Err(Failure::Gone(why.clone())),
            None => send(&self.sender).map_err(|error| Failure::Gone(with_causes(&error))),
        };
        match sent {
            Ok(()) => waiting.replies.entry(id).or_default().push((operation, reply)),
            // The receiver is right here.
            Err(failure) => drop(reply.send(Err(failure))),
        }
        pending
    }
}

/// Waits for an answer; one that never comes (the thread ended) counts as the launcher's end.
pub(crate) async fn answer(pending: Pending) -> Result<Reply, Failure> {
    match pending.await {
        Ok(reply) => reply,
        Err(_closed) => Err(Failure::Gone("the launcher ended".into())),
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(mut receiver: Receiver, waiting: &Mutex<Waiting>, news: &impl Fn(News)) {
    let why = loop {
        match receiver.receive() {
            Ok(message) => dispatch(message, waiting, news),
            // One message could not be used (say, for want of descriptors); the next may be well.
            // Whoever waits for it has a limit.
            Err(error @ sandbox::Error::Protocol { .. }) => {
                tracing::error!(error = with_causes(&error), "a message of the launcher is lost");
            }
            Err(error) => break with_causes(&error),
        }
    };
    {
        let mut waiting = lock(waiting);
        waiting.gone = Some(why.clone());
        for (_, reply) in waiting.replies.drain().flat_map(|(_, replies)| replies) {
            // Whoever does not wait any more does not need to know.
            drop(reply.send(Err(Failure::Gone(why.clone()))));
        }
        waiting.exits.clear(); // their receivers see a closed channel
    }
    news(News::Gone(why));
}

fn dispatch(message: Message, waiting: &Mutex<Waiting>, news: &impl Fn(News)) {
    match message {
        Message::Created { id, channel, stdout, stderr, setup, .. } => {
            let (sender, exit) = oneshot::channel();
            let mut waiting = lock(waiting);
            waiting.exits.insert(id, sender);
            let created = Created { channel, stdout, stderr, exit, setup };
            waiting.reply(id, Operation::Create, Ok(Reply::Created(created)));
        }
        Message::Assigned { id } => lock(waiting).reply(id, Operation::Assign, Ok(Reply::Done)),
        Message::Frozen { .. } => {}
        Message::Thawed { id } => lock(waiting).reply(id, Operation::Thaw, Ok(Reply::Done)),
        Message::Usage { id, usage } => {
            lock(waiting).reply(id, Operation::Usage, Ok(Reply::Usage(usage)));
        }
        Message::Failed { id, operation, step, detail, errno } => {
            let failure = Failure::Step { operation, step, detail, errno };
            match operation {
                // It has ended; or a thaw came before it was done; or it is not done yet. In all
                // of these, thawing it is right.
                Operation::Freeze
                    if [Errno::SRCH, Errno::CANCELED, Errno::TIMEDOUT]
                        .contains(&Errno::from_raw_os_error(errno)) =>
                {
                    tracing::debug!(sandbox = id, %failure, "a freeze was not completed");
                }
                Operation::Freeze => news(News::NotFrozen(id, failure)),
                // It ended by itself while we asked; any function can do that as often as it likes.
                Operation::Destroy if Errno::from_raw_os_error(errno) == Errno::SRCH => {
                    tracing::debug!(sandbox = id, "a sandbox had ended before it was destroyed");
                }
                Operation::Destroy => tracing::error!(sandbox = id, %failure, "a sandbox stays"),
                _ => lock(waiting).reply(id, operation, Err(failure)),
            }
        }
        Message::Exited { id, status, oom_killed, usage } => {
            {
                let mut waiting = lock(waiting);
                for (_, reply) in waiting.replies.remove(&id).unwrap_or_default() {
                    drop(reply.send(Err(Failure::Ended))); // nobody waits: nobody needs it
                }
                let exit = Exit { status, oom_killed, usage };
                // Who has dropped the receiver does not want to know.
                waiting.exits.remove(&id).map(|sender| sender.send(exit).ok());
            }
            news(News::Exited(id));
        }
    }
}

impl Waiting {
    fn reply(&mut self, id: SandboxId, operation: Operation, reply: Result<Reply, Failure>) {
        let Some(replies) = self.replies.get_mut(&id) else { return };
        if let Some(at) = replies.iter().position(|(waits_for, _)| *waits_for == operation) {
            let (_, sender) = replies.remove(at);
            drop(sender.send(reply)); // nobody waits: nobody needs it
        }
        if replies.is_empty() {
            self.replies.remove(&id);
        }
    }
}
