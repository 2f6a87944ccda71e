//! Destinations: where what became of a function's events and asynchronous calls is sent to.
//!
//! What comes back holds no secret: `***` stands in its place, and a body that repeats what came back
//! keeps the secret as it is.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Of one function, whatever its version.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Destinations {
    /// Told of every event that succeeded.
    #[serde(default)]
    pub on_success: Option<Destination>,
    /// Told of every event that became a dead letter.
    #[serde(default)]
    pub on_failure: Option<Destination>,
}

/// One of them. `kind` says which.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Destination {
    Function(ToFunction),
    RabbitMq(ToRabbitMq),
    Http(ToHttp),
}

/// Another function of the project.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToFunction {
    #[schema(example = "next")]
    pub function: String,
}

/// An exchange of a RabbitMQ. It must exist.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToRabbitMq {
    /// `amqp[s]://user:password@host:port/vhost`. Kept encrypted; shown with `***` for a password.
    #[schema(example = "amqp://lambent:***@rabbit.example:5672/%2f")]
    pub url: String,
    /// Without one, the exchange in which every queue is known by its name.
    #[serde(default)]
    pub exchange: String,
    #[serde(default)]
    pub routing_key: String,
}

/// An endpoint that takes signed requests, as Standard Webhooks has them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToHttp {
    #[schema(example = "https://hooks.example/lambent")]
    pub url: String,
    /// `whsec_` and 24 to 64 random bytes in base64. Kept encrypted; shown as `***`.
    #[schema(example = "***")]
    pub secret: String,
}

/// Something that goes out because an invocation ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: String,
    /// `destination`, or `effect`: the handler asked for it.
    pub purpose: String,
    /// `function`, `rabbitmq`, `http`; or `events`: to whatever has a trigger for it.
    pub kind: String,
    /// Of its destination, without secrets; of an effect, the event's type, source and id.
    #[schema(value_type = Object)]
    pub target: Box<RawValue>,
    /// `waiting`, `sent` or `gave_up`.
    #[schema(example = "sent")]
    pub status: String,
    /// Tries begun.
    pub tries: u32,
    pub bytes: u64,
    pub created_at: String,
    /// When it is tried next, while it waits.
    pub due_at: Option<String>,
    pub ended_at: Option<String>,
    /// Why the last try that ended failed.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_told_by_its_kind_and_takes_nothing_else() {
        let read = serde_json::from_str::<Destinations>;
        let set = read(
            r#"{"on_success": {"kind": "function", "function": "next"},
                "on_failure": {"kind": "rabbitmq", "url": "amqp://h", "exchange": "x"}}"#,
        )
        .unwrap();
        let next = Destination::Function(ToFunction { function: "next".into() });
        assert_eq!(set.on_success, Some(next));
        let written = serde_json::to_string(&set).unwrap();
        assert_eq!(read(&written).unwrap(), set);
        for bad in [
            r#"{"on_sucess": null}"#,
            r#"{"on_success": {"kind": "mail", "to": "x"}}"#,
            r#"{"on_success": {"kind": "function", "function": "f", "version": 1}}"#,
            r#"{"on_success": {"kind": "http", "url": "http://h"}}"#,
            r#"{"on_success": {"function": "f"}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
