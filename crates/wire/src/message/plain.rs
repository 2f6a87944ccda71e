//! Any JSON object: the whole of it is the data, and belongs to the source's project.
//!
//! Its type is a member's value, the routing key, or one for all; its source is configured, or
//! `rabbitmq:` and the queue's name, in which what a URI cannot hold is percent-encoded
//! (`rabbitmq:lambda%20Queue`).

use std::borrow::Cow;
use std::fmt::Write as _;

use model::{Timestamp, limits};

use super::{Kind, Malformed, Owner, Raw, Read, members};
use crate::{cloudevents, http};

const EXAMPLE: &str = r#"{"type": "file.created", "name": "a.txt"}"#;

pub(super) fn read(
    kind: &Kind,
    source: Option<&str>,
    raw: &Raw<'_>,
    received: Timestamp,
) -> Result<Read, Malformed> {
    let text = raw.text(limits::EVENT_BYTES)?;
    let name = match kind {
        Kind::Member(name) => name.as_str(),
        Kind::RoutingKey | Kind::Constant(_) => "",
    };
    let Some([member]) = members::pick(text, [name])? else {
        return Err(Malformed::NotAnObject { what: "body", example: EXAMPLE });
    };
    let missing = |name: &str| Malformed::Missing {
        format: "this source",
        names: vec![format!("{name}, its event's type")],
    };
    let kind = match kind {
        Kind::Member(name) => {
            Cow::Owned(members::string(name, member)?.ok_or_else(|| missing(name))?)
        }
        Kind::RoutingKey if raw.routing_key.is_empty() => return Err(missing("routing key")),
        Kind::RoutingKey => Cow::Borrowed(raw.routing_key),
        Kind::Constant(kind) => Cow::Borrowed(kind.as_str()),
    };
    let source = source.map_or_else(|| queue_as_uri(raw.queue), str::to_owned);
    let time = http::rfc3339(received);
    let attributes = [("id", raw.id()), ("source", &*source), ("type", &*kind), ("time", &*time)];
    Ok(Read { owner: Owner::Source, event: cloudevents::compose(&attributes, text)? })
}

fn queue_as_uri(queue: &str) -> String {
    let mut uri = String::from("rabbitmq:");
    for byte in queue.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a String takes everything");
        }
    }
    uri
}
