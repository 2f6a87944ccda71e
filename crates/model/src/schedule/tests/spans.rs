//! Rates, and the ticks between two moments.

use std::time::Duration;

use super::{Schedule, Timestamp, at, check, parse, text};

#[test]
fn a_rate_counts_from_its_anchor() {
    let anchor = at("2026-11-24T12:00:07.5Z");
    let schedule = parse("rate(5 minutes)", "UTC").anchored_at(anchor);
    for (after, next) in [
        ("2020-01-01T00:00:00Z", "2026-11-24T12:05:07.5Z"),
        ("2026-11-24T12:00:07.5Z", "2026-11-24T12:05:07.5Z"),
        ("2026-11-24T12:05:07.499999Z", "2026-11-24T12:05:07.5Z"),
        ("2026-11-24T12:05:07.5Z", "2026-11-24T12:10:07.5Z"),
        ("2026-11-25T00:00:00Z", "2026-11-25T00:00:07.5Z"),
    ] {
        assert_eq!(schedule.next_after(at(after)).map(text).as_deref(), Some(next), "{after}");
    }
}

#[test]
fn a_rate_has_every_unit_and_no_zone() {
    let period = |expression: &str, seconds: u64| {
        let schedule = parse(expression, "Europe/Berlin");
        let start = at("2026-03-01T00:00:00Z");
        let schedule = schedule.anchored_at(start);
        let expected: Vec<_> =
            (1..=60).map(|n| start.plus(Duration::from_secs(n * seconds))).collect();
        let until = Timestamp::from_micros(i64::MAX);
        assert_eq!(schedule.ticks_between(start, until, 60), expected, "{expression}");
    };
    period("rate(1 second)", 1);
    period("rate(30 seconds)", 30);
    period("rate(1 minute)", 60);
    period("rate(90 minutes)", 5_400);
    period("rate(1 hour)", 3_600);
    period("rate(12 hours)", 43_200);
    period("rate(1 day)", 86_400);
    period("rate(366 days)", 366 * 86_400);
}

#[test]
fn without_an_anchor_a_rate_is_on_the_hour() {
    check("rate(1 hour)", "UTC", "2026-11-24T12:34:56Z", &["Tue 2026-11-24 13:00 +00:00"]);
    check(
        "rate(30 seconds)",
        "UTC",
        "2026-11-24T12:34:56Z",
        &["Tue 2026-11-24 12:35 +00:00", "Tue 2026-11-24 12:35:30 +00:00"],
    );
}

#[test]
fn a_rate_ends_with_the_time_that_can_be_told() {
    let (first, last) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    let schedule = parse("rate(1 day)", "UTC");
    assert_eq!(schedule.next_after(last), None);
    assert_eq!(schedule.next_after(first), Some(at("1970-01-02T00:00:00Z")));
    assert_eq!(schedule.clone().anchored_at(last).next_after(first), None);
    assert_eq!(schedule.clone().anchored_at(last).next_after(last), None);
    let day = Duration::from_secs(86_400);
    assert_eq!(schedule.clone().anchored_at(first).next_after(first), Some(first.plus(day)));
    assert_eq!(schedule.anchored_at(first).next_after(last), None);
}

#[test]
fn ticks_between_two_moments_exclude_the_first_and_include_the_second() {
    let schedule = parse("0 * * * *", "UTC");
    let (from, until) = (at("2026-11-24T12:00:00Z"), at("2026-11-24T15:00:00Z"));
    let ticks = |most| {
        let ticks = schedule.ticks_between(from, until, most);
        ticks.into_iter().map(text).collect::<Vec<_>>()
    };
    let all = ["2026-11-24T13:00:00Z", "2026-11-24T14:00:00Z", "2026-11-24T15:00:00Z"];
    assert_eq!(ticks(100), all);
    assert_eq!(ticks(3), all);
    assert_eq!(ticks(2), all[..2]);
    assert_eq!(ticks(0), [""; 0]);
    assert_eq!(schedule.ticks_between(until, from, 100), []);
    assert_eq!(schedule.ticks_between(from, from, 100), []);
}

#[test]
fn a_zone_is_told_by_its_own_name() {
    assert_eq!(Schedule::parse("rate(1 day)", None).unwrap().zone(), "UTC");
    assert_eq!(parse("rate(1 day)", "europe/berlin").zone(), "Europe/Berlin");
    assert_eq!(parse("* * * * *", "Etc/GMT+5").zone(), "Etc/GMT+5");
}

#[test]
fn two_schedules_are_equal_if_they_always_say_the_same() {
    let schedule = parse("rate(1 day)", "UTC");
    assert_eq!(schedule, parse("rate(1 day)", "UTC"));
    assert_ne!(schedule, parse("rate(1 day)", "UTC").anchored_at(at("2026-11-24T12:00:00Z")));
    assert_ne!(parse("0 0 * * *", "UTC"), parse("0 0 * * *", "Europe/Berlin"));
}
