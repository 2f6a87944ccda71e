//! CloudEvents by tables, by round trips and by mutated requests.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn defaults() -> Defaults {
    Defaults { id: "d".into(), time: "2026-11-24T04:50:42Z".into() }
}

/// The smallest whole record, with more members behind.
fn with(members: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"S1","type":"t"{members}}}"#)
}

#[track_caller]
fn record(body: &str) -> String {
    structured(body.as_bytes(), None)
        .unwrap_or_else(|why| panic!("{body}: {why}"))
        .record
        .to_string()
}

#[track_caller]
fn check_refused(body: impl AsRef<[u8]>, code: &str, says: &str) {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    let why = structured(body, None).expect_err(&shown);
    assert_eq!(why.code(), code, "{shown}: {why}");
    assert!(why.to_string().contains(says), "{shown}: {why}");
}

fn headers<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a [u8])> {
    pairs.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

const CE: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "S1"), ("ce-type", "t")];

/// The record of an event in binary mode with a few headers more.
#[track_caller]
fn sent(
    more: &[(&str, &str)],
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Value, Malformed> {
    let all = headers(&[&CE, more].concat());
    let event = binary(all, content_type, body, None)?;
    Ok(serde_json::from_str(&event.record).expect("a record is JSON"))
}

#[test]
fn a_record_is_compact_and_in_one_order() {
    let body = r#" { "data" : { "b": 1.50, "a": [1e2, "x y"] },
        "zone":"z", "dataschema":"urn:s", "datacontenttype":"application/json", "alpha":-7,
        "time":"2018-04-05T17:31:00Z", "flag":true, "subject":"s/1", "type":"com.example.t",
        "source":"/mycontext", "id":"A234-1234-1234", "specversion":"1.0", "gone":null } "#;
    let event = structured(body.as_bytes(), None).unwrap();
    assert_eq!(
        (&*event.id, &*event.source, &*event.kind),
        ("A234-1234-1234", "/mycontext", "com.example.t")
    );
    assert_eq!(
        &*event.record,
        concat!(
            r#"{"specversion":"1.0","id":"A234-1234-1234","source":"/mycontext","#,
            r#""type":"com.example.t","subject":"s/1","time":"2018-04-05T17:31:00Z","#,
            r#""datacontenttype":"application/json","dataschema":"urn:s","alpha":-7,"flag":true,"#,
            r#""zone":"z","data":{"b":1.50,"a":[1e2,"x y"]}}"#
        )
    );
}

#[test]
fn data_of_every_kind_keeps_its_text() {
    let kinds = [
        "null",
        "0.10",
        "1180591620717411303424",
        "123456789012345678901234567890.5e-10",
        r#""\u00e9 \/ é""#,
        r#"{"a":1,"a":2}"#,
        "[]",
        "-0.0",
    ];
    for data in kinds {
        assert_eq!(
            record(&with(&format!(r#","data":{data}"#))),
            with(&format!(r#","data":{data}"#))
        );
    }
    assert_eq!(record(&with("")), with(""));
    assert_eq!(record(&with(r#","data_base64":"\/+8=""#)), with(r#","data_base64":"/+8=""#));
    assert_eq!(
        record(&with(r#","data":null,"data_base64":"AA==""#)),
        with(r#","data_base64":"AA==""#)
    );
    assert_eq!(record(&with(r#","data":1,"data_base64":null"#)), with(r#","data":1"#));
}

#[test]
fn data_that_no_pattern_could_be_held_against_is_refused() {
    check_refused(with(r#","data":{"n":1e400}"#), "event.bad_data", "number out of range");
    check_refused(with(r#","data":["\ud800"]"#), "event.bad_data", "send such a value as a string");
    let hidden = r#","data":{"$serde_json::private::RawValue":"{}"}"#;
    check_refused(with(hidden), "event.bad_data", "reserved");
    check_refused(with(r#","data":1,"data_base64":"AA==""#), "event.bad_data", "both");
    for bad in [r#""AA""#, r#""A===""#, r#""AAB=""#, r#""_-8=""#, r#""AA==\n""#, "17", r#"{"a":1}"#]
    {
        check_refused(with(&format!(r#","data_base64":{bad}"#)), "event.bad_data", "data_base64");
    }
}

#[test]
fn what_is_required_must_be_there_and_all_that_is_missing_is_told() {
    check_refused(
        "{}",
        "event.missing_attribute",
        "no specversion and no id and no source and no type",
    );
    check_refused(
        r#"{"specversion":"1.0","id":"1","type":"t","source":null}"#,
        "event.missing_attribute",
        "the event has no source, which CloudEvents 1.0 requires",
    );
    for other in [r#""0.3""#, r#""1.1""#, r#""1""#] {
        let body = format!(r#"{{"specversion":{other},"id":"1","source":"S1","type":"t"}}"#);
        check_refused(body, "event.specversion", "only \"1.0\" is spoken here");
    }
    check_refused(r#"{"specversion":1.0}"#, "event.bad_attribute", "specversion");
}

#[test]
fn names_and_values_of_attributes_are_held_to_the_specification() {
    let cases = [
        (r#","Subject":"x""#, "may have the letters a-z and digits, not 'S'"),
        (r#","my_ext":"x""#, "not '_'"),
        (r#","mein-ext":"x""#, "not '-'"),
        (r#","é":"x""#, "not 'é'"),
        (r#","":"x""#, "has 0 bytes"),
        (r#","abcdefghijklmnopqrstu":"x""#, "has 21 bytes"),
        (r#","ext":1.5"#, "whole one from -2147483648 to 2147483647"),
        (r#","ext":2147483648"#, "whole one"),
        (r#","ext":1e3"#, "whole one"),
        (r#","ext":{"a":1}"#, "structure goes in data"),
        (r#","ext":[]"#, "structure goes in data"),
        (r#","ext":"\u0007""#, "no such character"),
        (r#","ext":"\u0085""#, "no such character"),
        (r#","ext":"\uffff""#, "no such character"),
        (r#","ext":"\ufdd0""#, "no such character"),
        (r#","ext":"\ud800""#, "not JSON"),
        (r#","subject":"""#, "not empty"),
        (r#","subject":3"#, "must be a string"),
        (r#","dataschema":true"#, "must be a string"),
        (r#","datacontenttype":"json""#, "media type"),
        (r#","datacontenttype":"a b/c""#, "media type"),
        (r#","datacontenttype":"/""#, "media type"),
    ];
    for (members, says) in cases {
        check_refused(with(members), "event.bad_attribute", says);
    }
    let accepted = [
        r#","abcdefghijklmnopqrst":"x""#,
        r#","ext":-2147483648"#,
        r#","ext":false"#,
        r#","ext":"""#,
        r#","ext":"{\"a\": \"b\"} é 😀""#,
        r#","datacontenttype":"text/plain; charset=\"utf-8\"""#,
        r#","datacontenttype":"application/vnd.a-b+json""#,
        r#","1":"x""#,
    ];
    for members in accepted {
        let kept = members.replace("\\u", "u");
        assert_eq!(record(&with(members)), with(&kept));
    }
}

#[test]
fn long_attributes_are_refused_at_their_limits() {
    let text = "x".repeat(limits::ATTRIBUTE_BYTES);
    record(&with(&format!(r#","ext":"{text}""#)));
    check_refused(with(&format!(r#","ext":"{text}y""#)), "event.bad_attribute", "may have 2048");
    let id = "x".repeat(limits::KEY_BYTES + 1);
    let body = format!(r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"t"}}"#);
    check_refused(body, "event.bad_attribute", "may have 256");

    let extensions = |n: usize| with(&(0..n).map(|i| format!(",\"e{i}\":{i}")).collect::<String>());
    record(&extensions(limits::EXTENSIONS_PER_EVENT));
    for more in [1, 2, 20, 10_000] {
        let body = extensions(limits::EXTENSIONS_PER_EVENT + more);
        check_refused(body, "event.too_many_attributes", "more than 64");
    }
}

#[test]
fn times_are_those_of_rfc_3339() {
    let good = [
        "2018-04-05T17:31:00Z",
        "2018-04-05t17:31:00z",
        "2018-04-05T17:31:00.1Z",
        "2018-04-05T17:31:00.123456789012345+23:59",
        "2018-04-05T17:31:00-00:00",
        "2016-02-29T00:00:00Z",
        "1990-12-31T23:59:60Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
    ];
    for time in good {
        assert_eq!(
            record(&with(&format!(r#","time":"{time}""#))),
            with(&format!(r#","time":"{time}""#))
        );
    }
    let bad = [
        "now",
        "2018-04-05",
        "2018-04-05T17:31:00",
        "2018-04-05 17:31:00Z",
        "2018-04-05T17:31Z",
        "2018-04-05T17:31:00.Z",
        "2018-04-05T17:31:00,5Z",
        "2018-04-05T17:31:00+0200",
        "2018-04-05T17:31:00+24:00",
        "2018-04-05T17:31:00+01:60",
        "2018-04-05T17:31:00Z[UTC]",
        "2018-02-30T00:00:00Z",
        "2018-13-01T00:00:00Z",
        "2018-04-05T24:00:00Z",
        "2018-04-05T17:31:00ZZ",
        "２018-04-05T17:31:00Z",
        "2018-04-05T17:31:00é",
        "+002018-04-05T17:31:00Z",
        "1522949460",
    ];
    for time in bad {
        check_refused(with(&format!(r#","time":"{time}""#)), "event.bad_attribute", "RFC 3339");
    }
}

#[test]
fn members_given_twice_are_refused() {
    let twice = [
        (r#","id":"2""#, "id"),
        (r#","subject":null,"subject":"x""#, "subject"),
        (r#","ext":1,"e\u0078t":1"#, "ext"),
        (r#","data":1,"data":1"#, "data"),
        (r#","data_base64":"","data_base64":"""#, "data_base64"),
    ];
    for (members, name) in twice {
        check_refused(with(members), "event.duplicate_member", &format!("has {name:?} twice"));
    }
}

#[test]
fn what_is_no_json_object_is_refused_as_what_it_is() {
    check_refused("", "event.not_json", "the body is empty");
    check_refused("hello", "event.not_json", "expected value at line 1, column 1");
    check_refused(&with("")[..20], "event.not_json", "EOF");
    check_refused(with("") + "{}", "event.not_json", "trailing characters");
    check_refused(b"\xEF\xBB\xBF{}", "event.not_json", "byte order mark");
    check_refused(
        with(",\"data\":\"\u{e9}\"").replace('é', "\u{fffd}").into_bytes().split_last().unwrap().1,
        "event.not_json",
        "EOF",
    );
    check_refused(b"{\"id\":\"\xff\"}", "event.not_json", "UTF-8");
    check_refused(r#"{"\ud800":1}"#, "event.not_json", "line 1");
    for other in ["[]", "1", "\"x\"", "null", " [{}] "] {
        check_refused(other, "event.not_an_object", "application/cloudevents-batch+json");
    }
}

#[test]
fn depth_and_size_have_their_limits() {
    let nested = |n: usize| with(&format!(r#","data":{}{}"#, "[".repeat(n), "]".repeat(n)));
    let deepest = record(&nested(limits::JSON_DEPTH - 1));
    assert!(serde_json::from_str::<Value>(&deepest).is_ok());
    check_refused(nested(limits::JSON_DEPTH), "event.too_deep", "deeper than 100 levels");
    check_refused(nested(100_000), "event.too_deep", "deeper than 100 levels");
    check_refused("[".repeat(100_000), "event.too_deep", "deeper than 100 levels");
    check_refused("{\"data\":".repeat(100_000), "event.too_deep", "deeper than 100 levels");

    let filled = |n: usize| with(&format!(r#","data":"{}""#, "x".repeat(n)));
    let room = limits::EVENT_BYTES - filled(0).len();
    assert_eq!(record(&filled(room)).len(), limits::EVENT_BYTES);
    check_refused(filled(room + 1), "event.too_large", "has 1048577 bytes, and may have 1048576");
    // What is added counts, too.
    let body = filled(room).replace(r#""id":"1","#, "");
    let why = structured(body.as_bytes(), Some(&defaults())).unwrap_err();
    assert_eq!(why.code(), "event.too_large");
    let why = sent(&[], Some("image/png"), &vec![0; 800 * 1024]).unwrap_err();
    assert_eq!(why.code(), "event.too_large", "base64 makes it larger than it was: {why}");
}

#[test]
fn defaults_fill_what_only_a_program_would_send() {
    let body = br#"{"type": "t", "source": "S1", "data": 1}"#;
    let event = structured(body, Some(&defaults())).unwrap();
    assert_eq!(event.id, "d");
    assert_eq!(
        &*event.record,
        r#"{"specversion":"1.0","id":"d","source":"S1","type":"t","time":"2026-11-24T04:50:42Z","data":1}"#
    );
    assert_eq!(structured(body, None).unwrap_err().code(), "event.missing_attribute");

    let own = with(r#","time":"2018-04-05T17:31:00Z""#);
    assert_eq!(&*structured(own.as_bytes(), Some(&defaults())).unwrap().record, own);
    let unset = br#"{"type":"t","source":"S1","id":null,"time":null}"#;
    assert_eq!(structured(unset, Some(&defaults())).unwrap().id, "d");
    let wrong = br#"{"type":"t","source":"S1","id":7}"#;
    assert_eq!(structured(wrong, Some(&defaults())).unwrap_err().code(), "event.bad_attribute");
    let why = structured(br#"{"name":"world"}"#, Some(&defaults())).unwrap_err();
    assert_eq!(why, Malformed::Missing { names: vec!["source", "type"] });
}

#[test]
fn the_mode_follows_from_content_type_and_headers() {
    let cases = [
        (Some("application/cloudevents+json"), true, Mode::Structured),
        (Some("Application/CloudEvents+JSON ; charset=utf-8"), false, Mode::Structured),
        (Some("application/cloudevents-batch+json"), false, Mode::Batch),
        (Some("application/json"), true, Mode::Binary),
        (None, true, Mode::Binary),
        (Some("application/json"), false, Mode::Plain),
        (Some("application/x-www-form-urlencoded"), false, Mode::Plain),
        (None, false, Mode::Plain),
    ];
    for (content_type, has, expected) in cases {
        assert_eq!(mode(content_type, has), Ok(expected), "{content_type:?}");
    }
    for other in ["application/cloudevents+xml", "application/cloudevents-batch+avro"] {
        let why = mode(Some(other), false).unwrap_err();
        assert_eq!(why.code(), "event.unsupported_format");
        assert!(why.to_string().contains(other));
    }
    assert!(is_attribute_header("CE-id") && is_attribute_header("ce-x"));
    assert!(
        !is_attribute_header("ce")
            && !is_attribute_header("cé-")
            && !is_attribute_header("x-ce-id")
    );
}

#[test]
fn a_request_is_read_as_its_mode_says() {
    let read = |mode, headers: &[(&str, &str)], body: &str| {
        let headers = self::headers(headers);
        let events = read(mode, Some("application/json"), headers, body.as_bytes(), &defaults())?;
        Ok::<_, Malformed>(events.into_iter().map(|event| event.id).collect::<Vec<_>>())
    };
    let plain = r#"{"type":"t","source":"S1"}"#;
    let two = format!("[{plain},{plain}]");
    assert_eq!(read(Mode::Plain, &[], plain).unwrap(), ["d"]);
    assert_eq!(read(Mode::Plain, &[], &format!("\n {two}")).unwrap(), ["d-0", "d-1"]);
    assert_eq!(read(Mode::Binary, &CE, "{}").unwrap(), ["1"]);
    assert_eq!(read(Mode::Batch, &[], &format!("[{}]", with(""))).unwrap(), ["1"]);
    assert_eq!(read(Mode::Structured, &[], &with("")).unwrap(), ["1"]);
    for mode in [Mode::Structured, Mode::Batch, Mode::Binary] {
        let body = if mode == Mode::Batch { &two } else { plain };
        assert_eq!(read(mode, &CE[2..], body).unwrap_err().code(), "event.missing_attribute");
    }
}

#[test]
fn a_batch_is_accepted_as_a_whole_or_not_at_all() {
    let list = |records: &[String]| format!(" [ {} ] ", records.join(" , "));
    let three = list(&[with(""), with(r#","data":1"#), with(r#","data":[{}]"#)]);
    assert_eq!(batch(three.as_bytes(), None).unwrap().len(), 3);

    let bad = list(&[with(""), with(r#","time":"now""#), with("")]);
    let why = batch(bad.as_bytes(), None).unwrap_err();
    assert_eq!((why.code(), why.index()), ("event.bad_attribute", Some(1)));
    assert!(why.to_string().starts_with("event 1 of the batch (counted from 0): the event's"));

    let deep = list(&[with(""), "[".repeat(5_000) + &"]".repeat(5_000)]);
    let huge = list(&[with(&format!(r#","data":"{}""#, "x".repeat(limits::EVENT_BYTES)))]);
    let cases = [
        ("", "event.not_json", None),
        ("[", "event.not_json", None),
        ("[{},]", "event.not_json", None),
        ("{}", "event.not_a_list", None),
        ("[]", "event.batch_empty", None),
        ("[ \n ]", "event.batch_empty", None),
        ("[1]", "event.not_an_object", Some(0)),
        ("[{}]", "event.missing_attribute", Some(0)),
        (&deep, "event.too_deep", Some(1)),
        (&huge, "event.too_large", Some(0)),
    ];
    for (body, code, index) in cases {
        let why = batch(body.as_bytes(), None).unwrap_err();
        assert_eq!((why.code(), why.index()), (code, index), "{why}");
    }

    let most = list(&vec![with(""); limits::EVENTS_PER_BATCH]);
    assert_eq!(batch(most.as_bytes(), None).unwrap().len(), limits::EVENTS_PER_BATCH);
    let more = list(&vec![with(""); limits::EVENTS_PER_BATCH + 1]);
    assert_eq!(batch(more.as_bytes(), None).unwrap_err().code(), "event.batch_too_long");
    let ones = format!("[{}1]", "1,".repeat(4_000_000));
    assert_eq!(batch(ones.as_bytes(), None).unwrap_err().code(), "event.batch_too_long");
    let spaces = format!("[{}]", " ".repeat(limits::BATCH_BYTES));
    assert_eq!(batch(spaces.as_bytes(), None).unwrap_err().code(), "event.too_large");
}

#[test]
fn in_binary_mode_the_body_is_kept_by_its_content_type() {
    let json = json!({"a": 1.5});
    let cases: [(Option<&str>, &[u8], &str, Value); 12] = [
        (Some("application/json"), b" {\"a\": 1.5} ", "data", json.clone()),
        (Some("application/problem+json; x=y"), b"{\"a\":1.5}", "data", json.clone()),
        (Some("text/json"), b"{\"a\":1.5}", "data", json),
        (Some("text/plain"), b"a\"b\0\n", "data", json!("a\"b\0\n")),
        (Some("TEXT/csv;charset=UTF-8"), "é".as_bytes(), "data", json!("é")),
        (Some("text/plain; charset=iso-8859-1"), b"plain", "data", json!("plain")),
        (Some("text/plain; charset=iso-8859-1"), "é".as_bytes(), "data_base64", json!("w6k=")),
        (Some("text/plain"), b"\xff", "data_base64", json!("/w==")),
        (Some("image/png"), b"text", "data_base64", json!("dGV4dA==")),
        (None, b"{}", "data_base64", json!("e30=")),
        (Some("application/json"), b"null", "data", Value::Null),
        (Some("application/xml"), b"<a/>", "data_base64", json!("PGEvPg==")),
    ];
    for (content_type, body, member, expected) in cases {
        let record = sent(&[], content_type, body).unwrap();
        assert_eq!(record.get(member), Some(&expected), "{content_type:?} {record}");
        assert_eq!(record.get("datacontenttype").and_then(Value::as_str), content_type);
    }
    let empty = sent(&[], Some("application/json"), b"").unwrap();
    assert_eq!(empty.as_object().unwrap().len(), 5, "no body is no data: {empty}");

    let refusals: [(&[u8], &str); 4] = [
        (b"{", "event.not_json"),
        (b"\xff", "event.not_json"),
        (b"1e400", "event.bad_data"),
        (&b"[".repeat(100_000), "event.too_deep"),
    ];
    for (body, code) in refusals {
        let why = sent(&[], Some("application/json"), body).unwrap_err();
        assert_eq!(why.code(), code, "{why}");
    }
}

#[test]
fn headers_are_unquoted_and_percent_decoded_once() {
    let cases = [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("  trimmed\t", "trimmed"),
        ("%2541", "%41"),
        ("100%", "100%"),
        ("%zz%4", "%zz%4"),
        ("\"a \\\"b\\\" \\\\ %41\"", "a \"b\" \\ A"),
        ("%22a%22", "\"a\""),
        ("a\"b", "a\"b"),
        ("\"", "\""),
        ("\"\"", ""),
        ("é", "é"),
        ("%C3%A9", "é"),
        ("+", "+"),
    ];
    for (value, expected) in cases {
        let record = sent(&[("CE-Ext", value)], None, b"").unwrap();
        assert_eq!(record["ext"], expected, "{value}");
    }
    for (value, says) in [
        ("%FF", "UTF-8"),
        ("%00", "no such character"),
        ("\"a\"b\"", "escaped"),
        ("\"a\\\"", "escaped"),
    ] {
        let why = sent(&[("ce-ext", value)], None, b"").unwrap_err();
        assert_eq!(why.code(), "event.bad_attribute", "{value}");
        assert!(why.to_string().contains(says), "{why}");
    }
}

#[test]
fn headers_that_are_no_attributes_are_left_alone_or_refused() {
    let record = sent(&[("host", "x"), ("accept", "\u{7f}"), ("ce", "x")], None, b"").unwrap();
    assert_eq!(record.as_object().unwrap().len(), 4);
    let cases = [
        ("ce-id", "event.duplicate_member"),
        ("Ce-Id", "event.duplicate_member"),
        ("ce-", "event.bad_attribute"),
        ("ce-data", "event.bad_attribute"),
        ("ce-data_base64", "event.bad_attribute"),
        ("ce-datacontenttype", "event.bad_attribute"),
        ("ce-a-b", "event.bad_attribute"),
    ];
    for (name, code) in cases {
        let why = sent(&[(name, "text/plain")], None, b"").unwrap_err();
        assert_eq!(why.code(), code, "{name}: {why}");
    }
    let why = binary(headers(&CE[..2]), None, b"", None).unwrap_err();
    assert_eq!(why, Malformed::Missing { names: vec!["source", "type"] });
    let none = binary(headers(&CE[2..]), None, b"", Some(&defaults())).unwrap();
    assert_eq!(none.id, "d");
}

/// Any JSON that a Value can hold.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|x| json!(x)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 30, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn attribute_text() -> impl Strategy<Value = String> {
    let noncharacter = |c| matches!(c, 0xFDD0..=0xFDEF) || c & 0xFFFE == 0xFFFE;
    let accepted = move |c: char| !c.is_control() && !noncharacter(u32::from(c));
    proptest::collection::vec(any::<char>(), 1..20).prop_map(move |chars| {
        let kept: String = chars.into_iter().filter(|c| accepted(*c)).collect();
        if kept.is_empty() { "x".into() } else { kept }
    })
}

fn records() -> impl Strategy<Value = BTreeMap<String, Value>> {
    let required = (attribute_text(), attribute_text(), attribute_text());
    let extension = prop_oneof![
        attribute_text().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    let extensions = proptest::collection::btree_map("x[a-z0-9]{1,19}", extension, 0..6);
    let data = prop_oneof![
        Just(None),
        values().prop_map(|data| Some(("data", data))),
        any::<Vec<u8>>().prop_map(|bytes| Some(("data_base64", STANDARD.encode(bytes).into()))),
    ];
    (required, extensions, data).prop_map(|((id, source, kind), mut record, data)| {
        let named =
            [("specversion", "1.0".to_owned()), ("id", id), ("source", source), ("type", kind)];
        record.extend(named.map(|(name, text)| (name.to_owned(), Value::from(text))));
        record.extend(data.map(|(name, data)| (name.to_owned(), data)));
        record
    })
}

/// As the HTTP binding asks senders to: everything beyond printable ASCII, and space, `"`, `%`.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'!' | b'#'..=b'$' | b'&'..=b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

proptest! {
    #[test]
    fn a_record_means_what_was_sent_and_reads_as_itself(record in records()) {
        let body = serde_json::to_string_pretty(&record).unwrap();
        let event = structured(body.as_bytes(), None).unwrap();
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        prop_assert_eq!(value(&body), value(&event.record));
        prop_assert_eq!(structured(event.record.as_bytes(), None).unwrap(), event.clone());
        let list = format!("[{},{}]", event.record, body);
        prop_assert_eq!(batch(list.as_bytes(), None).unwrap(), vec![event.clone(), event]);
    }

    #[test]
    fn binary_mode_gives_the_record_that_structured_mode_gives(record in records()) {
        let mut headers = Vec::new();
        let (mut body, mut content_type) = (Vec::new(), None);
        let mut as_text = record.clone();
        for (name, value) in &record {
            match name.as_str() {
                "data" => {
                    body = value.to_string().into_bytes();
                    content_type = Some("application/json");
                }
                "data_base64" => body = STANDARD.decode(value.as_str().unwrap()).unwrap(),
                _ => {
                    // Headers have no types: an integer arrives as its text.
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    as_text.insert(name.clone(), text.clone().into());
                    headers.push((format!("Ce-{name}"), percent_encoded(&text)));
                }
            }
        }
        if body.is_empty() {
            as_text.remove("data_base64");
        }
        if let Some(content_type) = content_type {
            as_text.insert("datacontenttype".into(), content_type.into());
        }
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let event = binary(headers, content_type, &body, None).unwrap();
        let expected = structured(serde_json::to_string(&as_text).unwrap().as_bytes(), None).unwrap();
        prop_assert_eq!(event, expected);
    }
}

/// A refusal is kept, logged and sent back: it must not be as long as what it refuses.
#[test]
fn a_refusal_does_not_repeat_a_long_name() {
    let name = "n".repeat(100_000);
    for value in ["{}", "[]", "1.5", r#""\ud800""#, r#""x""#, "7", "null"] {
        let body = with(&format!(r#","{name}":{value}"#));
        let why = structured(body.as_bytes(), None).expect_err(value);
        assert_eq!(why.code(), "event.bad_attribute", "{value}");
        assert!(why.to_string().len() < 1_000, "{value}: {} bytes", why.to_string().len());
    }
}

/// A small generator whose runs can be repeated: xorshift, from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: &[u8] = b"{}[]\",:\\u0dD8e-+.1 \n\t\0\xff\xc3\xa9%\"/=";
        if self.below(4) == 0 {
            self.below(256).try_into().unwrap()
        } else {
            TELLING[self.below(TELLING.len())]
        }
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let (at, byte) = (self.below(bytes.len()), self.byte());
            match self.below(6) {
                0 => bytes.insert(at, byte),
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                3 => {
                    let end = at + self.below(bytes.len() - at);
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ if !bytes.is_empty() => bytes[at] = byte,
                _ => bytes.push(byte),
            }
        }
    }
}

/// Whatever comes in is answered, and what is accepted keeps the promises of a record.
#[test]
fn mutated_requests_are_answered_without_a_panic() {
    let seeds = [
        with(r#","data":{"a":[1,2.5e3,"x\u00e9\ud83d\ude00",null,true]},"ext":7,"flag":true"#),
        with(r#","time":"2018-04-05T17:31:00.123+02:00","subject":"s","data_base64":"AAECAw==""#),
        format!("[{},{}]", with(""), with(r#","data":[[[{"k":"v"}]]],"datacontenttype":"a/b""#)),
        r#" {"type": "t" , "source":"S1", "data": "text"} "#.into(),
    ];
    let inputs = if std::env::var_os("SLOW_TESTS").is_some() { 100_000 } else { 2_000 };
    let mut chance = Chance(0x2545_F491_4F6C_DD1D);
    let mut accepted = 0;
    for input in 0..inputs {
        let mut body = seeds[input % seeds.len()].clone().into_bytes();
        chance.mutate(&mut body);
        let mut value = b"Euro%20%E2%82%AC \"quoted\\\"\"".to_vec();
        chance.mutate(&mut value);
        let mut name = b"ce-extension".to_vec();
        chance.mutate(&mut name);
        let name = String::from_utf8_lossy(&name).into_owned();
        let mut content_type = b"text/plain; charset=\"utf-8\"; +json".to_vec();
        chance.mutate(&mut content_type);
        let content_type = String::from_utf8_lossy(&content_type).into_owned();
        let all = || headers(&CE).into_iter().chain([(name.as_str(), value.as_slice())]);
        drop(mode(Some(&content_type), true));

        let results = [
            structured(&body, None).map(|event| vec![event]),
            structured(&body, Some(&defaults())).map(|event| vec![event]),
            batch(&body, None),
            binary(all(), Some(&content_type), &body, None).map(|event| vec![event]),
            binary(all(), Some("application/json"), &body, None).map(|event| vec![event]),
            read(Mode::Plain, None, [], &body, &defaults()),
        ];
        for result in results {
            match result {
                Ok(events) => {
                    accepted += 1;
                    for event in events {
                        let shown = &event.record;
                        let value: Value = serde_json::from_str(shown).expect(shown);
                        assert_eq!(value["specversion"], "1.0", "{shown}");
                        assert_eq!(value["id"], *event.id, "{shown}");
                        assert_eq!(
                            structured(shown.as_bytes(), None).as_ref(),
                            Ok(&event),
                            "{shown}"
                        );
                    }
                }
                Err(why) => {
                    let said = why.to_string();
                    assert!(why.code().starts_with("event."), "{said}");
                    assert!((1..1_000).contains(&said.len()), "{said}");
                }
            }
        }
    }
    assert!(accepted > inputs / 4, "mutation must leave something to accept: {accepted}");
}
