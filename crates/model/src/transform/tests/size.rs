//! No input is larger than an event may be, and none that is comes to exist on the way.

use serde_json::{Value, json as value};

use super::super::TOO_LARGE;
use super::Transform;
use crate::fault::Blame;
use crate::limits::EVENT_BYTES;

fn of(text: String) -> Value {
    value!({"data": {"text": text, "list": [1, 2]}})
}

#[track_caller]
fn check(spec: &Value, record: &Value, fits: bool) {
    let transform = Transform::compile(spec).unwrap_or_else(|e| panic!("{e}"));
    match transform.apply(record) {
        Ok(input) => assert!(fits && input.to_string().len() <= EVENT_BYTES, "{spec} did fit"),
        Err(fault) => {
            assert!(!fits, "{spec}: {fault:?}");
            assert_eq!((fault.blame, fault.code.as_str()), (Blame::Function, TOO_LARGE));
            assert!(fault.message.contains("1048576"), "{}", fault.message);
        }
    }
}

#[test]
fn an_input_may_be_as_large_as_an_event_and_no_larger() {
    let paths = value!({"text": "$.data.text", "all": "$.data.text[*]"});
    let spec = |template: Value| value!({"paths": paths, "template": template});
    let text = |bytes: usize| of("x".repeat(bytes));
    check(&spec(value!("<text>")), &text(EVENT_BYTES - 2), true);
    check(&spec(value!("<text>")), &text(EVENT_BYTES - 1), false);
    check(&value!({"path": "$.data.text"}), &text(EVENT_BYTES - 2), true);
    check(&value!({"path": "$.data.text"}), &text(EVENT_BYTES - 1), false);
    check(&spec(value!("<text>!")), &text(EVENT_BYTES - 3), true);
    check(&spec(value!("<text>!")), &text(EVENT_BYTES - 2), false);
    check(&spec(value!({"k": ["<text>"]})), &text(EVENT_BYTES - 10), true);
    check(&spec(value!({"k": ["<text>"]})), &text(EVENT_BYTES - 9), false);
    check(&spec(value!(["<text>", "<text>"])), &text(EVENT_BYTES / 2), false);
}

#[test]
fn escapes_count() {
    let spec = value!({"paths": {"text": "$.data.text"}, "template": "-<text>-"});
    check(&spec, &of("\u{1}".repeat(EVENT_BYTES / 6 - 1)), true);
    check(&spec, &of("\u{1}".repeat(EVENT_BYTES / 6 + 1)), false);
}

#[test]
fn lists_count_with_their_commas() {
    let list = |count: usize| value!({"data": vec![1; count]});
    let spec = value!({"path": "$.data[*]"});
    check(&spec, &list(EVENT_BYTES / 2 - 1), true);
    check(&spec, &list(EVENT_BYTES / 2), false);
}

#[test]
fn a_template_that_repeats_an_event_a_thousand_times_is_stopped_early() {
    // Gigabytes, if it were all made before it is measured.
    let record = of("x".repeat(EVENT_BYTES / 2));
    check(&value!({"template": "<event>".repeat(1_000)}), &record, false);
    check(&value!({"template": vec!["<event>"; 800]}), &record, false);
}
