//! Attacks: whatever a request holds is events or a refusal, without a panic; and what is accepted
//! keeps the promises of a record: canonical, of one meaning, no deeper than may be, and always
//! something that a pattern can be held against.
//!
//! An input reads like a request: the content type on the first line, headers as `name: value`, an
//! empty line, the body. What a mutated-input test of `wire::cloudevents` asks of its own inputs is
//! asked here of the fuzzer's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Event, limits};
use serde_json::Value;
use wire::cloudevents::{
    Defaults, Malformed, batch, binary, is_attribute_header, mode, read, structured,
};

fuzz_target!(|input: &[u8]| {
    let request = Request::parse(input);
    let Request { content_type, headers, body } = &request;
    let content_type = content_type.as_deref();
    let headers = || headers.iter().map(|(name, value)| (name.as_str(), *value));
    let defaults = Defaults { id: "id".to_owned(), time: "2026-11-24T04:50:42.123456Z".to_owned() };
    let has_attributes = headers().any(|(name, _)| is_attribute_header(name));

    let head_bytes = input.len() - body.len();
    let one = |result: Result<Event, Malformed>| result.map(|event| vec![event]);
    let by_mode = mode(content_type, has_attributes)
        .and_then(|mode| read(mode, content_type, headers(), body, &defaults));
    let results = [
        by_mode,
        one(structured(body, None)),
        one(structured(body, Some(&defaults))),
        batch(body, None),
        batch(body, Some(&defaults)),
        one(binary(headers(), content_type, body, Some(&defaults))),
    ];
    for result in results {
        check(result, head_bytes);
    }
});

struct Request<'a> {
    content_type: Option<String>,
    headers: Vec<(String, &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(input: &'a [u8]) -> Self {
        let (first, mut rest) = line(input);
        let content_type = String::from_utf8_lossy(first).into_owned();
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let (header, after) = line(rest);
            rest = after;
            if header.is_empty() {
                break;
            }
            let colon = header.iter().position(|byte| *byte == b':').unwrap_or(header.len());
            let (name, value) = header.split_at(colon);
            let value = value.strip_prefix(b":").unwrap_or_default();
            headers.push((String::from_utf8_lossy(name).into_owned(), value.trim_ascii_start()));
        }
        Self { content_type: Some(content_type).filter(|it| !it.is_empty()), headers, body: rest }
    }
}

fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// `head_bytes` are all but the body: HTTP bounds them, and only they may be repeated at length.
fn check(result: Result<Vec<Event>, Malformed>, head_bytes: usize) {
    let events = match result {
        Ok(events) => events,
        Err(why) => {
            let sentence = why.to_string();
            assert!(why.code().starts_with("event.") && !sentence.is_empty());
            // A control character of one byte has up to six when it is quoted.
            let most = 2_000 + 6 * head_bytes;
            assert!(sentence.len() < most, "{} bytes: {sentence}", sentence.len());
            return;
        }
    };
    assert!(!events.is_empty() && events.len() <= limits::EVENTS_PER_BATCH);
    for event in events {
        let record = &event.record;
        wire::json::check(record.as_bytes(), limits::JSON_DEPTH).expect("a record is JSON");
        let value: Value = serde_json::from_str(record).expect("a value holds every record");
        assert_eq!(value["specversion"], "1.0", "{record}");
        assert_eq!(value["id"], *event.id, "{record}");
        match structured(record.as_bytes(), None) {
            Ok(again) => assert_eq!(again, event),
            // What is added to a body of the largest size makes it larger.
            Err(Malformed::TooLarge { .. }) => {}
            Err(why) => panic!("a record is not taken again: {why}: {record}"),
        }
    }
}
