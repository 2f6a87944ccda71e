//! Properties over random templates, paths and records.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json as value};

use super::super::Path;
use super::Transform;

fn config() -> ProptestConfig {
    let slow = std::env::var("SLOW_TESTS").is_ok_and(|value| value == "1");
    ProptestConfig {
        cases: if slow { 100_000 } else { 2_000 },
        // A failure is turned into a line of a table, not into a file of seeds.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Few names, so that paths and records that know nothing of each other meet.
fn name() -> impl Strategy<Value = String> {
    select(&["a", "b", "data", "na me", "\"", "<a>", ""][..]).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    const PARTS: [&str; 16] = [
        "<a>",
        "<b>",
        "<c>",
        "<event>",
        "<event.id>",
        "<",
        ">",
        "\\",
        "\"",
        "\\<a>",
        "{",
        "[",
        "\n",
        "\u{0}",
        "é",
        "text ",
    ];
    vec(prop_oneof![6 => select(&PARTS[..]).prop_map(str::to_owned), 1 => any::<String>()], 0..5)
        .prop_map(|parts| parts.concat())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(name(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_path() -> impl Strategy<Value = String> {
    let steps = [".a", ".b", ".data", "['na me']", "[0]", "[1]", "[*]", r#"['"']"#];
    vec(select(steps.to_vec()), 0..4).prop_map(|steps| format!("${}", steps.concat()))
}

/// Takes an own way through the record: one step at a time, from the text.
fn naive<'r>(path: &str, record: &'r Value) -> Vec<&'r Value> {
    let mut found = vec![record];
    let text = path.replace('[', "\n[").replace('.', "\n.");
    for step in text.lines().skip(1) {
        let field = step.strip_prefix('.').or_else(|| step.strip_prefix("['")?.strip_suffix("']"));
        let mut next = Vec::new();
        for value in found {
            match (field, value) {
                (Some(name), Value::Object(fields)) => next.extend(fields.get(name)),
                (None, Value::Array(list)) if step == "[*]" => next.extend(list),
                (None, Value::Array(list)) => {
                    let index: usize = step.trim_matches(['[', ']']).parse().unwrap();
                    next.extend(list.get(index));
                }
                _ => {}
            }
        }
        found = next;
    }
    found
}

/// Writes a template in AWS's form: a string that is one placeholder stands bare.
fn aws(template: &Value) -> String {
    match template {
        Value::String(text) if ["<a>", "<b>", "<event>", "<event.id>"].contains(&&**text) => {
            text.clone()
        }
        Value::Array(list) => format!("[{}]", list.iter().map(aws).collect::<Vec<_>>().join(" ,")),
        Value::Object(fields) => {
            let field = |(name, it): (&String, &Value)| format!("{} : {}", value!(name), aws(it));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn is_json(value: &Value) -> bool {
    // NaN and the like are no JSON, and a Value cannot hold them; so its text is read again.
    serde_json::from_str::<Value>(&value.to_string()).is_ok_and(|again| again == *value)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_is_accepted_makes_valid_json_of_every_record(
        a in any_path(),
        b in any_path(),
        template in any_json(),
        record in any_json(),
    ) {
        let spec = value!({"paths": {"a": a, "b": b}, "template": template});
        let Ok(transform) = Transform::compile(&spec) else { return Ok(()) };
        let input = transform.apply(&record).unwrap();
        prop_assert!(is_json(&input), "{} of {}", spec, record);
        prop_assert_eq!(&Transform::parse(&transform.to_string()).unwrap(), &transform);
    }

    #[test]
    fn both_forms_of_a_template_mean_the_same(
        a in any_path(),
        template in vec(any_json(), 0..4).prop_map(Value::from),
        record in any_json(),
    ) {
        let compile = |template: Value| {
            Transform::compile(&value!({"paths": {"a": a, "b": "$"}, "template": template}))
        };
        let text = aws(&template);
        match (compile(template), compile(Value::from(text.clone()))) {
            (Ok(tree), Ok(aws)) => prop_assert_eq!(tree.apply(&record), aws.apply(&record), "{}", text),
            (Err(_), Err(_)) => {}
            // Written as a string within a string, it may be too large.
            (tree, aws) => prop_assert!(text.len() > 1_000, "{}: {:?} {:?}", text, tree, aws),
        }
    }

    #[test]
    fn a_path_finds_what_a_naive_walk_finds(path in any_path(), record in any_json()) {
        let compiled = Path::parse(&path).unwrap();
        let found = naive(&path, &record);
        let expected = if path.contains('*') {
            Some(found.into_iter().cloned().collect())
        } else {
            found.first().copied().cloned()
        };
        prop_assert_eq!(compiled.get(&record).map(std::borrow::Cow::into_owned), expected);
        let transform = Transform::compile(&value!({"path": path})).unwrap();
        let input = transform.apply(&record).unwrap();
        prop_assert_eq!(Some(input), compiled.get(&record).map(std::borrow::Cow::into_owned)
            .or(Some(Value::Null)));
        if let Some(text) = compiled.text(&record) {
            prop_assert!(text.len() <= 256);
        }
    }

    #[test]
    fn no_text_panics(
        path in vec(select(&["$", ".", "[", "]", "'", "\"", "\\", "*", "0", "a", "é", " "][..]), 0..12),
        template in vec(select(&[
            "{", "}", "[", "]", ":", ",", "\"", "\\", "<a>", "<", ">", "a", "1", "null", " ", "é", "\u{0}",
        ][..]), 0..16),
        record in any_json(),
        spec in any_json(),
        any_text in any::<String>(),
    ) {
        drop(Path::parse(&any_text));
        drop(Transform::parse(&any_text));
        drop(Transform::compile(&spec));
        if let Ok(path) = Path::parse(&path.concat()) {
            path.get(&record);
        }
        for template in [template.concat(), any_text] {
            let spec = value!({"paths": {"a": "$.a"}, "template": template});
            if let Ok(transform) = Transform::compile(&spec) {
                prop_assert!(is_json(&transform.apply(&record).unwrap()), "{}", spec);
            }
        }
    }
}
