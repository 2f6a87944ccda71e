//! CloudEvents over AMQP: every mode of the binding.

use super::*;

const RECORD: &str = r#"{"specversion":"1.0","id":"1","source":"S1","type":"t","data":{"a":1.50}}"#;

fn properties(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_structured_event_and_a_batch_are_read_by_their_content_type() {
    let structured = Raw {
        content_type: Some("application/cloudevents+json; charset=utf-8"),
        ..raw(RECORD.as_bytes())
    };
    let whole = one(&Format::CloudEvents, &structured);
    assert_eq!((whole.owner, &*whole.event.record), (Owner::Source, RECORD));

    let list = format!("[{RECORD},{RECORD}]");
    let content_type = Some("application/cloudevents-batch+json");
    let batch = Raw { content_type, ..raw(list.as_bytes()) };
    assert_eq!(read(&Format::CloudEvents, &batch, RECEIVED).unwrap().len(), 2);

    let broken = list.replacen("\"t\"", "7", 1);
    let batch = Raw { content_type, ..raw(broken.as_bytes()) };
    let why = read(&Format::CloudEvents, &batch, RECEIVED).unwrap_err();
    assert_eq!(why.code(), "event.bad_attribute");
    assert!(why.to_string().starts_with("event 0 of the batch"), "{why}");

    let other = Raw { content_type: Some("application/cloudevents+avro"), ..raw(b"{}") };
    let why = read(&Format::Auto, &other, RECEIVED).unwrap_err();
    assert_eq!(why.code(), "event.unsupported_format");
}

#[test]
fn in_binary_mode_attributes_are_properties_with_either_prefix() {
    for prefix in ["cloudEvents:", "cloudEvents_"] {
        let name = |name: &str| format!("{prefix}{name}");
        let headers: Vec<_> = [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "S1"),
            ("type", "t"),
            ("time", "2026-11-24T04:50:42Z"),
            ("ext", "100%25 \"é\""),
        ]
        .into_iter()
        .map(|(attribute, value)| (name(attribute), value.to_owned()))
        .chain(properties(&[("x-other", "not looked at"), ("ce-id", "2")]))
        .collect();
        let message = Raw { headers: &headers, ..raw(br#" {"a": 1.50} "#) };
        let read = one(&Format::Auto, &message);
        assert_eq!(read.owner, Owner::Source);
        assert_eq!(
            &*read.event.record,
            concat!(
                r#"{"specversion":"1.0","id":"1","source":"S1","type":"t","#,
                r#""time":"2026-11-24T04:50:42Z","datacontenttype":"application/json","#,
                r#""ext":"100%25 \"é\"","data":{"a":1.50}}"#
            )
        );
        let text = Raw { content_type: Some("text/plain"), body: b"hello", ..message };
        assert_eq!(value(&one(&Format::Auto, &text))["data"], "hello");
        let bytes = Raw { content_type: None, body: b"\xff\0", ..message };
        assert_eq!(value(&one(&Format::Auto, &bytes))["data_base64"], "/wA=");
        let nothing = Raw { body: b"", ..message };
        assert_eq!(value(&one(&Format::Auto, &nothing)).get("data"), None);
    }
}

#[test]
fn an_event_in_binary_mode_is_held_to_the_specification() {
    let whole = [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", "1"),
        ("cloudEvents:source", "S1"),
        ("cloudEvents:type", "t"),
    ];
    let refused = |more: &[(&str, &str)], skip: usize, code: &str, says: &str| {
        let headers = properties(&[&whole[skip..], more].concat());
        let message = Raw { headers: &headers, message_id: Some("m"), ..raw(b"{}") };
        let why = read(&Format::CloudEvents, &message, RECEIVED).unwrap_err();
        assert_eq!(why.code(), code, "{why}");
        assert!(why.to_string().contains(says), "{why}");
    };
    refused(&[], 1, "event.missing_attribute", "no specversion, which CloudEvents 1.0 requires");
    refused(&[], 2, "event.missing_attribute", "no specversion and no id");
    refused(&[("cloudEvents:id", "2")], 0, "event.duplicate_member", "\"id\" twice");
    refused(&[("cloudEvents_id", "2")], 0, "event.duplicate_member", "\"id\" twice");
    refused(&[("cloudEvents:Ext", "2")], 0, "event.bad_attribute", "not 'E'");
    refused(&[("cloudEvents:time", "1795495842")], 0, "event.bad_attribute", "RFC 3339");
    refused(&[("cloudEvents:data", "2")], 0, "event.bad_attribute", "it is the body");
    refused(&[("cloudEvents:datacontenttype", "a/b")], 0, "event.bad_attribute", "Content-Type");
    refused(&[("cloudEvents:", "2")], 0, "event.bad_attribute", "0 bytes");
    let headers = properties(&whole);
    let bad = Raw { headers: &headers, ..raw(b"{") };
    let why = read(&Format::CloudEvents, &bad, RECEIVED).unwrap_err();
    assert_eq!(why.code(), "event.not_json");
}

#[test]
fn json_that_does_not_say_it_is_an_event_gets_what_is_missing() {
    let body = br#"{"type":"t","source":"S1"}"#;
    let event = one(&Format::CloudEvents, &raw(body)).event;
    assert_eq!(event.id, "fallback-1");
    let event = one(&Format::CloudEvents, &Raw { message_id: Some("m"), ..raw(body) }).event;
    assert_eq!(
        &*event.record,
        format!(r#"{{"specversion":"1.0","id":"m","source":"S1","type":"t","time":"{TIME}"}}"#)
    );
    let list = format!("[{RECORD},{{\"type\":\"t\",\"source\":\"S1\"}}]");
    let events = read(&Format::CloudEvents, &raw(list.as_bytes()), RECEIVED).unwrap();
    assert_eq!(
        events.iter().map(|read| &*read.event.id).collect::<Vec<_>>(),
        ["1", "fallback-1-1"]
    );
}
