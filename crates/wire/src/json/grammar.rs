//! The grammar of RFC 8259, walked once over bytes that are UTF-8.
//!
//! Every call and every event passes here, so this is measured: a walk over text of 6 MiB has to
//! end before anybody waits for it. It knows *whether*, and stops at the first byte that does not
//! fit; saying *what* is wrong is left to `serde_json`, which tests hold this against.

/// Levels that the walk can hold: more than any limit of ours, and 64 bytes of stack.
pub(super) const DEEPEST: usize = 512;

/// Why the walk did not reach the end. Parts of the walk answer None for `Syntax`: what fits in a
/// register makes it half as long.
#[derive(Debug)]
pub(super) enum Stop {
    TooDeep { at: usize, most: usize },
    Syntax,
}

pub(super) fn walk(bytes: &[u8], max_depth: usize) -> Result<(), Stop> {
    let mut open = Open::new(max_depth);
    let mut at = space(bytes, 0);
    loop {
        // A value starts here. What is empty ends here, too.
        let end = match bytes.get(at) {
            Some(b'"') => string(bytes, at + 1),
            Some(first @ (b'{' | b'[')) => {
                let object = *first == b'{';
                open.push(object, at)?;
                at = space(bytes, at + 1);
                if bytes.get(at) == Some(if object { &b'}' } else { &b']' }) {
                    open.pop();
                    Some(at + 1)
                } else if object {
                    at = key(bytes, at).ok_or(Stop::Syntax)?;
                    continue;
                } else {
                    continue;
                }
            }
            Some(b'-' | b'0'..=b'9') => number(bytes, at),
            Some(b't') => word(bytes, at, b"true"),
            Some(b'f') => word(bytes, at, b"false"),
            Some(b'n') => word(bytes, at, b"null"),
            _ => None,
        };
        at = end.ok_or(Stop::Syntax)?;
        // A value has ended, and what it is in may end with it.
        loop {
            at = space(bytes, at);
            match (bytes.get(at), open.innermost_is_object()) {
                (Some(b','), Some(false)) => {
                    at = space(bytes, at + 1);
                    break;
                }
                (Some(b','), Some(true)) => {
                    at = key(bytes, space(bytes, at + 1)).ok_or(Stop::Syntax)?;
                    break;
                }
                (Some(b'}'), Some(true)) | (Some(b']'), Some(false)) => {
                    open.pop();
                    at += 1;
                }
                (None, None) => return Ok(()),
                _ => return Err(Stop::Syntax),
            }
        }
    }
}

/// What is open, one bit a level: object or list.
struct Open {
    levels: [u64; DEEPEST / 64],
    depth: usize,
    most: usize,
}

impl Open {
    fn new(most: usize) -> Self {
        Self { levels: [0; DEEPEST / 64], depth: 0, most: most.min(DEEPEST) }
    }

    fn push(&mut self, object: bool, at: usize) -> Result<(), Stop> {
        if self.depth == self.most {
            return Err(Stop::TooDeep { at, most: self.most });
        }
        let (word, bit) = (&mut self.levels[self.depth / 64], 1 << (self.depth % 64));
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn innermost_is_object(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.levels[last / 64] >> (last % 64) & 1 == 1)
    }
}

#[inline(always)]
fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at)
        && super::is_space(*byte)
    {
        at += 1;
    }
    at
}

/// A member's name and the colon; gives where its value starts.
#[inline(always)]
fn key(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let at = space(bytes, string(bytes, at + 1)?);
    (bytes.get(at) == Some(&b':')).then(|| space(bytes, at + 1))
}

#[inline(always)]
fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(word).then_some(at + word.len())
}

#[inline(always)]
fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += if let Some(b'+' | b'-') = bytes.get(at + 1) { 2 } else { 1 };
        at = digits(bytes, at)?;
    }
    Some(at)
}

/// At least one.
#[inline(always)]
fn digits(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > from).then_some(at)
}

/// From the first byte within a string to the byte after its closing quote.
#[inline]
pub(super) fn string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if four_hex_digits(bytes.get(at + 2..)?) => at += 6,
                _ => return None,
            },
            _ => return None,
        }
    }
}

fn four_hex_digits(bytes: &[u8]) -> bool {
    bytes.first_chunk::<4>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// Skips what is neither a quote, nor a backslash, nor a control character: eight bytes at a time,
/// since this is where most of a document is.
#[inline(always)]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    // A byte of the answer has its high bit set if that byte of `word` is below `least`. Borrows
    // reach upwards only, so the lowest bit that is set is always right.
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word & HIGHS;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let ends = below(word, u64::from(b' ')) | quote | backslash;
        if ends != 0 {
            return at + (ends.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at)
        && *byte >= b' '
        && !matches!(byte, b'"' | b'\\')
    {
        at += 1;
    }
    at
}
