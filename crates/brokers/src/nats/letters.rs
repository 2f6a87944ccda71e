//! Headers: what they are to us, and what a message that nobody can read looks like where such
//! messages are kept.
//!
//! As it came, so that it can be sent again once the reader is mended: the same body and headers.
//! Added are the reason and where it was sent to. Left out is what would make the server act on it.

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use async_nats::jetstream;

use crate::Outgoing;

/// A sentence is enough.
const REASON_BYTES: usize = 2_048;
/// The server's own, which it acts on.
const ACTED_ON: &str = "nats-";
const CONTENT_TYPE: &str = "Content-Type";
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// Every value by itself, in the order of their names: the library keeps no other.
pub(super) fn flatten(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = headers
        .iter()
        .flat_map(|(name, values)| {
            values.iter().map(|value| (name.to_string(), value.as_str().to_owned()))
        })
        .collect();
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    pairs
}

pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    text(headers, CONTENT_TYPE)
}

/// The sender's own name for a message.
pub(super) fn message_id(headers: &HeaderMap) -> Option<String> {
    text(headers, MESSAGE_ID)
}

/// Names are compared as written, and senders write them in more than one way.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let meant = |it: &HeaderName| AsRef::<str>::as_ref(it).eq_ignore_ascii_case(name);
    let mut values = headers.iter().filter(|(name, _)| meant(name));
    values.find_map(|(_, values)| Some(values.first()?.as_str().to_owned()))
}

/// The headers of a message to be sent, or why it cannot have them.
pub(super) fn outgoing(message: &Outgoing) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        if name.to_ascii_lowercase().starts_with(ACTED_ON) {
            return Err(format!("the header {name:?} is for the server"));
        }
        append(&mut headers, name, value)?;
    }
    if let Some(it) = &message.content_type {
        append(&mut headers, CONTENT_TYPE, it)?;
    }
    // The server keeps one of those that come with the same id within two minutes.
    if let Some(it) = &message.message_id {
        append(&mut headers, MESSAGE_ID, it)?;
    }
    if !message.exchange.is_empty() {
        append(&mut headers, "Nats-Expected-Stream", &message.exchange)?;
    }
    Ok(headers)
}

fn append(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a header without a name is none".to_owned());
    }
    let parsed: HeaderName =
        name.parse().map_err(|error| format!("the header {name:?} is none: {error}"))?;
    let value: HeaderValue =
        value.parse().map_err(|error| format!("the value of {name:?} is none: {error}"))?;
    headers.append(parsed, value);
    Ok(())
}

/// The headers of a dead letter.
pub(super) fn letter(message: &jetstream::Message, reason: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in message.headers.as_ref().map(flatten).unwrap_or_default() {
        if !name.to_ascii_lowercase().starts_with(ACTED_ON) {
            // It was one before, so it is one.
            drop(append(&mut headers, &name, &value));
        }
    }
    let line = |text: &str| text.replace(['\r', '\n'], " ");
    let reason = line(&reason[..reason.floor_char_boundary(REASON_BYTES)]);
    let came = message.headers.as_ref().and_then(message_id).unwrap_or_default();
    let mut pairs = vec![
        ("lambent-reason", reason),
        ("lambent-subject", message.subject.to_string()),
        ("lambent-message-id", came),
    ];
    // So that a letter that is sent twice, since its answer was lost, is kept once. Not the sender's
    // own id, which only its stream knows to be one.
    if let Ok(info) = message.info() {
        let at = info.published.unix_timestamp_nanos();
        pairs.push(("lambent-stream", info.stream.to_owned()));
        pairs.push((MESSAGE_ID, format!("{}:{}:{at}", info.stream, info.stream_sequence)));
    }
    for (name, value) in pairs {
        if !value.is_empty() {
            headers.insert(name, line(&value).as_str());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: &[(&str, &str)]) -> Outgoing {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Outgoing { headers: headers.iter().map(pair).collect(), ..Outgoing::default() }
    }

    #[test]
    fn headers_are_flattened_in_the_order_of_their_names() {
        let headers = outgoing(&message(&[("b", "1"), ("a", "2"), ("b", "3")])).unwrap();
        let pairs = flatten(&headers);
        let shown: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["a=2", "b=1", "b=3"]);
    }

    #[test]
    fn a_name_is_found_however_it_is_written() {
        let headers = outgoing(&message(&[("content-TYPE", "text/plain")])).unwrap();
        assert_eq!(content_type(&headers).as_deref(), Some("text/plain"));
        assert_eq!(message_id(&headers), None);
    }

    #[test]
    fn what_is_no_header_and_what_the_server_would_act_on_is_refused() {
        for (name, value, expected) in [
            ("a b", "1", "is none"),
            ("a", "1\n2", "is none"),
            ("", "1", "is none"),
            ("Nats-Rollup", "all", "is for the server"),
        ] {
            let why = outgoing(&message(&[(name, value)])).unwrap_err();
            assert!(why.contains(expected), "{name}: {why}");
        }
    }
}
