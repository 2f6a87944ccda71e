//! The format of frames once more, by its definition: over a stream that is there as a whole, with
//! the numbers of the protocol written out, and sharing nothing with the code under test.

/// Where a stream ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    BetweenFrames,
    WithinFrame,
    /// At a header that is none.
    NoFrame,
}

/// A frame's kind, metadata and payload.
pub(super) type Parts<'a> = (u8, &'a [u8], &'a [u8]);

/// The frames of a stream up to its end, or up to what is no frame.
pub(super) fn frames(mut rest: &[u8]) -> (Vec<Parts<'_>>, End) {
    let mut frames = Vec::new();
    loop {
        if rest.is_empty() {
            return (frames, End::BetweenFrames);
        }
        let Some((header, body)) = rest.split_at_checked(12) else {
            return (frames, End::WithinFrame);
        };
        let number = |at: usize| {
            (0..4).rev().fold(0, |sum, byte| sum * 256 + usize::from(header[at + byte]))
        };
        let (kind, meta, payload) = (header[0], number(4), number(8));
        let is_kind = matches!(kind, 1 | 2 | 16..=20);
        if !is_kind || header[1..4] != [1, 0, 0] || meta > 262_144 || payload > 6_295_552 {
            return (frames, End::NoFrame);
        }
        let Some((body, later)) = body.split_at_checked(meta + payload) else {
            return (frames, End::WithinFrame);
        };
        let (meta, payload) = body.split_at(meta);
        frames.push((kind, meta, payload));
        rest = later;
    }
}
