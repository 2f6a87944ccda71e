//! A cron expression as a set of local dates and times, and the search for the next of them. What a
//! local time is on the world's clock is `super::local`'s business.

use std::ops::RangeInclusive;

use jiff::civil::{Date, DateTime};

use super::days::Days;
use super::field::{Field, MONTHS, Set};

/// The years of AWS. They bound the search: 230 years are 2,760 months, a fraction of a
/// millisecond in the worst case.
pub(super) const YEARS: RangeInclusive<i16> = 1970..=2199;

const MINUTES: Field = Field::of("minutes", 0, 59);
const HOURS: Field = Field::of("hours", 0, 23);
const MONTH: Field = Field { names: &MONTHS, ..Field::of("month", 1, 12) };
const YEAR: Field = Field { round: false, ..Field::of("year", 1970, 2199) };

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cron {
    minutes: Set,
    hours: Set,
    days: Days,
    months: Set,
    /// Counted from 1970.
    years: Set,
}

impl Cron {
    pub(super) fn aws(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, of_month, month, of_week, year] = *fields else {
            return Err(format!(
                "cron takes six fields, which are minutes, hours, day-of-month, month, \
                 day-of-week and year, and it has {}",
                fields.len()
            ));
        };
        let days = Days::aws(of_month, of_week)?;
        Self::of(minutes, hours, days, month, year)
    }

    pub(super) fn unix(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, of_month, month, of_week] = *fields else {
            return Err(format!(
                "it must be cron(…), rate(…), at(…) or the five fields of Unix cron, which are \
                 minutes, hours, day-of-month, month and day-of-week; it has {} fields",
                fields.len()
            ));
        };
        if of_month.contains(['?', 'L', 'W']) || of_week.contains(['?', 'L', '#']) {
            return Err("?, L, W and # belong to the six fields of cron(…)".into());
        }
        let days = Days::unix(of_month, of_week)?;
        Self::of(minutes, hours, days, month, "*")
    }

    fn of(minutes: &str, hours: &str, days: Days, month: &str, year: &str) -> Result<Self, String> {
        let mut years = Set::default();
        for item in year.split(',') {
            YEAR.values(item)?.for_each(|year| years.insert(year - YEAR.min));
        }
        let cron = Self {
            minutes: MINUTES.set(minutes)?,
            hours: HOURS.set(hours)?,
            days,
            months: MONTH.set(month)?,
            years,
        };
        // The 30th of February, say.
        match cron.next_from(DateTime::MIN) {
            Some(_) => Ok(cron),
            None => Err("it would never fire: there is no such day".into()),
        }
    }

    /// Whether there is an hour in which it does not fire.
    pub(super) fn names_hours(&self) -> bool {
        self.hours.from(0).count() < 24
    }

    /// The first local time at or after this one, of which only whole minutes count.
    pub(super) fn next_from(&self, from: DateTime) -> Option<DateTime> {
        let from = from.max(Date::constant(*YEARS.start(), 1, 1).at(0, 0, 0, 0));
        let first_year = u16::try_from(from.year()).ok()?.checked_sub(YEAR.min)?;
        let first_month = |year: i16| if year == from.year() { from.month() } else { 1 };
        for year in self.years.from(first_year) {
            let year = i16::try_from(year + YEAR.min).ok()?;
            for month in self.months.from(u16::try_from(first_month(year)).ok()?) {
                let first = Date::new(year, i8::try_from(month).ok()?, 1).ok()?;
                let days =
                    self.days.of(first).filter_map(|day| Date::new(year, first.month(), day).ok());
                let next = days
                    .filter(|date| *date >= from.date())
                    .find_map(|date| self.next_in_day(date, from));
                if next.is_some() {
                    return next;
                }
            }
        }
        None
    }

    fn next_in_day(&self, date: Date, from: DateTime) -> Option<DateTime> {
        let today = date == from.date();
        let from_hour = if today { u16::try_from(from.hour()).ok()? } else { 0 };
        self.hours.from(from_hour).find_map(|hour| {
            let this_hour = today && hour == from_hour;
            let from_minute = if this_hour { u16::try_from(from.minute()).ok()? } else { 0 };
            let minute = self.minutes.from(from_minute).next()?;
            Some(date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0))
        })
    }
}
