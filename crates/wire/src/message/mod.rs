//! A broker's message becomes events: which event it is, and whose.
//!
//! A consumer takes a message off its queue, fills in a [`Raw`], and [`read`] gives the events that
//! it holds, each with its [`Owner`], or says why there are none. Five [`Format`]s are known; all
//! of them end as the canonical record of `crate::cloudevents`. Pure: nothing here talks to a
//! broker, acknowledges, stores, or knows which projects exist.
//!
//! Whoever may publish to a queue speaks for every project that its messages name. Whether a
//! source is trusted that far is for its configuration to say, before this module is asked.
//!
//! An event's id is its key against doubles, so where it comes from matters. A message that names
//! itself (`message_id`, or the id in its format) is one event however often it is sent. One that
//! does not gets [`Raw::fallback_id`], which is new for every delivery: two equal bodies may well be
//! two things that happened, and to lose one of them is worse than to run one twice when a broker
//! delivers it again.

mod lambda_queue;
mod malformed;
mod members;
mod oslo;
mod owner;
mod plain;
mod secrets;
#[cfg(test)]
mod tests;

use model::{Event, Timestamp, limits};

use crate::{cloudevents, http, json};
pub use malformed::Malformed;
pub use owner::Owner;

/// A message, as far as its meaning goes.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    pub body: &'a [u8],
    pub content_type: Option<&'a str>,
    /// Application properties, as text.
    pub headers: &'a [(String, String)],
    /// The sender's name for the message. An empty one is none.
    pub message_id: Option<&'a str>,
    /// An id that no other delivery ever has: for a message that does not name itself.
    pub fallback_id: &'a str,
    /// Where it was taken from.
    pub queue: &'a str,
    pub routing_key: &'a str,
}

/// What a queue's messages look like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Told apart by content type and shape, message by message.
    #[default]
    Auto,
    /// `{"event_data": {"type", …}, "user_name", "event_source"}`.
    LambdaQueue,
    /// Any JSON object.
    Plain {
        kind: Kind,
        /// What every event of this queue has as its source; else `rabbitmq:` and the queue's name.
        source: Option<String>,
    },
    /// CloudEvents 1.0 in structured, batched or binary mode.
    CloudEvents,
    /// Notifications of OpenStack's services.
    Oslo { projects: Projects },
}

/// Where a plain message's type comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The value of this member.
    Member(String),
    RoutingKey,
    /// Every message is of this type.
    Constant(String),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Member("type".into())
    }
}

/// Whose the notifications of a cloud are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Projects {
    /// Each belongs to the project in its payload, which is called by its Keystone id. One that
    /// names no project is nobody's.
    #[default]
    Owners,
    /// All belong to the source's own project: an operator's, who may see everything.
    Source,
}

/// One event of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    pub owner: Owner,
    pub event: Event,
}

/// The events of a message. `received` is their time, if they do not say when they happened.
/// Nothing of a batch is accepted if one of it is not.
pub fn read(format: &Format, raw: &Raw<'_>, received: Timestamp) -> Result<Vec<Read>, Malformed> {
    let one = |read: Read| vec![read];
    match format {
        Format::Auto => read(&recognise(raw)?, raw, received),
        Format::LambdaQueue => lambda_queue::read(raw, received).map(one),
        Format::Plain { kind, source } => {
            plain::read(kind, source.as_deref(), raw, received).map(one)
        }
        Format::CloudEvents => cloud_events(raw, received),
        Format::Oslo { projects } => oslo::read(*projects, raw, received).map(one),
    }
}

/// Which format a message has. A notification without an envelope is one, too: taken for a plain
/// message, it would be stored with the tokens that it carries.
fn recognise(raw: &Raw<'_>) -> Result<Format, Malformed> {
    let content_type = raw.content_type.unwrap_or_default().trim_start();
    let says_so = content_type.get(..CLOUDEVENTS.len());
    if says_so.is_some_and(|start| start.eq_ignore_ascii_case(CLOUDEVENTS))
        || raw.headers.iter().any(|(name, _)| cloudevents::is_amqp_attribute(name))
    {
        return Ok(Format::CloudEvents);
    }
    let text = raw.text(oslo::BODY_BYTES)?;
    let plain = Format::Plain { kind: Kind::default(), source: None };
    let names = [
        "oslo.message",
        "event_type",
        "publisher_id",
        "payload",
        "specversion",
        "event_data",
        "event_source",
    ];
    let Some(found) = members::pick(text, names)? else { return Ok(plain) };
    Ok(match found.map(|member| member.is_some()) {
        [true, ..] | [_, true, true, true, ..] => Format::Oslo { projects: Projects::default() },
        [.., true, _, _] => Format::CloudEvents,
        [.., true, true] => Format::LambdaQueue,
        _ => plain,
    })
}

const CLOUDEVENTS: &str = "application/cloudevents";

/// A message that says it is a CloudEvent is held to the specification; JSON without a word about
/// it is given an id and a time where it has none.
fn cloud_events(raw: &Raw<'_>, received: Timestamp) -> Result<Vec<Read>, Malformed> {
    use cloudevents::{Defaults, Mode};
    let properties = || raw.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let has = properties().any(|(name, _)| cloudevents::is_amqp_attribute(name));
    let events = match cloudevents::mode(raw.content_type, has)? {
        Mode::Binary => vec![cloudevents::binary_amqp(properties(), raw.content_type, raw.body)?],
        mode => {
            let defaults = Defaults { id: raw.id().to_owned(), time: http::rfc3339(received) };
            cloudevents::read(mode, raw.content_type, [], raw.body, &defaults)?
        }
    };
    Ok(events.into_iter().map(|event| Read { owner: Owner::Source, event }).collect())
}

impl<'a> Raw<'a> {
    /// The event's id, if its format has none of its own.
    fn id(&self) -> &'a str {
        self.message_id.filter(|id| !id.is_empty()).unwrap_or(self.fallback_id)
    }

    /// The body, if it is JSON of a size and depth that we take.
    fn text(&self, most: usize) -> Result<&'a str, Malformed> {
        let bytes = self.body.len();
        if bytes > most {
            return Err(cloudevents::Malformed::TooLarge { what: "body", bytes, most }.into());
        }
        let text = json::text(self.body, limits::JSON_DEPTH);
        Ok(text.map_err(cloudevents::Malformed::from)?.trim_ascii())
    }
}
