//! What the worker and the shim inside a sandbox say to each other.
//!
//! One stream socket per sandbox carries frames both ways: a 12-byte header, metadata (JSON), and a
//! payload (raw bytes) that is passed along and never parsed here. The story of one sandbox: the
//! shim says [`Hello`] when its interpreter is up; the worker sends [`Init`] and gets [`Ready`] or
//! [`InitError`]; then each [`Invoke`] is answered by one [`Response`] or one [`CallError`].
//!
//! The other end runs a stranger's code and may send anything. So a length is checked before it is
//! believed, memory grows with the bytes that came and not with those that were announced, the
//! first wrong byte ends the conversation ([`Decoder`] stays failed), and what belongs to which call
//! is left to the caller: it knows the one invocation that is in flight.
//!
//! No I/O happens here. A reader appends what it read to a `BytesMut` and calls [`Decoder::feed`]
//! until it says `None`; a writer takes what [`Encoder::encode`] returns and writes it, vectored.

mod frame;
mod messages;
#[cfg(test)]
mod tests;

pub use frame::{
    Decoder, Encoder, Frame, FrameError, HEADER_BYTES, Kind, MAX_META_BYTES, MAX_PAYLOAD_BYTES,
    Outgoing, VERSION,
};
pub use messages::{
    CallError, Effect, FromShim, Hello, Init, InitError, Invoke, MAX_ANSWER_BYTES, Message, Ready,
    Response,
};
