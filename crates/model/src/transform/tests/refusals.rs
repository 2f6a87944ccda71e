//! What is refused, and with which words.

use serde_json::{Value, json as value};

use super::Transform;

#[track_caller]
fn refused(spec: Value, why: &str) {
    let error = match Transform::compile(&spec) {
        Ok(transform) => panic!("{transform} was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(why), "{spec}: {error}");
}

#[test]
fn a_transform_is_one_of_three() {
    const FORM: &str = "an object with path, constant, or template and paths";
    for other in [
        value!(null),
        value!("$.data"),
        value!([]),
        value!({}),
        value!({"paths": {}}),
        value!({"path": "$", "constant": 1}),
        value!({"path": "$", "template": ""}),
        value!({"template": "", "Paths": {}}),
    ] {
        refused(other, FORM);
    }
    refused(value!({"path": 1}), "path must be a string");
    let error = Transform::parse("{").unwrap_err().to_string();
    assert!(error.contains("it is no JSON"), "{error}");
    let error = Transform::parse(&" ".repeat(50_000)).unwrap_err().to_string();
    assert!(error.contains("may have 49152"), "{error}");
}

#[test]
fn paths_have_names_and_are_paths() {
    let paths = |paths: Value| value!({"paths": paths, "template": ""});
    refused(paths(value!([])), "an object of names and paths");
    refused(paths(value!({"a": 1})), r#"the path of "a" must be a string"#);
    refused(paths(value!({"a": "$.data."})), "at character 8");
    refused(paths(value!({"": "$"})), "a name has 1 to 64 letters");
    refused(paths(value!({"a b": "$"})), "a name has 1 to 64 letters");
    refused(paths(value!({"event.id": "$"})), "a name has 1 to 64 letters");
    refused(paths(value!({ "x".repeat(65): "$" })), "a name has 1 to 64 letters");
    refused(paths(value!({"event": "$"})), "<event> is the whole event already");
    let many = |count: usize| (0..count).map(|n| (n.to_string(), value!("$"))).collect::<Value>();
    refused(paths(many(101)), "at most 100");
    assert!(Transform::compile(&paths(many(100))).is_ok());
}

#[test]
fn a_placeholder_that_stands_for_nothing_is_refused() {
    for template in [
        value!("<b>"),
        value!("a <b> c"),
        value!(["<b>"]),
        value!({"x": {"y": "<b>"}}),
        value!("{\"x\": <b>}"),
        value!("{\"x\": \"<b>\"}"),
    ] {
        refused(value!({"paths": {"a": "$"}, "template": template}), "<b> is neither one of paths");
    }
    refused(value!({"template": "<event.data>"}), "nor event, event.id, event.type or event.time");
    refused(value!({"template": "<aws.events.event>"}), "nor event, event.id");
    for key in ["<a>", "x<a>", "<unknown>"] {
        let template = value!({ key: 1 });
        let spec = value!({"paths": {"a": "$"}, "template": template});
        refused(spec, "the name of a field cannot have a placeholder");
        let spec = value!({"paths": {"a": "$"}, "template": template.to_string()});
        refused(spec, "the name of a field cannot have a placeholder");
    }
}

#[test]
fn a_template_of_aws_that_is_no_json_is_refused_with_the_place() {
    for (template, position, why) in [
        ("{", 2, "the name of a field must follow"),
        ("{a: 1}", 2, "the name of a field must follow"),
        ("{<a>: 1}", 2, "the name of a field must follow"),
        (r#"{"x"}"#, 5, "a colon must follow"),
        (r#"{"x": }"#, 7, "a JSON value or a placeholder"),
        (r#"{"x": 1"#, 8, "a comma or a closing brace"),
        (r#"{"x": 1 "y"}"#, 9, "a comma or a closing brace"),
        (r#"{"x": 1,}"#, 9, "the name of a field must follow"),
        (r#"{"x": 1, "\u0078": 2}"#, 10, "this field is there already"),
        (r#"{"é": nil}"#, 7, "a JSON value or a placeholder"),
        (r#"{"x": 01}"#, 7, "a JSON value or a placeholder"),
        ("[", 2, "a JSON value or a placeholder"),
        ("[1", 3, "a comma or a closing bracket"),
        ("[1,]", 4, "a JSON value or a placeholder"),
        ("[<a]", 2, "a placeholder is <name>"),
        ("[< a>]", 2, "a placeholder is <name>"),
        ("[<a><a>]", 5, "a comma or a closing bracket"),
        ("[] []", 4, "nothing more can follow"),
        (r#"["x]"#, 2, "never closed"),
        (r#"["x\"]"#, 2, "never closed"),
        (r#"["\x"]"#, 2, "an escape or a control character"),
        ("[\"\n\"]", 2, "an escape or a control character"),
        (r#"["\ud800"]"#, 2, "an escape or a control character"),
        (r#""<a>" said <a>"#, 7, "nothing more can follow"),
    ] {
        let spec = value!({"paths": {"a": "$"}, "template": template});
        refused(spec.clone(), why);
        refused(spec, &format!("at character {position}, "));
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    let text = |bytes: usize| value!("x".repeat(bytes - 2));
    for field in ["template", "constant"] {
        assert!(Transform::compile(&value!({ field: text(8 * 1024) })).is_ok());
        refused(value!({ field: text(8 * 1024 + 1) }), "it has 8193 bytes, and may have 8192");
        let deep = |levels: usize| (0..levels).fold(value!(1), |inner, _| value!([inner]));
        assert!(Transform::compile(&value!({ field: deep(16) })).is_ok());
        refused(value!({ field: deep(17) }), "more than 16 lists and objects");
    }
    let deep = |levels: usize| value!({"template": "[".repeat(levels) + &"]".repeat(levels)});
    assert!(Transform::compile(&deep(16)).is_ok());
    refused(deep(17), "more than 16 lists and objects");
    refused(deep(4_000), "more than 16 lists and objects");
}
