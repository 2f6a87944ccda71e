//! Attacks: no text makes the pattern compiler panic; a pattern and its canonical text are one; and
//! `matches` and `explain` say what the language's definition says, and a record that matches has
//! what the pattern pins.
//!
//! The first line of an input is the pattern, the rest an event. The definition is the reference
//! evaluator of the model's own tests; being exponential, it is asked about small inputs only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::pattern::{Pattern, Verdict};
use serde_json::Value;

#[path = "../../crates/model/src/pattern/tests/reference.rs"]
mod reference;

/// Of pattern and event each: at most some nine fields of four values, 4^9 choices.
const REFERENCE_BYTES: usize = 128;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else { return };
    let (pattern, event) = text.split_once('\n').unwrap_or((text, ""));
    let compiled = match Pattern::parse(pattern) {
        Ok(compiled) => compiled,
        Err(invalid) => {
            assert!(!invalid.code().is_empty() && !invalid.to_string().is_empty());
            return;
        }
    };
    let canonical = compiled.to_string();
    let again = Pattern::parse(&canonical).expect("a canonical text is a pattern");
    assert_eq!(again, compiled);
    assert_eq!(again.to_string(), canonical);
    assert_eq!(again.pins(), compiled.pins());

    let Ok(value) = serde_json::from_str::<Value>(event) else { return };
    let matches = compiled.matches(&value);
    assert_eq!(again.matches(&value), matches);
    assert_eq!(compiled.explain(&value) == Verdict::Matched, matches);
    if matches {
        let missed = compiled.pins().iter().find(|pin| !pin.admits(&value));
        assert_eq!(missed, None, "{canonical} matches {value}");
    }
    if pattern.len().max(event.len()) <= REFERENCE_BYTES {
        let pattern = serde_json::from_str(pattern).expect("it was parsed before");
        assert_eq!(reference::matches(&pattern, &value), matches, "{canonical} on {value}");
    }
});
