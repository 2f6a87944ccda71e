//! When a trigger fires by the clock: the schedule expressions of Amazon EventBridge, and plain
//! Unix cron.
//!
//! A schedule is parsed once, by [`Schedule::parse`], which refuses what could not work with the
//! reason. From then on [`Schedule::next_after`] says when it is due next: the same inputs give the
//! same tick on every machine, whose own time zone and zone files are never looked at.
//!
//! # The language
//!
//! * `cron(minutes hours day-of-month month day-of-week year)`: the six fields of AWS. Lists,
//!   ranges (`FRI-MON` and `22-2` go round), steps, names; one of the two day fields is `?`. `L`,
//!   `LW` and `15W` in day-of-month; `L` (Saturday), `5L` and `THU#2` in day-of-week, in which 1
//!   is Sunday.
//! * Five fields without `cron(…)`: what Unix has, in which 0 and 7 are Sunday. If both day fields
//!   are restricted a day needs to satisfy one of them; if one begins with `*`, both, as with
//!   cron on Linux and the BSDs.
//! * `rate(5 minutes)`: seconds, minutes, hours or days of elapsed time, and `rate(1 minute)`. The
//!   ticks are the [anchor](Schedule::anchored_at) and whole periods after it, the anchor excepted.
//! * `at(2026-11-24T12:00:00)`: once.
//!
//! # When clocks change
//!
//! Cron fields and `at` are local times of the zone; `rate` knows no zone. For a schedule that
//! names hours (`0 2 * * *`, `*/5 1-3 * * *`) and for `at`, a local time that does not exist fires
//! at the first moment that does, however many of them it stands for, and one that exists twice
//! fires once, the first time. A schedule for every hour (`*/5 * * * *`) names no time of day: it
//! goes with the elapsed time, without a silent hour in autumn or an additional tick in spring.
//! AWS skips what does not exist altogether; a nightly job that is left out once a year is the
//! worse surprise.
//!
//! What it does not do: it remembers no tick, so what was missed is the caller's to find
//! ([`Schedule::ticks_between`]); it does not spread ticks over a window.

use std::fmt;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::clock::Timestamp;
use crate::name::Invalid;

mod cron;
mod days;
mod field;
mod local;

#[cfg(test)]
mod tests;

use cron::Cron;

/// An expression's text: AWS's own limit, and room for long lists.
const EXPRESSION_BYTES: usize = 256;
/// A zone's name: the longest of IANA's has 32.
const ZONE_BYTES: usize = 64;
/// A period of `rate`: what is rarer than once a year has a date, and cron says that better.
const PERIOD_MAX: Duration = Duration::from_secs(366 * 86_400);

/// A compiled schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    expression: String,
    zone: TimeZone,
    anchor: Timestamp,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Cron(Box<Cron>),
    Rate { period: Duration },
    At(Timestamp),
}

impl Schedule {
    /// From the text, as a user wrote it, in the zone of that IANA name; UTC unless given.
    pub fn parse(expression: &str, zone: Option<&str>) -> Result<Self, Invalid> {
        let zone = zone.map_or(Ok(TimeZone::UTC), named_zone)?;
        let kind = kind(expression, &zone)
            .map_err(|why| Invalid::new("schedule", expression.trim(), why))?;
        let expression = expression.trim().to_owned();
        Ok(Self { expression, zone, anchor: Timestamp::default(), kind })
    }

    /// The moment from which `rate` counts: when the schedule was made. Without one it is 1970, so
    /// that `rate(1 hour)` is due on the hour.
    #[must_use]
    pub fn anchored_at(self, anchor: Timestamp) -> Self {
        Self { anchor, ..self }
    }

    /// The first tick after this moment, and not at it. `None` if there is none: the one moment of
    /// `at` has passed, or the years end (in 2199, as with AWS).
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.kind {
            Kind::Cron(cron) => {
                // Before 1970 there is no tick, so a time that no calendar holds is no problem.
                let after = jiff::Timestamp::from_microsecond(after.micros().max(-1)).ok()?;
                let next = local::next_after(cron, &self.zone, after)?;
                Some(Timestamp::from_micros(next.as_microsecond()))
            }
            Kind::Rate { period } => next_period(self.anchor, *period, after),
            Kind::At(moment) => (*moment > after).then_some(*moment),
        }
    }

    /// The ticks after one moment, up to and with another, in their order; the first `most` of them
    /// if there are more. To catch up, go on after the last one.
    pub fn ticks_between(&self, after: Timestamp, until: Timestamp, most: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_after(after), |tick| self.next_after(*tick))
            .take_while(|tick| *tick <= until)
            .take(most)
            .collect()
    }

    /// The zone's IANA name, in its own spelling.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }
}

/// The expression, as it was given.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expression)
    }
}

fn named_zone(name: &str) -> Result<TimeZone, Invalid> {
    let invalid = |why: &str| Err(Invalid::new("zone", name, why));
    if name.len() > ZONE_BYTES {
        return invalid("it is longer than any zone's name");
    }
    // The bundled database alone: a host's own may be older, or missing.
    match TimeZoneDatabase::bundled().get(name) {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        _ => invalid("it must be the name of an IANA time zone, such as Europe/Berlin or UTC"),
    }
}

fn kind(expression: &str, zone: &TimeZone) -> Result<Kind, String> {
    if expression.len() > EXPRESSION_BYTES {
        return Err(format!("it has {} bytes, and may have {EXPRESSION_BYTES}", expression.len()));
    }
    let expression = expression.trim();
    let Some((word, rest)) = expression.split_once('(') else {
        return Ok(Kind::Cron(Box::new(Cron::unix(expression)?)));
    };
    let Some(inner) = rest.strip_suffix(')') else {
        return Err(format!("{word}( must end with a closing parenthesis"));
    };
    match word {
        "cron" => Ok(Kind::Cron(Box::new(Cron::aws(inner)?))),
        "rate" => Ok(Kind::Rate { period: period(inner)? }),
        "at" => Ok(Kind::At(moment(inner, zone)?)),
        _ => Err("it must be cron(…), rate(…), at(…) or the five fields of Unix cron".into()),
    }
}

fn period(text: &str) -> Result<Duration, String> {
    const FORM: &str = "rate takes a number and a unit, such as rate(5 minutes) or rate(1 hour)";
    let mut words = text.split_ascii_whitespace();
    let (Some(value), Some(unit), None) = (words.next(), words.next(), words.next()) else {
        return Err(FORM.into());
    };
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM.into());
    }
    let too_long = || format!("a period is at most {} days", PERIOD_MAX.as_secs() / 86_400);
    // All digits, so what cannot be read is too large.
    let Ok(value) = value.parse::<u64>() else { return Err(too_long()) };
    let singular = unit.strip_suffix('s').unwrap_or(unit);
    let unit_s = match singular {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return Err("the unit must be seconds, minutes, hours or days".into()),
    };
    // AWS insists on the grammar; what it refuses, somebody may have to move there one day.
    match (value, unit == singular) {
        (0, _) => return Err("a period of zero would never end".into()),
        (1, false) => return Err(format!("one is singular: rate(1 {singular})")),
        (2.., true) => return Err(format!("more than one is plural: rate({value} {singular}s)")),
        _ => {}
    }
    let period = Duration::from_secs(value.saturating_mul(unit_s));
    if period > PERIOD_MAX { Err(too_long()) } else { Ok(period) }
}

fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    const FORM: &str = "at takes a local date and time, such as at(2026-11-24T12:00:00)";
    let shape = |(position, byte): (usize, u8)| match position {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 19 || !text.bytes().enumerate().all(shape) || text.ends_with(":60") {
        return Err(FORM.into());
    }
    let Ok(local) = text.parse::<DateTime>() else {
        return Err("there is no such date or time".into());
    };
    local::instant(zone, local)
        .filter(|_| cron::YEARS.contains(&local.year()))
        .map(|moment| Timestamp::from_micros(moment.as_microsecond()))
        .ok_or_else(|| format!("the year must be {} to {}", cron::YEARS.start(), cron::YEARS.end()))
}

/// The first of `anchor + n * period`, n at least one, that is after the moment.
fn next_period(anchor: Timestamp, period: Duration, after: Timestamp) -> Option<Timestamp> {
    let period = i64::try_from(period.as_micros()).ok().filter(|period| *period > 0)?;
    let passed = match after.micros().checked_sub(anchor.micros()) {
        Some(passed) => passed.max(0) / period,
        None if after < anchor => 0,
        None => return None,
    };
    let ahead = passed.checked_add(1)?.checked_mul(period)?;
    anchor.micros().checked_add(ahead).map(Timestamp::from_micros)
}
