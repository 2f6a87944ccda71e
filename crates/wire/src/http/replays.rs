//! Replays: stored events again. One event is run again at once; those of a time are an order, which
//! the service carries out step by step.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Invocations that a replay makes in a second, unless it says otherwise: what a function of a
/// hundred milliseconds takes on ten sandboxes, with room for what arrives meanwhile.
pub const RATE_PER_S: u32 = 100;
/// The largest rate that can be asked for: more is what 0 means.
pub const RATE_PER_S_MAX: u32 = 10_000;
/// Events that a dry run shows.
pub const SAMPLE: usize = 20;

/// Run stored events again: one event, or those of a time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// One event, by our id. Without it, `from` is needed.
    pub event_id: Option<String>,
    /// Received at or after: RFC 3339, or seconds since 1970.
    pub from: Option<String>,
    /// Received before; now, if it is left out or later than now.
    pub to: Option<String>,
    /// Only events of this source.
    pub source: Option<String>,
    /// Only events of this type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only events that this pattern matches, as in a trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub pattern: Option<Box<RawValue>>,
    /// Send them to this function. Without it, to every function whose triggers match now.
    pub function: Option<String>,
    /// With `function`: only by this one of its triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Run this version of `function` instead of the latest.
    pub version: Option<u32>,
    /// With `function`: also events that none of its triggers matches.
    #[serde(default)]
    pub ignore_triggers: bool,
    /// Invocations made in a second, up to 10,000; 0 is as fast as it can. Of events of a time only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10000, default = 100)]
    pub rate_per_s: Option<u32>,
    /// Only tell what would run.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was started, or for a dry run what would be.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReplayAnswer {
    /// Null for a dry run.
    pub id: Option<String>,
    /// Events that were looked at.
    pub events: u64,
    /// Invocations that were (or would be) started.
    pub invocations: u64,
    pub dry_run: bool,
    /// Of a dry run: events that something would run for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<u64>,
    /// Of a dry run: what would run, by function and trigger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<ReplayTarget>,
    /// Of a dry run: the first 20 of the events that something would run for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample: Vec<ReplayedEvent>,
    /// Of a dry run of more events than it counts: when the last was received that it has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_to: Option<String>,
    /// Of an order: how it stands, as in `Replay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// What a dry run would start in one place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReplayTarget {
    pub function: String,
    /// Null for events that go to the function past its triggers.
    pub trigger: Option<String>,
    pub invocations: u64,
}

/// An event that a dry run would run again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReplayedEvent {
    /// Our id of it.
    pub id: String,
    pub received_at: String,
    pub source: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub invocations: u64,
}

/// An order to run the events of a time again, and how far it has come.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Replay {
    pub id: String,
    /// `running`, `done`, `cancelled` or `failed`.
    #[schema(example = "running")]
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    pub from: String,
    pub to: String,
    pub source: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub pattern: Option<Box<RawValue>>,
    pub function: Option<String>,
    pub trigger: Option<String>,
    pub version: Option<u32>,
    pub ignore_triggers: bool,
    pub rate_per_s: u32,
    pub created_at: String,
    pub ended_at: Option<String>,
    /// When the last event that it has come past was received.
    pub reached_at: Option<String>,
    /// Events that it has come past.
    pub events: u64,
    /// Those of them that something was started for.
    pub matched: u64,
    /// Invocations that it has started.
    pub invocations: u64,
    /// Always false, as in the answer about a single event.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer to what was accepted.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum ReplayAccepted {
    /// The events of a time.
    Order(Box<Replay>),
    /// A single event.
    Event(ReplayAnswer),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_by_those_who_know_the_answer_about_one_event() {
        let order = serde_json::json!({
            "id": "r", "state": "running", "reason": null, "from": "a", "to": "b",
            "source": null, "type": null, "pattern": {"type": ["t"]}, "function": null,
            "trigger": null, "version": null, "ignore_triggers": false, "rate_per_s": 100,
            "created_at": "c", "ended_at": null, "reached_at": null, "events": 3, "matched": 2,
            "invocations": 2, "dry_run": false
        });
        let text = order.to_string();
        let read: Replay = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), order);
        let answer: ReplayAnswer = serde_json::from_str(&text).unwrap();
        assert_eq!((answer.id.as_deref(), answer.events, answer.dry_run), (Some("r"), 3, false));
        assert_eq!(answer.state.as_deref(), Some("running"));
    }

    #[test]
    fn what_is_left_out_of_a_request_is_not_sent() {
        let request = ReplayRequest { from: Some("1".into()), ..ReplayRequest::default() };
        let text = serde_json::to_string(&request).unwrap();
        assert!(!text.contains("pattern") && !text.contains("rate"), "{text}");
        assert!(serde_json::from_str::<ReplayRequest>(r#"{"form": "1"}"#).is_err());
    }
}
