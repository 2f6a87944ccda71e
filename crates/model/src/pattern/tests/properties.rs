//! Properties over random patterns and events.

use std::cmp::Ordering;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Number, Value};

use super::super::number::Num;
use super::super::string::Wildcard;
use super::{Pattern, Verdict, json, reference};

fn config() -> ProptestConfig {
    let slow = std::env::var("SLOW_TESTS").is_ok_and(|value| value == "1");
    ProptestConfig {
        cases: if slow { 100_000 } else { 2_000 },
        // A failure is turned into a line of a table, not into a file of seeds.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Few different values, so that a pattern and an event that know nothing of each other meet.
const SCALARS: [&str; 14] = [
    "0",
    "1",
    "1.0",
    "2",
    "-1.5",
    "null",
    "true",
    "false",
    r#""""#,
    r#""a""#,
    r#""A""#,
    r#""ab""#,
    r#""10.0.0.1""#,
    r#""ba""#,
];

const ALTERNATIVES: [&str; 24] = [
    "1",
    "2",
    "null",
    "true",
    r#""a""#,
    r#""ab""#,
    r#"{"prefix":"a"}"#,
    r#"{"suffix":"a"}"#,
    r#"{"prefix":{"equals-ignore-case":"a"}}"#,
    r#"{"suffix":{"equals-ignore-case":"B"}}"#,
    r#"{"equals-ignore-case":"a"}"#,
    r#"{"wildcard":"a*"}"#,
    r#"{"wildcard":"*a*"}"#,
    r#"{"anything-but":"a"}"#,
    r#"{"anything-but":[1,2]}"#,
    r#"{"anything-but":{"prefix":"a"}}"#,
    r#"{"anything-but":{"wildcard":["*a","*b"]}}"#,
    r#"{"numeric":["=",1]}"#,
    r#"{"numeric":[">=",0,"<",2]}"#,
    r#"{"cidr":"10.0.0.0/24"}"#,
    r#"{"exists":true}"#,
    r#"{"exists":false}"#,
    r#"{"exists":false}"#,
    r#"{"exists":false}"#,
];

/// Where operators play no part: for the structure of patterns and events.
const FEW_SCALARS: [&str; 2] = ["1", "2"];
const FEW_ALTERNATIVES: [&str; 5] =
    ["1", "2", r#"{"exists":true}"#, r#"{"exists":false}"#, r#"{"anything-but":1}"#];

fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just("a"), 3 => Just("b"), 1 => Just("c")].prop_map(str::to_owned)
}

fn pattern(depth: u32, alternatives: &'static [&'static str]) -> BoxedStrategy<Value> {
    let leaf = vec(select(alternatives).prop_map(json), 1..=2).prop_map(Value::Array);
    if depth == 0 {
        return btree_map(key(), leaf, 1..=2).prop_map(Value::from_iter).boxed();
    }
    let inner = pattern(depth - 1, alternatives);
    let field = prop_oneof![2 => leaf, 3 => inner.clone()];
    let or = vec(inner, 2..=3).prop_map(Value::Array).boxed();
    let fields = btree_map(key(), field, 1..=2).boxed();
    let both = (fields.clone(), or.clone()).prop_map(|(mut fields, or)| {
        fields.insert("$or".to_owned(), or);
        Value::from_iter(fields)
    });
    prop_oneof![
        5 => fields.prop_map(Value::from_iter),
        3 => both,
        2 => or.prop_map(|or| Value::from_iter([("$or", or)])),
    ]
    .boxed()
}

/// Mostly objects and arrays of objects.
fn value(depth: u32, scalars: &'static [&'static str]) -> BoxedStrategy<Value> {
    let scalar = select(scalars).prop_map(json);
    if depth == 0 {
        return scalar.boxed();
    }
    let inner = value(depth - 1, scalars);
    let object = btree_map(key(), inner.clone(), 0..=3).prop_map(Value::from_iter).boxed();
    let element = prop_oneof![3 => object.clone(), 1 => inner];
    prop_oneof![
        2 => scalar,
        3 => vec(element, 0..=3).prop_map(Value::Array),
        2 => object,
    ]
    .boxed()
}

fn event(scalars: &'static [&'static str]) -> impl Strategy<Value = Value> {
    btree_map(key(), value(3, scalars), 1..=3).prop_map(Value::from_iter)
}

/// Any JSON at all, with a taste for the words of the language.
fn anything() -> impl Strategy<Value = Value> {
    let word = || {
        let words = super::super::operator::RESERVED.into_iter().chain(["$or", "a", "", "*", "\\"]);
        prop_oneof![4 => select(words.collect::<Vec<_>>()).prop_map(str::to_owned), 1 => any::<String>()]
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 48, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(word(), inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

/// The compiled pattern, its canonical text and the reference give one answer.
fn agree(pattern: &Value, event: &Value) -> Result<(), TestCaseError> {
    let compiled = match Pattern::from_value(pattern) {
        Ok(compiled) => compiled,
        Err(invalid) => {
            prop_assert!(invalid.code().starts_with("too_many"), "{invalid}");
            return Ok(());
        }
    };
    let expect = reference::matches(pattern, event);
    prop_assert_eq!(compiled.matches(event), expect);
    prop_assert_eq!(compiled.explain(event) == Verdict::Matched, expect);

    let again = Pattern::parse(&compiled.to_string()).unwrap();
    prop_assert_eq!(&again, &compiled);
    prop_assert_eq!(again.to_string(), compiled.to_string());
    prop_assert_eq!(again.matches(event), expect);
    prop_assert_eq!(again.pins(), compiled.pins());
    if expect {
        let missed = compiled.pins().iter().find(|pin| !pin.admits(event));
        prop_assert_eq!(missed, None);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_reference_evaluator_agrees_about_operators(
        pattern in pattern(2, &ALTERNATIVES), event in event(&SCALARS)
    ) {
        agree(&pattern, &event)?;
    }

    #[test]
    fn the_reference_evaluator_agrees_about_structure(
        pattern in pattern(3, &FEW_ALTERNATIVES), event in event(&FEW_SCALARS)
    ) {
        agree(&pattern, &event)?;
    }

    #[test]
    fn no_json_makes_it_panic(pattern in anything(), event in anything()) {
        let text = pattern.to_string();
        match (Pattern::from_value(&pattern), Pattern::parse(&text)) {
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(&a, &b);
                prop_assert_eq!(a.explain(&event) == Verdict::Matched, a.matches(&event));
                prop_assert_eq!(a.matches(&event), reference::matches(&pattern, &event));
            }
            (Err(a), Err(b)) => prop_assert!(a == b || b.code() == "too_deep", "{a}, {b}"),
            (a, b) => prop_assert!(false, "from value {a:?}, from text {b:?}"),
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), bytes in vec(select(br#"{}[]":,\a1$or"#.to_vec()), 0..40)) {
        drop(Pattern::parse(&text));
        drop(Pattern::parse(std::str::from_utf8(&bytes).unwrap()));
    }

    #[test]
    fn wildcards_match_like_the_naive_ones(
        pattern in vec(select(vec!['a', 'b', '*', '*', '\\', 'é']), 0..10),
        text in vec(select(vec!['a', 'b', '*', '\\', 'é']), 0..10),
    ) {
        let wildcard = Wildcard::parse(&pattern.iter().collect::<String>());
        let accepted = wildcard.ok().map(|w| w.accepts(&text.iter().collect::<String>()));
        prop_assert_eq!(accepted, reference::wildcard(&pattern, &text));
    }

    #[test]
    fn numbers_have_one_order(a in number(), b in number(), c in number()) {
        let num = |number: &Number| Num::of(number).unwrap();
        let order = |a, b| num(a).compare(num(b));
        prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
        prop_assert_eq!(order(&a, &a), Ordering::Equal);
        if order(&a, &b) != Ordering::Greater && order(&b, &c) != Ordering::Greater {
            prop_assert_ne!(order(&a, &c), Ordering::Greater);
        }
        let real = |number: &Number| number.as_f64().unwrap();
        // Rounding to a double keeps the order, though it may make two numbers equal.
        prop_assert!(order(&a, &b) == real(&a).partial_cmp(&real(&b)).unwrap() || real(&a) == real(&b));
        prop_assert_eq!(order(&a, &Num::canonical(&a)), Ordering::Equal);
    }
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        (-5_i64..5).prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", Number::from_f64),
        (-1e20_f64..1e20).prop_filter_map("finite", Number::from_f64),
        (-10_i32..10).prop_filter_map("finite", |n| Number::from_f64(f64::from(n) / 2.0)),
    ]
}
