//! What the server and the launcher say to each other, and how it crosses their socket.
//!
//! One message is one packet of a `SOCK_SEQPACKET` socket: JSON, and with [`Reply::Created`] three
//! descriptors. The first packet each way is [`Options`] and [`Greeting`]; after it, requests and
//! replies, which are matched by sandbox, not by order.

use crate::error::Error;
use crate::spec::{ExitStatus, Isolation, Limits, Operation, Options, SandboxId, Usage};
use rustix::cmsg_space;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::time::Duration;

/// The longest message. A packet must fit the socket's buffer (208 KiB by default), and the longest
/// one in practice is [`Options`] with some runtimes: a few KiB.
pub(crate) const MESSAGE_LIMIT: usize = 128 * 1024;

/// Only [`Reply::Created`] carries descriptors: the channel, stdout, stderr.
const DESCRIPTORS: usize = 3;

/// The server's first message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) options: Options,
}

/// The launcher's first message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Greeting {
    Ready(Isolation),
    Unable(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Create { id: SandboxId, runtime: String, limits: Limits },
    Assign { id: SandboxId, code: String, limits: Limits },
    Freeze { id: SandboxId },
    Thaw { id: SandboxId },
    Usage { id: SandboxId },
    Destroy { id: SandboxId },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Created { id: SandboxId, pid: i32, setup: Duration },
    Assigned { id: SandboxId },
    Frozen { id: SandboxId },
    Thawed { id: SandboxId },
    Usage { id: SandboxId, usage: Usage },
    Failed { id: SandboxId, operation: Operation, step: String, detail: String, errno: i32 },
    Exited { id: SandboxId, status: ExitStatus, oom_killed: bool, usage: Usage },
}

/// Serialises a message, or says that it is too long.
pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>, Error> {
    let bytes = serde_json::to_vec(message).map_err(|error| Error::Protocol {
        what: format!("a message cannot be written as JSON: {error}"),
    })?;
    if bytes.len() > MESSAGE_LIMIT {
        return Err(Error::MessageTooLong { bytes: bytes.len(), limit: MESSAGE_LIMIT });
    }
    Ok(bytes)
}

/// Sends one packet. `flags` say whether to wait for room.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[OwnedFd],
    flags: SendFlags,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    if !borrowed.is_empty() {
        let fits = control.push(SendAncillaryMessage::ScmRights(&borrowed));
        assert!(fits, "at most {DESCRIPTORS} descriptors go with a message");
    }
    // NOSIGNAL: that the other side is gone is an answer (EPIPE), not a reason to die.
    let flags = flags | SendFlags::NOSIGNAL;
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(Errno::INTR) => (),
            answer => return answer.map(|_| ()),
        }
    }
}

/// One received packet, not yet understood.
#[derive(Debug)]
pub(crate) struct Packet {
    bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Packet {
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|error| Error::Protocol {
            what: format!("a message of {} bytes is not the JSON expected: {error}", {
                self.bytes.len()
            }),
        })
    }
}

/// Receives one packet, or `None` when the other side is gone.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> Result<Option<Packet>, Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = loop {
        let mut parts = [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(socket, &mut parts, &mut control, flags) {
            Err(Errno::INTR) => (),
            // The other side died with messages of ours unread: gone all the same.
            Err(Errno::CONNRESET) => return Ok(None),
            answer => break answer?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE);
    }
    let bytes = buffer.get(..received.bytes).unwrap_or_default().to_vec();
    Ok(Some(Packet { bytes, descriptors }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn a_message_crosses_with_its_descriptors() {
        let (here, there) = pair();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let bytes = encode(&Reply::Assigned { id: 7 }).unwrap();
        send(here.as_fd(), &bytes, &[writer], SendFlags::empty()).unwrap();
        let mut buffer = vec![0; MESSAGE_LIMIT];
        let packet = receive(there.as_fd(), &mut buffer, RecvFlags::empty()).unwrap().unwrap();
        assert!(matches!(packet.decode().unwrap(), Reply::Assigned { id: 7 }));
        rustix::io::write(&packet.descriptors[0], b"x").unwrap();
        let mut byte = [0; 1];
        assert_eq!(rustix::io::read(&reader, &mut byte).unwrap(), 1);
    }

    #[test]
    fn a_closed_socket_is_told_as_gone() {
        let (here, there) = pair();
        drop(here);
        let mut buffer = vec![0; 64];
        assert!(receive(there.as_fd(), &mut buffer, RecvFlags::empty()).unwrap().is_none());
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_is_sent() {
        let long = Request::Create {
            id: 1,
            runtime: "r".repeat(MESSAGE_LIMIT),
            limits: Limits::default(),
        };
        assert!(matches!(encode(&long), Err(Error::MessageTooLong { .. })));
    }

    #[test]
    fn a_packet_longer_than_the_buffer_is_an_error_and_not_half_a_message() {
        let (here, there) = pair();
        send(here.as_fd(), &[b'x'; 100], &[], SendFlags::empty()).unwrap();
        let mut buffer = vec![0; 64];
        let answer = receive(there.as_fd(), &mut buffer, RecvFlags::empty());
        assert_eq!(answer.unwrap_err(), Errno::MSGSIZE);
    }
}
