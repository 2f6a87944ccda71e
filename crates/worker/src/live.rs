//! One live sandbox, as the worker holds it: the channel to its shim and the two output pipes.
//!
//! [`Live`] moves bytes and knows frames; what they mean for an attempt is `run`'s business. All
//! descriptors are set to not block. The channel is registered with the runtime's poller for the
//! sandbox's whole life; the pipes only while a long attempt runs (see `run`), so that a function
//! that prints a line and answers costs one wake-up and not three.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use model::invocation::Stream;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use sandbox::{SandboxId, Usage};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use wire::runtime::{
    Decoder, Encoder, FrameError, FromShim, HEADER_BYTES, MAX_META_BYTES, MAX_PAYLOAD_BYTES,
    Message, Outgoing,
};

use crate::code::Folder;
use crate::launcher::{Created, Exit};
use crate::logs::Output;
use crate::with_causes;

/// One read's worth: nearly every answer, and all that a pipe holds. The kernel fills, and so the
/// process pays for, only as many pages as there are bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// More than the largest frame.
const ANSWER_ROOM: usize = HEADER_BYTES + MAX_META_BYTES + MAX_PAYLOAD_BYTES;

/// Why nothing more can be had from the shim.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Its end of the channel is closed, or the process has ended.
    Closed,
    /// What came is not the protocol.
    Garbage(String),
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: SandboxId,
    pub(crate) channel: Channel,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) end: End,
    /// The code that is mounted, once there is some: the cache must keep it.
    pub(crate) code: Option<Arc<Folder>>,
    /// What the launcher last said it had used.
    pub(crate) usage: Option<Usage>,
    pub(crate) buffer: Box<[u8]>,
}

impl Live {
    /// To be called where there is a tokio runtime.
    pub(crate) fn new(id: SandboxId, created: Created) -> io::Result<Self> {
        let Created { channel, stdout, stderr, exit, .. } = created;
        for descriptor in [&channel, &stdout, &stderr] {
            rustix::io::ioctl_fionbio(descriptor, true)?;
        }
        Ok(Self {
            id,
            channel: Channel::new(channel)?,
            stdout: Output::new(stdout, Stream::Stdout),
            stderr: Output::new(stderr, Stream::Stderr),
            end: End { receiver: exit, ended: None },
            code: None,
            usage: None,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
        })
    }

    /// Waits for the next frame.
    pub(crate) async fn receive(&mut self) -> Result<FromShim, Broken> {
        loop {
            if let Some(frame) = self.channel.frame()? {
                return Ok(frame);
            }
            self.channel.fill(&mut self.buffer).await?;
        }
    }

    /// Drops what was written while no attempt ran; says how much that was.
    pub(crate) fn discard_output(&mut self) -> u64 {
        self.stdout.discard(&mut self.buffer) + self.stderr.discard(&mut self.buffer)
    }
}

/// The sandbox's end, which comes once and may be asked for often.
#[derive(Debug)]
pub(crate) struct End {
    receiver: oneshot::Receiver<Exit>,
    ended: Option<Option<Exit>>,
}

impl End {
    /// Waits for it. None if the launcher ended before it could say more.
    pub(crate) async fn wait(&mut self) -> Option<Exit> {
        if self.ended.is_none() {
            self.ended = Some((&mut self.receiver).await.ok());
        }
        self.ended.flatten()
    }

    /// The launcher is gone, and with it the news of this end.
    pub(crate) fn is_lost(&self) -> bool {
        self.ended == Some(None)
    }

    /// Waits so long and no longer.
    pub(crate) async fn within(&mut self, limit: Duration) -> Option<Exit> {
        tokio::time::timeout(limit, self.wait()).await.ok().flatten()
    }
}

/// The socket to the shim, and what has been read of a frame.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: UnixStream,
    decoder: Decoder,
    encoder: Encoder,
    read: BytesMut,
}

impl Channel {
    fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            socket: UnixStream::from_std(socket.into())?,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            read: BytesMut::new(),
        })
    }

    /// The frame of a message, to be written.
    pub(crate) fn encode<M: Message>(
        &mut self,
        message: &M,
        payload: Bytes,
    ) -> Result<Outgoing, FrameError> {
        self.encoder.encode(message, payload)
    }

    /// The next frame, if all of it has been read.
    pub(crate) fn frame(&mut self) -> Result<Option<FromShim>, Broken> {
        let frame = self.decoder.feed(&mut self.read);
        let frame = frame.and_then(|frame| frame.map(FromShim::try_from).transpose());
        frame.map_err(|error| Broken::Garbage(with_causes(&error)))
    }

    /// Whether bytes have been read that no frame has used.
    pub(crate) fn has_rest(&self) -> bool {
        self.decoder.finish(&self.read).is_err()
    }

    /// Waits until there is something, and reads it. May be cancelled without loss.
    pub(crate) async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Broken> {
        loop {
            self.socket.readable().await.map_err(|_lost_poller| Broken::Closed)?;
            let mut came = Err(Errno::AGAIN);
            let read = self.socket.try_io(Interest::READABLE, || {
                came = rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty());
                match came {
                    // Less than there was room for: the socket is empty, and asking it once more
                    // to hear so would cost a system call for each attempt.
                    Ok((count @ 1.., _)) if count < buffer.len() => {
                        Err(ErrorKind::WouldBlock.into())
                    }
                    Ok(_) => Ok(()),
                    Err(errno) => Err(errno.into()),
                }
            });
            match (came, read) {
                (Ok((0, _)), _) => return Err(Broken::Closed),
                (Ok((count, _)), _) => {
                    self.read.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                (Err(Errno::AGAIN | Errno::INTR), _) => {}
                (Err(_reset), _) => return Err(Broken::Closed),
            }
        }
    }

    /// Reads what is there without waiting.
    pub(crate) fn fill_now(&mut self, buffer: &mut [u8]) {
        while let Ok((count @ 1.., _)) =
            rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT)
        {
            self.read.extend_from_slice(&buffer[..count]);
            if self.read.len() > ANSWER_ROOM {
                return; // more than any frame has
            }
        }
    }

    /// Whether something has come that nobody asked for, or the other end is closed. Asks the
    /// kernel: what the poller knows may be a moment old.
    pub(crate) fn has_spoken(&self) -> bool {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        self.has_rest()
            || !matches!(
                rustix::net::recv(&self.socket, &mut byte, flags),
                Err(Errno::AGAIN | Errno::INTR)
            )
    }

    /// Writes as much as the socket takes, and takes it off the frame. True if all is written.
    pub(crate) fn write(&self, frame: &mut Outgoing) -> Result<bool, Broken> {
        while frame.has_remaining() {
            let mut parts = [IoSlice::new(&[]); 2];
            let count = frame.chunks_vectored(&mut parts);
            let mut no_descriptors = SendAncillaryBuffer::default();
            let flags = SendFlags::NOSIGNAL;
            match rustix::net::sendmsg(&self.socket, &parts[..count], &mut no_descriptors, flags) {
                Ok(written) => frame.advance(written),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(_closed) => return Err(Broken::Closed),
            }
        }
        Ok(true)
    }

    /// Waits until the socket may take more.
    pub(crate) async fn writable(&self) -> Result<(), Broken> {
        self.socket.writable().await.map_err(|_lost_poller| Broken::Closed)?;
        forget_readiness(|full| self.socket.try_io(Interest::WRITABLE, full));
        Ok(())
    }
}

/// Has the poller tell anew when something is ready. To be called before reading or writing until
/// there is nothing left to do, so that what changes meanwhile is not missed.
pub(crate) fn forget_readiness(try_io: impl FnOnce(fn() -> io::Result<()>) -> io::Result<()>) {
    // The error is the one that it is given.
    try_io(|| Err(ErrorKind::WouldBlock.into())).ok();
}
