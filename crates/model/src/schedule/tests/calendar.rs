//! Cron without any change of clocks: which days and times the fields name.

use super::{Schedule, at, check, text};

const AFTER: &str = "2026-11-24T12:00:00Z"; // a Tuesday

#[track_caller]
fn utc(expression: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|it| format!("{it} +00:00")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(expression, "UTC", AFTER, &expected);
}

#[test]
fn the_examples_of_aws_fire_as_their_descriptions_say() {
    utc("cron(0 10 * * ? *)", &["Wed 2026-11-25 10:00", "Thu 2026-11-26 10:00"]);
    utc("cron(15 12 * * ? *)", &["Tue 2026-11-24 12:15", "Wed 2026-11-25 12:15"]);
    utc(
        "cron(0 18 ? * MON-FRI *)",
        &[
            "Tue 2026-11-24 18:00",
            "Wed 2026-11-25 18:00",
            "Thu 2026-11-26 18:00",
            "Fri 2026-11-27 18:00",
            "Mon 2026-11-30 18:00",
        ],
    );
    utc("cron(0 8 1 * ? *)", &["Tue 2026-12-01 08:00", "Fri 2027-01-01 08:00"]);
    utc("cron(0/15 * * * ? *)", &["Tue 2026-11-24 12:15", "Tue 2026-11-24 12:30"]);
    utc("cron(0/10 * ? * MON-FRI *)", &["Tue 2026-11-24 12:10", "Tue 2026-11-24 12:20"]);
    utc("cron(0/5 8-17 ? * MON-FRI *)", &["Tue 2026-11-24 12:05", "Tue 2026-11-24 12:10"]);
    utc(
        "cron(0/30 20-2 ? * MON-FRI *)",
        &[
            "Tue 2026-11-24 20:00",
            "Tue 2026-11-24 20:30",
            "Tue 2026-11-24 21:00",
            "Tue 2026-11-24 21:30",
            "Tue 2026-11-24 22:00",
            "Tue 2026-11-24 22:30",
            "Tue 2026-11-24 23:00",
            "Tue 2026-11-24 23:30",
            "Wed 2026-11-25 00:00",
        ],
    );
    utc("cron(15 10 ? * 6L 2026-2027)", &["Fri 2026-11-27 10:15", "Fri 2026-12-25 10:15"]);
    utc("cron(0 9 ? * 2#1 *)", &["Mon 2026-12-07 09:00", "Mon 2027-01-04 09:00"]);
    utc("cron(5,35 14 * * ? *)", &["Tue 2026-11-24 14:05", "Tue 2026-11-24 14:35"]);
}

#[test]
fn the_last_day_is_that_of_each_month() {
    utc(
        "cron(0 0 L * ? *)",
        &[
            "Mon 2026-11-30 00:00",
            "Thu 2026-12-31 00:00",
            "Sun 2027-01-31 00:00",
            "Sun 2027-02-28 00:00",
        ],
    );
    utc("cron(0 0 L 2 ? *)", &["Sun 2027-02-28 00:00", "Tue 2028-02-29 00:00"]);
    utc(
        "cron(0 0 LW * ? *)",
        &[
            "Mon 2026-11-30 00:00",
            "Thu 2026-12-31 00:00",
            "Fri 2027-01-29 00:00",
            "Fri 2027-02-26 00:00",
        ],
    );
    utc("cron(0 0 15,L * ? *)", &["Mon 2026-11-30 00:00", "Tue 2026-12-15 00:00"]);
    // In the week it is the seventh day.
    utc("cron(0 0 ? * L *)", &["Sat 2026-11-28 00:00", "Sat 2026-12-05 00:00"]);
}

#[test]
fn the_nearest_weekday_stays_in_its_month() {
    // The 15th of August 2026 is a Saturday, of November a Sunday.
    utc("cron(0 9 15W * ? 2026)", &["Tue 2026-12-15 09:00"]);
    let of_2026 = |day: &str| format!("cron(0 0 {day}W 8,11 ? 2026)");
    check(
        &of_2026("15"),
        "UTC",
        "2026-01-01T00:00:00Z",
        &["Fri 2026-08-14 00:00 +00:00", "Mon 2026-11-16 00:00 +00:00"],
    );
    // The 1st of August is a Saturday, of November a Sunday.
    check(
        &of_2026("1"),
        "UTC",
        "2026-01-01T00:00:00Z",
        &["Mon 2026-08-03 00:00 +00:00", "Mon 2026-11-02 00:00 +00:00"],
    );
    // The 31st of January 2027 is a Sunday; November has none.
    utc("cron(0 0 31W 11,1 ? *)", &["Fri 2027-01-29 00:00", "Mon 2028-01-31 00:00"]);
}

#[test]
fn weekdays_are_counted_within_a_month() {
    utc("cron(0 0 ? * TUE#4 *)", &["Tue 2026-12-22 00:00", "Tue 2027-01-26 00:00"]);
    utc("cron(0 0 ? * 3#5 *)", &["Tue 2026-12-29 00:00", "Tue 2027-03-30 00:00"]);
    utc("cron(0 0 ? * thuL *)", &["Thu 2026-11-26 00:00", "Thu 2026-12-31 00:00"]);
    utc("cron(0 0 ? * 1#1,7#1 *)", &["Sat 2026-12-05 00:00", "Sun 2026-12-06 00:00"]);
    utc("cron(0 0 ? * 7-1 *)", &["Sat 2026-11-28 00:00", "Sun 2026-11-29 00:00"]);
}

#[test]
fn a_leap_day_comes_every_four_years_and_not_in_2100() {
    utc("cron(0 0 29 2 ? *)", &["Tue 2028-02-29 00:00", "Sun 2032-02-29 00:00"]);
    check("cron(0 0 29 2 ? *)", "UTC", "2096-03-01T00:00:00Z", &["Fri 2104-02-29 00:00 +00:00"]);
    // A leap day on a Monday, of Unix: a star in one field, so both count.
    utc("0 0 29 2 *", &["Tue 2028-02-29 00:00"]);
}

#[test]
fn unix_cron_has_its_own_weekdays_and_its_own_or() {
    utc("30 4 * * 1-5", &["Wed 2026-11-25 04:30", "Thu 2026-11-26 04:30"]);
    utc("0 0 * * 0", &["Sun 2026-11-29 00:00"]);
    utc("0 0 * * 7", &["Sun 2026-11-29 00:00"]);
    utc("0 0 * * 7-7", &["Sun 2026-11-29 00:00"]);
    utc("0 0 * * 7-1", &["Sun 2026-11-29 00:00", "Mon 2026-11-30 00:00"]);
    utc("0 0 * * 5-7", &["Fri 2026-11-27 00:00", "Sat 2026-11-28 00:00", "Sun 2026-11-29 00:00"]);
    utc("0 0 * * sat-mon", &["Sat 2026-11-28 00:00", "Sun 2026-11-29 00:00"]);
    utc("0 0 * * SAT-MON/2", &["Sat 2026-11-28 00:00", "Mon 2026-11-30 00:00"]);
    utc("0 0 13 * FRI", &["Fri 2026-11-27 00:00", "Fri 2026-12-04 00:00", "Fri 2026-12-11 00:00"]);
    utc("0 0 1,30 * MON", &["Mon 2026-11-30 00:00", "Tue 2026-12-01 00:00"]);
    utc("0 0 */2 * MON", &["Mon 2026-12-07 00:00", "Mon 2026-12-21 00:00"]);
    utc("59 23 31 DEC *", &["Thu 2026-12-31 23:59", "Fri 2027-12-31 23:59"]);
    utc("  */20 12 * * *".trim(), &["Tue 2026-11-24 12:20", "Tue 2026-11-24 12:40"]);
    utc("7/20 12 24 11 *", &["Tue 2026-11-24 12:07", "Tue 2026-11-24 12:27"]);
}

#[test]
fn after_means_after_also_within_a_minute() {
    let schedule = Schedule::parse("* * * * *", None).unwrap();
    for (after, next) in [
        ("2026-11-24T12:00:00Z", "2026-11-24T12:01:00Z"),
        ("2026-11-24T12:00:00.000001Z", "2026-11-24T12:01:00Z"),
        ("2026-11-24T12:00:59.999999Z", "2026-11-24T12:01:00Z"),
        ("2026-11-24T11:59:59.999999Z", "2026-11-24T12:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z"),
        ("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(schedule.next_after(at(after)).map(text).as_deref(), Some(next), "{after}");
    }
}

#[test]
fn a_schedule_ends_with_its_years() {
    let ends = |expression: &str, last: &str| {
        let schedule = Schedule::parse(expression, None).unwrap();
        let just_before = at(last).minus(std::time::Duration::from_micros(1));
        assert_eq!(schedule.next_after(just_before).map(text).as_deref(), Some(last));
        assert_eq!(schedule.next_after(at(last)), None, "{expression}");
        assert_eq!(schedule.next_after(crate::Timestamp::from_micros(i64::MAX)), None);
    };
    ends("cron(0 0 1 1 ? 1999)", "1999-01-01T00:00:00Z");
    ends("cron(0 12 ? * * 2020/4)", "2196-12-31T12:00:00Z");
    ends("* * * * *", "2199-12-31T23:59:00Z");
    ends("cron(0 0 29 2 ? *)", "2196-02-29T00:00:00Z");
}
