//! Hostile patterns and events take bounded time. The bounds are wide: what they tell apart is
//! linear from quadratic and worse, not one machine from another.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Pattern, json};

#[track_caller]
fn within(limit: Duration, pattern: &str, event: &Value) {
    let pattern = Pattern::parse(pattern).unwrap();
    let start = Instant::now();
    std::hint::black_box(pattern.matches(event));
    let took = start.elapsed();
    assert!(took < limit, "{took:?} for {pattern}");
}

#[test]
fn wildcards_do_not_backtrack() {
    let event = Value::from_iter([("x", "a".repeat(4 << 20))]);
    for wildcard in [
        "*a".repeat(31) + "*b",
        "*a".repeat(31) + "b*",
        format!("*{}b*", "a".repeat(2_000)),
        format!("*{}b*{}", "a".repeat(5_000), "a".repeat(5_000)),
        format!("*{}*c*", "a*b".repeat(15)),
    ] {
        within(
            Duration::from_secs(2),
            &format!(r#"{{"x":[{{"wildcard":"{wildcard}"}}]}}"#),
            &event,
        );
    }
}

#[test]
fn nested_arrays_of_objects_are_visited_once() {
    let mut event = json("0");
    for _ in 0..6 {
        let object = Value::from_iter([("a", event), ("b", json("1"))]);
        event = Value::Array(vec![object; 6]);
    }
    let event = Value::from_iter([("a", event)]);
    let mut inner = r#""e":[1]"#.to_owned();
    for _ in 0..6 {
        inner = format!(r#""a":{{"b":[1,2],"$or":[{{"b":[1]}},{{"c":[1]}}],{inner}}}"#);
    }
    let pattern = format!("{{{inner}}}");
    within(Duration::from_secs(5), &pattern, &event);
}

#[test]
fn the_largest_multiplied_pattern_is_quick() {
    let or =
        |n: usize| format!(r#""k{n}":{{"$or":[{{"a":["x"]}},{{"b":["x",{{"exists":false}}]}}]}}"#);
    let pattern = format!("{{{}}}", (0..8).map(or).collect::<Vec<_>>().join(","));
    let object = json(r#"{"b":["y","z"]}"#);
    let event = Value::from_iter((0..8).map(|n| (format!("k{n}"), object.clone())));
    within(Duration::from_secs(1), &pattern, &event);
}
