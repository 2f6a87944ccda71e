//! Events in, and events again.

use serde::{Deserialize, Serialize};
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

/// Run stored events again: one event, or those of a time range.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// One event, by our id. Without it, `from` is needed.
    pub event_id: Option<String>,
    /// Received at or after: RFC 3339, or seconds since 1970.
    pub from: Option<String>,
    /// Received before; now, if it is left out.
    pub to: Option<String>,
    /// Only events of this source.
    pub source: Option<String>,
    /// Only events of this type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Send them to this function. Without it, to every function whose triggers match now.
    pub function: Option<String>,
    /// Run this version of `function` instead of the latest.
    pub version: Option<u32>,
    /// With `function`: also events that none of its triggers matches.
    #[serde(default)]
    pub ignore_triggers: bool,
    /// Only tell what would run.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReplayAnswer {
    /// Null for a dry run.
    pub id: Option<String>,
    /// Events of the range that were looked at.
    pub events: u64,
    /// Invocations that were (or would be) started.
    pub invocations: u64,
    pub dry_run: bool,
}
