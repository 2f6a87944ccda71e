//! Schedules: sources whose events are the ticks of a clock.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use super::sources::SourceBody;

/// A schedule.
pub const SCHEDULE: &str = "schedule";

/// When events come by themselves, and what they are.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// `rate(5 minutes)`, `cron(0 2 * * ? *)`, `at(2026-12-24T18:00:00)`, or the five fields of Unix
    /// cron.
    #[schema(example = "rate(5 minutes)")]
    pub schedule: String,
    /// The IANA name of the zone that cron's fields and `at` are times of. Without one, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/Berlin")]
    pub time_zone: Option<String>,
    #[serde(default)]
    pub event: ScheduledEvent,
    #[serde(default)]
    pub overlap: Overlap,
    #[serde(default)]
    pub catch_up: CatchUp,
}

/// The event of a tick. Its source is `schedule:` and the source's name, its time the tick's.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduledEvent {
    #[serde(default = "kind", rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Box<RawValue>>,
}

/// What becomes of a tick while an invocation of an earlier one is unfinished.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It fires all the same.
    #[default]
    Allow,
    /// It is left out.
    Skip,
}

/// What becomes of ticks that nobody was there to fire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last of them fires, unless the next is due, too.
    #[default]
    Last,
    /// The last hundred of them fire.
    All,
}

/// How a schedule stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ScheduleState {
    /// The last tick that fired or was left out.
    pub last_tick: Option<String>,
    /// None if no tick is to come.
    pub next_tick: Option<String>,
    /// Ticks that were left out since the schedule was made, because of `overlap` or `catch_up`.
    pub skipped: u64,
}

fn kind() -> String {
    "lambent.schedule".into()
}

impl Default for ScheduledEvent {
    fn default() -> Self {
        Self { kind: kind(), data: None }
    }
}

impl Schedule {
    /// With the defaults.
    pub fn new(schedule: impl Into<String>) -> Self {
        Self {
            schedule: schedule.into(),
            time_zone: None,
            event: ScheduledEvent::default(),
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
        }
    }
}

impl SourceBody {
    pub fn schedule(settings: &Schedule) -> Self {
        let settings = to_raw_value(settings).expect("strings and JSON are JSON");
        Self { kind: SCHEDULE.into(), enabled: true, settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default_and_data_keeps_its_digits() {
        let read = serde_json::from_str::<Schedule>;
        let plain = read(r#"{"schedule": "rate(1 hour)"}"#).unwrap();
        assert_eq!((plain.overlap, plain.catch_up), (Overlap::Allow, CatchUp::Last));
        assert_eq!(plain.event.kind, "lambent.schedule");
        let text = r#"{"schedule":"* * * * *","time_zone":"UTC","event":{"type":"t","data":{"b":1.0,"a":1e999}},"overlap":"skip","catch_up":"none"}"#;
        assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        assert!(read(r#"{"schedule": "rate(1 hour)", "zone": "UTC"}"#).is_err());
    }
}
