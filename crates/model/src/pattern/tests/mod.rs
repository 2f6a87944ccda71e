//! Tests of the pattern language: a table for each operator and each refusal, and two properties
//! that hold the whole together. A reference evaluator, written from the definition and without a
//! thought for speed, has to agree on random patterns and events; and nothing may panic.
//!
//! `SLOW_TESTS=1` asks 100,000 random cases of each property, otherwise it is 2,000.

use serde_json::Value;

use super::{Pattern, Verdict};

mod arrays;
mod explaining;
mod operators;
mod pinning;
mod properties;
mod reference;
mod refusals;
mod structure;
mod time;
mod values;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("the test's own JSON {text}: {e}"))
}

#[track_caller]
fn check(pattern: &str, event: &str, expect: bool) {
    let compiled = Pattern::parse(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    let event_value = json(event);
    assert_eq!(compiled.matches(&event_value), expect, "pattern {pattern}, event {event}");
    let explained = compiled.explain(&event_value);
    assert_eq!(explained == Verdict::Matched, expect, "{pattern}, {event}: {explained}");
    let again = Pattern::parse(&compiled.to_string()).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    assert_eq!(again, compiled, "the canonical text of {pattern} is another pattern");
    assert_eq!(again.matches(&event_value), expect, "canonical form of {pattern}, event {event}");
    let naive = reference::matches(&json(pattern), &event_value);
    assert_eq!(naive, expect, "the reference evaluator on {pattern}, event {event}");
}

/// One alternative against one value, both as JSON.
#[track_caller]
fn one(alternative: &str, value: &str, expect: bool) {
    check(&format!(r#"{{"x":[{alternative}]}}"#), &format!(r#"{{"x":{value}}}"#), expect);
}

#[track_caller]
fn all(alternative: &str, accepted: &[&str], rejected: &[&str]) {
    for value in accepted {
        one(alternative, value, true);
    }
    for value in rejected {
        one(alternative, value, false);
    }
}
