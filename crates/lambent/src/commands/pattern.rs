//! `--on 'type=file.created,source=S1|S2'`: a trigger's pattern as short as it can be typed.
//!
//! Attributes are separated by commas and all have to match; a value's alternatives by `|`. A `*`
//! in a value stands for any characters. `data.size=5` looks into the data, at the number 5 and at
//! the text "5". What this cannot say can be said as a whole pattern in JSON, which starts with
//! `{`. Either way the pattern is compiled here before anything is sent, so that a deploy is not
//! done by half.

use model::Pattern;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Failure;

/// A pattern from what was typed.
pub(super) fn parse(text: &str) -> Result<Box<RawValue>, Failure> {
    let bad = |why: &str| Failure::Usage(format!("the pattern {text:?} cannot be used: {why}"));
    let json = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        short(text).map_err(|why| bad(&why))?.to_string()
    };
    if let Err(invalid) = Pattern::parse(&json) {
        return Err(bad(&invalid.to_string()));
    }
    RawValue::from_string(json).map_err(|error| bad(&error.to_string()))
}

fn short(text: &str) -> Result<Value, String> {
    let mut pattern = Map::new();
    for part in text.split(',') {
        let Some((path, values)) = part.split_once('=') else {
            return Err(format!("{part:?} is not attribute=value, as in type=file.created"));
        };
        let path = path.trim();
        let names: Vec<_> = path.split('.').collect();
        let is_data = names[0] == "data";
        if names.iter().any(|name| name.is_empty()) {
            return Err(format!("{path:?} is not the name of an attribute"));
        }
        if !is_data && names.len() > 1 {
            return Err(format!("{path:?} looks into an attribute, and only data has an inside"));
        }
        if is_data && names.len() == 1 {
            return Err("data needs the name of a member, as in data.kind=photo".into());
        }
        let alternatives = values.split('|').flat_map(|value| alternatives(value, is_data));
        insert(&mut pattern, &names, alternatives.collect())?;
    }
    Ok(Value::Object(pattern))
}

/// What one value stands for. Only data has numbers, true, false and null: every other attribute
/// of an event is text.
fn alternatives(value: &str, is_data: bool) -> Vec<Value> {
    if value.contains('*') {
        return vec![json!({ "wildcard": value })];
    }
    let literal = || serde_json::from_str::<Value>(value).ok();
    let literal = if is_data { literal() } else { None };
    let literal = literal.filter(|it| it.is_number() || it.is_boolean() || it.is_null());
    std::iter::once(json!(value)).chain(literal).collect()
}

fn insert(
    pattern: &mut Map<String, Value>,
    names: &[&str],
    alternatives: Vec<Value>,
) -> Result<(), String> {
    let (last, outer) = names.split_last().expect("a split gives at least one part");
    let mut object = pattern;
    for name in outer {
        let inner = object.entry(*name).or_insert_with(|| json!({}));
        object = match inner {
            Value::Object(inner) => inner,
            _ => return Err(format!("{} is given both a value and members", names.join("."))),
        };
    }
    match object.insert((*last).into(), Value::Array(alternatives)) {
        None => Ok(()),
        Some(_) => Err(format!(
            "{} is given twice; alternatives are separated by |, as in a|b",
            names.join(".")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Value) {
        let pattern: Value = serde_json::from_str(parse(text).unwrap().get()).unwrap();
        assert_eq!(pattern, expect, "{text}");
    }

    #[test]
    fn attributes_alternatives_wildcards_and_data_become_a_pattern() {
        check("type=file.created", json!({"type": ["file.created"]}));
        check(
            "type=file.*, source=S1|S2",
            json!({"type": [{"wildcard": "file.*"}], "source": ["S1", "S2"]}),
        );
        check(
            "data.size=5,data.image.kind=png|gif,data.public=true",
            json!({"data": {
                "size": ["5", 5],
                "image": {"kind": ["png", "gif"]},
                "public": ["true", true],
            }}),
        );
        check("subject=5", json!({"subject": ["5"]}));
        check("type=a=b", json!({"type": ["a=b"]}));
    }

    #[test]
    fn a_pattern_in_json_is_taken_as_it_is() {
        let text = r#" {"type": [{"prefix": "a"}], "data": {"n": [{"numeric": [">", 1.50]}]}}"#;
        assert_eq!(parse(text).unwrap().get(), text.trim());
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_sent() {
        for (text, expect) in [
            ("", "\"\" is not attribute=value"),
            ("type", "\"type\" is not attribute=value"),
            ("type=a,type=b", "type is given twice"),
            ("data.a=1,data.a.b=2", "data.a.b is given both a value and members"),
            ("type.x=1", "only data has an inside"),
            ("data=1", "data needs the name of a member"),
            ("=x", "is not the name of an attribute"),
            ("type=a**b", "cannot be used"),
            ("{\"type\": \"a\"}", "cannot be used"),
            ("{", "cannot be used"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.exit(), crate::cli::Exit::Usage);
            assert!(error.to_string().contains(expect), "{text:?} gave {error}");
        }
    }
}
