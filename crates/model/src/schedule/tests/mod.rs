//! Tests of schedules: a table for each form and each refusal, the changes of clocks in two zones
//! (and in one that changes by half an hour), and properties, of which the strongest is that a
//! search minute by minute finds the same ticks.
//!
//! `SLOW_TESTS=1` asks 100,000 random cases of each property, otherwise it is 2,000; of the search a
//! twentieth.

use super::Schedule;
use crate::clock::Timestamp;

mod calendar;
mod clocks;
mod properties;
mod refusals;
mod spans;

/// A moment, from RFC 3339.
fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp =
        text.parse().unwrap_or_else(|e| panic!("the test's own time {text}: {e}"));
    Timestamp::from_micros(moment.as_microsecond())
}

fn text(moment: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(moment.micros()).expect("a moment in range").to_string()
}

#[track_caller]
fn parse(expression: &str, zone: &str) -> Schedule {
    let schedule = Schedule::parse(expression, Some(zone)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(schedule.to_string(), expression, "what it says of itself");
    schedule
}

/// The ticks after a moment, as local times of the zone.
#[track_caller]
fn check(expression: &str, zone: &str, after: &str, expected: &[&str]) {
    let schedule = parse(expression, zone);
    let most = expected.len();
    let ticks = schedule.ticks_between(at(after), Timestamp::from_micros(i64::MAX), most);
    let shown: Vec<String> = ticks.iter().map(|it| local(*it, &schedule)).collect();
    assert_eq!(shown, expected, "{expression} in {zone} after {after}");
}

/// With its offset, since a local time may exist twice.
fn local(moment: Timestamp, schedule: &Schedule) -> String {
    let moment = jiff::Timestamp::from_microsecond(moment.micros()).expect("a moment in range");
    let offset = schedule.zone.to_offset(moment);
    let seconds = if moment.as_second() % 60 == 0 { "%H:%M" } else { "%H:%M:%S" };
    let format = format!("%a %Y-%m-%d {seconds} %:z");
    moment.to_zoned(offset.to_time_zone()).strftime(&format).to_string()
}
