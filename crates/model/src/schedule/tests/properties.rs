//! Properties over random expressions. The reference is the definition, minute by minute and without
//! a thought for speed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use jiff::civil::DateTime;
use jiff::{Span, Timestamp as Moment};

use super::{Schedule, Timestamp};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        // A failure is turned into a line of a table, not into a file of seeds.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn many() -> u32 {
    let slow = std::env::var("SLOW_TESTS").is_ok_and(|value| value == "1");
    if slow { 100_000 } else { 2_000 }
}

/// A window each: both changes of the clock, a month's end and a leap day are among them.
const WINDOWS: [(&str, &str); 8] = [
    ("UTC", "2028-02-28T12:00:00Z"),
    ("Europe/Berlin", "2026-03-28T12:00:00Z"),
    ("Europe/Berlin", "2026-10-24T12:00:00Z"),
    ("America/New_York", "2026-03-07T12:00:00Z"),
    ("America/New_York", "2026-10-31T12:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
    ("Asia/Kathmandu", "2026-12-30T12:00:00Z"),
    ("Pacific/Apia", "2011-12-29T00:00:00Z"),
];
const WINDOW_MINUTES: i64 = 3 * 24 * 60;

/// A simple field: a star, a few values, or a step.
fn field(values: std::ops::Range<u32>) -> impl Strategy<Value = (String, Vec<u32>)> {
    let all: Vec<u32> = values.clone().collect();
    let listed = vec(values.clone(), 1..4).prop_map(|list| {
        let text = list.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        (text, list)
    });
    let stepped = (values.clone(), 1..values.end - values.start).prop_map({
        let end = values.end;
        move |(start, step)| {
            let list: Vec<u32> = (start..end).step_by(step.try_into().unwrap()).collect();
            (format!("{start}-{}/{step}", end - 1), list)
        }
    });
    prop_oneof![Just(("*".to_owned(), all)), listed, stepped]
}

struct Reference {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    of_month: Vec<u32>,
    of_week: Vec<u32>,
    either: bool,
}

impl Reference {
    fn names(&self, local: DateTime) -> bool {
        let has = |list: &[u32], value: i8| list.contains(&u32::try_from(value).unwrap());
        let of_month = has(&self.of_month, local.day());
        let of_week = has(&self.of_week, local.weekday().to_sunday_zero_offset());
        has(&self.minutes, local.minute())
            && has(&self.hours, local.hour())
            && if self.either { of_month || of_week } else { of_month && of_week }
    }

    /// Whether it is due at this moment, which is a whole minute.
    fn due(&self, zone: &jiff::tz::TimeZone, moment: Moment) -> bool {
        let local = zone.to_datetime(moment);
        if (0..24).all(|hour| self.hours.contains(&hour)) {
            return self.names(local);
        }
        let minute = Span::new().minutes(1);
        let first = zone.to_ambiguous_timestamp(local).earlier().unwrap() == moment;
        // Local times that the clock passed over in the minute before.
        let previous = zone.to_datetime(moment.checked_sub(minute).unwrap());
        let mut skipped = previous.checked_add(minute).unwrap();
        while skipped < local {
            if self.names(skipped) {
                return true;
            }
            skipped = skipped.checked_add(minute).unwrap();
        }
        first && self.names(local)
    }
}

proptest! {
    // Each case looks at thousands of minutes.
    #![proptest_config(config(many() / 20))]

    #[test]
    fn a_search_minute_by_minute_finds_the_same_ticks(
        (minute_text, minutes) in field(0..60),
        (hour_text, hours) in field(0..24),
        (month_text, of_month) in field(1..32),
        (week_text, of_week) in field(0..7),
        (zone, start) in select(&WINDOWS[..]),
        offset_s in 0_i64..60,
    ) {
        let text = format!("{minute_text} {hour_text} {month_text} * {week_text}");
        let schedule = Schedule::parse(&text, Some(zone)).unwrap();
        let either = month_text != "*" && week_text != "*";
        let reference = Reference { minutes, hours, of_month, of_week, either };
        let start: Moment = start.parse().unwrap();
        let expected: Vec<Timestamp> = (1..=WINDOW_MINUTES)
            .map(|minute| start.checked_add(Span::new().minutes(minute)).unwrap())
            .filter(|moment| reference.due(&schedule.zone, *moment))
            .map(|moment| Timestamp::from_micros(moment.as_microsecond()))
            .collect();
        let first = start.as_second() + offset_s;
        let until = Timestamp::from_millis((start.as_second() + WINDOW_MINUTES * 60) * 1_000);
        let ticks = schedule.ticks_between(Timestamp::from_millis(first * 1_000), until, usize::MAX);
        prop_assert_eq!(ticks, expected, "{} in {}", text, zone);
    }
}

fn piece() -> impl Strategy<Value = String> {
    const WORDS: [&str; 38] = [
        "cron(",
        "rate(",
        "at(",
        ")",
        " ",
        "  ",
        "*",
        "?",
        "L",
        "W",
        "LW",
        "#",
        "/",
        "-",
        ",",
        "0",
        "1",
        "5",
        "7",
        "15",
        "23",
        "31",
        "59",
        "60",
        "366",
        "2026",
        "2199",
        "99999",
        "MON",
        "FRI",
        "JAN",
        "minute",
        "minutes",
        "days",
        "* * * * ",
        "* * ? * ",
        "2026-11-24T12:00:00",
        "é",
    ];
    prop_oneof![8 => select(&WORDS[..]).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(config(many()))]

    #[test]
    fn no_text_panics_and_what_is_accepted_goes_on(
        pieces in vec(piece(), 0..14),
        wrapped in select(&["", "cron(", "rate(", "at("][..]),
        after in prop_oneof![any::<i64>(), 0..4_102_444_800_000_000_i64],
        anchor in any::<i64>(),
        (zone, _) in select(&WINDOWS[..]),
    ) {
        let text = pieces.concat();
        let text = if wrapped.is_empty() { text } else { format!("{wrapped}{text})") };
        drop(Schedule::parse("* * * * *", Some(&text)));
        let Ok(schedule) = Schedule::parse(&text, Some(zone)) else { return Ok(()) };
        let schedule = schedule.anchored_at(Timestamp::from_micros(anchor));
        prop_assert_eq!(schedule.to_string(), text.trim());
        let again = Schedule::parse(&schedule.to_string(), Some(schedule.zone())).unwrap();
        prop_assert_eq!(&again.anchored_at(Timestamp::from_micros(anchor)), &schedule);
        let after = Timestamp::from_micros(after);
        let ticks = schedule.ticks_between(after, Timestamp::from_micros(i64::MAX), 20);
        let mut latest = after;
        for tick in ticks {
            prop_assert!(tick > latest, "{} in {}: {:?} after {:?}", text, zone, tick, latest);
            latest = tick;
        }
    }

    #[test]
    fn ticks_increase_and_no_moment_between_two_has_another_answer(
        minute in 0..60_u32,
        hours in select(&["*", "2", "1-3", "0,2,23", "*/2"][..]),
        days in select(&["* * ?", "L * ?", "1W * ?", "29 2 ?", "? * 1L", "? * FRI#5", "? 3,10 SUN"][..]),
        after in 0..4_102_444_800_000_000_i64,
        (zone, _) in select(&WINDOWS[..]),
        part in 0..1_000_i64,
    ) {
        let text = format!("cron({minute} {hours} {days} *)");
        let schedule = Schedule::parse(&text, Some(zone)).unwrap();
        let mut latest = Timestamp::from_micros(after);
        for _ in 0..10 {
            let next = schedule.next_after(latest).unwrap();
            prop_assert!(next > latest, "{} in {}", text, zone);
            let between = latest.micros() + (next.micros() - latest.micros() - 1) / 1_000 * part;
            prop_assert_eq!(schedule.next_after(Timestamp::from_micros(between)), Some(next));
            latest = next;
        }
    }
}
