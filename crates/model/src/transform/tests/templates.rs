//! What becomes of an event.

use serde_json::{Value, json as value};

use super::{RECORD, Transform, json};

const PATHS: &str = r#"{
    "name": "$.data.filename", "size": "$.data.size", "public": "$.data.public",
    "owner": "$.data.owner", "tags": "$.data.tags", "first": "$.data.items[0]",
    "ids": "$.data.items[*].id", "missing": "$.data.nothing", "none": "$.data.nothing[*]"
}"#;

#[track_caller]
fn check(template: Value, expected: Value) {
    let spec = value!({"paths": json(PATHS), "template": template});
    let transform = Transform::compile(&spec).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(transform.apply(&json(RECORD)).unwrap(), expected, "{template}");
    assert_eq!(transform.to_value(), spec);
    assert_eq!(Transform::parse(&transform.to_string()).unwrap(), transform);
}

#[test]
fn a_path_hands_over_a_part() {
    let apply = |path: &str| {
        let transform = Transform::compile(&value!({"path": path})).unwrap();
        transform.apply(&json(RECORD)).unwrap()
    };
    assert_eq!(apply("$"), json(RECORD));
    assert_eq!(apply("$.data.size"), value!(12.5));
    assert_eq!(apply("$.data.items[*].id"), value!([1, "two"]));
    assert_eq!(apply("$.nothing"), Value::Null);
}

#[test]
fn a_constant_is_what_it_is() {
    for constant in [value!(null), value!("<event>"), value!({"<a>": ["\\<b>"]}), value!(1)] {
        let transform = Transform::compile(&value!({"constant": constant})).unwrap();
        assert_eq!(transform.apply(&json(RECORD)).unwrap(), constant);
    }
}

#[test]
fn a_string_that_is_a_placeholder_becomes_the_value() {
    check(value!("<name>"), value!("a \"b\"\n.png"));
    check(value!("<size>"), value!(12.5));
    check(value!("<owner>"), Value::Null);
    check(value!("<missing>"), Value::Null);
    check(value!("<none>"), value!([]));
    check(value!("<first>"), value!({"id": 1, "parts": [10, 11]}));
    check(
        value!({"a": ["<ids>", {"b": "<public>"}], "c": 1, "d": null, "e": {"f": []}}),
        value!({"a": [[1, "two"], {"b": true}], "c": 1, "d": null, "e": {"f": []}}),
    );
}

#[test]
fn a_placeholder_within_a_string_becomes_text() {
    check(value!("file <name>!"), value!("file a \"b\"\n.png!"));
    check(value!("<size><public>"), value!("12.5true"));
    check(value!("(<owner>|<missing>)"), value!("(|)"));
    check(value!({"text": "<tags> and <ids>"}), value!({"text": "[\"a\",\"b\"] and [1,\"two\"]"}));
    check(
        value!({"text": "it is <first> <none>"}),
        value!({
            "text": "it is {\"id\":1,\"parts\":[10,11]} []"
        }),
    );
    check(value!(" <size>"), value!(" 12.5"));
}

#[test]
fn the_event_has_names_of_its_own() {
    check(value!("<event>"), json(RECORD));
    check(
        value!({"id": "<event.id>", "text": "<event.type> at <event.time>"}),
        value!({"id": "e-1", "text": "file.created at 2026-11-24T12:00:00Z"}),
    );
    let bare = Transform::compile(&value!({"template": "<event.time>"})).unwrap();
    assert_eq!(bare.apply(&value!({"id": "e-1"})).unwrap(), Value::Null);
    assert_eq!(bare.apply(&value!(17)).unwrap(), Value::Null);
}

#[test]
fn angle_brackets_that_are_no_placeholder_stay() {
    for text in ["a < b > c", "<", ">", "<>", "a <- <b c> <br/>", "< name>", "<na\u{e9}>", "<<", ""]
    {
        check(value!(text), value!(text));
    }
    check(value!("<<size>>"), value!("<12.5>"));
    check(value!({"<": "<size> <"}), value!({"<": "12.5 <"}));
}

#[test]
fn a_backslash_keeps_a_placeholder_from_being_one() {
    check(value!(r"\<size>"), value!("<size>"));
    check(value!(r"\<unknown> <size>"), value!("<unknown> 12.5"));
    check(value!(r"C:\\<size>"), value!(r"C:\12.5"));
    check(value!(r"C:\\\<size>"), value!(r"C:\<size>"));
    check(value!(r"a\b\\c \< "), value!(r"a\b\\c \< "));
    check(value!({r"\<size>": 1}), value!({"<size>": 1}));
}

#[test]
fn the_form_of_aws_tells_values_from_texts_by_quotes() {
    check(
        value!(r#"{"size": <size>, "text": "<size>", "both": "\"<name>\" has <size>"}"#),
        value!({"size": 12.5, "text": "12.5", "both": "\"a \"b\"\n.png\" has 12.5"}),
    );
    check(
        value!(r#" [<tags>, <missing> , "<missing>", <owner>,"<owner>"] "#),
        value!([["a", "b"], null, "", null, ""]),
    );
    check(value!(r#""<name> is <size>""#), value!("a \"b\"\n.png is 12.5"));
    check(value!(r#""{<size>}""#), value!("{12.5}"));
    check(value!("{}"), value!({}));
    check(value!("[]"), value!([]));
    check(
        value!("\n{ \"a\" : [ 1 , -2.5e3 , true , false , null ] ,\t\"b\" : { } }\r\n"),
        value!({
            "a": [1, -2500.0, true, false, null],
            "b": {}
        }),
    );
    check(
        value!(r#"{"\u0061\\": "\\<size> \\\\ \u00e9 \ud83d\ude00 <event.id>"}"#),
        value!({
            "a\\": "<size> \\\\ é 😀 e-1"
        }),
    );
}
