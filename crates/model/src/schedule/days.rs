//! Which days of a month a cron expression names: both day fields, and `?`, `L`, `W` and `#`, which
//! mean another day each month. It does not know the time of day, nor which months count.

use jiff::civil::Date;

use super::field::{Field, WEEKDAYS, number};

const OF_MONTH: Field = Field::of("day-of-month", 1, 31);
const OF_WEEK_AWS: Field = Field { names: &WEEKDAYS, ..Field::of("day-of-week", 1, 7) };
const OF_WEEK_UNIX: Field =
    Field { names: &WEEKDAYS, alias: Some(7), ..Field::of("day-of-week", 0, 6) };

/// Days of a month as bits: bit 1 is the first. Weekdays as bits: bit 0 is Sunday.
type Bits = u32;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Days {
    month: Option<OfMonth>,
    week: Option<OfWeek>,
    /// With both: whether a day must satisfy both, and not only one.
    both: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct OfMonth {
    days: Bits,
    /// `15W`: the weekday, Monday to Friday, that is nearest to the day and in the same month.
    nearest: Bits,
    last: bool,
    last_weekday: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct OfWeek {
    weekdays: Bits,
    /// `5L`: the last of its kind in the month.
    last: Bits,
    /// `5#2`: the second of its kind; the first is at 0.
    nth: [Bits; 5],
}

impl Days {
    /// AWS's two fields, of which exactly one is `?`.
    pub(super) fn aws(of_month: &str, of_week: &str) -> Result<Self, String> {
        let (month, week) = match (of_month, of_week) {
            ("?", "?") => return Err("only one of day-of-month and day-of-week can be ?".into()),
            ("?", _) => (None, Some(OfWeek::aws(of_week)?)),
            (_, "?") => (Some(OfMonth::aws(of_month)?), None),
            _ => return Err("one of day-of-month and day-of-week must be ?".into()),
        };
        Ok(Self { month, week, both: false })
    }

    /// Unix's two fields.
    pub(super) fn unix(of_month: &str, of_week: &str) -> Result<Self, String> {
        let days = bits(OF_MONTH.set(of_month)?.from(0));
        let weekdays = bits(OF_WEEK_UNIX.set(of_week)?.from(0));
        Ok(Self {
            month: Some(OfMonth { days, ..OfMonth::default() }),
            week: Some(OfWeek { weekdays, ..OfWeek::default() }),
            both: of_month.starts_with('*') || of_week.starts_with('*'),
        })
    }

    /// The days of this month that are named, in their order.
    pub(super) fn of(&self, first: Date) -> impl Iterator<Item = i8> + use<> {
        let length = first.days_in_month();
        let month = Month { length, first_weekday: first.weekday().to_sunday_zero_offset() };
        let named = match (&self.month, &self.week) {
            (Some(days), Some(week)) if self.both => days.of(&month) & week.of(&month),
            (days, week) => {
                days.as_ref().map_or(0, |it| it.of(&month))
                    | week.as_ref().map_or(0, |it| it.of(&month))
            }
        };
        (1..=length).filter(move |day| named & bit(*day) != 0)
    }
}

impl OfMonth {
    fn aws(text: &str) -> Result<Self, String> {
        let mut it = Self::default();
        for item in text.split(',') {
            let upper = item.to_ascii_uppercase();
            if upper == "L" {
                it.last = true;
            } else if upper == "LW" {
                it.last_weekday = true;
            } else if let Some(day) = upper.strip_suffix('W') {
                it.nearest |= 1 << OF_MONTH.value(item, day)?;
            } else {
                it.days |= bits(OF_MONTH.values(item)?);
            }
        }
        Ok(it)
    }

    fn of(&self, month: &Month) -> Bits {
        let mut named = self.days;
        if self.last {
            named |= bit(month.length);
        }
        if self.last_weekday {
            named |= month.nearest_weekday(month.length);
        }
        for day in (1..=month.length).filter(|day| self.nearest & bit(*day) != 0) {
            named |= month.nearest_weekday(day);
        }
        named
    }
}

impl OfWeek {
    fn aws(text: &str) -> Result<Self, String> {
        let mut it = Self::default();
        // Sunday is 1 in AWS's count.
        let weekday = |item: &str, text: &str| {
            OF_WEEK_AWS.value(item, text).map(|day| bits(std::iter::once(day - 1)))
        };
        for item in text.split(',') {
            let upper = item.to_ascii_uppercase();
            if upper == "L" {
                it.weekdays |= weekday(item, "SAT")?;
            } else if let Some((day, nth)) = upper.split_once('#') {
                let position = number(nth).and_then(|nth| nth.checked_sub(1)).map(usize::from);
                let Some(slot) = position.and_then(|position| it.nth.get_mut(position)) else {
                    return Err(format!("a month has the first to fifth of a day, not {item:?}"));
                };
                *slot |= weekday(item, day)?;
            } else if let Some(day) = upper.strip_suffix('L') {
                it.last |= weekday(item, day)?;
            } else {
                it.weekdays |= bits(OF_WEEK_AWS.values(item)?.map(|day| day - 1));
            }
        }
        Ok(it)
    }

    fn of(&self, month: &Month) -> Bits {
        let named = |day: &i8| {
            let weekday = month.weekday(*day);
            let of_its_kind = usize::try_from((day - 1) / 7).ok();
            self.weekdays & weekday != 0
                || self.last & weekday != 0 && day + 7 > month.length
                || of_its_kind.and_then(|n| self.nth.get(n)).is_some_and(|n| n & weekday != 0)
        };
        (1..=month.length).filter(named).map(bit).sum()
    }
}

struct Month {
    length: i8,
    /// 0 is Sunday.
    first_weekday: i8,
}

const WEEKEND: [Bits; 2] = [1, 1 << 6];

impl Month {
    fn weekday(&self, day: i8) -> Bits {
        bit((self.first_weekday + day - 1) % 7)
    }

    /// A Saturday gives way to the Friday before it and a Sunday to the Monday after it, but never
    /// out of the month.
    fn nearest_weekday(&self, day: i8) -> Bits {
        let in_month = |it: &i8| (1..=self.length).contains(it);
        let nearest = [day, day - 1, day + 1, day - 2, day + 2];
        let workday = |it: &i8| !WEEKEND.contains(&self.weekday(*it));
        nearest.into_iter().filter(in_month).find(workday).map_or(0, bit)
    }
}

fn bit(position: i8) -> Bits {
    u32::try_from(position).ok().and_then(|position| 1_u32.checked_shl(position)).unwrap_or(0)
}

fn bits(values: impl Iterator<Item = u16>) -> Bits {
    values.fold(0, |all, value| all | 1_u32.checked_shl(value.into()).unwrap_or(0))
}
