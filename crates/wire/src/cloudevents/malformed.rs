//! Why an event was not accepted: a stable code for scripts, a sentence for people.

use crate::json::NotJson;

/// Why a request holds no event that can be accepted. Nothing of it was kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error(
        "Content-Type {content_type} is a format of CloudEvents that is not spoken here: send \
         application/cloudevents+json, application/cloudevents-batch+json, or ce- headers"
    )]
    Format { content_type: String },
    #[error(transparent)]
    NotJson(NotJson),
    #[error(transparent)]
    TooDeep(NotJson),
    #[error(
        "an event is a JSON object such as {{\"type\": \"file.created\", \"source\": \"S1\"}}, and \
         this is something else (a list of events has the Content-Type \
         application/cloudevents-batch+json)"
    )]
    NotAnObject,
    #[error("a batch is a JSON list of events, and this is something else")]
    NotAList,
    #[error("the event's {what} has {bytes} bytes, and may have {most}")]
    TooLarge { what: &'static str, bytes: usize, most: usize },
    #[error("the event has no {}, which CloudEvents 1.0 requires", names.join(" and no "))]
    Missing { names: Vec<&'static str> },
    #[error("the event's attribute {name:?} is not valid: {why}")]
    Attribute { name: String, why: String },
    #[error(
        "the event has more than {most} extension attributes: send what belongs together in data"
    )]
    TooManyAttributes { most: usize },
    #[error("the event has {name:?} twice, and nothing says which one counts")]
    Duplicate { name: String },
    #[error("the event's specversion is {found}, and only \"1.0\" is spoken here")]
    SpecVersion { found: String },
    #[error("the event's data is not valid: {why}")]
    Data { why: String },
    #[error("the batch is empty: there is nothing to accept")]
    BatchEmpty,
    #[error("the batch has more than {most} events: send it in parts")]
    BatchTooLong { most: usize },
    #[error("event {index} of the batch (counted from 0): {why}")]
    InBatch { index: usize, why: Box<Malformed> },
}

impl Malformed {
    /// Stable: what a script tests, and what the reference lists.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format { .. } => "event.unsupported_format",
            Self::NotJson(_) => "event.not_json",
            Self::TooDeep(_) => "event.too_deep",
            Self::NotAnObject => "event.not_an_object",
            Self::NotAList => "event.not_a_list",
            Self::TooLarge { .. } => "event.too_large",
            Self::Missing { .. } => "event.missing_attribute",
            Self::Attribute { .. } => "event.bad_attribute",
            Self::TooManyAttributes { .. } => "event.too_many_attributes",
            Self::Duplicate { .. } => "event.duplicate_member",
            Self::SpecVersion { .. } => "event.specversion",
            Self::Data { .. } => "event.bad_data",
            Self::BatchEmpty => "event.batch_empty",
            Self::BatchTooLong { .. } => "event.batch_too_long",
            Self::InBatch { why, .. } => why.code(),
        }
    }

    /// Which event of a batch it is, from 0.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::InBatch { index, .. } => Some(*index),
            _ => None,
        }
    }
}
