//! A schedule's settings: from the API's shape to what is kept, and from that to a plan and the event
//! of a tick.

use std::time::Duration;

use model::event::attribute;
use model::{Event, Invalid, SourceId, SourceName, Timestamp, limits};
use serde::Serialize;
use serde_json::value::RawValue;
use wire::cloudevents;
use wire::http::problem::{Code, Problem};
use wire::http::rfc3339;
use wire::http::schedules::{Schedule, ScheduledEvent};

use super::Plan;

/// A tick's data is stored with every tick.
const DATA_BYTES: usize = 64 * 1024;

/// Checks what somebody put, and answers what is kept. `earlier` is what is kept now.
pub(in crate::sources) fn check(
    settings: &RawValue,
    name: &SourceName,
    now: Timestamp,
    earlier: Option<&str>,
) -> Result<String, Problem> {
    let settings: Schedule = serde_json::from_str(settings.get()).map_err(|error| {
        let detail = format!("the settings of a schedule cannot be read: {error}");
        Problem::new(Code::InvalidValue, detail).field("settings")
    })?;
    let schedule = parse(&settings)?;
    attribute("type", &settings.event.kind, limits::KEY_BYTES)
        .map_err(|why| Problem::from(why).field("settings.event.type"))?;
    let bytes = settings.event.data.as_ref().map_or(0, |data| data.get().len());
    if bytes > DATA_BYTES {
        let detail = format!("the data of a tick has {bytes} bytes, and may have {DATA_BYTES}");
        return Err(Problem::new(Code::InvalidValue, detail).field("settings.event.data"));
    }
    // An event as the ticks will have it: what is wrong with it is said now, not at night.
    let id = SourceId::from_bytes([0; 16]);
    event(&settings.event, id, name, now, Duration::ZERO).map_err(|why| {
        let detail = format!("the event of a tick would not be valid: {why}");
        Problem::new(Code::InvalidValue, detail).field("settings.event")
    })?;
    let kept = serde_json::to_string(&settings).expect("strings and JSON are JSON");
    if earlier != Some(kept.as_str()) && schedule.next_after(now).is_none() {
        let why = "its last moment has passed: it would never fire";
        return Err(Invalid::new("settings.schedule", &settings.schedule, why).into());
    }
    Ok(kept)
}

fn parse(settings: &Schedule) -> Result<model::Schedule, Invalid> {
    let parsed = model::Schedule::parse(&settings.schedule, settings.time_zone.as_deref());
    parsed.map_err(|why| match why.field {
        "zone" => Invalid { field: "settings.time_zone", ..why },
        _ => Invalid { field: "settings.schedule", ..why },
    })
}

/// The plan of a stored source, and what its ticks are.
pub(super) fn open(source: &store::Source) -> Result<(Plan, ScheduledEvent), String> {
    let settings: Schedule =
        serde_json::from_str(&source.settings).map_err(|error| error.to_string())?;
    let schedule = parse(&settings).map_err(|why| why.to_string())?;
    let plan = Plan {
        schedule: schedule.anchored_at(source.created_at),
        catch_up: settings.catch_up,
        overlap: settings.overlap,
        since: source.updated_at,
    };
    Ok((plan, settings.event))
}

#[derive(Serialize)]
struct Record<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lambentlate: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The event of a tick. One that is caught up says in `lambentlate` by how many seconds it is late.
pub(super) fn event(
    event: &ScheduledEvent,
    id: SourceId,
    name: &SourceName,
    tick: Timestamp,
    late: Duration,
) -> Result<Event, cloudevents::Malformed> {
    let time = rfc3339(tick);
    let record = Record {
        specversion: "1.0",
        id: format!("{id}/{time}"),
        source: format!("schedule:{name}"),
        kind: &event.kind,
        time,
        // CloudEvents' integers have 32 bits.
        lambentlate: (!late.is_zero()).then(|| late.as_secs().min(2_147_483_647)),
        data: event.data.as_deref(),
    };
    let record = serde_json::to_vec(&record).expect("strings and JSON are JSON");
    cloudevents::structured(&record, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000); // 2026-01-01

    fn put(settings: &str, earlier: Option<&str>) -> Result<String, Problem> {
        let settings = RawValue::from_string(settings.to_owned()).unwrap();
        check(&settings, &SourceName::parse("s").unwrap(), NOW, earlier)
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_setting_that_is_at_fault() {
        let long = format!(
            r#"{{"schedule": "* * * * *", "event": {{"data": "{}"}}}}"#,
            "x".repeat(DATA_BYTES)
        );
        for (settings, field) in [
            ("{}", "settings"),
            (r#"{"schedule": "rate(1 minutes)"}"#, "settings.schedule"),
            (r#"{"schedule": "at(2025-01-01T00:00:00)"}"#, "settings.schedule"),
            (r#"{"schedule": "* * * * *", "time_zone": "Mars/Base"}"#, "settings.time_zone"),
            (r#"{"schedule": "* * * * *", "event": {"type": ""}}"#, "settings.event.type"),
            (r#"{"schedule": "* * * * *", "overlap": "queue"}"#, "settings"),
            (&long, "settings.event.data"),
        ] {
            let problem = put(settings, None).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{settings}: {}", problem.detail);
        }
        let deep = format!(
            r#"{{"schedule": "* * * * *", "event": {{"data": {}1{}}}}}"#,
            "[".repeat(100),
            "]".repeat(100)
        );
        assert!(put(&deep, None).is_err());
    }

    #[test]
    fn what_has_passed_may_be_put_again_as_it_is() {
        let kept = r#"{"schedule":"at(2025-01-01T00:00:00)","event":{"type":"lambent.schedule"},"overlap":"allow","catch_up":"last"}"#;
        assert_eq!(put(kept, Some(kept)).unwrap(), kept);
        assert!(put(kept, None).is_err());
    }

    #[test]
    fn a_tick_is_an_event_that_names_its_moment_and_how_late_it_is() {
        let name = SourceName::parse("nightly").unwrap();
        let id = SourceId::from_bytes([7; 16]);
        let scheduled: ScheduledEvent = serde_json::from_str(r#"{"data": {"a": 1.0}}"#).unwrap();
        let made = |late| event(&scheduled, id, &name, NOW, late).unwrap();
        let plain = made(Duration::ZERO);
        assert_eq!(plain.id, format!("{id}/2026-01-01T00:00:00.000000Z"));
        assert_eq!((&*plain.source, &*plain.kind), ("schedule:nightly", "lambent.schedule"));
        assert!(plain.record.contains(r#""data":{"a":1.0}"#), "{}", plain.record);
        assert!(plain.record.contains(r#""time":"2026-01-01T00:00:00.000000Z""#));
        assert!(!plain.record.contains("lambentlate"));
        assert!(made(Duration::from_secs(61)).record.contains(r#""lambentlate":61"#));
    }
}
