//! What a function writes, as lines that belong to an attempt.
//!
//! A function's stdout and stderr are two pipes. Their bytes go through a [`Splitter`] each, which
//! makes lines of at most 64 KiB out of them, and into the [`Log`] of the attempt, which keeps so
//! much and counts the rest. No byte that a function writes can look like more than a part of one
//! of its own lines: whatever a terminal or a reader of lines would obey is escaped.
//!
//! Which attempt a line belongs to is a matter of when it was in the pipe. The shim pushes out all
//! that a run wrote before it sends the answer, so what a pipe holds when the answer is there is of
//! this attempt; and a pipe holds [`PIPE_BYTES`], so reading that much and no more is enough,
//! however fast some thread of the function goes on writing. What comes *between* two attempts (a
//! thread that was left running) belongs to neither: handing it to the next would put one event's
//! data into the record of another. It is dropped and counted, and the next attempt's log says so.

use std::io;

use model::invocation::{LogLine, Stream};
use model::{Timestamp, limits};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;

/// What a pipe holds unless someone asks for more, which a function may, up to a mebibyte. What
/// it has beyond this when its answer is there is read with the next attempt, as written between.
const PIPE_BYTES: usize = 64 * 1024;

/// Lines kept of one attempt. A line costs about 90 bytes beside its text, so that a mebibyte of
/// empty lines would be 90 of memory; these are 6.
const LINES_PER_ATTEMPT: usize = 64 * 1024;

/// Makes lines out of bytes, of one pipe.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The line so far, less than `limits::LOG_LINE_BYTES`.
    partial: Vec<u8>,
}

impl Splitter {
    /// Takes bytes as they come; calls `line` with each that is complete, without its line end.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = limits::LOG_LINE_BYTES - self.partial.len();
            let near = &bytes[..bytes.len().min(room)];
            if let Some(end) = near.iter().position(|byte| *byte == b'\n') {
                if self.partial.is_empty() {
                    line(without_cr(&near[..end]));
                } else {
                    self.partial.extend_from_slice(&near[..end]);
                    line(without_cr(&self.partial));
                    self.partial.clear();
                }
                bytes = &bytes[end + 1..];
            } else {
                self.partial.extend_from_slice(near);
                bytes = &bytes[near.len()..];
                if self.partial.len() == limits::LOG_LINE_BYTES {
                    let cut = character_boundary(&self.partial);
                    line(&self.partial[..cut]);
                    self.partial.drain(..cut);
                }
            }
        }
    }

    /// Drops what has no line end yet; says how much that was.
    fn forget(&mut self) -> usize {
        let bytes = self.partial.len();
        self.partial.clear();
        bytes
    }

    /// The attempt is over: what has no line end is a line, too.
    pub(crate) fn finish(&mut self, line: impl FnOnce(&[u8])) {
        if !self.partial.is_empty() {
            line(without_cr(&self.partial));
            self.partial.clear();
        }
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Where to cut so that a character of UTF-8 stays whole; the whole length if there is none at the
/// end.
fn character_boundary(bytes: &[u8]) -> usize {
    let len = bytes.len();
    for back in 1..=len.min(4) {
        let byte = bytes[len - back];
        if byte & 0b1100_0000 != 0b1000_0000 {
            let needs = match byte {
                0xf0..=0xf7 => 4,
                0xe0..=0xef => 3,
                0xc0..=0xdf => 2,
                _ => 1,
            };
            return if needs > back { len - back } else { len };
        }
    }
    len
}

/// A line as it may be shown: valid UTF-8, on one line, in the order in which it is written.
///
/// Backslashes stay as they are: `\x1b` in a log may be four characters that the function wrote.
/// Nobody can be deceived by that, and Windows paths stay readable.
pub(crate) fn printable(line: &[u8]) -> String {
    if let Ok(text) = str::from_utf8(line)
        && !text.chars().any(is_hidden)
    {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(line.len() + 16);
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if !is_hidden(c) => shown.push(c),
                '\r' => shown.push_str("\\r"),
                c if u32::from(c) < 0x100 => push_hex(&mut shown, u32::from(c)),
                c => shown.extend(c.escape_unicode()),
            }
        }
        for byte in chunk.invalid() {
            push_hex(&mut shown, u32::from(*byte));
        }
    }
    shown
}

fn push_hex(shown: &mut String, byte: u32) {
    shown.push_str("\\x");
    for nibble in [byte >> 4 & 0xf, byte & 0xf] {
        shown.push(char::from_digit(nibble, 16).unwrap_or('?'));
    }
}

/// Characters that move the cursor, end a line, or turn the direction of text around.
fn is_hidden(c: char) -> bool {
    match c {
        '\t' => false,
        ' '..='~' => false,
        '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => true,
        '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}' => true,
        c => c.is_control(),
    }
}

/// The lines of one attempt, up to the cap.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Vec<LogLine>,
    kept_lines: usize,
    kept_bytes: usize,
    dropped_bytes: u64,
    full: bool,
}

impl Log {
    fn push(&mut self, at: Timestamp, stream: Stream, line: &[u8]) {
        if !self.full {
            let text = printable(line);
            let bytes = self.kept_bytes + text.len() + 1;
            if bytes <= limits::LOG_BYTES_PER_ATTEMPT && self.kept_lines < LINES_PER_ATTEMPT {
                self.kept_bytes = bytes;
                self.kept_lines += 1;
                self.lines.push(LogLine { at, stream, text });
                return;
            }
            // Later lines that would fit are not kept either: a log with holes misleads.
            self.full = true;
            self.note(
                at,
                format!(
                    "the log is cut here: an attempt keeps {} bytes in at most {LINES_PER_ATTEMPT} \
                     lines; what follows is counted and dropped",
                    limits::LOG_BYTES_PER_ATTEMPT
                ),
            );
        }
        self.dropped_bytes += line.len() as u64 + 1;
    }

    /// A line of ours, which no cap drops.
    pub(crate) fn note(&mut self, at: Timestamp, text: String) {
        self.lines.push(LogLine { at, stream: Stream::Platform, text });
    }

    /// Bytes that were written while no attempt ran.
    pub(crate) fn written_between(&mut self, at: Timestamp, bytes: u64) {
        self.dropped_bytes += bytes;
        self.note(
            at,
            format!(
                "{bytes} bytes that the function wrote after its previous answer are dropped: \
                 they belong to no attempt"
            ),
        );
    }

    /// The lines since the last call.
    pub(crate) fn take(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.lines)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether what is written from now on is only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }
}

/// One of the two pipes, as we read it.
#[derive(Debug)]
pub(crate) struct Output {
    pipe: OwnedFd,
    stream: Stream,
    splitter: Splitter,
    /// Nobody holds the other end any more.
    pub(crate) closed: bool,
}

impl Output {
    /// `pipe` must be set to not block.
    pub(crate) fn new(pipe: OwnedFd, stream: Stream) -> Self {
        Self { pipe, stream, splitter: Splitter::default(), closed: false }
    }

    /// The same pipe once more, for the time that it is watched.
    pub(crate) fn poller(&self) -> io::Result<Receiver> {
        Receiver::from_owned_fd(self.pipe.try_clone()?)
    }

    /// Reads what is there, at most what a pipe holds, into the log. True if it may hold more.
    pub(crate) fn drain(&mut self, log: &mut Log, buffer: &mut [u8], at: Timestamp) -> bool {
        let Self { pipe, stream, splitter, closed } = self;
        read_available(pipe, closed, buffer, |bytes| {
            if log.is_full() {
                // Looking for lines that are thrown away would be most of what a flood costs.
                log.dropped_bytes += (splitter.forget() + bytes.len()) as u64;
            } else {
                splitter.feed(bytes, |line| log.push(at, *stream, line));
            }
        })
    }

    /// Ends the last line of an attempt.
    pub(crate) fn finish(&mut self, log: &mut Log, at: Timestamp) {
        self.splitter.finish(|line| log.push(at, self.stream, line));
    }

    /// Reads what is there, at most what a pipe may hold, and forgets it.
    pub(crate) fn discard(&mut self, buffer: &mut [u8]) -> u64 {
        let mut dropped = 0;
        // A pipe of the largest size holds sixteen times the usual.
        for _ in 0..16 {
            let more = read_available(&self.pipe, &mut self.closed, buffer, |bytes| {
                dropped += bytes.len() as u64;
            });
            if !more {
                break;
            }
        }
        dropped
    }
}

/// Reads until there is nothing or [`PIPE_BYTES`] have been read; true in the second case.
fn read_available(
    pipe: &OwnedFd,
    closed: &mut bool,
    buffer: &mut [u8],
    mut take: impl FnMut(&[u8]),
) -> bool {
    let mut read = 0;
    while read < PIPE_BYTES && !*closed {
        match rustix::io::read(pipe.as_fd(), &mut *buffer) {
            Ok(0) => *closed = true,
            Ok(count) => {
                take(&buffer[..count]);
                read += count;
                // A short read emptied the pipe: what comes now came later.
                if count < buffer.len() {
                    return false;
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return false,
            Err(_) => *closed = true,
        }
    }
    !*closed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.feed(chunk, |line| lines.push(line.to_vec()));
        }
        splitter.finish(|line| lines.push(line.to_vec()));
        lines
    }

    #[test]
    fn lines_end_at_line_ends_and_at_the_end_of_the_attempt() {
        assert_eq!(lines(&[b"a\nb\r\n\nc"]), [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(lines(&[b"a", b"b\r", b"\nc\n"]), [&b"ab"[..], b"c"]);
        assert!(lines(&[b"", b""]).is_empty());
    }

    #[test]
    fn a_long_line_is_split_and_no_character_with_it() {
        let mut long = vec![b'x'; limits::LOG_LINE_BYTES - 1];
        long.extend_from_slice("é!\n".as_bytes());
        let lines = lines(&[&long]);
        assert_eq!(lines[0].len(), limits::LOG_LINE_BYTES - 1);
        assert_eq!(lines[1], "é!".as_bytes());
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (line, shown) in [
            (&b"plain \t text"[..], "plain \t text"),
            ("größe 日本".as_bytes(), "größe 日本"),
            (b"\x1b[2J", "\\x1b[2J"),
            (b"a\0b", "a\\x00b"),
            (b"12 %\r34 %", "12 %\\r34 %"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("\u{9b}31m".as_bytes(), "\\x9b31m"),
            ("a\u{202e}b\u{2028}c".as_bytes(), "a\\u{202e}b\\u{2028}c"),
            (b"C:\\x", "C:\\x"),
        ] {
            assert_eq!(printable(line), shown);
        }
    }

    #[test]
    fn the_cap_is_marked_once_and_the_rest_is_counted() {
        let mut log = Log::default();
        let line = vec![b'x'; 1_023];
        for _ in 0..1_030 {
            log.push(Timestamp::default(), Stream::Stdout, &line);
        }
        log.push(Timestamp::default(), Stream::Stdout, b"short");
        assert_eq!(log.dropped_bytes(), 6 * 1_024 + 6);
        let lines = log.take();
        assert_eq!(lines.len(), 1_025);
        assert_eq!(lines.iter().filter(|l| l.stream == Stream::Platform).count(), 1);
    }

    #[test]
    fn empty_lines_are_capped_by_their_number() {
        let mut log = Log::default();
        let mut splitter = Splitter::default();
        splitter.feed(&vec![b'\n'; 1024 * 1024], |line| {
            log.push(Timestamp::default(), Stream::Stderr, line);
        });
        assert_eq!(log.take().len(), LINES_PER_ATTEMPT + 1);
        assert_eq!(log.dropped_bytes(), (1024 * 1024 - LINES_PER_ATTEMPT) as u64);
    }

    #[test]
    fn a_pipe_is_read_until_it_is_empty_or_full_once() {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        let mut output = Output::new(reader, Stream::Stdout);
        let mut log = Log::default();
        let mut buffer = vec![0; 4_096];
        assert!(!output.drain(&mut log, &mut buffer, Timestamp::default()));
        rustix::io::write(&writer, b"one\ntwo").unwrap();
        assert!(!output.drain(&mut log, &mut buffer, Timestamp::default()));
        output.finish(&mut log, Timestamp::default());
        let texts: Vec<_> = log.take().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["one", "two"]);
        let filled = rustix::io::write(&writer, &[b'y'; 2 * PIPE_BYTES]).unwrap();
        assert!(output.drain(&mut log, &mut buffer, Timestamp::default()));
        assert_eq!(filled, PIPE_BYTES);
        rustix::io::write(&writer, b"more").unwrap();
        assert_eq!(output.discard(&mut buffer), 4);
        drop(writer);
        assert!(!output.drain(&mut log, &mut buffer, Timestamp::default()));
        assert!(output.closed);
    }

    proptest! {
        #[test]
        fn no_bytes_are_lost_or_moved_however_they_arrive(
            bytes in prop::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(0x1b), any::<u8>()], 0..400),
            cuts in prop::collection::vec(0usize..400, 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = lines(&[&bytes]);
            prop_assert_eq!(&lines(&chunks), &whole);
            let mut expected: Vec<_> = bytes.split(|byte| *byte == b'\n').map(without_cr).collect();
            // What follows the last line end is a line only if there is something.
            if bytes.is_empty() || bytes.ends_with(b"\n") {
                expected.pop();
            }
            prop_assert_eq!(whole, expected);
        }

        #[test]
        fn no_line_holds_what_could_forge_another(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let shown = printable(&line);
            prop_assert!(!shown.chars().any(is_hidden));
        }
    }
}
