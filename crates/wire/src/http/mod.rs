//! The native HTTP API's shapes: what goes into a request and what comes out, as JSON.
//!
//! Every name here is a contract with scripts that other people wrote. The shapes are translations
//! of the model's values and nothing else: no rule lives here. Times are RFC 3339 in UTC, spans
//! are milliseconds as decimals (`run_ms: 0.231`), sizes are bytes or MiB as the name says.

pub mod destinations;
pub mod events;
pub mod functions;
pub mod invocations;
pub mod list;
pub mod problem;
pub mod replays;
pub mod schedules;
pub mod sources;
pub mod system;
pub mod triggers;
pub mod webhooks;

use std::time::Duration;

use model::Timestamp;

/// RFC 3339 with microseconds, such as `2026-01-31T12:00:00.123456Z`.
pub fn rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(at.micros()) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => "9999-12-31T23:59:59.999999Z".into(),
    }
}

/// The inverse, for query parameters; also takes whole seconds since 1970.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(Timestamp::from_millis(seconds.checked_mul(1_000)?));
    }
    text.parse::<jiff::Timestamp>().ok().map(|time| Timestamp::from_micros(time.as_microsecond()))
}

/// Milliseconds with microseconds behind the point.
#[expect(clippy::cast_precision_loss, reason = "a span of 2^53 microseconds is 285 years")]
pub(crate) fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_the_way_to_text_and_back() {
        let at = Timestamp::from_micros(1_767_225_599_123_456);
        assert_eq!(rfc3339(at), "2025-12-31T23:59:59.123456Z");
        assert_eq!(parse_time(&rfc3339(at)), Some(at));
        assert_eq!(parse_time("1767225599"), Some(Timestamp::from_millis(1_767_225_599_000)));
        assert_eq!(
            parse_time("2025-12-31T23:59:59+01:00").map(rfc3339).as_deref(),
            Some("2025-12-31T22:59:59.000000Z")
        );
        assert_eq!(parse_time("yesterday"), None);
    }
}
