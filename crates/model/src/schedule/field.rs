//! One field of a cron expression: lists, ranges, steps and names become the set of values that
//! the field accepts. It does not know `?`, `L`, `W` and `#`, which depend on the month and are
//! `super::days`'s.

/// Values 0 to 255; years are counted from 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Set([u64; 4]);

impl Set {
    pub(super) fn insert(&mut self, value: u16) {
        if let Some(word) = self.0.get_mut(usize::from(value / 64)) {
            *word |= 1 << (value % 64);
        }
    }

    pub(super) fn contains(&self, value: u16) -> bool {
        self.0.get(usize::from(value / 64)).is_some_and(|word| word & (1 << (value % 64)) != 0)
    }

    /// The values from this one on, in their order.
    pub(super) fn from(&self, value: u16) -> impl Iterator<Item = u16> + '_ {
        (value..256).filter(|it| self.contains(*it))
    }
}

pub(super) const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
pub(super) const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What a field may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// As it is called in an error.
    pub(super) name: &'static str,
    pub(super) min: u16,
    pub(super) max: u16,
    /// One more number that means the same as `min`: Unix's 7 for Sunday.
    pub(super) alias: Option<u16>,
    /// Names of the values from `min` on, if they have any.
    pub(super) names: &'static [&'static str],
    /// Whether a range may go past `max` and on from `min`.
    pub(super) round: bool,
}

impl Field {
    pub(super) const fn of(name: &'static str, min: u16, max: u16) -> Self {
        Self { name, min, max, alias: None, names: &[], round: true }
    }

    /// All the items of a list.
    pub(super) fn set(&self, text: &str) -> Result<Set, String> {
        let mut set = Set::default();
        for item in text.split(',') {
            for value in self.values(item)? {
                set.insert(value);
            }
        }
        Ok(set)
    }

    /// One item of a list: `*`, a value or a range, and each of them with a step. A value with a
    /// step goes on to the end of the field.
    pub(super) fn values(&self, item: &str) -> Result<impl Iterator<Item = u16> + use<>, String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(item, step)?)),
            None => (item, None),
        };
        let (start, end) = if range == "*" {
            (self.min, self.max)
        } else if let Some((start, end)) = range.split_once('-') {
            (self.value(item, start)?, self.value(item, end)?)
        } else {
            let start = self.value(item, range)?;
            (start, if step.is_some() { self.max } else { start })
        };
        // The alias ends a range (`FRI-7`), but begins none but its own.
        let (start, end) = match (start > self.max, end > self.max) {
            (true, true) => (self.min, self.min),
            (true, false) => (self.min, end),
            (false, _) => (start, end),
        };
        if start > end && !self.round {
            return Err(format!("{} cannot go from {start} to {end}", self.name));
        }
        let (head, tail) = if start <= end {
            (start..=end, None)
        } else {
            (start..=self.max, Some(self.min..=end))
        };
        let (min, max) = (self.min, self.max);
        Ok(head
            .chain(tail.into_iter().flatten())
            .step_by(usize::from(step.unwrap_or(1)))
            .map(move |value| if value > max { min } else { value }))
    }

    /// A number or a name.
    pub(super) fn value(&self, item: &str, text: &str) -> Result<u16, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(position) => u16::try_from(position).ok().map(|position| self.min + position),
            None => number(text),
        };
        let last = self.alias.unwrap_or(self.max);
        value.filter(|value| (self.min..=last).contains(value)).ok_or_else(|| {
            let names = match self.names {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            format!("{} takes {} to {last}{names}, not {item:?}", self.name, self.min)
        })
    }

    fn step(&self, item: &str, text: &str) -> Result<u16, String> {
        let most = self.max - self.min;
        number(text)
            .filter(|step| (1..=most).contains(step))
            .ok_or_else(|| format!("a step of {} is 1 to {most}, which {item:?} is not", self.name))
    }
}

/// Digits and nothing else: the standard parser takes a sign, too.
pub(super) fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
