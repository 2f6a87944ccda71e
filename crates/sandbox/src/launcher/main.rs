//! The launcher's life: prepare, then one loop that waits for everything at once.
//!
//! The loop wakes for the server's requests, for what a sandbox in the making says, for the end of
//! an init, for memory that ran out. It never waits for a single sandbox. Requests are handled last
//! in each round, so that a slot which became free in this round is not taken while older news of
//! its former owner is still at hand.

use super::prepare;
use super::protocol::{self, Greeting, Hello, Reply};
use super::sandboxes::{Sandboxes, Slot};
use crate::cgroup::Tree;
use crate::seccomp::Filter;
use crate::spec::{Isolation, Options};
use crate::step::{During, Refusal, regardless};
use crate::sys;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the launcher takes at most to end its sandboxes when its own time has come.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often what is being waited for without an event is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Above so many unsent replies no more requests are read: a server that does not listen has to
/// wait. Some rounds of requests for every sandbox that fits a machine.
pub(super) const UNSENT_MOST: usize = 4_096;

/// The launcher's whole state.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) options: Options,
    pub(super) isolation: Isolation,
    pub(super) filter: Filter,
    pub(super) tree: Option<Tree>,
    pub(super) code_root: OwnedFd,
    pub(super) sandboxes: Sandboxes,
    pub(super) epoll: OwnedFd,
    pub(super) unsent: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    pub(super) server_gone: bool,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Server,
    Status(Slot),
    Init(Slot),
    Memory(Slot),
}

impl Subject {
    fn to_data(self) -> epoll::EventData {
        let (kind, slot) = match self {
            Subject::Server => (0, 0),
            Subject::Status(slot) => (1, slot.0),
            Subject::Init(slot) => (2, slot.0),
            Subject::Memory(slot) => (3, slot.0),
        };
        epoll::EventData::new_u64(kind << 32 | u64::from(slot))
    }

    fn from_data(data: epoll::EventData) -> Subject {
        let (kind, slot) = (data.u64() >> 32, data.u64() & u64::from(u32::MAX));
        let slot = Slot(u32::try_from(slot).expect("masked to 32 bits"));
        match kind {
            1 => Subject::Status(slot),
            2 => Subject::Init(slot),
            3 => Subject::Memory(slot),
            _ => Subject::Server,
        }
    }
}

pub(super) fn server() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

/// The launcher's whole life; the answer is its exit code.
pub(crate) fn run() -> i32 {
    // The terminal's Ctrl-C, and a service manager's SIGTERM, reach this process, too; but the
    // server decides when it is over, and we read that from the socket.
    sys::ignore_signals(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT]);
    // Refused to the leader of a process group, who is out of the terminal's reach already.
    regardless(rustix::process::setsid());
    let mut buffer = vec![0; protocol::MESSAGE_LIMIT];
    let hello = match protocol::receive(server(), &mut buffer, RecvFlags::empty()) {
        Ok(Some(packet)) => packet.decode::<Hello>(),
        Ok(None) | Err(_) => return 2, // there is nobody to tell
    };
    let prepared =
        hello.map_err(|error| error.to_string()).and_then(|hello| prepare::prepare(hello.options));
    let (greeting, prepared) = match prepared {
        Ok(prepared) => (Greeting::Ready(prepared.isolation.clone()), Some(prepared)),
        Err(why) => (Greeting::Unable(why), None),
    };
    let sent = protocol::encode(&greeting)
        .ok()
        .map(|bytes| protocol::send(server(), &bytes, &[], SendFlags::empty()));
    match (prepared, sent) {
        (Some(mut launcher), Some(Ok(()))) => launcher.live(&mut buffer),
        _ => 2,
    }
}

impl Loop {
    fn live(&mut self, buffer: &mut [u8]) -> i32 {
        assert_eq!(sys::threads(), 1, "the launcher forks, so it must have one thread");
        let watched = self.watch_server(false, true);
        let code = match watched.and_then(|()| self.rounds(buffer)) {
            Ok(()) => 0,
            // Without its loop the launcher is useless; the server is told by the closed socket.
            Err(_) => 1,
        };
        self.farewell();
        code
    }

    fn rounds(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        let mut events = Vec::with_capacity(64);
        while !self.server_gone {
            self.wait(&mut events)?;
            let mut asked = false;
            for event in events.drain(..) {
                match Subject::from_data(event.data) {
                    Subject::Server => asked = true,
                    subject => self.hear(subject),
                }
            }
            self.look_again();
            if asked {
                self.answer(buffer);
            }
            self.flush()?;
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<epoll::Event>) -> Result<(), Errno> {
        let slots = self.sandboxes.slots();
        let restless = slots.into_iter().any(|slot| {
            self.sandboxes.get(slot).is_some_and(|sandbox| sandbox.needs_another_look())
        });
        let soon = Timespec::try_from(LOOK_AGAIN).ok().filter(|_| restless);
        match epoll::wait(&self.epoll, spare_capacity(events), soon.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn watch(&mut self, slot: Slot) -> Result<(), Refusal> {
        let Some(sandbox) = self.sandboxes.get(slot) else { return Ok(()) };
        let status = sandbox.making.as_ref().map(|making| &making.status);
        let watched = [
            (status, Subject::Status(slot)),
            (Some(&sandbox.init), Subject::Init(slot)),
            (sandbox.memory.as_ref(), Subject::Memory(slot)),
        ];
        let mut outcome = Ok(());
        for (descriptor, subject) in watched {
            if let Some(descriptor) = descriptor {
                let added =
                    epoll::add(&self.epoll, descriptor, subject.to_data(), epoll::EventFlags::IN);
                outcome = outcome.and(added.during(|| format!("wait for {subject:?}")));
            }
        }
        outcome
    }

    /// Descriptors leave the epoll set when their last copy is closed; this one must leave earlier.
    pub(super) fn unwatch(&mut self, slot: Slot) {
        if let Some(sandbox) = self.sandboxes.get(slot) {
            regardless(epoll::delete(&self.epoll, &sandbox.init));
        }
    }

    fn watch_server(&self, writable: bool, first: bool) -> Result<(), Errno> {
        let data = Subject::Server.to_data();
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.unsent.len() <= UNSENT_MOST);
        flags.set(epoll::EventFlags::OUT, writable);
        match first {
            true => epoll::add(&self.epoll, server(), data, flags),
            false => epoll::modify(&self.epoll, server(), data, flags),
        }
    }

    pub(super) fn reply(&mut self, reply: &Reply, descriptors: Vec<OwnedFd>) {
        match protocol::encode(reply) {
            Ok(bytes) => self.unsent.push_back((bytes, descriptors)),
            // Cannot be: replies are short, and their only long part was cut.
            Err(_) => self.server_gone = true,
        }
    }

    /// Sends replies until the socket is full.
    fn flush(&mut self) -> Result<(), Errno> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        while let Some((bytes, descriptors)) = self.unsent.front() {
            match protocol::send(server(), bytes, descriptors, SendFlags::DONTWAIT) {
                Ok(()) => drop(self.unsent.pop_front()),
                // The socket's buffer is full, or (TOOMANYREFS) this user's count of descriptors on
                // their way is: the server has to read first.
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::TOOMANYREFS) => {
                    return self.watch_server(true, false);
                }
                Err(_) => {
                    self.server_gone = true;
                    return Ok(());
                }
            }
        }
        self.watch_server(false, false)
    }

    /// The server is gone: so is everything that was made for it.
    fn farewell(&mut self) {
        let until = Instant::now() + FAREWELL;
        for slot in self.sandboxes.slots() {
            self.kill(slot);
        }
        while !self.sandboxes.is_empty() && Instant::now() < until {
            for slot in self.sandboxes.slots() {
                self.hear_end(slot);
            }
            self.look_again();
            self.unsent.clear();
            std::thread::sleep(LOOK_AGAIN);
        }
        if let Some(tree) = &self.tree {
            tree.remove();
        }
    }
}
