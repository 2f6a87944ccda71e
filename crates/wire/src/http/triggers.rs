//! Triggers: which events a function wants, and how it gets them.

use std::time::Duration;

use model::Delivery;
use model::name::Invalid;
use model::transform::{Path, Transform};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rfc3339;

/// The rule that sends matching events to a function. Only the pattern must be there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerBody {
    /// EventBridge's pattern rules over the CloudEvents record.
    #[schema(value_type = Object, example = json!({"type": ["file.created"], "source": ["S1"]}))]
    pub pattern: Box<serde_json::value::RawValue>,
    /// What the handler gets instead of the record: `{"path": …}`, `{"constant": …}`, or
    /// `{"paths": …, "template": …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub transform: Option<serde_json::Value>,
    /// Several events for one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// Where in the record its ordering key is: events with equal keys run one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "$.data.user")]
    pub ordering_key: Option<String>,
}

/// How events are put together for one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Events of one attempt, 1 to 1,000.
    #[serde(default = "Batch::default_size")]
    pub size: u32,
    /// Seconds that the first may wait for company, 0 to 300.
    #[serde(default)]
    pub window_s: f64,
    /// Whether the handler tells in `batchItemFailures` which of them failed.
    #[serde(default)]
    pub partial_responses: bool,
    /// Whether a batch that failed is tried again in halves.
    #[serde(default)]
    pub bisect: bool,
}

impl TriggerBody {
    /// Each event by itself, whole.
    pub fn plain(pattern: Box<serde_json::value::RawValue>) -> Self {
        Self { pattern, transform: None, batch: None, ordering_key: None }
    }

    /// All but the pattern, compiled and checked.
    pub fn delivery(&self) -> Result<Delivery, Invalid> {
        let ordering_key = self.ordering_key.as_deref().map(Path::parse).transpose();
        let delivery = Delivery {
            transform: self.transform.as_ref().map(Transform::compile).transpose()?,
            batch: self.batch.as_ref().map(Batch::checked).transpose()?,
            ordering_key: ordering_key.map_err(|it| Invalid { field: "ordering_key", ..it })?,
        };
        delivery.check()?;
        Ok(delivery)
    }
}

impl Batch {
    /// The size where none is given: AWS's for a queue.
    pub const SIZE: u32 = 10;

    fn default_size() -> u32 {
        Self::SIZE
    }

    fn checked(&self) -> Result<model::delivery::Batch, Invalid> {
        let Self { size, window_s, partial_responses, bisect } = *self;
        let window = Duration::try_from_secs_f64(window_s).map_err(|_out_of_range| {
            let most = model::limits::BATCH_WINDOW_MAX.as_secs();
            Invalid::new("batch.window_s", window_s, format!("it must be 0 to {most} seconds"))
        })?;
        Ok(model::delivery::Batch { size, window, partial_responses, bisect })
    }
}

impl From<&model::delivery::Batch> for Batch {
    fn from(it: &model::delivery::Batch) -> Self {
        let window_s = it.window.as_secs_f64();
        let model::delivery::Batch { size, partial_responses, bisect, .. } = *it;
        Self { size, window_s, partial_responses, bisect }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Trigger {
    pub name: String,
    pub function: String,
    #[schema(value_type = Object)]
    pub pattern: Box<serde_json::value::RawValue>,
    #[schema(value_type = Option<Object>)]
    pub transform: Option<serde_json::Value>,
    pub batch: Option<Batch>,
    pub ordering_key: Option<String>,
    pub created_at: String,
}

impl Trigger {
    pub fn new(function: &model::FunctionName, trigger: &model::function::Trigger) -> Self {
        let Delivery { transform, batch, ordering_key } = &trigger.delivery;
        Self {
            name: trigger.name.to_string(),
            function: function.to_string(),
            pattern: serde_json::value::RawValue::from_string(trigger.pattern.to_string())
                .expect("a pattern prints as the JSON object that it is"),
            transform: transform.as_ref().map(Transform::to_value),
            batch: batch.as_ref().map(Into::into),
            ordering_key: ordering_key.as_ref().map(ToString::to_string),
            created_at: rfc3339(trigger.created_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(body: &str) -> Result<Delivery, String> {
        let body: TriggerBody = serde_json::from_str(body).map_err(|error| error.to_string())?;
        body.delivery().map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn a_trigger_says_how_its_events_are_handed_over_and_may_say_nothing() {
        assert_eq!(delivery(r#"{"pattern":{}}"#), Ok(Delivery::default()));
        let full = delivery(
            r#"{"pattern":{}, "transform":{"path":"$.data"}, "ordering_key":"$.data.user",
                "batch":{"size":20,"window_s":1.5,"partial_responses":true,"bisect":true}}"#,
        )
        .unwrap();
        let window = Duration::from_millis(1_500);
        let batch =
            model::delivery::Batch { size: 20, window, partial_responses: true, bisect: true };
        assert_eq!(full.batch, Some(batch));
        assert_eq!(Batch::from(&batch).checked(), Ok(batch), "it is shown as it was set");
        assert_eq!(full.transform.unwrap().to_value(), serde_json::json!({"path": "$.data"}));
        assert_eq!(full.ordering_key.unwrap().to_string(), "$.data.user");
        let least = delivery(r#"{"pattern":{},"batch":{}}"#).unwrap().batch.unwrap();
        assert_eq!((least.size, least.window, least.bisect), (10, Duration::ZERO, false));
    }

    #[test]
    fn what_a_trigger_cannot_do_is_refused_with_the_member_named() {
        for (member, why) in [
            (r#""batch":{"sise":1}"#, "unknown field `sise`"),
            (r#""batsch":{}"#, "unknown field `batsch`"),
            (r#""batch":{"size":0}"#, "batch.size \"0\" is not valid"),
            (r#""batch":{"window_s":-1}"#, "batch.window_s \"-1\" is not valid"),
            (r#""batch":{"window_s":301}"#, "batch.window_s \"301\" is not valid"),
            (r#""batch":{"window_s":1e300}"#, "batch.window_s"),
            (r#""ordering_key":"data.user""#, "ordering_key \"data.user\" is not valid"),
            (r#""ordering_key":"$.data[*]""#, "[*] gives a list"),
            (r#""transform":{"template":"<a>"}"#, "is not valid"),
        ] {
            let told = delivery(&format!(r#"{{"pattern":{{}},{member}}}"#)).unwrap_err();
            assert!(told.contains(why), "{member}: {told}");
        }
    }
}
