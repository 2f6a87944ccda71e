//! The launcher: a process of its own that makes every sandbox, and the server's handle on it.
//!
//! Forking is safe only where there has never been a second thread, and the process that speaks to
//! the network should not be the one that is root. So the server, before it has any thread,
//! *executes* itself once more as the launcher ([`Launcher::execute`]), and then gives up root
//! itself. From then on it asks: [`Sender`] writes requests on a socket, [`Receiver`] reads what
//! became of them.
//!
//! The socket is also the leash. When the server ends, however it ends, the launcher reads the end
//! of the stream, kills all sandboxes, removes their cgroups and exits. When the launcher ends,
//! its sandboxes die with it (one that is frozen by version 1 of cgroups, as soon as the next
//! launcher has thawed it), and the server reads [`Error::LauncherGone`]; it does not start another,
//! since it is no longer root.
//!
//! Files, in the order of a sandbox's life: `protocol` what is said; `prepare` what is done once,
//! `main` the loop; `requests` what the server asks for; `create` the launcher's half of making a
//! sandbox, `child` the sandbox's own half, which is `init`, with `view` the files that are seen,
//! and `function`; `assign` code mounted into a running sandbox; `news` what becomes of it;
//! `sandboxes` the book of those that live.

mod assign;
mod child;
mod create;
mod function;
mod init;
mod main;
mod news;
mod prepare;
mod protocol;
mod requests;
mod sandboxes;
mod view;

pub(crate) use main::run;

use crate::error::Error;
use crate::spec::{
    ExitStatus, Isolation, Limits, Operation, Options, SandboxId, Usage as SandboxUsage,
};
use crate::step::regardless;
use protocol::{Greeting, Hello, Reply, Request};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, shutdown, socketpair,
};
use std::process::{Child, Command, ExitStatus as ProcessStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The hidden argument by which the program knows that it shall be the launcher.
pub(crate) const ARGUMENT: &str = "__launcher";

/// A launcher that has started and said how well it can isolate.
#[derive(Debug)]
pub struct Launcher {
    connection: Arc<Connection>,
    isolation: Isolation,
}

/// The socket, and the process at its other end. When the last owner drops it, the launcher is
/// told to end, and has ended: nothing of its sandboxes is left.
#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    process: Mutex<Child>,
    pid: u32,
}

impl Launcher {
    /// Executes the launcher, sends it the options and waits for its report.
    ///
    /// To be called before the process has a second thread and while it still has all the power
    /// that the launcher shall have.
    pub fn execute(options: &Options) -> Result<Launcher, Error> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|errno| Error::Socket(errno.into()))?;
        let process = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(Error::Execute)?;
        let pid = process.id();
        let connection = Connection { socket: ours, process: Mutex::new(process), pid };
        let hello = protocol::encode(&Hello { options: options.clone() })?;
        connection.send(&hello)?;
        match connection.receive(&mut vec![0; protocol::MESSAGE_LIMIT])?.decode()? {
            Greeting::Ready(isolation) => {
                Ok(Launcher { connection: Arc::new(connection), isolation })
            }
            Greeting::Unable(why) => Err(Error::Unable(why)),
        }
    }

    pub fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// The launcher's process, for logs and for tests.
    pub fn pid(&self) -> u32 {
        self.connection.pid
    }

    pub fn split(self) -> (Sender, Receiver) {
        let sender = Sender { connection: Arc::clone(&self.connection) };
        let buffer = vec![0; protocol::MESSAGE_LIMIT];
        (sender, Receiver { connection: self.connection, buffer })
    }
}

impl Connection {
    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        protocol::send(self.socket.as_fd(), bytes, &[], SendFlags::empty()).map_err(|errno| {
            match errno {
                rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => self.gone(),
                errno => Error::Send(errno.into()),
            }
        })
    }

    fn receive(&self, buffer: &mut [u8]) -> Result<protocol::Packet, Error> {
        protocol::receive(self.socket.as_fd(), buffer, RecvFlags::empty())
            .map_err(|errno| Error::Receive(errno.into()))?
            .ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Error {
        Error::LauncherGone { status: self.status() }
    }

    fn status(&self) -> Option<ProcessStatus> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.try_wait().ok().flatten()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // An error means that the launcher has closed its end already, which is what we want.
        regardless(shutdown(&self.socket, Shutdown::Both));
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Its way out is bounded (see `main`). An error means that somebody else has reaped it.
        regardless(process.wait());
    }
}

/// Asks the launcher. Requests are answered by messages to the [`Receiver`].
#[derive(Debug, Clone)]
pub struct Sender {
    connection: Arc<Connection>,
}

impl Sender {
    /// Makes a sandbox and starts `runtime` in it. Answered by [`Message::Created`] or, if nothing
    /// came of it and nothing is left, by [`Message::Failed`].
    pub fn create(&self, id: SandboxId, runtime: &str, limits: Limits) -> Result<(), Error> {
        self.send(&Request::Create { id, runtime: runtime.to_owned(), limits })
    }

    /// Mounts `code` (a folder, relative to [`Options::code_root`]) read-only at `/var/task` of a
    /// running sandbox and sets the limits. Once in a sandbox's life.
    pub fn assign(&self, id: SandboxId, code: &str, limits: Limits) -> Result<(), Error> {
        self.send(&Request::Assign { id, code: code.to_owned(), limits })
    }

    /// Stops every process of the sandbox until [`Sender::thaw`].
    pub fn freeze(&self, id: SandboxId) -> Result<(), Error> {
        self.send(&Request::Freeze { id })
    }

    pub fn thaw(&self, id: SandboxId) -> Result<(), Error> {
        self.send(&Request::Thaw { id })
    }

    pub fn usage(&self, id: SandboxId) -> Result<(), Error> {
        self.send(&Request::Usage { id })
    }

    /// Kills all of the sandbox, frozen or not, and removes it. Answered by [`Message::Exited`],
    /// also while the sandbox is still being created.
    pub fn destroy(&self, id: SandboxId) -> Result<(), Error> {
        self.send(&Request::Destroy { id })
    }

    fn send(&self, request: &Request) -> Result<(), Error> {
        self.connection.send(&protocol::encode(request)?)
    }
}

/// Hears what became of requests, and of sandboxes that end by themselves.
#[derive(Debug)]
pub struct Receiver {
    connection: Arc<Connection>,
    buffer: Vec<u8>,
}

impl Receiver {
    /// Waits for the next message.
    pub fn receive(&mut self) -> Result<Message, Error> {
        let packet = self.connection.receive(&mut self.buffer)?;
        Message::from_packet(packet)
    }
}

/// What the launcher says.
#[derive(Debug)]
pub enum Message {
    /// The runtime's program has been executed.
    Created {
        id: SandboxId,
        /// The sandbox's init, as the host sees it.
        pid: i32,
        /// A stream socket, descriptor 3 inside.
        channel: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
        /// From the request until the program was executed.
        setup: Duration,
    },
    Assigned {
        id: SandboxId,
    },
    Frozen {
        id: SandboxId,
    },
    Thawed {
        id: SandboxId,
    },
    Usage {
        id: SandboxId,
        usage: SandboxUsage,
    },
    /// The operation could not be done. `step` is the part of it that failed, `detail` what was
    /// attempted with which value, `errno` what the kernel said.
    Failed {
        id: SandboxId,
        operation: Operation,
        step: String,
        detail: String,
        errno: i32,
    },
    /// The sandbox has ended and nothing of it is left.
    Exited {
        id: SandboxId,
        /// How the function's process ended; signal 9 if the sandbox was destroyed.
        status: ExitStatus,
        /// The kernel killed in this sandbox for want of memory.
        oom_killed: bool,
        usage: SandboxUsage,
    },
}

impl Message {
    fn from_packet(packet: protocol::Packet) -> Result<Message, Error> {
        let message = match packet.decode()? {
            Reply::Created { id, pid, setup } => {
                let [channel, stdout, stderr] = <[OwnedFd; 3]>::try_from(packet.descriptors)
                    .map_err(|received| Error::Protocol {
                        what: format!(
                            "sandbox {id} came with {} descriptors instead of 3; has this \
                                 process reached its limit of open files?",
                            received.len()
                        ),
                    })?;
                Message::Created { id, pid, channel, stdout, stderr, setup }
            }
            Reply::Assigned { id } => Message::Assigned { id },
            Reply::Frozen { id } => Message::Frozen { id },
            Reply::Thawed { id } => Message::Thawed { id },
            Reply::Usage { id, usage } => Message::Usage { id, usage },
            Reply::Failed { id, operation, step, detail, errno } => {
                Message::Failed { id, operation, step, detail, errno }
            }
            Reply::Exited { id, status, oom_killed, usage } => {
                Message::Exited { id, status, oom_killed, usage }
            }
        };
        Ok(message)
    }
}
