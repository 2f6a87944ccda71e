//! Frames as bytes: the header, the incremental decoder and the encoder.
//!
//! Knows lengths and kinds, not what a kind means; see `messages` for that.

use bytes::{Buf, BufMut, Bytes, BytesMut, buf::Chain};

use super::messages::Message;

/// kind `u8`, version `u8`, reserved `u16`, metadata length `u32`, payload length `u32`; little-endian.
pub const HEADER_BYTES: usize = 12;

/// The only version there is. Worker and shim are released together.
pub const VERSION: u8 = 1;

/// Metadata holds an environment (4 KiB) or an error with its trace (the shim cuts it to fit).
pub const MAX_META_BYTES: usize = 256 * 1024;

/// One call's event or answer is at most 6 MiB; 4 KiB more let the limit be told as the caller's
/// mistake, by those who know the call, and not as a broken frame.
pub const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024 + 4 * 1024;

/// Payloads up to this size are copied behind their metadata: one buffer costs the kernel less
/// than two, and a copy of this size less than a page fault.
const JOIN_BYTES: usize = 32 * 1024;

/// The least that room is made for, so that a reader does not ask the kernel for crumbs.
const READ_BYTES: usize = 16 * 1024;

/// What a frame is about. The numbers are the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Worker to shim, once, first: which function to load.
    Init = 1,
    /// Worker to shim: run this event.
    Invoke = 2,
    /// Shim to worker, first: the interpreter is up.
    Hello = 16,
    /// Shim to worker: the handler is imported.
    Ready = 17,
    /// Shim to worker: the handler could not be imported; the sandbox ends.
    InitError = 18,
    /// Shim to worker: the answer of a call.
    Response = 19,
    /// Shim to worker: the handler raised; the sandbox stays usable.
    Error = 20,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Init,
            2 => Self::Invoke,
            16 => Self::Hello,
            17 => Self::Ready,
            18 => Self::InitError,
            19 => Self::Response,
            20 => Self::Error,
            _ => return None,
        })
    }
}

/// One frame as it came. Both parts share the buffer they were read into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    /// JSON, not yet looked at.
    pub meta: Bytes,
    pub payload: Bytes,
}

/// Why bytes are not the frame that should be there, or cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("cannot read a frame: its kind is {0}, which does not exist")]
    UnknownKind(u8),
    #[error("cannot read a frame: its version is {0}, and this worker speaks {VERSION}")]
    UnknownVersion(u8),
    #[error("cannot read a frame: its reserved bytes are {0:#06x}, and must be zero")]
    ReservedBytes(u16),
    #[error("cannot pass a frame: its metadata has {0} bytes, and at most {MAX_META_BYTES} may be")]
    MetaTooLong(usize),
    #[error(
        "cannot pass a frame: its payload has {0} bytes, and at most {MAX_PAYLOAD_BYTES} may be"
    )]
    PayloadTooLong(usize),
    #[error("cannot read a frame: the channel closed after {have} of its bytes")]
    Truncated { have: usize },
    #[error("cannot read the metadata of a frame of kind {kind:?}")]
    ReadMeta {
        kind: Kind,
        #[source]
        source: serde_json::Error,
    },
    #[error("cannot write the metadata of a frame of kind {kind:?}")]
    WriteMeta {
        kind: Kind,
        #[source]
        source: serde_json::Error,
    },
    #[error("a frame of kind {0:?} is not for the worker")]
    WrongDirection(Kind),
    #[error("a frame of kind {kind:?} has a payload of {bytes} bytes, and may have none")]
    UnexpectedPayload { kind: Kind, bytes: usize },
    #[error("cannot take an answer: it has {0} bytes, and at most {max} may be", max = super::MAX_ANSWER_BYTES)]
    AnswerTooLong(usize),
    #[error("an earlier frame on this channel was not valid, so nothing after it can be read")]
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    kind: Kind,
    meta: usize,
    payload: usize,
}

impl Header {
    fn read(mut bytes: &[u8]) -> Result<Self, FrameError> {
        let kind = bytes.get_u8();
        let version = bytes.get_u8();
        let reserved = bytes.get_u16_le();
        let meta = length(bytes.get_u32_le());
        let payload = length(bytes.get_u32_le());
        let kind = Kind::from_byte(kind).ok_or(FrameError::UnknownKind(kind))?;
        if version != VERSION {
            return Err(FrameError::UnknownVersion(version));
        }
        if reserved != 0 {
            return Err(FrameError::ReservedBytes(reserved));
        }
        check_lengths(meta, payload)?;
        Ok(Self { kind, meta, payload })
    }
}

fn length(on_the_wire: u32) -> usize {
    // A length too large for this machine's memory is over every limit as well.
    usize::try_from(on_the_wire).unwrap_or(usize::MAX)
}

fn check_lengths(meta: usize, payload: usize) -> Result<(), FrameError> {
    if meta > MAX_META_BYTES {
        return Err(FrameError::MetaTooLong(meta));
    }
    if payload > MAX_PAYLOAD_BYTES {
        return Err(FrameError::PayloadTooLong(payload));
    }
    Ok(())
}

/// Takes frames out of a buffer that a reader fills.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Header,
    Body(Header),
    Failed,
}

impl Decoder {
    /// Takes the next whole frame out of `buffer`; `None` means that more bytes are needed, and
    /// that there is room for them. After an error every further call fails.
    pub fn feed(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let header = match self.state {
            State::Failed => return Err(FrameError::Failed),
            State::Body(header) => header,
            State::Header => {
                if buffer.len() < HEADER_BYTES {
                    make_room(buffer, READ_BYTES);
                    return Ok(None);
                }
                // Failed unless the header says otherwise: there is no way to find the next frame.
                self.state = State::Failed;
                let header = Header::read(&buffer.split_to(HEADER_BYTES))?;
                self.state = State::Body(header);
                header
            }
        };
        let missing = (header.meta + header.payload).saturating_sub(buffer.len());
        if missing > 0 {
            make_room(buffer, missing);
            return Ok(None);
        }
        self.state = State::Header;
        let meta = buffer.split_to(header.meta).freeze();
        let payload = buffer.split_to(header.payload).freeze();
        Ok(Some(Frame { kind: header.kind, meta, payload }))
    }

    /// To be called when the channel has closed: is it closed between two frames?
    pub fn finish(&self, buffer: &BytesMut) -> Result<(), FrameError> {
        match self.state {
            State::Header if buffer.is_empty() => Ok(()),
            State::Header => Err(FrameError::Truncated { have: buffer.len() }),
            State::Body(_) => Err(FrameError::Truncated { have: HEADER_BYTES + buffer.len() }),
            State::Failed => Err(FrameError::Failed),
        }
    }
}

/// Room for the next read. It at most doubles what did come: 6 MiB are not given for a promise of
/// 6 MiB.
fn make_room(buffer: &mut BytesMut, missing: usize) {
    if buffer.capacity() - buffer.len() < missing.min(READ_BYTES) {
        buffer.reserve(missing.min(buffer.len().max(READ_BYTES)));
    }
}

/// A frame to be written: its header and metadata, and its payload where that was not copied
/// behind them. `write_all_buf` and vectored writes take it as it is.
pub type Outgoing = Chain<Bytes, Bytes>;

/// Makes frames, in memory that it gets back once they are written and dropped.
#[derive(Debug, Default)]
pub struct Encoder {
    buffer: BytesMut,
}

impl Encoder {
    /// The frame of a message. Only an answer and an event have a payload; the rest pass none.
    pub fn encode<M: Message>(
        &mut self,
        message: &M,
        payload: Bytes,
    ) -> Result<Outgoing, FrameError> {
        self.buffer.clear(); // what an error left behind
        self.buffer.put_bytes(0, HEADER_BYTES);
        let mut writer = (&mut self.buffer).writer();
        serde_json::to_writer(&mut writer, message)
            .map_err(|source| FrameError::WriteMeta { kind: M::KIND, source })?;
        let meta = self.buffer.len() - HEADER_BYTES;
        check_lengths(meta, payload.len())?;
        let (mut header, _) = self.buffer.split_at_mut(HEADER_BYTES);
        header.put_u8(M::KIND as u8);
        header.put_u8(VERSION);
        header.put_u16_le(0);
        header.put_u32_le(u32::try_from(meta).expect("checked against a limit of 256 KiB"));
        header.put_u32_le(u32::try_from(payload.len()).expect("checked against a limit of 6 MiB"));
        let joined = payload.len() <= JOIN_BYTES;
        if joined {
            self.buffer.put_slice(&payload);
        }
        let head = self.buffer.split().freeze();
        Ok(head.chain(if joined { Bytes::new() } else { payload }))
    }
}
