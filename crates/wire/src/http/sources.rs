//! Sources: what events come from by themselves, such as a queue that is read.
//!
//! `kind` says which shape `settings` has. What comes back holds no secret: where one was given,
//! `***` stands in its place, and a body that repeats what came back keeps the secret as it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::schedules::{Schedule, ScheduleState};
use super::webhooks::Webhook;

/// A queue of a RabbitMQ.
pub const RABBITMQ: &str = "rabbitmq";

/// A source as it is made, or as it is to be from now on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceBody {
    #[schema(example = "rabbitmq")]
    pub kind: String,
    /// A source that is not enabled is kept and does nothing.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// As its kind has them.
    #[schema(value_type = SourceSettings)]
    pub settings: Box<RawValue>,
}

/// A source, and how it stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Source {
    pub name: String,
    pub project: String,
    pub kind: String,
    pub enabled: bool,
    #[schema(value_type = SourceSettings)]
    pub settings: Box<RawValue>,
    pub created_at: String,
    pub updated_at: String,
    /// Of a webhook: the path to post to. One that holds a token is told where the webhook is made,
    /// and to those who ask with `reveal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "/v1/hooks/default/github")]
    pub hook_path: Option<String>,
    pub state: State,
}

/// What a source does now. Counts are those of this process since it last began with the source.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct State {
    /// `connecting`, `connected`, `failing` (and tried again by itself), or `off`.
    #[schema(example = "connected")]
    pub status: String,
    /// Since when it is so.
    pub since: Option<String>,
    /// What went wrong last, if anything has.
    pub error: Option<String>,
    pub error_at: Option<String>,
    /// Messages that came, redeliveries included.
    pub messages: u64,
    /// Events that were stored, without duplicates.
    pub events: u64,
    /// Events that had been stored before.
    pub duplicates: u64,
    /// Messages that nobody can read, or that this source may not deliver: in the dead-letter queue.
    pub refused: u64,
    /// Messages that are nobody's, or another project's notifications: acknowledged and forgotten.
    pub dropped: u64,
    /// Messages that had been delivered before, to whomever.
    pub redelivered: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Messages that wait at the broker or here, as far as the broker tells.
    pub lag: Option<u64>,
    /// Age of the oldest message that was received and is not stored yet.
    pub oldest_unprocessed_s: f64,
    /// Of a schedule alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleState>,
}

/// As the kind of the source has them.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum SourceSettings {
    RabbitMq(RabbitMq),
    Schedule(Schedule),
    Webhook(Webhook),
}

/// A queue of a RabbitMQ, and what its messages are.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RabbitMq {
    /// `amqp[s]://user:password@host:port/vhost`. Kept encrypted; shown with `***` for a password.
    #[schema(example = "amqp://lambent:***@rabbit.example:5672/%2f")]
    pub url: String,
    #[serde(default = "queue")]
    pub queue: String,
    #[serde(default)]
    pub format: Format,
    /// Of plain messages: the member that holds an event's type. Without one, `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_from: Option<String>,
    /// Of plain messages: the type of all of them.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of plain messages: the routing key is the type.
    #[serde(default)]
    pub type_from_routing_key: bool,
    /// Of plain messages: the events' source. Without one, `rabbitmq:` and the queue's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_source: Option<String>,
    #[serde(default)]
    pub projects: Projects,
    /// Of notifications: all are events of this source's project, whosesoever they are.
    #[serde(default)]
    pub whole_cloud: bool,
    /// Whether queues, exchanges and bindings that are missing are made.
    #[serde(default = "yes")]
    pub declare: bool,
    /// Of the queue, if it is made here, such as `{"x-queue-type": "quorum"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub arguments: BTreeMap<String, Argument>,
    /// Exchanges that the queue hears from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
    /// Messages that may be under way at once; each is held in memory.
    #[serde(default = "prefetch")]
    pub prefetch: u16,
    /// The queue for messages that nobody can read. Without one, the queue's name and `.dead-letters`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<String>,
    /// For `amqps`: a file on the service's machine with the certificates that sign the broker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ca_file: Option<PathBuf>,
}

/// What a queue's messages look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Told apart message by message.
    #[default]
    Auto,
    /// `{"event_data": {"type", …}, "user_name", "event_source"}`.
    LambdaQueue,
    /// Any JSON object.
    Plain,
    /// CloudEvents in structured, batched or binary mode.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// Notifications of OpenStack's services.
    Oslo,
}

/// Whose events a source may deliver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Projects {
    /// Those of its own project.
    #[default]
    Own,
    /// Those of each project that a message names. For an operator's sources.
    Any,
}

/// An exchange that a queue hears from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    pub exchange: String,
    /// How the exchange is made if there is none.
    #[serde(default, rename = "type")]
    pub kind: ExchangeType,
    #[serde(default = "yes")]
    pub durable: bool,
    #[schema(example = json!(["notifications.info"]))]
    pub routing_keys: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeType {
    Direct,
    Fanout,
    Headers,
    #[default]
    Topic,
}

/// A value of a queue's arguments.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Argument {
    Flag(bool),
    Number(i64),
    Text(String),
}

fn yes() -> bool {
    true
}

/// The queue of the original contract.
fn queue() -> String {
    "lambda Queue".into()
}

/// What an fsync is shared by: more only fills memory.
fn prefetch() -> u16 {
    256
}

impl RabbitMq {
    /// With the defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            queue: queue(),
            format: Format::default(),
            type_from: None,
            kind: None,
            type_from_routing_key: false,
            event_source: None,
            projects: Projects::default(),
            whole_cloud: false,
            declare: true,
            arguments: BTreeMap::new(),
            bindings: Vec::new(),
            prefetch: prefetch(),
            dead_letters: None,
            ca_file: None,
        }
    }
}

impl SourceBody {
    pub fn rabbitmq(settings: &RabbitMq) -> Self {
        let settings =
            serde_json::value::to_raw_value(settings).expect("strings and numbers are JSON");
        Self { kind: RABBITMQ.into(), enabled: true, settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_unknown_is_refused() {
        let read = serde_json::from_str::<RabbitMq>;
        assert_eq!(read(r#"{"url": "amqp://h"}"#).unwrap(), RabbitMq::new("amqp://h"));
        assert!(read(r#"{"url": "amqp://h", "prefetsch": 1}"#).is_err());
        let body: SourceBody =
            serde_json::from_str(r#"{"kind": "rabbitmq", "settings": {"url": "amqp://h"}}"#)
                .unwrap();
        assert!(body.enabled);
    }

    #[test]
    fn settings_survive_being_written_and_read() {
        let mut settings = RabbitMq::new("amqps://h");
        settings.format = Format::CloudEvents;
        settings.arguments.insert("x-queue-type".into(), Argument::Text("quorum".into()));
        settings.arguments.insert("x-max-length".into(), Argument::Number(7));
        settings.bindings.push(Binding {
            exchange: "nova".into(),
            kind: ExchangeType::Topic,
            durable: false,
            routing_keys: vec!["notifications.info".into()],
        });
        let text = serde_json::to_string(&settings).unwrap();
        assert!(text.contains(r#""format":"cloudevents""#), "{text}");
        assert_eq!(serde_json::from_str::<RabbitMq>(&text).unwrap(), settings);
    }
}
