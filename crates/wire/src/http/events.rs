//! Events in.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The answer to an event: it is stored, and these triggers matched it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventAccepted {
    /// Our id of the event; of the earlier one if this is a duplicate.
    pub id: String,
    /// An event with the same source and id was accepted within the last 24 hours: nothing new
    /// was started.
    pub duplicate: bool,
    pub triggers: Vec<Matched>,
}

/// A trigger that an event matched.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Matched {
    pub function: String,
    pub trigger: Option<String>,
    pub invocation_id: String,
}

/// The answer to a batch, in its order.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BatchAccepted {
    pub events: Vec<EventAccepted>,
}

/// What an event would do if it were sent: nothing was stored, and nothing runs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventTested {
    /// The CloudEvents record, as patterns and functions would see it.
    #[schema(value_type = Value)]
    pub event: Box<RawValue>,
    /// The project's triggers: those that match first, then the others, each by function and name.
    pub triggers: Vec<TriggerTested>,
    /// Triggers that are not listed, since the list is as long as it may be.
    pub left_out: u64,
}

/// A trigger that an event was held against.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TriggerTested {
    pub function: String,
    pub trigger: String,
    pub matched: bool,
    /// If it did not match: the first clause of its pattern that did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<StoppedBy>,
}

/// One clause of a pattern that an event does not satisfy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoppedBy {
    /// Where in the event, such as `data.items[2].size`; empty for the event as a whole.
    pub path: String,
    /// What the pattern has there, as JSON or in words.
    pub expected: String,
    /// What the event has there; of a long value its beginning, as text. Left out where the event
    /// has no such field, and where several things were tried: then `why` names them.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub actual: Option<Value>,
    /// All of it in a sentence.
    pub why: String,
}

/// The answer for a batch, in its order.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BatchTested {
    pub events: Vec<EventTested>,
}

/// A null that is there is a value, and not the same as none.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}
