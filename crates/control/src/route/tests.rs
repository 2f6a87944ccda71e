//! The index against trying every trigger, and how few triggers it leaves to be tried.

use std::collections::BTreeSet;

use model::function::Code;
use model::{
    Config, Delivery, Digest, Function, Handler, Pattern, Project, RuntimeName, Timestamp,
    TriggerName, Version,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;
use crate::catalogue::spec;

/// A function with triggers that have these patterns.
pub(crate) fn entry(number: u16, patterns: &[Value]) -> Arc<Entry> {
    let at = Timestamp::from_millis(0);
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    let id = FunctionId::from_bytes(bytes);
    let runtime = RuntimeName::parse("python3.11").unwrap();
    let config = Config::new(runtime, Handler::parse("handler.handler").unwrap());
    let code = Code { digest: Digest([0; 32]), size_bytes: 0, file_name: String::new() };
    let name = FunctionName::parse(&format!("f{number}")).unwrap();
    let latest = Version { number: 1, created_at: at, code, config };
    let project = Project::default_project();
    let function = Function { id, project, name, created_at: at, latest };
    let trigger = |(n, pattern): (usize, &Value)| {
        let name = TriggerName::parse(&format!("t{n}")).unwrap();
        let pattern = Pattern::from_value(pattern).unwrap();
        let delivery = Delivery::default();
        Arc::new(Trigger { function: id, name, pattern, delivery, created_at: at })
    };
    Arc::new(Entry {
        destinations: Arc::default(),
        spec: Arc::new(spec(&function, &function.latest)),
        triggers: patterns.iter().enumerate().map(trigger).collect(),
        gauge: Arc::default(),
        project_gauge: Arc::default(),
        function,
    })
}

fn text(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Few values, so that patterns and events that know nothing of each other meet; and many triggers
/// share one, so that there are indexes below indexes.
const ALTERNATIVES: [&str; 20] = [
    r#""a""#,
    r#""b""#,
    r#""ab""#,
    "1",
    "1.0",
    "2.5",
    "null",
    "true",
    "false",
    r#"{"prefix":"a"}"#,
    r#"{"prefix":"ab"}"#,
    r#"{"prefix":""}"#,
    r#"{"wildcard":"a*b"}"#,
    r#"{"equals-ignore-case":"Ab"}"#,
    r#"{"prefix":{"equals-ignore-case":"A"}}"#,
    r#"{"suffix":"b"}"#,
    r#"{"numeric":["=",1]}"#,
    r#"{"numeric":[">",0]}"#,
    r#"{"anything-but":["a",  "b"]}"#,
    r#"{"exists":false}"#,
];
const SCALARS: [&str; 12] = [
    r#""a""#, r#""A""#, r#""b""#, r#""ab""#, r#""ABC""#, r#""""#, "1", "1.0", "2.5", "null",
    "true", "false",
];

fn alternatives() -> impl Strategy<Value = Value> {
    // Mostly what can be pinned, or nothing would be in the index.
    let one = prop_oneof![6 => select(&ALTERNATIVES[..3]), 2 => select(&ALTERNATIVES[..])];
    vec(one.prop_map(text), 1..=2).prop_map(Value::Array)
}

fn attribute() -> impl Strategy<Value = String> {
    select(vec!["type", "source", "subject"]).prop_map(str::to_owned)
}

fn member() -> impl Strategy<Value = String> {
    select(vec!["x", "y", "z"]).prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = Value> {
    let data = btree_map(member(), alternatives(), 1..=2).prop_map(Value::from_iter).boxed();
    let deep = data.clone().prop_map(|inner| json!({"x": inner}));
    let data = prop_oneof![3 => data, 1 => deep];
    let fields = (btree_map(attribute(), alternatives(), 0..=2), proptest::option::of(data))
        .prop_map(|(mut fields, data)| {
            fields.extend(data.map(|data| ("data".to_owned(), data)));
            fields
        })
        .prop_filter("a pattern has a field", |fields| !fields.is_empty())
        .boxed();
    let plain = fields.clone().prop_map(Value::from_iter).boxed();
    let or = vec(plain.clone(), 2..=3).prop_map(Value::Array).boxed();
    let both = (fields, or.clone()).prop_map(|(mut fields, or)| {
        fields.insert("$or".to_owned(), or);
        Value::from_iter(fields)
    });
    prop_oneof![6 => plain, 1 => or.prop_map(|or| json!({"$or": or})), 1 => both]
}

fn event() -> impl Strategy<Value = Value> {
    let scalar = select(&SCALARS[..]).prop_map(text).boxed();
    let value = scalar
        .clone()
        .prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..=3).prop_map(Value::Array),
                btree_map(member(), inner, 0..=3).prop_map(Value::from_iter),
            ]
        })
        .boxed();
    let data = btree_map(member(), value.clone(), 0..=3).prop_map(Value::from_iter);
    let data = prop_oneof![4 => data, 1 => value];
    (btree_map(attribute(), scalar, 0..=3), proptest::option::of(data)).prop_map(
        |(mut all, data)| {
            all.extend(data.map(|data| ("data".to_owned(), data)));
            Value::from_iter(all)
        },
    )
}

type Named = (String, String);

fn named(function: &FunctionName, trigger: &Trigger) -> Named {
    (function.to_string(), trigger.name.to_string())
}

fn found(routes: &Routes, record: &Value) -> Vec<Named> {
    let matching = routes.matching(record).into_iter();
    matching.map(|route| named(&route.function_name, &route.trigger)).collect()
}

fn tried(entries: &[Arc<Entry>], record: &Value) -> Vec<Named> {
    let triggers =
        entries.iter().flat_map(|entry| entry.triggers.iter().map(move |it| (entry, it)));
    let matching = triggers.filter(|(_, trigger)| trigger.pattern.matches(record));
    let named: BTreeSet<_> =
        matching.map(|(entry, trigger)| named(&entry.function.name, trigger)).collect();
    named.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(500)
    })]

    #[test]
    fn the_index_finds_what_trying_every_trigger_finds(
        functions in vec(vec(pattern(), 0..12), 0..20),
        events in vec(event(), 1..12),
    ) {
        let entries: Vec<_> =
            (0..).zip(&functions).map(|(number, patterns)| entry(number, patterns)).collect();
        let routes = Routes::new(entries.iter());
        for event in events {
            prop_assert_eq!(found(&routes, &event), tried(&entries, &event), "{}", event);
        }
    }
}

/// How many triggers the event is held against, of those with these patterns.
fn candidates(patterns: &[Value], event: &Value) -> usize {
    // A thousand triggers to a function: nobody counts them here.
    let entries: Vec<_> = (0..).zip(patterns.chunks(1_000)).map(|(n, it)| entry(n, it)).collect();
    Routes::new(entries.iter()).candidates(event).len()
}

#[test]
fn triggers_of_one_type_are_told_apart_by_any_other_field() {
    let each = |make: fn(usize) -> Value| (0..1_000).map(make).collect::<Vec<_>>();
    let event = json!({
        "type": "t", "source": "s7", "subject": "7/x", "data": {"bucket": ["b7", "b8"], "n": 7.0}
    });
    for (patterns, expect) in [
        (each(|n| json!({"type": ["t"], "source": [format!("s{n}")]})), 1),
        (each(|n| json!({"type": ["t"], "subject": [{"prefix": format!("{n}/")}]})), 1),
        (each(|n| json!({"type": ["t"], "subject": [{"wildcard": format!("{n}/*")}]})), 1),
        (each(|n| json!({"type": ["t"], "source": [{"equals-ignore-case": format!("S{n}")}]})), 1),
        (each(|n| json!({"type": ["t"], "data": {"bucket": [format!("b{n}")]}})), 2),
        (each(|n| json!({"type": ["t"], "data": {"n": [n]}})), 1),
        (each(|n| json!({"$or": [{"source": [format!("s{n}")]}, {"data": {"n": [n]}}]})), 1),
        (each(|n| json!({"type": [format!("u{n}")], "source": ["s7"]})), 0),
        // A grid: a hundred share a number, ten of them a source, and five of those a type.
        (
            each(|n| {
                json!({
                    "type": [if n % 2 == 0 { "t" } else { "u" }], "source": [format!("s{}", n / 10 % 10)],
                    "data": {"n": [n / 100]}
                })
            }),
            5,
        ),
    ] {
        assert_eq!(candidates(&patterns, &event), expect, "{} and so on", patterns[7]);
    }
}

#[test]
fn a_thousand_equal_elements_lead_to_a_trigger_once() {
    let patterns: Vec<_> = (0..20).map(|n| json!({"data": {"x": ["a", n]}})).collect();
    let routes = Routes::new([entry(0, &patterns)].iter());
    let event = json!({"data": [{"x": vec!["a"; 1_000]}, {"x": [vec!["a"; 1_000]]}]});
    assert_eq!(found(&routes, &event).len(), 20);
}

#[test]
fn what_is_no_record_hits_nothing() {
    let any = json!({"a": [{"exists": false}]});
    let routes = Routes::new([entry(0, &[any])].iter());
    assert_eq!(found(&routes, &json!({})).len(), 1);
    assert!(found(&routes, &json!([{}])).is_empty());
    assert!(Routes::default().matching(&json!({})).is_empty());
}
