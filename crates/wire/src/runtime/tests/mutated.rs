//! Streams of frames with something wrong in them, as a function can write them on its channel.
//!
//! Each begins as a few good frames; then the metadata changes, beneath a header that is still
//! right, or a field of a header, or bytes of the whole stream. Whatever comes out: nothing panics,
//! a naive reader finds the same frames, memory follows what came and not what was announced, the
//! pieces in which it comes make no difference, and a message that is taken survives being written
//! and read again. `fuzz/fuzz_targets/frames.rs` asks the same of inputs that are chosen by coverage.

use std::error::Error;

use super::naive::{self, End};
use super::*;

/// Room for the next read, and what `BytesMut` adds to be asked less often. Beyond it, memory may
/// double with what did come.
const ROOM_BYTES: usize = 64 * 1024;

/// What became of a stream: its frames, each of them as a message or the reason why it is none, and
/// how it ended.
#[derive(Debug, PartialEq)]
struct Heard {
    frames: Vec<Frame>,
    messages: Vec<Result<FromShim, String>>,
    end: End,
    why: String,
}

fn hear(stream: &[u8], pieces: &[usize]) -> Heard {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::new();
    let (mut frames, mut messages) = (Vec::new(), Vec::new());
    let mut came = 0;
    for size in pieces.iter().copied().chain([usize::MAX]) {
        let size = size.min(stream.len() - came);
        buffer.extend_from_slice(&stream[came..came + size]);
        came += size;
        loop {
            match decoder.feed(&mut buffer) {
                Ok(Some(frame)) => {
                    frames.push(frame.clone());
                    messages.push(FromShim::try_from(frame).map_err(|error| told(&error)));
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(decoder.feed(&mut buffer), Err(FrameError::Failed)));
                    return Heard { frames, messages, end: End::NoFrame, why: told(&error) };
                }
            }
        }
        let room = buffer.capacity();
        assert!(room <= 2 * came + ROOM_BYTES, "{room} bytes reserved for {came} that came");
    }
    let (end, why) = match decoder.finish(&buffer) {
        Ok(()) => (End::BetweenFrames, String::new()),
        Err(error) => (End::WithinFrame, told(&error)),
    };
    Heard { frames, messages, end, why }
}

/// With what lies below it: the place in the metadata is told there.
fn told(error: &FrameError) -> String {
    let below = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {below}")
}

/// As a shim would write it.
fn written(message: &FromShim) -> Bytes {
    let mut encoder = Encoder::default();
    let none = Bytes::new();
    let outgoing = match message {
        FromShim::Hello(hello) => encoder.encode(hello, none),
        FromShim::Ready(ready) => encoder.encode(ready, none),
        FromShim::InitError(error) => encoder.encode(error, none),
        FromShim::Error(error) => encoder.encode(error, none),
        FromShim::Response { response, answer } => encoder.encode(response, answer.clone()),
    };
    whole(outgoing.expect("what was taken is within the limits"))
}

/// SplitMix64: small, seeded, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// Good metadata of every kind, and of some kinds in the forms that JSON leaves open.
const METADATA: [(Kind, &str); 10] = [
    (Kind::Hello, r#"{"runtime":"python3.11","pid":2}"#),
    (Kind::Ready, r#"{"init_us":1234}"#),
    (
        Kind::InitError,
        r#"{"error_type":"ImportError","error_message":"é","stack_trace":["a","b"]}"#,
    ),
    (Kind::Response, r#"{"invocation":"i-1"}"#),
    (Kind::Response, r#" { "later" : [ {} ] , "invocation" : "\u0069\ud83d\ude00" } "#),
    (
        Kind::Error,
        r#"{"invocation":"i-1","error_type":"E","error_message":"m","stack_trace":["1"]}"#,
    ),
    (Kind::Error, r#"{"invocation":"i-1","error_type":"E","error_message":"\n\"\\"}"#),
    (Kind::Error, r#"["i-1","E","m",["x"]]"#),
    (Kind::Init, r#"{"function":"f"}"#),
    (Kind::Invoke, r#"{"invocation":"i-1","attempt":1,"deadline_ms":5}"#),
];

/// What JSON readers, and readers of lengths, fall over.
const TELLING: [&[u8]; 18] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0000",
    b"\\ud800",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"null",
    b"\x00",
    b"\xff",
    b"\xc3\xa9",
    b"\"invocation\":\"twice\",",
];

/// Lengths at the edges of the limits and of their type, and kinds and versions that are none.
const NUMBERS: [u32; 10] =
    [0, 1, 0x0113, 0x0213, 0x1_0113, 0x0004_0000, 0x0004_0001, 0x0060_1000, 0x0060_1001, u32::MAX];

/// One to four changes.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => {
                let number = random.pick(&NUMBERS.each_ref()).to_le_bytes();
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            4 => {
                let end = at + random.below((bytes.len() - at).min(64));
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => drop(bytes.splice(at..at, random.pick(&TELLING).iter().copied())),
        }
    }
}

/// One field of a header: near what it has to be, or at an edge of what it may be.
fn mutate_header(random: &mut Random, header: &mut [u8]) {
    let small = u8::try_from(random.below(24)).unwrap();
    match random.below(4) {
        0 => header[0] = small,
        1 => header[1] = small % 3,
        2 => header[2 + random.below(2)] = small % 3,
        _ => {
            let at = [4, 8][random.below(2)];
            let number = random.pick(&NUMBERS.each_ref()).to_le_bytes();
            header[at..at + 4].copy_from_slice(&number);
        }
    }
}

/// A stream of one to four frames, most of them with something wrong.
fn stream(random: &mut Random) -> Vec<u8> {
    let (wrong_metadata, wrong_stream) = (random.below(2) == 0, random.below(2) == 0);
    let mut stream = Vec::new();
    for _ in 0..=random.below(4) {
        let (kind, meta) = METADATA[random.below(METADATA.len())];
        let mut meta = meta.as_bytes().to_vec();
        if wrong_metadata {
            mutate(random, &mut meta);
        }
        let answers = kind == Kind::Response || random.below(16) == 0;
        // Seldom as long as what is written in two parts, since that is most of the test's time.
        let longest = if random.below(32) == 0 { 40_000 } else { 200 };
        let payload = if answers { random.below(longest) } else { 0 };
        let [told_meta, told_payload] =
            [meta.len(), payload].map(|length| u32::try_from(length).unwrap());
        let mut header = raw(kind as u8, VERSION, 0, told_meta, told_payload);
        if random.below(8) == 0 {
            mutate_header(random, &mut header);
        }
        stream.extend_from_slice(&header);
        stream.extend_from_slice(&meta);
        stream.resize(stream.len() + payload, b'7');
    }
    if wrong_stream {
        mutate(random, &mut stream);
    }
    stream
}

#[test]
fn mutated_streams_are_read_or_refused_the_same_in_any_pieces_and_in_bounded_memory() {
    let slow = std::env::var_os("SLOW_TESTS").is_some_and(|value| value == "1");
    let inputs = if slow { 100_000 } else { 2_000 };
    let (mut taken, mut refused, mut broken) = (0_u64, 0_u64, 0_u64);
    for number in 0..inputs {
        let mut random = Random(number);
        let stream = stream(&mut random);
        let at_once = hear(&stream, &[]);
        let pieces: Vec<usize> = (0..random.below(60)).map(|_| random.below(64)).collect();
        assert_eq!(hear(&stream, &pieces), at_once, "input {number} in pieces of {pieces:?}");
        let frames =
            at_once.frames.iter().map(|frame| (frame.kind as u8, &*frame.meta, &*frame.payload));
        assert_eq!((frames.collect(), at_once.end), naive::frames(&stream), "input {number}");
        broken += u64::from(at_once.end != End::BetweenFrames);
        for message in at_once.messages {
            let Ok(message) = message else {
                refused += 1;
                continue;
            };
            taken += 1;
            let again = hear(&written(&message), &[]);
            assert_eq!(again.messages, [Ok(message)], "input {number}");
            assert_eq!(again.end, End::BetweenFrames, "input {number}");
        }
    }
    // A reader that takes nothing, or anything, would pass above.
    let told = format!("of {inputs} streams {broken} broke; {taken} frames taken, {refused} not");
    assert!(taken > inputs / 4 && refused > inputs / 4, "{told}");
    assert!(broken > inputs / 4 && broken < inputs * 3 / 4, "{told}");
}
