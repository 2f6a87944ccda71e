//! Looks at the text of a pattern for what is lost once it is parsed: a key given twice. JSON
//! readers keep the last one, so half of what somebody wrote would silently not count.
//!
//! This is no JSON parser: nesting is measured on any text, and keys are collected only from text
//! that serde_json has accepted.

use std::collections::BTreeSet;

use super::invalid::{Invalid, Problem, index, join};

/// How deep brackets are nested, so that a hostile text meets our limit and its sentence rather
/// than the parser's.
pub(super) fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

enum Open<'t> {
    Object { keys: BTreeSet<String>, current: &'t str, key_next: bool },
    List { position: usize },
}

/// `text` is valid JSON.
pub(super) fn refuse_duplicate_keys(text: &str) -> Result<(), Invalid> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => {
                open.push(Open::Object { keys: BTreeSet::new(), current: "\"\"", key_next: true });
            }
            b'[' => open.push(Open::List { position: 0 }),
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Open::Object { key_next, .. }) => *key_next = true,
                Some(Open::List { position }) => *position += 1,
                None => {}
            },
            b'"' => {
                let end = string_end(bytes, at);
                if let Some(Open::Object { keys, current, key_next }) = open.last_mut()
                    && *key_next
                {
                    *key_next = false;
                    *current = text.get(at..end).unwrap_or_default();
                    if !keys.insert(unquoted(current)) {
                        return Err(Invalid::at(path_of(&open), Problem::DuplicateKey));
                    }
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The index after the closing quote of the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Two spellings of one key are the same key: `"a"` and `"\u0061"`.
fn unquoted(key: &str) -> String {
    serde_json::from_str(key).unwrap_or_else(|_| key.to_owned())
}

fn path_of(open: &[Open<'_>]) -> String {
    open.iter().fold(String::new(), |path, level| match level {
        Open::Object { current, .. } => join(&path, &unquoted(current)),
        Open::List { position } => index(&path, *position),
    })
}
