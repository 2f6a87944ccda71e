//! Patterns that are refused: the code, and the path to the place.

use serde_json::Value;

use super::super::limits;
use super::{Pattern, json};

#[track_caller]
fn refused(pattern: &str, code: &str, path: &str) {
    let invalid = Pattern::parse(pattern).expect_err(pattern);
    assert_eq!((invalid.code(), invalid.path()), (code, path), "{pattern}: {invalid}");
    let sentence = invalid.to_string();
    let place = if path.is_empty() { "the pattern" } else { path };
    assert!(sentence.starts_with(&format!("{place}: ")), "{sentence}");
}

#[test]
fn sentences_say_place_and_reason() {
    let invalid = Pattern::parse(r#"{"data":{"size":[{"numeric":"<"}]}}"#).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        r#"data.size: "numeric" takes pairs of operator and number, got "<""#
    );
    let invalid = Pattern::parse(r#"{"type":"a"}"#).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        r#"type: takes a list of alternatives such as ["a"], or an object of fields, got "a""#
    );
}

#[test]
fn what_is_no_json_object() {
    for text in
        ["", "{", "nope", "{\"a\":[1]} x", "{\"a\":[1,]}", "{\"a\":[01]}", "{\"a\":[1e400]}"]
    {
        refused(text, "not_json", "");
    }
    refused("\u{feff}{\"a\":[1]}", "not_json", "");
    for text in ["[]", "5", "null", "\"a\"", "[{\"a\":[1]}]"] {
        refused(text, "not_an_object", "");
    }
}

#[test]
fn keys_given_twice() {
    refused(r#"{"a":[1],"a":[2]}"#, "duplicate_key", "a");
    refused(r#"{"a":[1],"\u0061":[2]}"#, "duplicate_key", "a");
    refused(r#"{"a":{"b":[1],"c":[","],"b":[2]}}"#, "duplicate_key", "a.b");
    refused(r#"{"$or":[{"a":[1]},{"b":[1],"b":[2]}]}"#, "duplicate_key", "$or[1].b");
    refused(r#"{"a":["x",{"prefix":"a","prefix":"b"}]}"#, "duplicate_key", "a[1].prefix");
    refused(r#"{"$or":[{"a":[1]},{"b":[1]}],"$or":[{"c":[1]},{"d":[1]}]}"#, "duplicate_key", "$or");
    refused(r#"{"x.y":{"":[1],"":[2]}}"#, "duplicate_key", r#"["x.y"][""]"#);
    // The same key in two objects, or as a value, is no duplicate.
    assert!(Pattern::parse(r#"{"a":{"a":["a","b:","{\"a\""]},"b":{"a":["a"]}}"#).is_ok());
    assert!(Pattern::parse(r#"{"\"a":[1],"\"b":["\\"],"\\":[1]}"#).is_ok());
}

#[test]
fn structures_that_say_nothing() {
    refused("{}", "empty_object", "");
    refused(r#"{"data":{}}"#, "empty_object", "data");
    refused(r#"{"$or":[{"a":[1]},{}]}"#, "empty_object", "$or[1]");
    refused(r#"{"data":{"x":[]}}"#, "empty_list", "data.x");
    refused(r#"{"a":"x"}"#, "not_a_list", "a");
    refused(r#"{"a":{"b":null}}"#, "not_a_list", "a.b");
    refused(r#"{"a":5,"b":[1]}"#, "not_a_list", "a");
    refused(r#"{"a":[[1]]}"#, "nested_list", "a");
    refused(r#"{"a.b":{"c d":[[]]}}"#, "nested_list", r#"["a.b"]["c d"]"#);
    refused(r#"{"a":[{}]}"#, "one_operator", "a");
    refused(r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "one_operator", "a");
    refused(r#"{"a":[{"regex":"x"}]}"#, "unknown_operator", "a");
    refused(r#"{"a":[{"$or":[1,2]}]}"#, "unknown_operator", "a");
    refused(r#"{"a":[{"Prefix":"x"}]}"#, "unknown_operator", "a");
}

#[test]
fn operands_of_the_wrong_kind() {
    for operator in ["prefix", "suffix"] {
        for operand in [
            "5",
            "null",
            r#"["a"]"#,
            "{}",
            r#"{"prefix":"a"}"#,
            r#"{"equals-ignore-case":5}"#,
            r#"{"equals-ignore-case":"a","x":1}"#,
        ] {
            refused(&format!(r#"{{"a":[{{"{operator}":{operand}}}]}}"#), "operand", "a");
        }
    }
    for operator in ["equals-ignore-case", "wildcard"] {
        for operand in ["5", "true", r#"["a"]"#, r#"{"equals-ignore-case":"a"}"#] {
            refused(&format!(r#"{{"a":[{{"{operator}":{operand}}}]}}"#), "operand", "a");
        }
    }
    for operand in [r#""true""#, "1", "null", "[true]"] {
        refused(&format!(r#"{{"a":[{{"exists":{operand}}}]}}"#), "operand", "a");
    }
}

#[test]
fn wildcards() {
    refused(r#"{"a":[{"wildcard":"a**b"}]}"#, "wildcard_consecutive", "a");
    refused(r#"{"a":[{"wildcard":"a\\b"}]}"#, "wildcard_escape", "a");
    refused(r#"{"a":[{"wildcard":"a\\"}]}"#, "wildcard_escape", "a");
    refused(
        &format!(r#"{{"a":[{{"wildcard":"{}"}}]}}"#, "*a".repeat(33)),
        "wildcard_too_many",
        "a",
    );
    assert!(Pattern::parse(&format!(r#"{{"a":[{{"wildcard":"{}"}}]}}"#, "*a".repeat(32))).is_ok());
    assert!(Pattern::parse(r#"{"a":[{"wildcard":"*\\**"}]}"#).is_ok());
    refused(r#"{"a":[{"anything-but":{"wildcard":["a","**"]}}]}"#, "wildcard_consecutive", "a");
}

#[test]
fn anything_but() {
    let refused_operand = |operand: &str, code: &str| {
        refused(&format!(r#"{{"a":[{{"anything-but":{operand}}}]}}"#), code, "a");
    };
    for operand in [
        "null",
        "true",
        "[null]",
        "[true,false]",
        r#"["a",null]"#,
        "[[1]]",
        "{}",
        r#"{"prefix":"a","suffix":"b"}"#,
        r#"{"prefix":5}"#,
        r#"{"suffix":["a",5]}"#,
        r#"{"prefix":{"equals-ignore-case":"a"}}"#,
        r#"{"numeric":["<",5]}"#,
        r#"{"cidr":"1.2.3.4/8"}"#,
        r#"{"exists":true}"#,
        r#"{"anything-but":"a"}"#,
    ] {
        refused_operand(operand, "operand");
    }
    refused_operand(r#"["a",5]"#, "anything_but_mixed");
    refused_operand("[]", "empty_list");
    refused_operand(r#"{"prefix":[]}"#, "empty_list");
    refused_operand(r#"{"prefix":""}"#, "empty_exclusion");
    refused_operand(r#"{"suffix":["a",""]}"#, "empty_exclusion");
    refused_operand(r#"{"regex":"a"}"#, "unknown_operator");
}

#[test]
fn numeric() {
    let refused_operand = |operand: &str, code: &str| {
        refused(&format!(r#"{{"a":[{{"numeric":{operand}}}]}}"#), code, "a");
    };
    for operand in [
        "5",
        "null",
        "{}",
        "[]",
        r#"["<"]"#,
        r#"["<",1,">"]"#,
        r#"[1,"<"]"#,
        r#"["<","1"]"#,
        r#"["<",null]"#,
        "[1,2]",
    ] {
        refused_operand(operand, "numeric");
    }
    refused_operand(r#"["!=",1]"#, "numeric_operator");
    refused_operand(r#"["==",1]"#, "numeric_operator");
    refused_operand(r#"["<",5,">",0]"#, "numeric_order");
    refused_operand(r#"["=",5,"<",6]"#, "numeric_order");
    refused_operand(r#"[">",1,">",2]"#, "numeric_order");
    refused_operand(r#"[">",1,"<",3,"<",4]"#, "numeric_order");
    refused_operand(r#"[">",5,"<",5]"#, "numeric_range");
    refused_operand(r#"[">=",5,"<=",5.0]"#, "numeric_range");
    refused_operand(r#"[">",9007199254740993,"<",9007199254740992.0]"#, "numeric_range");
}

#[test]
fn cidr() {
    for operand in [
        r#""10.0.0.0""#,
        r#""10.0.0.0/33""#,
        r#""10.0.0/8""#,
        r#""::/129""#,
        r#""::/""#,
        r#""10.0.0.0/-1""#,
        r#""10.0.0.0/+8""#,
        r#""10.0.0.0/08""#,
        r#""10.0.0.0/8/8""#,
        r#""/8""#,
        r#""host/8""#,
        r#""10.0.0.0/8 ""#,
        r#""010.0.0.0/8""#,
        "5",
        "null",
        r#"["10.0.0.0/8"]"#,
    ] {
        refused(&format!(r#"{{"a":[{{"cidr":{operand}}}]}}"#), "cidr", "a");
    }
}

#[test]
fn or() {
    refused(r#"{"$or":{"a":[1]}}"#, "or_form", "$or");
    refused(r#"{"data":{"$or":"a"}}"#, "or_form", "data.$or");
    refused(r#"{"$or":[]}"#, "or_too_few", "$or");
    refused(r#"{"$or":[{"a":[1]}]}"#, "or_too_few", "$or");
    refused(r#"{"$or":["a","b"]}"#, "not_an_object", "$or[0]");
    refused(r#"{"d":{"$or":[{"a":[1]},[{"b":[1]}]]}}"#, "not_an_object", "d.$or[1]");
    refused(r#"{"$or":[{"a":[1]},{"b":{"c":["x",{"prefix":5}]}}]}"#, "operand", "$or[1].b.c");
    refused(r#"{"x":{"$or":[{"numeric":["<",5]},{"a":[1]}]}}"#, "or_reserved", "x.$or[0].numeric");
    refused(r#"{"$or":[{"a":[1]},{"b":{"prefix":["x"]}}]}"#, "or_reserved", "$or[1].b.prefix");
}

#[test]
fn sizes() {
    let long = format!(r#"{{"a":["{}"]}}"#, "x".repeat(limits::PATTERN_BYTES - 10));
    assert_eq!(long.len(), limits::PATTERN_BYTES);
    assert!(Pattern::parse(&long).is_ok());
    let longer = format!(r#"{{"a":["{}"]}}"#, "x".repeat(limits::PATTERN_BYTES));
    refused(&longer, "too_large", "");
    assert_eq!(Pattern::from_value(&json(&longer)).unwrap_err().code(), "too_large");
    let values = |count: usize| format!("{{\"a\":[{}]}}", vec!["1"; count].join(","));
    assert!(Pattern::parse(&values(1_000)).is_ok());
    refused(&values(1_001), "too_many_alternatives", "a");
    let excluded = format!(r#"{{"a":[{{"anything-but":[{}]}}]}}"#, vec!["1"; 1_001].join(","));
    refused(&excluded, "too_many_alternatives", "a");
}

#[test]
fn depths() {
    let nested = |levels: usize| format!("{}[1]{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(Pattern::parse(&nested(16)).is_ok());
    refused(&nested(17), "too_deep", &["a"; 16].join("."));
    refused(&nested(2_000), "too_deep", "");
    refused(&"[".repeat(10_000), "too_deep", "");
    let ors = |levels: usize| {
        let open = "{\"$or\":[{\"b\":[1]},".repeat(levels);
        format!(
            "{open}{{\"a\":[{{\"anything-but\":{{\"prefix\":[\"x\"]}}}}]}}{}",
            "]}".repeat(levels)
        )
    };
    assert!(Pattern::parse(&ors(15)).is_ok());
    assert_eq!(Pattern::parse(&ors(16)).unwrap_err().code(), "too_deep");
    let mut value = json("[1]");
    for _ in 0..5_000 {
        value = Value::from_iter([("a", value)]);
    }
    assert_eq!(Pattern::from_value(&value).unwrap_err().code(), "too_deep");
    // Dropping it whole would recurse 5,000 levels; unwrap it level by level.
    while let Some(inner) = value.get_mut("a").map(Value::take) {
        value = inner;
    }
}

#[test]
fn combinations() {
    let ors = |count: usize, same: bool| {
        let or = |n: usize| {
            let key = if same { 0 } else { n };
            format!(r#""k{n}":{{"$or":[{{"a{key}":[1]}},{{"b{key}":[1,{{"exists":false}}]}}]}}"#)
        };
        format!("{{{}}}", (0..count).map(or).collect::<Vec<_>>().join(","))
    };
    assert!(Pattern::parse(&ors(8, true)).is_ok());
    refused(&ors(9, true), "too_many_fields", "");
    refused(&ors(10, false), "too_many_combinations", "");
    refused(&ors(60, false), "too_many_combinations", "");
    refused(&ors(200, false), "too_many_combinations", "");
    let members: Vec<String> = (0..1_001).map(|n| format!(r#"{{"a":[{n}]}}"#)).collect();
    let or = |count: usize| format!(r#"{{"$or":[{}]}}"#, members[..count].join(","));
    assert!(Pattern::parse(&or(1_000)).is_ok());
    refused(&or(1_001), "too_many_combinations", "");
}
