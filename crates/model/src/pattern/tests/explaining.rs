//! What a dry run says about an event that is not matched.

use super::{Pattern, Verdict, json};

#[track_caller]
fn stopped(pattern: &str, event: &str, sentence: &str) {
    let verdict = Pattern::parse(pattern).unwrap().explain(&json(event));
    assert_eq!(verdict.to_string(), sentence);
}

#[test]
fn a_match_is_a_match() {
    let pattern = Pattern::parse(r#"{"a":[1]}"#).unwrap();
    assert_eq!(pattern.explain(&json(r#"{"a":1}"#)), Verdict::Matched);
    stopped(r#"{"a":[1]}"#, r#"{"a":1}"#, "matched");
}

#[test]
fn the_first_clause_that_stopped_is_named() {
    let pattern = r#"{"data":{"size":[{"numeric":[">",0]}]},"a":[1],"type":["t"]}"#;
    stopped(
        pattern,
        r#"{"type":"u","data":{"size":0}}"#,
        r#"type: the pattern wants ["t"], the event has "u""#,
    );
    stopped(pattern, r#"{"type":"t"}"#, "a: the pattern wants [1], the event has no such field");
    stopped(
        pattern,
        r#"{"type":"t","a":1,"data":{"size":0}}"#,
        r#"data.size: the pattern wants [{"numeric":[">",0]}], the event has 0"#,
    );
    stopped(
        pattern,
        r#"{"type":"t","a":1,"data":"x"}"#,
        r#"data.size: the pattern wants [{"numeric":[">",0]}], the event has no such field"#,
    );
}

#[test]
fn elements_and_members_are_told_one_by_one() {
    stopped(
        r#"{"i":{"a":[1],"b":[2]}}"#,
        r#"{"i":[{"a":1},[{"a":2,"b":2}],5]}"#,
        "i: the pattern wants one of 2 objects to satisfy all its fields, but none does (\
         i[0].b: the pattern wants [2], the event has no such field; \
         i[1][0].a: the pattern wants [1], the event has 2)",
    );
    stopped(
        r#"{"i":{"a":[1]}}"#,
        r#"{"i":[{"a":2}]}"#,
        "i[0].a: the pattern wants [1], the event has 2",
    );
    stopped(
        r#"{"d":{"$or":[{"a":[1]},{"b":[2]}]}}"#,
        r#"{"d":{"b":3}}"#,
        "d.$or: the pattern wants one of 2 patterns to hold, but none does (\
         d.a: the pattern wants [1], the event has no such field; \
         d.b: the pattern wants [2], the event has 3)",
    );
    stopped(r#"{"a":[1]}"#, "7", "the event: the pattern wants a JSON object, the event has 7");
}

#[test]
fn an_array_without_objects_has_no_fields() {
    stopped(
        r#"{"i":{"a":[1]}}"#,
        r#"{"i":[1,[2]]}"#,
        "i.a: the pattern wants [1], the event has no such field",
    );
}

#[test]
fn long_values_are_cut() {
    let event = format!(r#"{{"a":"{}"}}"#, "é".repeat(10_000));
    let verdict = Pattern::parse(r#"{"a":["b"]}"#).unwrap().explain(&json(&event));
    assert!(verdict.to_string().chars().count() < 300, "{verdict}");
}

#[test]
fn the_reasons_of_arrays_in_arrays_are_few() {
    let pattern = r#"{"a":{"a":{"a":{"a":{"a":{"x":[1]}}}}}}"#;
    let inner = |value: &str| format!(r#"{{"a":[{}]}}"#, [value; 9].join(","));
    let event = (0..5).fold("{}".to_owned(), |event, _| inner(&event));
    let verdict = Pattern::parse(pattern).unwrap().explain(&json(&event)).to_string();
    assert_eq!(verdict.matches("x: the pattern wants [1]").count(), 8 * 4 * 2, "{verdict}");
}
