//! Messages by tables, by what services really sent, and by mutated bodies.

use serde_json::{Value, json};

use super::*;

mod cloud_events;
mod mutated;
mod notifications;

const RECEIVED: Timestamp = Timestamp::from_micros(1_795_495_842_000_000);
const TIME: &str = "2026-11-24T04:50:42.000000Z";

const QUEUE: &str = r#"{"event_data": {"type": "file.created", "metadata_type": "image",
    "filename": "a.png", "size": 1.50}, "user_name": "alice", "event_source": "S1"}"#;

fn raw(body: &[u8]) -> Raw<'_> {
    Raw {
        body,
        content_type: Some("application/json"),
        headers: &[],
        message_id: None,
        fallback_id: "fallback-1",
        queue: "lambda Queue",
        routing_key: "files.new",
    }
}

fn plain() -> Format {
    Format::Plain { kind: Kind::default(), source: None }
}

fn oslo() -> Format {
    Format::Oslo { projects: Projects::Owners }
}

fn named(project: &str) -> Owner {
    Owner::Named(model::Project::parse(project).unwrap())
}

#[track_caller]
fn one(format: &Format, raw: &Raw<'_>) -> Read {
    let mut events = read(format, raw, RECEIVED).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn value(read: &Read) -> Value {
    serde_json::from_str(&read.event.record).expect("a record is JSON")
}

#[track_caller]
fn check_refused(format: &Format, body: impl AsRef<[u8]>, code: &str, says: &str) {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    let why = read(format, &raw(body), RECEIVED).expect_err(&shown);
    assert_eq!(why.code(), code, "{shown}: {why}");
    assert!(why.to_string().contains(says), "{shown}: {why}");
}

#[test]
fn the_queue_contract_becomes_an_event_of_the_named_user() {
    let read = one(&Format::LambdaQueue, &raw(QUEUE.as_bytes()));
    assert_eq!(read.owner, named("alice"));
    assert_eq!(
        &*read.event.record,
        format!(
            concat!(
                r#"{{"specversion":"1.0","id":"fallback-1","source":"S1","type":"file.created","#,
                r#""time":"{}","data":{{"type":"file.created","metadata_type":"image","#,
                r#""filename":"a.png","size":1.50}}}}"#
            ),
            TIME
        )
    );
}

#[test]
fn the_queue_contract_is_refused_with_all_that_is_missing_or_wrong() {
    let refused = |body: &str, code: &str, says: &str| {
        check_refused(&Format::LambdaQueue, body, code, says);
    };
    let missing = "message.missing_member";
    refused(
        "{}",
        missing,
        "the message has no event_data.type and no user_name and no event_source, which the queue \
         contract asks for",
    );
    refused(&QUEUE.replace("\"type\"", "\"kind\""), missing, "has no event_data.type, which");
    refused(&QUEUE.replace("\"S1\"", "null"), missing, "has no event_source, which");
    refused(&QUEUE.replace("user_name", "user"), missing, "has no user_name, which");
    let wrong = "message.bad_member";
    refused(
        &QUEUE.replace("\"file.created\"", "17"),
        wrong,
        "the message's event_data.type is not valid: it must be a string, and is a number",
    );
    refused(
        &QUEUE.replace("\"S1\"", "[]"),
        wrong,
        "event_source is not valid: it must be a string",
    );
    refused(
        &QUEUE.replace("\"alice\"", "{}"),
        wrong,
        "user_name is not valid: it must be a string",
    );
    refused(
        r#"{"event_data":["type"],"user_name":"a","event_source":"s"}"#,
        wrong,
        "the message's event_data is not valid: it must be an object, and is a list",
    );
    refused(&QUEUE.replace("\"S1\"", "\"\\ud800\""), wrong, "this is not JSON");
    for bad in ["", "a b", "a/b", "../x", "-a", "é", "a@example.com", &"x".repeat(65)] {
        refused(
            &QUEUE.replace("alice", bad),
            "message.bad_project",
            &format!("the message's user_name names no project: project {bad:?} is not valid: "),
        );
    }
    refused("[]", "message.not_an_object", "the message's body must be a JSON object such as {\"e");
    refused(&QUEUE.replace("S1", ""), "event.bad_attribute", "\"source\" is not valid");
    refused(&QUEUE.replace("file.created", "a\\n"), "event.bad_attribute", "no such character");
    refused(&QUEUE.replace("1.50", "1e400"), "event.bad_data", "number out of range");
}

#[test]
fn a_message_that_names_itself_is_one_event_and_one_that_does_not_is_another_each_time() {
    let id = |message_id, fallback_id| {
        let raw = Raw { message_id, fallback_id, ..raw(QUEUE.as_bytes()) };
        [Format::LambdaQueue, plain_with("event_source")].map(|format| one(&format, &raw).event.id)
    };
    assert_eq!(id(Some("m-1"), "f-1"), ["m-1", "m-1"]);
    assert_eq!(id(Some("m-1"), "f-2"), ["m-1", "m-1"]);
    assert_eq!(id(None, "f-1"), ["f-1", "f-1"]);
    assert_eq!(id(Some(""), "f-2"), ["f-2", "f-2"]);
    let long = "x".repeat(limits::KEY_BYTES + 1);
    let raw = Raw { message_id: Some(&long), ..raw(QUEUE.as_bytes()) };
    let why = read(&Format::LambdaQueue, &raw, RECEIVED).unwrap_err();
    assert_eq!(why.code(), "event.bad_attribute");
    assert!(why.to_string().contains("\"id\" is not valid: it has 257 bytes"), "{why}");
}

fn plain_with(member: &str) -> Format {
    Format::Plain { kind: Kind::Member(member.into()), source: None }
}

#[test]
fn a_plain_object_is_the_data_and_its_type_is_where_the_source_says() {
    let body = br#" { "type": "order.paid", "n": 1.0, "n": 2, "kind": "k" } "#;
    let read = one(&plain(), &raw(body));
    assert_eq!(read.owner, Owner::Source);
    assert_eq!(
        &*read.event.record,
        format!(
            concat!(
                r#"{{"specversion":"1.0","id":"fallback-1","source":"rabbitmq:lambda%20Queue","#,
                r#""type":"order.paid","time":"{}","#,
                r#""data":{{"type":"order.paid","n":1.0,"n":2,"kind":"k"}}}}"#
            ),
            TIME
        )
    );
    let kinds = [
        (Kind::Member("kind".into()), "k"),
        (Kind::RoutingKey, "files.new"),
        (Kind::Constant("c".into()), "c"),
    ];
    for (kind, expected) in kinds {
        let format = Format::Plain { kind, source: Some("urn:shop".into()) };
        let event = one(&format, &raw(body)).event;
        assert_eq!((&*event.kind, &*event.source), (expected, "urn:shop"));
    }
    for (queue, uri) in [("a.b_c-1", "a.b_c-1"), ("é%\n", "%C3%A9%25%0A"), ("", "")] {
        let event = one(&plain(), &Raw { queue, ..raw(body) }).event;
        assert_eq!(event.source, format!("rabbitmq:{uri}"));
    }
}

#[test]
fn a_plain_message_without_a_type_is_refused() {
    check_refused(
        &plain(),
        r#"{"kind":"x"}"#,
        "message.missing_member",
        "the message has no type, its event's type, which this source asks for",
    );
    check_refused(&plain(), r#"{"type":null}"#, "message.missing_member", "no type");
    check_refused(&plain(), r#"{"type":7}"#, "message.bad_member", "must be a string");
    check_refused(&plain(), r#"{"type":""}"#, "event.bad_attribute", "not empty");
    check_refused(&plain_with("a"), r#"{"type":"t"}"#, "message.missing_member", "has no a,");
    let format = Format::Plain { kind: Kind::RoutingKey, source: None };
    let unrouted = Raw { routing_key: "", ..raw(b"{}") };
    let why = read(&format, &unrouted, RECEIVED).unwrap_err();
    assert!(why.to_string().contains("has no routing key,"), "{why}");
    for other in ["[]", "1", "\"x\"", "null", " [{}] "] {
        check_refused(&plain(), other, "message.not_an_object", "something else");
    }
}

#[test]
fn what_no_format_can_read_is_refused_as_what_it_is() {
    for format in [Format::Auto, Format::LambdaQueue, plain(), oslo(), Format::CloudEvents] {
        let refused = |body: &[u8], code, says| check_refused(&format, body, code, says);
        refused(b"{\"type\":\"\xff\"}", "event.not_json", "JSON must be UTF-8");
        refused(b"", "event.not_json", "the body is empty");
        refused(b"hello", "event.not_json", "this is not JSON: expected value at line 1, column 1");
        refused(b"{\"type\":", "event.not_json", "EOF");
        refused(b"\xEF\xBB\xBF{}", "event.not_json", "byte order mark");
        // A list of events is taken apart before the depth of one is looked at.
        if format != Format::CloudEvents {
            refused(&[b'['; 100_000], "event.too_deep", "deeper than 100 levels");
        }
        let deep = format!(r#"{{"a":{}"#, r#"{"a":"#.repeat(100_000));
        refused(deep.as_bytes(), "event.too_deep", "deeper than 100 levels");
    }
    let huge = format!(r#"{{"type":"t","a":"{}"}}"#, "x".repeat(limits::EVENT_BYTES));
    for format in [Format::Auto, Format::LambdaQueue, plain(), Format::CloudEvents] {
        check_refused(&format, &huge, "event.too_large", "bytes, and may have 1048576");
    }
    let huger = format!(r#"{{"oslo.message":"{}"}}"#, "x".repeat(oslo::BODY_BYTES));
    for format in [Format::Auto, oslo()] {
        check_refused(&format, &huger, "event.too_large", "bytes, and may have 2097152");
    }
}

#[test]
fn the_deepest_and_the_largest_message_still_fit_their_record() {
    let nested = |n: usize| format!(r#"{{"type":"t","a":{}{}}}"#, "[".repeat(n), "]".repeat(n));
    one(&plain(), &raw(nested(limits::JSON_DEPTH - 2).as_bytes()));
    check_refused(&plain(), nested(limits::JSON_DEPTH - 1), "event.too_deep", "deeper than");

    let filled = |n: usize| format!(r#"{{"type":"t","a":"{}"}}"#, "x".repeat(n));
    let added = one(&plain(), &raw(filled(0).as_bytes())).event.record.len();
    let room = limits::EVENT_BYTES - added;
    let largest = one(&plain(), &raw(filled(room).as_bytes()));
    assert_eq!(largest.event.record.len(), limits::EVENT_BYTES);
    check_refused(&plain(), filled(room + 1), "event.too_large", "the event's record has 1048577");
}

#[test]
fn the_format_of_a_message_shows_in_its_content_type_and_shape() {
    let record = r#"{"specversion":"1.0","id":"1","source":"S1","type":"t"}"#;
    let bare = r#"{"event_type":"a.b","publisher_id":"p","payload":{"tenant_id":"t"}}"#;
    let envelope = json!({"oslo.version": "2.0", "oslo.message": bare}).to_string();
    let cases = [
        (QUEUE, Format::LambdaQueue),
        (record, Format::CloudEvents),
        (bare, oslo()),
        (&*envelope, oslo()),
        (r#"{"type":"t","event_data":{}}"#, plain()),
        (r#"{"type":"t","payload":{}}"#, plain()),
    ];
    for (body, format) in cases {
        assert_eq!(recognise(&raw(body.as_bytes())), Ok(format.clone()), "{body}");
        let auto = read(&Format::Auto, &raw(body.as_bytes()), RECEIVED);
        assert_eq!(auto, read(&format, &raw(body.as_bytes()), RECEIVED), "{body}");
        assert!(auto.is_ok(), "{auto:?}");
    }
    // What a sender says comes before what it looks like.
    let headers = [("cloudEvents:id".to_owned(), "1".to_owned())];
    let said = Raw { headers: &headers, ..raw(QUEUE.as_bytes()) };
    assert_eq!(recognise(&said), Ok(Format::CloudEvents));
    for kind in ["application/cloudevents+json", " Application/CloudEvents-batch+json; charset=x"] {
        let said = Raw { content_type: Some(kind), ..raw(QUEUE.as_bytes()) };
        assert_eq!(recognise(&said), Ok(Format::CloudEvents));
    }
}
