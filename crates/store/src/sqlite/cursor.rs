//! Cursors: the key of the last item of a page, so that a page starts where the last one ended
//! whatever was written in between.
//!
//! One letter for the list it belongs to, then hexadecimal digits. It is not a secret, and one
//! that somebody made up only selects another place in the caller's own list.

use crate::Error;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum List {
    Functions,
    Versions,
    Invocations,
    Events,
    Log,
    Replays,
}

impl List {
    fn letter(self) -> char {
        match self {
            Self::Functions => 'f',
            Self::Versions => 'v',
            Self::Invocations => 'i',
            Self::Events => 'e',
            Self::Log => 'l',
            Self::Replays => 'r',
        }
    }

    pub(super) fn cursor(self, key: &[u8]) -> String {
        let mut text = String::with_capacity(1 + 2 * key.len());
        text.push(self.letter());
        for byte in key {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16));
            }
        }
        text
    }

    pub(super) fn key(self, cursor: &str) -> Result<Vec<u8>, Error> {
        let digits = cursor.strip_prefix(self.letter());
        digits.and_then(bytes).ok_or_else(|| refused(cursor))
    }

    /// A key of a fixed length.
    pub(super) fn fixed<const N: usize>(self, cursor: &str) -> Result<[u8; N], Error> {
        <[u8; N]>::try_from(self.key(cursor)?).map_err(|_other_length| refused(cursor))
    }
}

fn refused(cursor: &str) -> Error {
    Error::Cursor { cursor: cursor.chars().take(80).collect() }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_by_its_own_list_only() {
        let cursor = List::Events.cursor(&[0, 0xab, 255]);
        assert_eq!(cursor, "e00abff");
        assert_eq!(List::Events.key(&cursor).unwrap(), [0, 0xab, 255]);
        assert!(List::Log.key(&cursor).is_err());
    }

    #[test]
    fn what_no_list_gave_is_refused() {
        for bad in ["", "e0", "e0g", "x", "eé", "eAB", "e+1"] {
            let refused = List::Events.fixed::<1>(bad).unwrap_err();
            assert!(matches!(refused, Error::Cursor { .. }), "{bad}");
        }
    }
}
