//! Attacks: whatever a sandbox writes on its channel is frames or one error, without a panic; the
//! same whether it comes at once or in pieces; and memory grows with what came, not with what was
//! announced.
//!
//! The first eight bytes of an input are sizes of pieces, over and over; the rest is the stream. The
//! naive reader of `wire`'s own tests says which frames are in it. What a test of mutated streams
//! asks there is asked here of the fuzzer's streams.
#![no_main]

use bytes::{Buf, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use naive::End;
use wire::runtime::{Decoder, Encoder, Frame, FrameError, FromShim, MAX_ANSWER_BYTES, Outgoing};

#[path = "../../crates/wire/src/runtime/tests/naive.rs"]
mod naive;

/// Room for what comes next. Beyond it, memory may double with what did come.
const ROOM_BYTES: usize = 64 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((sizes, stream)) = input.split_first_chunk::<8>() else { return };
    let at_once = read(stream, &[usize::MAX]);
    let frames = at_once.frames.iter().map(|it| (it.kind as u8, &*it.meta, &*it.payload));
    assert_eq!((frames.collect(), at_once.end), naive::frames(stream));
    assert_eq!(read(stream, &sizes.map(usize::from)), at_once);
    for message in at_once.messages.into_iter().flatten() {
        let Some(written) = write(&message) else { continue };
        let back = read(&written, &[usize::MAX]);
        assert_eq!((back.messages, back.end), (vec![Ok(message)], End::BetweenFrames));
    }
});

#[derive(Debug, PartialEq)]
struct Heard {
    frames: Vec<Frame>,
    messages: Vec<Result<FromShim, String>>,
    end: End,
    why: String,
}

fn read(stream: &[u8], sizes: &[usize]) -> Heard {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::new();
    let (mut frames, mut messages) = (Vec::new(), Vec::new());
    let mut rest = stream;
    // A size of 0 is a read that brought nothing; one at least makes every round go on.
    let sizes = sizes.iter().copied().chain([1]).cycle();
    for size in sizes {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        buffer.extend_from_slice(piece);
        loop {
            match decoder.feed(&mut buffer) {
                Ok(Some(frame)) => {
                    frames.push(frame.clone());
                    messages.push(FromShim::try_from(frame).map_err(|e| told(&e)));
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(decoder.feed(&mut buffer), Err(FrameError::Failed)));
                    return Heard { frames, messages, end: End::NoFrame, why: told(&error) };
                }
            }
        }
        let came = stream.len() - rest.len();
        assert!(buffer.capacity() <= 2 * came + ROOM_BYTES, "{} for {came}", buffer.capacity());
        if rest.is_empty() {
            break;
        }
    }
    let (end, why) = match decoder.finish(&buffer) {
        Ok(()) => (End::BetweenFrames, String::new()),
        Err(error) => (End::WithinFrame, told(&error)),
    };
    Heard { frames, messages, end, why }
}

/// With what lies below it, since places in the metadata are told there.
fn told(error: &FrameError) -> String {
    format!("{error}: {:?}", std::error::Error::source(error).map(ToString::to_string))
}

/// As a shim would write it; None if that needs more metadata than it came with, and than may be.
fn write(message: &FromShim) -> Option<Bytes> {
    let mut encoder = Encoder::default();
    let written = match message {
        FromShim::Hello(hello) => encoder.encode(hello, Bytes::new()),
        FromShim::Ready(ready) => encoder.encode(ready, Bytes::new()),
        FromShim::InitError(error) => encoder.encode(error, Bytes::new()),
        FromShim::Error(error) => encoder.encode(error, Bytes::new()),
        FromShim::Response { response, answer } => {
            assert!(answer.len() <= MAX_ANSWER_BYTES);
            encoder.encode(response, answer.clone())
        }
    };
    match written {
        Ok(written) => Some(whole(written)),
        Err(FrameError::MetaTooLong(_)) => None,
        Err(error) => panic!("{}", told(&error)),
    }
}

fn whole(mut outgoing: Outgoing) -> Bytes {
    outgoing.copy_to_bytes(outgoing.remaining())
}
