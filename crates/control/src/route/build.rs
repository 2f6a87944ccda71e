//! Makes an index: chooses for each pattern the pin that the fewest others share.
//!
//! It has to be quick, since the first event after a change of any trigger waits for it. So every
//! value at a path is given a number once, and from then on only numbers are counted and sorted.

use std::collections::HashMap;

use model::pattern::{Pin, Want};

use super::index::{Bucket, Index};

/// Patterns under one value that are tried one by one. An index of its own would save most of the
/// tries, which take a tenth of a microsecond each, or several where the patterns are in no cache,
/// but it takes a kilobyte, and its share of the time that a change costs.
const FEW: usize = 8;
/// Indexes below one another: each tells patterns apart by another field, and patterns have no more
/// pins than this that would be worth it.
const LEVELS: usize = 4;

/// A value at a path.
pub(super) type Entry<'p> = (&'p [Box<str>], &'p Want);

pub(super) struct Builder<'p> {
    entries: Vec<Entry<'p>>,
    /// How many of the patterns at hand have each entry in a pin; zero between two indexes.
    shared: Vec<usize>,
}

/// A pattern, with its pins as numbers of entries.
pub(super) struct Pinned {
    number: usize,
    pins: Vec<Vec<usize>>,
}

impl<'p> Builder<'p> {
    pub(super) fn read(patterns: impl Iterator<Item = &'p [Pin]>) -> (Self, Vec<Pinned>) {
        let mut entries = Vec::new();
        let mut numbers: HashMap<Entry<'p>, usize> = HashMap::new();
        let mut number = |entry: Entry<'p>| {
            *numbers.entry(entry).or_insert_with(|| {
                entries.push(entry);
                entries.len() - 1
            })
        };
        let patterns = patterns.enumerate().map(|(place, pins)| {
            let pins = pins.iter().map(|pin| pin.wants().map(&mut number).collect());
            Pinned { number: place, pins: pins.collect() }
        });
        let patterns = patterns.collect();
        let shared = vec![0; entries.len()];
        (Self { entries, shared }, patterns)
    }

    pub(super) fn index<'a>(
        &mut self,
        patterns: impl ExactSizeIterator<Item = &'a Pinned> + Clone,
        level: usize,
    ) -> Index {
        let entries = || patterns.clone().flat_map(|it| &it.pins).flatten();
        entries().for_each(|entry| self.shared[*entry] += 1);
        // At the top any pin is better than none. Below, all share one already.
        let most = if level == 0 { usize::MAX } else { patterns.len() / 2 };
        let mut index = Index::default();
        let mut entered: Vec<(usize, &Pinned)> = Vec::with_capacity(patterns.len());
        for pattern in patterns.clone() {
            match self.best(pattern, most) {
                Some(pin) => entered.extend(pin.iter().map(|entry| (*entry, pattern))),
                None => index.always.push(pattern.number),
            }
        }
        entries().for_each(|entry| self.shared[*entry] = 0);
        entered.sort_unstable_by_key(|(entry, pattern)| (*entry, pattern.number));
        for group in entered.chunk_by(|(a, _), (b, _)| a == b) {
            if let Some((entry, _)) = group.first() {
                let bucket = self.bucket(group, level);
                index.enter(self.entries[*entry], bucket);
            }
        }
        index.seal();
        index
    }

    /// The pin for whose sake a record would meet the fewest patterns; the first of equals, which
    /// is what patterns try first.
    fn best<'a>(&self, pattern: &'a Pinned, most: usize) -> Option<&'a [usize]> {
        let company = |pin: &[usize]| pin.iter().map(|entry| self.shared[*entry]).sum::<usize>();
        let pins = pattern.pins.iter().map(|pin| (company(pin), pin.as_slice()));
        let (_, pin) =
            pins.filter(|(company, _)| *company <= most).min_by_key(|(company, _)| *company)?;
        Some(pin)
    }

    fn bucket(&mut self, group: &[(usize, &Pinned)], level: usize) -> Bucket {
        if group.len() > FEW && level + 1 < LEVELS {
            let index = self.index(group.iter().map(|(_, pattern)| *pattern), level + 1);
            if !index.is_pointless() {
                return Bucket::Many(index);
            }
        }
        Bucket::Few(group.iter().map(|(_, pattern)| pattern.number).collect())
    }
}
