//! What a pattern pins: which values a record must have somewhere for it to match.

use std::fmt::Write as _;

use super::{Pattern, json};
use crate::pattern::Want;

/// Each pin as `path=value|value`, and its places with a `+` between them.
fn pins(pattern: &str) -> Vec<String> {
    let pattern = Pattern::parse(pattern).unwrap();
    let told = pattern.pins().iter().map(|pin| {
        let places = pin.places.iter().map(|place| {
            let wants = place.wants.iter().map(|want| match want {
                Want::Text(text) => text.to_string(),
                Want::Prefix(text) => format!("{text}*"),
                Want::Folded(text) => format!("~{text}"),
                Want::FoldedPrefix(text) => format!("~{text}*"),
                Want::Scalar(scalar) => format!("{scalar:?}"),
            });
            format!("{}={}", place.path.join("."), wants.collect::<Vec<_>>().join("|"))
        });
        places.collect::<Vec<_>>().join("+")
    });
    told.collect()
}

#[track_caller]
fn check(pattern: &str, expect: &[&str]) {
    assert_eq!(pins(pattern), expect, "{pattern}");
}

#[test]
fn every_field_that_must_have_a_certain_value_is_a_pin() {
    check(r#"{"type":["b","a","b"]}"#, &["type=a|b"]);
    check(
        r#"{"data":{"bucket":["x"],"size":[{"numeric":[">",0]}]},"source":["s"],"type":["t"]}"#,
        &["type=t", "source=s", "data.bucket=x"],
    );
    check(r#"{"type":{"type":["a"]}}"#, &["type.type=a"]);
    check(r#"{"data":{"a.b":["x"]}}"#, &["data.a.b=x"]);
}

#[test]
fn starts_of_strings_are_pinned_and_so_is_what_does_not_regard_case() {
    check(r#"{"a":["x",{"prefix":"b"}]}"#, &["a=x|b*"]);
    check(r#"{"a":[{"wildcard":"b*c"},{"wildcard":"d"}]}"#, &["a=d|b*"]);
    check(r#"{"a":[{"equals-ignore-case":"ÀB"}]}"#, &["a=~àb"]);
    check(r#"{"a":[{"prefix":{"equals-ignore-case":"B"}}]}"#, &["a=~b*"]);
    for open in [
        r#"{"prefix":""}"#,
        r#"{"prefix":{"equals-ignore-case":""}}"#,
        r#"{"wildcard":"*a"}"#,
        r#"{"suffix":"a"}"#,
        r#"{"cidr":"10.0.0.0/8"}"#,
        r#"{"anything-but":"a"}"#,
        r#"{"numeric":[">",1]}"#,
        r#"{"exists":true}"#,
        r#"{"exists":false}"#,
    ] {
        check(&format!(r#"{{"a":["x",{open}]}}"#), &[]);
    }
}

#[test]
fn one_number_is_one_pin_however_it_is_written() {
    let spellings = ["[1]", "[1.0,1]", r#"[{"numeric":["=",1e0]}]"#];
    let pins =
        spellings.map(|it| Pattern::parse(&format!(r#"{{"a":{it}}}"#)).unwrap().pins().to_vec());
    assert!(pins.iter().all(|it| *it == pins[0] && it.len() == 1), "{pins:?}");
    for (pattern, event, expect) in [
        ("1", "1.0", true),
        ("-0", "0", true),
        ("9007199254740993", "9007199254740992", false),
        ("1.5", "1.5", true),
        ("null", "null", true),
        ("true", "false", false),
        ("1", r#""1""#, false),
        ("1", r#"[2,[1]]"#, true),
    ] {
        let pattern = Pattern::parse(&format!(r#"{{"a":[{pattern}]}}"#)).unwrap();
        let event = json(&format!(r#"{{"a":{event}}}"#));
        assert_eq!(pattern.pins()[0].admits(&event), expect, "{pattern} on {event}");
    }
}

#[test]
fn of_an_or_what_every_member_pins_is_pinned() {
    check(r#"{"$or":[{"type":["b"]},{"type":["a"],"x":[{"exists":true}]}]}"#, &["type=a|b"]);
    check(r#"{"$or":[{"type":["b"],"x":["1"]},{"type":["a"],"x":["2"]}]}"#, &["type=a|b", "x=1|2"]);
    check(r#"{"type":["a"],"$or":[{"x":["1"]},{"y":["2"]}]}"#, &["type=a", "x=1+y=2"]);
    check(r#"{"$or":[{"type":["b"]},{"x":[{"exists":true}]}]}"#, &[]);
    check(r#"{"data":{"$or":[{"x":["1"]},{"x":["2"]}]}}"#, &["data.x=1|2"]);
    check(r#"{"$or":[{"x":["1"]},{"$or":[{"x":["2"]},{"y":["3"]}]}]}"#, &["x=1|2+y=3"]);
}

#[test]
fn of_two_lists_for_one_key_the_stricter_is_the_pin() {
    check(r#"{"type":[{"prefix":"a"}],"$or":[{"type":["ab"]},{"type":["ac"]}]}"#, &["type=ab|ac"]);
    check(r#"{"a":["1","2","3"],"$or":[{"a":["2"]},{"b":["1"]}]}"#, &["a=1|2|3"]);
}

#[test]
fn pins_are_few_even_of_a_pattern_that_has_many() {
    let mut fields = String::new();
    for number in 0..100 {
        let separator = if number == 0 { "" } else { "," };
        write!(fields, "{separator}\"k{number}\":[\"v\"]").unwrap();
    }
    assert_eq!(pins(&format!("{{{fields}}}")).len(), 8);
    let long = (0..1_000).map(|number| format!("\"{number}\"")).collect::<Vec<_>>().join(",");
    let pattern = format!(r#"{{"a":[{long}],"b":["x"]}}"#);
    assert_eq!(Pattern::parse(&pattern).unwrap().pins().len(), 1, "the long list fills the room");
}
