//! What is refused, and with which words.

use super::super::EXPRESSION_BYTES;
use super::Schedule;

#[track_caller]
fn refused(expression: &str, why: &str) {
    let error = match Schedule::parse(expression, None) {
        Ok(schedule) => panic!("{schedule:?} was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(why), "{expression}: {error}");
    assert!(error.starts_with("schedule "), "{error}");
}

#[test]
fn other_forms_are_refused_with_the_ones_that_there_are() {
    for other in ["", "   ", "hourly", "@hourly", "every 5 minutes", "* * * *", "0 0 * * * *"] {
        refused(other, "it must be cron(…), rate(…), at(…) or the five fields of Unix cron");
    }
    refused("cronn(* * * * ? *)", "it must be cron(…)");
    refused("CRON(* * * * ? *)", "it must be cron(…)");
    refused("(* * * * ? *)", "it must be cron(…)");
    refused("cron(0 0 * * ? *", "cron( must end with a closing parenthesis");
    refused("cron(0 0 * * ? *) x", "cron( must end with a closing parenthesis");
    refused(&format!("{} * * * *", "1,".repeat(EXPRESSION_BYTES)), "and may have 256");
}

#[test]
fn fields_of_cron_are_refused_by_their_name() {
    refused("cron(0 0 * * ?)", "six fields");
    refused("cron(0 0 * * ? * *)", "and it has 7");
    refused("cron(0 0 * * * *)", "one of day-of-month and day-of-week must be ?");
    refused("cron(0 0 1 * MON *)", "one of day-of-month and day-of-week must be ?");
    refused("cron(0 0 ? * ? *)", "only one of day-of-month and day-of-week can be ?");
    refused("cron(60 0 * * ? *)", r#"minutes takes 0 to 59, not "60""#);
    refused("cron(0 24 * * ? *)", r#"hours takes 0 to 23, not "24""#);
    refused("cron(0 0 0 * ? *)", "day-of-month takes 1 to 31");
    refused("cron(0 0 32 * ? *)", "day-of-month takes 1 to 31");
    refused("cron(0 0 32W * ? *)", "day-of-month takes 1 to 31");
    refused("cron(0 0 W * ? *)", "day-of-month takes 1 to 31");
    refused("cron(0 0 1-5W * ? *)", "day-of-month takes 1 to 31");
    refused("cron(0 0 L-3 * ? *)", "day-of-month takes 1 to 31");
    refused("cron(0 0 1 13 ? *)", r#"month takes 1 to 12 or JAN to DEC, not "13""#);
    refused("cron(0 0 1 JANUARY ? *)", "month takes 1 to 12");
    refused("cron(0 0 ? * 0 *)", "day-of-week takes 1 to 7 or SUN to SAT");
    refused("cron(0 0 ? * 8 *)", "day-of-week takes 1 to 7");
    refused("cron(0 0 ? * 8L *)", "day-of-week takes 1 to 7");
    refused("cron(0 0 ? * MON#0 *)", "the first to fifth of a day");
    refused("cron(0 0 ? * MON#6 *)", "the first to fifth of a day");
    refused("cron(0 0 ? * MON# *)", "the first to fifth of a day");
    refused("cron(0 0 ? * #1 *)", "day-of-week takes 1 to 7");
    refused("cron(0 0 1 1 ? 1969)", "year takes 1970 to 2199");
    refused("cron(0 0 1 1 ? 2200)", "year takes 1970 to 2199");
    refused("cron(0 0 1 1 ? 2030-2026)", "year cannot go from 2030 to 2026");
    refused("0 0 * * 8", "day-of-week takes 0 to 7 or SUN to SAT");
    refused("0 0 ? * *", "belong to the six fields of cron(…)");
    refused("0 0 L * *", "belong to the six fields of cron(…)");
    refused("0 0 * * 1#2", "belong to the six fields of cron(…)");
}

#[test]
fn lists_ranges_and_steps_are_whole() {
    for item in ["", ",", "1,", ",1", "1,,2", "-", "1-", "-1", "1-2-3", "*-2", "+1", "1.5", "é"] {
        refused(
            &format!("cron({item} 0 * * ? *)"),
            if item.is_empty() { "six" } else { "minutes" },
        );
    }
    for step in ["*/0", "*/60", "*/", "*/x", "*/-1", "1/1/1", "*/99999999999"] {
        refused(&format!("{step} * * * *"), "a step of minutes is 1 to 59");
    }
    refused("**/5 * * * *", "minutes takes 0 to 59");
}

#[test]
fn a_day_that_never_comes_is_refused() {
    for expression in [
        "0 0 30 2 *",
        "cron(0 0 31 2,4,6,9,11 ? *)",
        "cron(0 0 29 2 ? 2026)",
        "cron(0 0 30W 2 ? *)",
        "cron(0 0 ? 2 MON#5 2026)",
    ] {
        refused(expression, "it would never fire");
    }
}

#[test]
fn a_rate_has_a_number_and_a_unit() {
    for inner in ["", "5", "minutes", "5  ", "a minutes", "-5 minutes", "1.5 hours", "5 min utes"] {
        refused(&format!("rate({inner})"), "rate takes a number and a unit");
    }
    refused("rate(5 weeks)", "the unit must be seconds, minutes, hours or days");
    refused("rate(5 Minutes)", "the unit must be");
    refused("rate(0 minutes)", "a period of zero");
    refused("rate(1 minutes)", "one is singular: rate(1 minute)");
    refused("rate(5 minute)", "more than one is plural: rate(5 minutes)");
    refused("rate(367 days)", "a period is at most 366 days");
    refused("rate(99999999999999999 days)", "a period is at most 366 days");
    refused("rate(99999999999999999999999 days)", "a period is at most 366 days");
}

#[test]
fn a_moment_is_written_in_full_and_exists() {
    for inner in [
        "",
        "2026-11-24",
        "2026-11-24T12:00",
        "2026-11-24 12:00:00",
        "2026-11-24T12:00:00Z",
        "2026-11-24T12:00:60",
        " 2026-11-24T12:00:00",
        "+026-11-24T12:00:00",
        "2026-11-24T12:00:0é",
    ] {
        refused(&format!("at({inner})"), "at takes a local date and time");
    }
    for inner in ["2026-02-29T12:00:00", "2026-13-01T12:00:00", "2026-11-24T24:00:00"] {
        refused(&format!("at({inner})"), "there is no such date or time");
    }
    refused("at(1969-12-31T00:00:00)", "the year must be 1970 to 2199");
    refused("at(9999-12-31T23:59:59)", "the year must be 1970 to 2199");
}

#[test]
fn zones_are_names_that_iana_knows() {
    for zone in [
        "",
        "Berlin",
        "Europe/Atlantis",
        "CEST",
        "+01:00",
        "Etc/Unknown",
        "../UTC",
        &"x".repeat(65),
    ] {
        let error = Schedule::parse("rate(1 day)", Some(zone)).unwrap_err();
        assert_eq!(error.field, "zone", "{error}");
    }
}
