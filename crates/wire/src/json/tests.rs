//! The walk over JSON, by tables and against serde_json as a second reader.

use proptest::collection;
use proptest::prelude::*;

use super::*;

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, most: usize) -> String {
    check(bytes.as_ref(), most).unwrap_err().to_string()
}

#[test]
fn every_kind_of_document_is_accepted_as_it_is() {
    let documents = [
        "null",
        "true",
        " \t\r\n0\n",
        "-0.0e-0",
        "1e400",
        "-1E+999999999999",
        "1180591620717411303424",
        r#""\u0000 \u00e9 \ud83d\ude00 / \/""#,
        "\"\u{7f} é 日本 😀\"",
        "[]",
        r#"{"":{"":[]},"a":1,"a":2}"#,
        r#"["[[[[[[[[","\"[[[[[[","\\"]"#,
    ];
    for document in documents {
        assert_eq!(check(document.as_bytes(), 3), Ok(()), "{document}");
    }
    let digits = "9".repeat(100_000);
    assert_eq!(check(digits.as_bytes(), 1), Ok(()));
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    let cases = [
        ("{", "EOF while parsing an object", 1, 1),
        ("[1,]", "expected value", 1, 4),
        ("{} x", "trailing characters", 1, 4),
        ("{}\n\n  {}", "trailing characters", 3, 3),
        ("{'a':1}", "key must be a string", 1, 2),
        ("NaN", "expected value", 1, 1),
        ("01", "invalid number", 1, 2),
        (".5", "expected value", 1, 1),
        ("\"a\tb\"", "control character (\\u0000-\\u001F) found while parsing a string", 1, 2),
        (r#""\x""#, "invalid escape", 1, 3),
        (r#""\u12g4""#, "invalid escape", 1, 7),
        ("tru", "EOF while parsing a value", 1, 3),
        ("{\"a\":1\n\"b\":2}", "expected `,` or `}`", 2, 1),
        ("[1}", "expected `,` or `]`", 1, 3),
        ("[]]", "trailing characters", 1, 3),
        ("\u{b}1", "expected value", 1, 1),
    ];
    for (text, what, line, column) in cases {
        let refusal = NotJson::Syntax { what: what.into(), line, column };
        assert_eq!(check(text.as_bytes(), 10), Err(refusal), "{text}");
    }
    assert_eq!(refused("[1,]", 9), "this is not JSON: expected value at line 1, column 4");
}

#[test]
fn nothing_and_white_space_are_told_as_such() {
    for text in ["", " ", "\r\n\t "] {
        assert_eq!(check(text.as_bytes(), 10), Err(NotJson::Empty), "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_is_called_by_its_name() {
    assert!(refused(b"\xEF\xBB\xBF{}", 10).contains("byte order mark"));
}

#[test]
fn bytes_that_are_not_utf8_are_refused_wherever_they_are() {
    let cases: [(&[u8], usize, usize); 5] = [
        (b"\"\xff\"", 1, 2),
        (b"{}\n \xc3", 2, 2),
        (b"\"\xed\xa0\x80\"", 1, 2),   // a surrogate, encoded
        (b"\"\xc0\xaf\"", 1, 2),       // a slash, too long
        (b"\xff\xfe{\x00}\x00", 1, 1), // UTF-16
    ];
    for (bytes, line, column) in cases {
        assert_eq!(check(bytes, 10), Err(NotJson::NotUtf8 { line, column }), "{bytes:?}");
    }
}

#[test]
fn nesting_is_counted_and_cut() {
    assert_eq!(check(b"[[[]]]", 3), Ok(()));
    assert_eq!(check(b"[[],[],[[]]]", 3), Ok(()));
    let refusal = NotJson::TooDeep { most: 2, line: 2, column: 1 };
    assert_eq!(check(b"[{\"a\":\n[]}]", 2), Err(refusal));
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let deep = open.repeat(100_000);
        assert!(refused(&deep, 100).contains("nested deeper than 100 levels at line 1"));
    }
    let balanced = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refused(&balanced, 100).contains("nested deeper"));
    assert!(refused(&balanced, usize::MAX).contains("nested deeper than 512 levels"));
    let deepest =
        format!("{}{}", "[{\"\":".repeat(255) + "[[", "]]".to_owned() + &"}]".repeat(255));
    assert_eq!(check(deepest.as_bytes(), usize::MAX), Ok(()));
}

#[test]
fn what_a_value_cannot_hold_is_not_matchable() {
    for text in ["1e400", "[1,-1e999]", r#""\ud800""#, r#"{"\udc00":1}"#] {
        assert_eq!(check(text.as_bytes(), 10), Ok(()), "{text}");
        assert!(matchable(text).is_err(), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
    }
    for text in ["1e308", "1180591620717411303424", "1e-400", r#""\ud83d\ude00""#] {
        assert_eq!(matchable(text), Ok(()), "{text}");
    }
}

#[test]
fn a_document_that_means_two_things_is_not_matchable() {
    let two_faced = r#"{"a":{"$serde_json::private::RawValue":"{\"admin\":true}"}}"#;
    let value: serde_json::Value = serde_json::from_str(two_faced).unwrap();
    assert_eq!(value, serde_json::json!({"a": {"admin": true}}), "the reason for the refusal");
    assert!(matchable(two_faced).unwrap_err().to_string().contains("is reserved"));
}

#[test]
fn compacting_touches_white_space_between_tokens_and_nothing_else() {
    let mut compacted = String::new();
    compact(" { \"a b\" :\r\n[ 1.50 ,\t\" \\\" \\\\\" , 1E400 ] } ", &mut compacted);
    assert_eq!(compacted, "{\"a b\":[1.50,\" \\\" \\\\\",1E400]}");
}

/// A document with all kinds of values, with white space in odd places.
fn documents() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just(" true\n".to_owned()),
        any::<f64>().prop_map(|x| serde_json::json!(x).to_string()),
        any::<i64>().prop_map(|x| x.to_string()),
        "-?[1-9][0-9]{0,40}(\\.[0-9]{1,9})?(e[+-]?[0-9]{1,4})?",
        any::<String>().prop_map(|s| serde_json::json!(s).to_string()),
        "\"(\\\\u[0-9a-f]{4}|\\\\[n\"\\\\/]|[ a-z])*\"",
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[ {} ]", items.join(" ,\t"))),
            collection::vec((any::<String>(), inner), 0..5).prop_map(|members| {
                let members =
                    members.iter().map(|(k, v)| format!("{} :\r\n{v}", serde_json::json!(k)));
                format!("{{{}}}", members.collect::<Vec<_>>().join(" , "))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_is_matchable_exactly_if_a_value_holds_it(text in documents()) {
        prop_assert_eq!(check(text.as_bytes(), 10), Ok(()));
        let value = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert_eq!(matchable(&text).is_ok(), value.is_ok());
        let mut compacted = String::new();
        compact(&text, &mut compacted);
        if let Ok(value) = value {
            let again: serde_json::Value = serde_json::from_str(&compacted).unwrap();
            prop_assert_eq!(value, again);
        }
        prop_assert_eq!(check(compacted.as_bytes(), 10), Ok(()));
    }

    #[test]
    fn the_grammar_is_the_one_of_serde_json(
        text in documents(),
        at in any::<prop::sample::Index>(),
        with in "[\\[\\]{}:,\"\\\\0-9a-fu+.eE \t\n\\-]{0,3}",
        cut in 0..3_usize,
    ) {
        let mut bytes = text.into_bytes();
        let start = at.index(bytes.len());
        let end = (start + cut).min(bytes.len());
        bytes.splice(start..end, with.bytes());
        prop_assert_eq!(check(&bytes, usize::MAX).is_ok(), oracle(&bytes));
    }

    #[test]
    fn any_bytes_are_answered_as_serde_json_answers(bytes in collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(check(&bytes, usize::MAX).is_ok(), oracle(&bytes));
    }
}

fn oracle(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Every position of a special byte within a word, and every string that is cut there.
#[test]
fn strings_end_where_they_end_at_every_offset() {
    for length in 0..40 {
        for special in ['"', '\\', '\n', '\u{1f}', ' ', '!', '\u{7f}', 'é', '\u{a2}', '[', ']'] {
            let text = format!("\"{}{special}{}\"", "x".repeat(length), "é".repeat(length % 9));
            assert_eq!(check(text.as_bytes(), 1).is_ok(), oracle(text.as_bytes()), "{text}");
            for cut in 0..text.len() {
                let bytes = &text.as_bytes()[..cut];
                assert_eq!(check(bytes, 1).is_ok(), oracle(bytes), "{text} at {cut}");
            }
        }
    }
}
