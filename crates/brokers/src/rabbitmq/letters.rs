//! Dead letters: what a message that nobody can read looks like in the queue for such messages.
//!
//! As it came, so that it can be sent again once the reader is mended: the same body, id, type and
//! headers. Added are the reason and where it was sent to. Left out is what would make the broker
//! act on it: an expiry, a user that is not us, and the copies of a sender who names more queues.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use super::outlet::PERSISTENT;

/// A sentence is enough, and all headers have to fit into one frame of 128 KiB.
const REASON_BYTES: usize = 2_048;
/// Headers beyond this are left out, since with ours they might no longer fit. Measured as they are
/// shown, which is longer than as they are sent.
const HEADERS_BYTES: usize = 100_000;

const REASON: &str = "lambent-reason";
const QUEUE: &str = "lambent-queue";
const EXCHANGE: &str = "lambent-exchange";
const ROUTING_KEY: &str = "lambent-routing-key";
/// Headers in which RabbitMQ reads further routing keys.
const COPIES: [&str; 2] = ["CC", "BCC"];

/// Where a message came from.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
}

/// The properties of the dead letter.
pub(super) fn properties(origin: &Origin, queue: &str, reason: &str) -> BasicProperties {
    let came = &origin.properties;
    let mut headers = FieldTable::default();
    if let Some(came) = came.headers()
        && format!("{came:?}").len() <= HEADERS_BYTES
    {
        for (name, value) in came {
            if !COPIES.contains(&name.as_str()) {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
    let mut reason_end = reason.len().min(REASON_BYTES);
    while !reason.is_char_boundary(reason_end) {
        reason_end -= 1;
    }
    for (name, value) in [
        (REASON, &reason[..reason_end]),
        (QUEUE, queue),
        (EXCHANGE, origin.exchange.as_str()),
        (ROUTING_KEY, origin.routing_key.as_str()),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(LongString::from(value.as_bytes())));
    }
    let mut letter =
        BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    if let Some(it) = came.content_type() {
        letter = letter.with_content_type(it.clone());
    }
    if let Some(it) = came.content_encoding() {
        letter = letter.with_content_encoding(it.clone());
    }
    if let Some(it) = came.correlation_id() {
        letter = letter.with_correlation_id(it.clone());
    }
    if let Some(it) = came.reply_to() {
        letter = letter.with_reply_to(it.clone());
    }
    if let Some(it) = came.message_id() {
        letter = letter.with_message_id(it.clone());
    }
    if let Some(it) = came.timestamp() {
        letter = letter.with_timestamp(*it);
    }
    if let Some(it) = came.kind() {
        letter = letter.with_type(it.clone());
    }
    if let Some(it) = came.app_id() {
        letter = letter.with_app_id(it.clone());
    }
    letter
}

#[cfg(test)]
mod tests {
    use super::super::headers::{flatten, table};
    use super::*;

    fn letter(headers: &[(&str, &str)], reason: &str) -> BasicProperties {
        let pairs: Vec<_> = headers.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let properties = BasicProperties::default()
            .with_headers(table(&pairs).unwrap())
            .with_message_id("m-1".into())
            .with_expiration("1000".into())
            .with_user_id("somebody".into());
        let origin = Origin { exchange: "nova".into(), routing_key: "info".into(), properties };
        super::properties(&origin, "q", reason)
    }

    fn shown(letter: &BasicProperties) -> Vec<String> {
        let headers = flatten(letter.headers().as_ref().unwrap());
        headers.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_letter_says_why_and_whence_and_is_not_acted_upon() {
        let letter = letter(&[("CC", "elsewhere"), ("a", "1")], "no JSON");
        assert_eq!(
            shown(&letter),
            [
                "a=1",
                "lambent-exchange=nova",
                "lambent-queue=q",
                "lambent-reason=no JSON",
                "lambent-routing-key=info",
            ]
        );
        assert_eq!(letter.message_id().as_ref().unwrap().as_str(), "m-1");
        assert_eq!((letter.expiration(), letter.user_id()), (&None, &None));
        assert_eq!(*letter.delivery_mode(), Some(PERSISTENT));
    }

    #[test]
    fn what_would_not_fit_into_a_frame_is_cut() {
        let letter = letter(&[("a", &"x".repeat(120_000))], &"é".repeat(2_000));
        let headers = shown(&letter);
        assert_eq!(headers.len(), 4, "{headers:?}");
        assert_eq!(headers[2], format!("lambent-reason={}", "é".repeat(1_024)));
    }
}
