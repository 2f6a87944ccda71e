//! Spans and moments as people read and type them.

use std::time::Duration;

use model::{Clock as _, Timestamp};
use wire::http::{parse_time, rfc3339};

use super::Failure;

/// A span with three digits that matter: `0 ms`, `0.23 ms`, `41.2 ms`, `1.50 s`, `2 min 5 s`.
pub(super) fn span(ms: f64) -> String {
    match ms {
        _ if ms < 0.0005 => "0 ms".into(),
        _ if ms < 10.0 => format!("{ms:.2} ms"),
        _ if ms < 100.0 => format!("{ms:.1} ms"),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ if ms < 9_995.0 => format!("{:.2} s", ms / 1_000.0),
        _ if ms < 59_950.0 => format!("{:.1} s", ms / 1_000.0),
        _ => {
            let seconds = whole_seconds(ms);
            let (days, rest) = (seconds / 86_400, seconds % 86_400);
            let (hours, minutes, seconds) = (rest / 3_600, rest % 3_600 / 60, rest % 60);
            match (days, hours) {
                (0, 0) => format!("{minutes} min {seconds} s"),
                (0, _) => format!("{hours} h {minutes} min"),
                _ => format!("{days} d {hours} h"),
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float's cast saturates, and what is negative was answered before"
)]
fn whole_seconds(ms: f64) -> u64 {
    (ms / 1_000.0).round() as u64
}

/// From one moment of an answer to another; none where either is no time.
pub(super) fn between(from: &str, to: &str) -> Option<f64> {
    let (from, to) = (parse_time(from)?, parse_time(to)?);
    Some(to.since(from).as_secs_f64() * 1_000.0)
}

/// RFC 3339 to the second: enough for a list.
pub(super) fn to_the_second(at: &str) -> String {
    match at.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => at.into(),
    }
}

/// Bytes as people say them.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        ..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        MIB.. => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A moment as the API takes it: RFC 3339 and seconds since 1970 as they are, or a span before
/// now, such as `90s`, `15m`, `2h` or `1d`.
pub(super) fn moment(option: &str, text: &str, now: Timestamp) -> Result<String, Failure> {
    if parse_time(text).is_some() {
        return Ok(text.into());
    }
    let before = || {
        let (at, unit) = text.char_indices().next_back()?;
        let count: u64 = text[..at].parse().ok()?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        Some(Duration::from_secs(count.checked_mul(seconds)?))
    };
    match before() {
        Some(span) => Ok(rfc3339(now.minus(span).max(Timestamp::default()))),
        None => Err(Failure::Usage(format!(
            "{option} {text:?} is no time: give one such as 2026-01-31T12:00:00Z, or 15m, 2h or \
             1d for so long ago"
        ))),
    }
}

/// The time of this machine.
pub(super) fn now() -> Timestamp {
    crate::clock::SystemClock.now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_three_digits_that_matter() {
        for (ms, expect) in [
            (0.0, "0 ms"),
            (0.231, "0.23 ms"),
            (41.23, "41.2 ms"),
            (412.6, "413 ms"),
            (999.7, "1.00 s"),
            (12_340.0, "12.3 s"),
            (59_990.0, "1 min 0 s"),
            (125_000.0, "2 min 5 s"),
            (7_500_000.0, "2 h 5 min"),
            (180_000_000.0, "2 d 2 h"),
        ] {
            assert_eq!(span(ms), expect);
        }
    }

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        for (text, expect) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("1767225600", "1767225600"),
            ("90s", "2025-12-31T23:58:30.000000Z"),
            ("2h", "2025-12-31T22:00:00.000000Z"),
            ("30000d", "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(moment("--since", text, now).unwrap(), expect);
        }
        for bad in ["", "yesterday", "1.5h", "-1h", "2w", "é", "99999999999999999999d"] {
            assert!(moment("--since", bad, now).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_said_in_the_unit_that_fits() {
        assert_eq!(size(1_023), "1023 bytes");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(52_428_800), "50.0 MiB");
    }
}
