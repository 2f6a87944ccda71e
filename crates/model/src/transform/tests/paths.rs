//! Paths: what they find, and the text that keeps events in order.

use serde_json::Value;

use super::super::Path;
use super::{RECORD, json};

#[track_caller]
fn check(path: &str, expected: Option<&str>) {
    let record = json(RECORD);
    let compiled = Path::parse(path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(compiled.to_string(), path);
    assert_eq!(compiled.get(&record).as_deref(), expected.map(json).as_ref(), "{path}");
}

#[test]
fn a_path_finds_what_stands_there() {
    check("$", Some(RECORD));
    check("$.type", Some(r#""file.created""#));
    check("$.data.size", Some("12.5"));
    check("$['data']['size']", Some("12.5"));
    check(r#"$["data"].size"#, Some("12.5"));
    check("$.data['na me']['x.y']", Some("1"));
    check(r"$.data['na me']['it\'s']", Some("2"));
    check(r#"$.data["na me"]["it's"]"#, Some("2"));
    check("$.data.items[0].id", Some("1"));
    check("$.data.items[1].id", Some(r#""two""#));
    check("$.data.items[0].parts[1]", Some("11"));
    check("$.data.owner", Some("null"));
    check("$.data.empty", Some("[]"));
}

#[test]
fn a_path_finds_nothing_where_nothing_is() {
    for path in [
        "$.nothing",
        "$.data.nothing.more",
        "$.data.items[3]",
        "$.data.items[18446744073709551615]",
        "$.data.items.id",
        "$.data[0]",
        "$.type[0]",
        "$.data.owner.name",
        "$['']",
    ] {
        check(path, None);
    }
}

#[test]
fn a_star_gives_a_list_of_all_that_there_are() {
    check("$.data.items[*].id", Some(r#"[1, "two"]"#));
    check("$.data.tags[*]", Some(r#"["a", "b"]"#));
    check("$.data.items[*].parts[*]", Some("[10, 11, 12]"));
    check("$.data.items[*].parts[0]", Some("[10, 12]"));
    check("$.data.empty[*]", Some("[]"));
    check("$.data.nothing[*].id", Some("[]"));
    check("$.data[*]", Some("[]"));
    check("$[*]", Some("[]"));
    assert!(Path::parse("$.data.tags[*]").unwrap().gives_list());
    assert!(!Path::parse("$.data['*']").unwrap().gives_list());
}

#[test]
fn a_path_that_cannot_be_read_is_refused_with_the_place() {
    for (path, position, why) in [
        ("", 1, "must begin with $"),
        ("data.name", 1, "must begin with $"),
        ("$data", 2, "must follow"),
        ("$.data name", 7, "must follow"),
        ("$.", 3, "name of a field must follow"),
        ("$.data.", 8, "name of a field must follow"),
        ("$..name", 3, "every depth"),
        ("$.data.*", 8, "all fields"),
        ("$.'na me'", 3, "without quotes"),
        ("$.é.ü.[0]", 7, "without quotes"),
        ("$.data[", 8, "brackets hold"),
        ("$.data[]", 8, "brackets hold"),
        ("$.data[name]", 8, "brackets hold"),
        ("$.data[ 0]", 8, "brackets hold"),
        ("$.data[+1]", 8, "brackets hold"),
        ("$.data[-1]", 8, "counted from the front"),
        ("$.data[?(@.x)]", 8, "filter"),
        ("$.data[99999999999999999999]", 8, "brackets hold"),
        ("$.data[0:2]", 9, "closing bracket"),
        ("$.data[0", 9, "closing bracket"),
        ("$.data[*", 9, "closing bracket"),
        ("$.data['a'", 11, "closing bracket"),
        ("$.data['a", 8, "never closed"),
        (r"$.data['a\", 10, "backslash"),
        (r"$.data['a\n']", 10, "backslash"),
    ] {
        let error = Path::parse(path).unwrap_err();
        assert_eq!(error.field, "path");
        let expected = format!("at character {position}, ");
        assert!(error.why.starts_with(&expected), "{path}: {error}");
        assert!(error.why.contains(why), "{path}: {error}");
    }
    assert!(Path::parse(&format!("$.{}", "x".repeat(254))).is_ok());
    assert!(Path::parse(&format!("$.{}", "x".repeat(255))).is_err());
}

#[test]
fn a_key_is_the_text_of_a_scalar() {
    let text = |path: &str, record: &Value| Path::parse(path).unwrap().text(record);
    let record = json(RECORD);
    assert_eq!(text("$.id", &record).as_deref(), Some("e-1"));
    assert_eq!(text("$.data.size", &record).as_deref(), Some("12.5"));
    assert_eq!(text("$.data.items[0].id", &record).as_deref(), Some("1"));
    assert_eq!(text("$.data.public", &record).as_deref(), Some("true"));
    for none in ["$", "$.data.owner", "$.data.tags", "$.data.tags[*]", "$.nothing"] {
        assert_eq!(text(none, &record), None, "{none}");
    }
    let long = |bytes: usize| Value::String("x".repeat(bytes));
    assert_eq!(text("$", &long(256)).map(|it| it.len()), Some(256));
    let digest = text("$", &long(257)).unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert_ne!(digest, text("$", &long(258)).unwrap());
    assert_eq!(text("$", &Value::String(String::new())).as_deref(), Some(""));
}
