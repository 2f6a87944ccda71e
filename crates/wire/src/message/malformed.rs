//! Why a message was not accepted: a stable code for scripts, a sentence for people.

use model::Invalid;

use crate::cloudevents;
use crate::json::NotJson;

/// Why a message holds no event that can be accepted. It will not get better by being read again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// What is wrong with any event, wherever it comes from: size, JSON, attributes.
    #[error(transparent)]
    Event(#[from] cloudevents::Malformed),
    #[error("the message's {what} must be a JSON object such as {example}, and is something else")]
    NotAnObject { what: &'static str, example: &'static str },
    #[error("the message has no {}, which {format} asks for", names.join(" and no "))]
    Missing { format: &'static str, names: Vec<String> },
    #[error("the message's {name} is not valid: {why}")]
    Member { name: String, why: String },
    #[error("the message's {name} names no project: {why}")]
    Project { name: String, why: Invalid },
    #[error(
        "the message's oslo.version is {found:?}, and only 2.x is spoken here: read this queue \
         with another format"
    )]
    OsloVersion { found: String },
    #[error("the text in the message's oslo.message cannot be read: {why}")]
    OsloMessage { why: NotJson },
}

impl Malformed {
    /// Stable: what a script tests, and what the reference lists.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Event(why) => why.code(),
            Self::NotAnObject { .. } => "message.not_an_object",
            Self::Missing { .. } => "message.missing_member",
            Self::Member { .. } => "message.bad_member",
            Self::Project { .. } => "message.bad_project",
            Self::OsloVersion { .. } => "message.oslo_version",
            Self::OsloMessage { .. } => "message.oslo_message",
        }
    }
}

impl From<NotJson> for Malformed {
    fn from(why: NotJson) -> Self {
        Self::Event(why.into())
    }
}
