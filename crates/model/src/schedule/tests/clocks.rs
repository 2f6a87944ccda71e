//! What happens when clocks are set forward and back. In 2026 Berlin does so on 29 March at 02:00
//! and on 25 October at 03:00, New York on 8 March at 02:00 and on 1 November at 02:00.

use super::{at, check, parse, text};

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";

#[test]
fn a_local_time_that_does_not_exist_fires_at_the_first_that_does() {
    let before = "2026-03-28T00:00:00Z";
    check(
        "cron(30 2 * * ? *)",
        BERLIN,
        before,
        &[
            "Sat 2026-03-28 02:30 +01:00",
            "Sun 2026-03-29 03:00 +02:00",
            "Mon 2026-03-30 02:30 +02:00",
        ],
    );
    check(
        "30 2 * * *",
        NEW_YORK,
        "2026-03-07T12:00:00Z",
        &["Sun 2026-03-08 03:00 -04:00", "Mon 2026-03-09 02:30 -04:00"],
    );
    // The hours before and after are as always.
    check(
        "0 1,3 * * *",
        BERLIN,
        before,
        &[
            "Sat 2026-03-28 03:00 +01:00",
            "Sun 2026-03-29 01:00 +01:00",
            "Sun 2026-03-29 03:00 +02:00",
            "Mon 2026-03-30 01:00 +02:00",
        ],
    );
    // The 29th alone: the day fields are asked about the time that was meant.
    check(
        "cron(0 2 29 3 ? *)",
        BERLIN,
        before,
        &["Sun 2026-03-29 03:00 +02:00", "Mon 2027-03-29 02:00 +02:00"],
    );
}

#[test]
fn many_local_times_that_do_not_exist_fire_once() {
    check(
        "*/20 2 * * *",
        BERLIN,
        "2026-03-28T01:30:00Z",
        &[
            "Sat 2026-03-28 02:40 +01:00",
            "Sun 2026-03-29 03:00 +02:00",
            "Mon 2026-03-30 02:00 +02:00",
        ],
    );
    // Together with the time that does exist there.
    check(
        "*/30 2-3 * * *",
        BERLIN,
        "2026-03-29T00:00:00Z",
        &[
            "Sun 2026-03-29 03:00 +02:00",
            "Sun 2026-03-29 03:30 +02:00",
            "Mon 2026-03-30 02:00 +02:00",
        ],
    );
}

#[test]
fn a_local_time_that_exists_twice_fires_the_first_time() {
    check(
        "cron(30 2 * * ? *)",
        BERLIN,
        "2026-10-24T12:00:00Z",
        &["Sun 2026-10-25 02:30 +02:00", "Mon 2026-10-26 02:30 +01:00"],
    );
    check(
        "*/30 1-2 * * *",
        NEW_YORK,
        "2026-11-01T04:59:00Z",
        &[
            "Sun 2026-11-01 01:00 -04:00",
            "Sun 2026-11-01 01:30 -04:00",
            "Sun 2026-11-01 02:00 -05:00",
            "Sun 2026-11-01 02:30 -05:00",
        ],
    );
    // Asked in the middle of the repeated hour, and at its very beginning.
    let schedule = parse("45 2 * * *", BERLIN);
    for after in ["2026-10-25T01:00:00Z", "2026-10-25T01:10:00Z", "2026-10-25T01:59:59.9Z"] {
        let next = schedule.next_after(at(after)).map(text);
        assert_eq!(next.as_deref(), Some("2026-10-26T01:45:00Z"), "after {after}");
    }
}

#[test]
fn a_schedule_for_every_hour_goes_with_the_elapsed_time() {
    check(
        "30 * * * *",
        BERLIN,
        "2026-10-24T23:00:00Z",
        &[
            "Sun 2026-10-25 01:30 +02:00",
            "Sun 2026-10-25 02:30 +02:00",
            "Sun 2026-10-25 02:30 +01:00",
            "Sun 2026-10-25 03:30 +01:00",
        ],
    );
    check(
        "cron(0/30 * * * ? *)",
        NEW_YORK,
        "2026-03-08T06:00:00Z",
        &[
            "Sun 2026-03-08 01:30 -05:00",
            "Sun 2026-03-08 03:00 -04:00",
            "Sun 2026-03-08 03:30 -04:00",
        ],
    );
    // Its day fields are still local: that Sunday has 25 hours.
    let sunday = parse("0 * 25 10 *", BERLIN);
    let ticks = sunday.ticks_between(at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z"), 100);
    assert_eq!(ticks.len(), 25);
}

#[test]
fn a_zone_may_change_by_half_an_hour() {
    // Lord Howe: back from 02:00 to 01:30 on 5 April 2026, on from 02:00 to 02:30 on 4 October.
    check(
        "*/15 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-04T14:20:00Z",
        &[
            "Sun 2026-04-05 01:30 +11:00",
            "Sun 2026-04-05 01:45 +11:00",
            "Mon 2026-04-06 01:00 +10:30",
        ],
    );
    check(
        "*/15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        &[
            "Sun 2026-10-04 02:30 +11:00",
            "Sun 2026-10-04 02:45 +11:00",
            "Mon 2026-10-05 02:00 +11:00",
        ],
    );
}

#[test]
fn a_zone_may_leave_out_a_day() {
    // Apia had no 30 December 2011.
    check(
        "cron(0 8,20 29-31 12 ? 2011)",
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &[
            "Thu 2011-12-29 08:00 -10:00",
            "Thu 2011-12-29 20:00 -10:00",
            "Sat 2011-12-31 00:00 +14:00",
            "Sat 2011-12-31 08:00 +14:00",
            "Sat 2011-12-31 20:00 +14:00",
        ],
    );
}

#[test]
fn midnight_may_not_exist() {
    // Beirut goes from 00:00 to 01:00.
    check(
        "0 0 * * *",
        "Asia/Beirut",
        "2026-03-28T12:00:00Z",
        &["Sun 2026-03-29 01:00 +03:00", "Mon 2026-03-30 00:00 +03:00"],
    );
}

#[test]
fn one_moment_follows_the_same_rules() {
    for (expression, zone, moment) in [
        ("at(2026-11-24T12:00:00)", "UTC", "2026-11-24T12:00:00Z"),
        ("at(2026-11-24T12:00:07)", BERLIN, "2026-11-24T11:00:07Z"),
        ("at(2026-03-29T02:30:00)", BERLIN, "2026-03-29T01:00:00Z"),
        ("at(2026-03-29T02:00:00)", BERLIN, "2026-03-29T01:00:00Z"),
        ("at(2026-10-25T02:30:00)", BERLIN, "2026-10-25T00:30:00Z"),
        ("at(2028-02-29T00:00:00)", NEW_YORK, "2028-02-29T05:00:00Z"),
    ] {
        let schedule = parse(expression, zone);
        let just_before = at(moment).minus(std::time::Duration::from_micros(1));
        assert_eq!(schedule.next_after(at("1999-01-01T00:00:00Z")).map(text).unwrap(), moment);
        assert_eq!(schedule.next_after(just_before).map(text).unwrap(), moment, "{expression}");
        assert_eq!(schedule.next_after(at(moment)), None, "{expression}");
    }
}
