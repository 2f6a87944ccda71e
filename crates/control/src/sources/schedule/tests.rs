//! The decision, in tables: what is due, what was missed, and what becomes of it.

use std::time::Duration;

use model::{EventId, Timestamp};
use proptest::prelude::*;
use wire::http::schedules::{CatchUp, Overlap};

use super::{CATCH_UP_MOST, Cursor, ON_TIME, Plan, Step, first_of_last, step};

/// 2026-01-01 00:00 UTC.
const START_S: i64 = 1_767_225_600;
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis((START_S + second) * 1_000)
}

fn plan(expression: &str, catch_up: CatchUp) -> Plan {
    let schedule = model::Schedule::parse(expression, None).unwrap().anchored_at(at(0));
    Plan { schedule, catch_up, overlap: Overlap::Allow, since: at(0) }
}

#[test]
fn a_tick_fires_at_its_moment_and_not_before() {
    for catch_up in [CatchUp::None, CatchUp::Last, CatchUp::All] {
        let plan = plan("*/5 * * * *", catch_up);
        let fire = |s| Step::Fire { tick: at(s), skipped: 0, missed: false };
        for (last, now, expect) in [
            (None, at(1), Step::Wait(Some(at(300)))),
            (None, Timestamp::from_micros(at(300).micros() - 1), Step::Wait(Some(at(300)))),
            (None, at(300), fire(300)),
            (None, at(300).plus(ON_TIME), fire(300)),
            (Some(at(300)), at(300), Step::Wait(Some(at(600)))),
            (Some(at(300)), at(600), fire(600)),
            // A clock that was set back by an hour fires nothing twice.
            (Some(at(HOUR)), at(1), Step::Wait(Some(at(HOUR + 300)))),
            // Nor does one that was made in the future fire what was before.
            (Some(at(-DAY)), at(1), Step::Wait(Some(at(300)))),
        ] {
            assert_eq!(step(&plan, last, now), expect, "{catch_up:?} {last:?} {now:?}");
        }
    }
}

#[test]
fn what_was_missed_is_caught_up_as_the_settings_say() {
    let fire = |s, skipped, missed| Step::Fire { tick: at(s), skipped, missed };
    let skip = |s, skipped| Step::Skip { tick: at(s), skipped };
    // Hourly, nobody there from 00:30 on.
    let last = Some(at(-HOUR));
    for (catch_up, now_s, expect) in [
        (CatchUp::None, HOUR + 6, skip(HOUR, 1)),
        (CatchUp::None, 5 * HOUR + MINUTE, skip(5 * HOUR, 5)),
        (CatchUp::None, 5 * HOUR + 5, fire(5 * HOUR, 4, false)),
        (CatchUp::Last, HOUR + 6, fire(HOUR, 0, true)),
        (CatchUp::Last, 5 * HOUR + MINUTE, fire(5 * HOUR, 4, true)),
        (CatchUp::Last, 5 * HOUR, fire(5 * HOUR, 4, false)),
        (CatchUp::All, 5 * HOUR + MINUTE, fire(HOUR, 0, true)),
        (CatchUp::All, 100 * HOUR + MINUTE, fire(HOUR, 0, true)),
        (CatchUp::All, 101 * HOUR + MINUTE, fire(2 * HOUR, 1, true)),
        (CatchUp::All, 300 * HOUR + MINUTE, fire(201 * HOUR, 200, true)),
    ] {
        let step = step(&plan("0 * * * *", catch_up), last, at(now_s));
        assert_eq!(step, expect, "{catch_up:?} at {now_s}");
    }
}

#[test]
fn a_store_that_hiccups_for_some_seconds_makes_nobody_miss_a_tick() {
    let plan = plan("rate(1 second)", CatchUp::None);
    for second in 1..=5 {
        let last = Some(at(second - 1));
        let step = step(&plan, last, at(5));
        assert_eq!(step, Step::Fire { tick: at(second), skipped: 0, missed: false });
    }
}

#[test]
fn what_was_due_before_the_schedule_was_wanted_was_not_missed() {
    let mut plan = plan("0 * * * *", CatchUp::All);
    plan.since = at(10 * HOUR + MINUTE);
    for last in [None, Some(at(HOUR))] {
        assert_eq!(step(&plan, last, at(10 * HOUR + 2 * MINUTE)), Step::Wait(Some(at(11 * HOUR))));
    }
}

#[test]
fn a_schedule_that_is_over_waits_for_nothing() {
    let plan = plan("at(2026-01-01T01:00:00)", CatchUp::Last);
    assert_eq!(step(&plan, None, at(0)), Step::Wait(Some(at(HOUR))));
    let missed = Step::Fire { tick: at(HOUR), skipped: 0, missed: true };
    assert_eq!(step(&plan, None, at(DAY)), missed);
    assert_eq!(step(&plan, Some(at(HOUR)), at(DAY)), Step::Wait(None));
}

/// Years of ticks are not walked through.
#[test]
fn a_long_absence_is_caught_up_from_its_end() {
    let now = at(3 * 365 * DAY + 30);
    let step = step(&plan("* * * * *", CatchUp::All), None, now);
    let first = 3 * 365 * DAY - 99 * MINUTE;
    // Of what is left out, ten thousand are counted.
    assert_eq!(step, Step::Fire { tick: at(first), skipped: 10_000, missed: true });
}

#[test]
fn a_cursor_survives_and_remembers_the_last_event_that_fired() {
    let event = EventId::from_bytes([7; 16]);
    let first = Cursor::default().moved(at(0), Some(event), 2);
    let second = first.moved(at(60), None, 3);
    let read = Cursor::parse(&second.text()).unwrap();
    assert_eq!(read, second);
    assert_eq!((read.at(), read.event(), read.skipped), (Some(at(60)), Some(event), 5));
    for bad in ["", "{}", r#"{"tick": "noon", "skipped": 0}"#] {
        assert!(Cursor::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_last_few_are_those_that_counting_finds(
        after in 0_i64..100_000,
        span in 0_i64..100_000,
        most in 1_usize..20,
        expression in prop::sample::select(vec![
            "rate(7 seconds)", "*/7 * * * *", "0 3 * * *", "10-12 * * * *", "rate(3 hours)",
        ]),
    ) {
        let schedule = plan(expression, CatchUp::All).schedule;
        let (after, until) = (at(after), at(after + span));
        let all = schedule.ticks_between(after, until, usize::MAX);
        let expect = all.get(all.len().saturating_sub(most)).copied();
        prop_assert_eq!(first_of_last(&schedule, after, until, most), expect);
    }

    /// Whatever the times of looking are, each tick is fired once or left out once, in order.
    #[test]
    fn every_tick_is_fired_or_left_out_once(
        pauses in prop::collection::vec(0_i64..3_000, 1..30),
        catch_up in prop::sample::select(vec![CatchUp::None, CatchUp::Last, CatchUp::All]),
        expression in prop::sample::select(vec!["rate(50 seconds)", "*/2 * * * *", "5 * * * *"]),
    ) {
        let plan = plan(expression, catch_up);
        let (mut now, mut last, mut fired, mut skipped) = (at(0), None, Vec::new(), 0);
        for pause in pauses {
            now = now.plus(Duration::from_secs(pause.unsigned_abs()));
            let mut steps = 0;
            loop {
                let (tick, left_out) = match step(&plan, last, now) {
                    Step::Wait(next) => {
                        prop_assert!(next.is_some_and(|next| next > now));
                        break;
                    }
                    Step::Skip { tick, skipped } => (tick, skipped),
                    Step::Fire { tick, skipped, .. } => {
                        fired.push(tick);
                        (tick, skipped)
                    }
                };
                skipped += left_out;
                prop_assert!(last < Some(tick) && tick <= now);
                last = Some(tick);
                steps += 1;
                prop_assert!(steps <= CATCH_UP_MOST + 10);
            }
        }
        let all = plan.schedule.ticks_between(at(0), now, usize::MAX);
        prop_assert_eq!(fired.len() as u64 + skipped, all.len() as u64);
        prop_assert!(fired.iter().all(|tick| all.contains(tick)));
        prop_assert!(catch_up != CatchUp::All || skipped == 0 || all.len() > CATCH_UP_MOST);
    }
}
