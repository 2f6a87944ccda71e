//! Attacks: what `wire::json::check` accepts is JSON, nested no deeper than was asked, and what it
//! refuses is not; a refusal names a place within the text.
//!
//! The second reader is serde_json. Depth is counted here once more, over documents that are known
//! to be valid, where brackets outside of strings are all there is to count.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use wire::json::{NotJson, check};

/// What `check` holds at most, whatever it is asked for.
const DEEPEST: usize = 512;

fuzz_target!(|input: &[u8]| {
    let Some((most, bytes)) = input.split_first() else { return };
    let most = usize::from(*most);
    let text = str::from_utf8(bytes).ok();
    let Some(text) = text.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok()) else {
        for most in [most, usize::MAX] {
            refused(check(bytes, most).expect_err("serde_json refuses it"), bytes);
        }
        return;
    };
    let depth = depth(text);
    for most in [0, 1, most, depth.saturating_sub(1), depth, usize::MAX] {
        match check(bytes, most) {
            Ok(()) => assert!(depth <= most.min(DEEPEST), "{depth} levels, {most} are allowed"),
            Err(why) => {
                assert!(matches!(why, NotJson::TooDeep { .. }), "serde_json takes it: {why}");
                assert!(depth > most.min(DEEPEST), "{depth} levels, {most} are allowed: {why}");
                refused(why, bytes);
            }
        }
    }
});

/// The refusal is one that people can use.
fn refused(why: NotJson, bytes: &[u8]) {
    let sentence = why.to_string();
    assert!(sentence.len() < 400 && !sentence.contains(char::is_control), "{sentence:?}");
    let (line, column) = match why {
        NotJson::Empty | NotJson::ByteOrderMark => return,
        NotJson::NotUtf8 { line, column } | NotJson::TooDeep { line, column, .. } => (line, column),
        NotJson::Syntax { what, line, column } => {
            // The words for what only one of the two grammars refuses.
            assert_ne!(what, "an unexpected character");
            (line, column)
        }
    };
    let row = bytes.split(|byte| *byte == b'\n').nth(line - 1).expect("the line exists");
    // serde_json counts the line break that ends a line, and says 0 for one that it has just begun.
    assert!(column <= row.len() + 1, "column {column} of a line of {} bytes", row.len());
}

/// Levels of a valid document.
fn depth(text: &str) -> usize {
    let (mut depth, mut most, mut within, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = within,
            b'"' => within = !within,
            b'[' | b'{' if !within => depth += 1,
            b']' | b'}' if !within => depth -= 1,
            _ => {}
        }
        most = most.max(depth);
    }
    most
}
