//! Headers: what they are to us. Kafka's are bytes under names that may repeat.

use rdkafka::message::{Header, Headers, OwnedHeaders};

use super::book::Place;
use crate::Outgoing;

/// A sentence is enough.
const REASON_BYTES: usize = 2_048;
pub(super) const CONTENT_TYPE: &str = "content-type";
pub(super) const MESSAGE_ID: &str = "message-id";

/// Those that are text, in their order.
pub(super) fn flatten(headers: Option<&impl Headers>) -> Vec<(String, String)> {
    let text = |header: Header<'_, &[u8]>| {
        let value = std::str::from_utf8(header.value?).ok()?;
        Some((header.key.to_owned(), value.to_owned()))
    };
    headers.into_iter().flat_map(Headers::iter).filter_map(text).collect()
}

/// However the sender writes its name.
pub(super) fn find(headers: &[(String, String)], name: &str) -> Option<String> {
    let found = headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone())
}

pub(super) fn outgoing(message: &Outgoing) -> OwnedHeaders {
    let given = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let content_type = message.content_type.as_deref().map(|it| (CONTENT_TYPE, it));
    let message_id = message.message_id.as_deref().map(|it| (MESSAGE_ID, it));
    given.chain(content_type).chain(message_id).fold(OwnedHeaders::new(), insert)
}

/// Those of a dead letter: all that it had, bytes included, and why and whence.
pub(super) fn letter(
    came: Option<&OwnedHeaders>,
    topic: &str,
    place: Place,
    reason: &str,
) -> OwnedHeaders {
    let place = format!("{}:{}", place.partition, place.offset);
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
    let ours = [("lambent-reason", reason), ("lambent-topic", topic), ("lambent-offset", &place)];
    ours.into_iter().fold(came.cloned().unwrap_or_default(), insert)
}

fn insert(headers: OwnedHeaders, (key, value): (&str, &str)) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_order_and_their_repetitions() {
        let message = Outgoing {
            headers: [("b", "1"), ("a", "2"), ("b", "3")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            content_type: Some("text/plain".to_owned()),
            message_id: Some("m-1".to_owned()),
            ..Outgoing::default()
        };
        let headers = outgoing(&message);
        let bytes = headers.insert(Header { key: "bytes", value: Some(&[0xff_u8][..]) });
        let letter = letter(Some(&bytes), "orders", Place { partition: 1, offset: 2 }, "no JSON");
        assert_eq!(letter.iter().count(), 9);
        let pairs = flatten(Some(&letter));
        let shown: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "b=1",
            "a=2",
            "b=3",
            "content-type=text/plain",
            "message-id=m-1",
            "lambent-reason=no JSON",
            "lambent-topic=orders",
            "lambent-offset=1:2",
        ];
        assert_eq!(shown, expected);
        assert_eq!(find(&pairs, "Content-Type").as_deref(), Some("text/plain"));
        assert_eq!(find(&pairs, "bytes"), None);
    }
}
