//! Which of many patterns can match a record at all: a table of what they pin, so that an event is
//! held against a few triggers and not against ten thousand.
//!
//! Each pattern says what a record must have ([`model::pattern::Pin`]): usually several values at
//! several paths, any of which would do to find it. It is entered under the one that the fewest
//! others share, so of ten thousand triggers of one type that differ by a bucket's name, an event
//! finds those of its bucket. Patterns that still share a value, as in a grid of types and sources,
//! are told apart by an index of their own below it. What pins nothing is always a candidate.
//!
//! A record is looked at once, along the paths that the index has; arrays are walked through, as
//! the matching rule does. The number of paths needs no limit: at every object either the index's
//! keys are looked up in the object or the object's in the index, whichever are fewer, so an event
//! never costs more look-ups than it has fields, and its parsing has paid for those already. A
//! value that occurs in a thousand elements of an array leads to the same patterns once.
//!
//! It never decides that a pattern matches, and knows nothing of functions. How it is made is in
//! [`super::build`].

use std::collections::{BTreeMap, HashMap};

use model::pattern::{Pin, Scalar, Want, fold};
use serde_json::{Map, Value};

use super::build::{Builder, Entry};
use super::prefixes::Prefixes;

#[derive(Debug, Default)]
pub(super) struct Index {
    below: BTreeMap<Box<str>, Branch>,
    buckets: Vec<Bucket>,
    /// Patterns that no value would tell apart.
    pub(super) always: Vec<usize>,
}

/// The patterns under one value.
#[derive(Debug)]
pub(super) enum Bucket {
    Few(Vec<usize>),
    Many(Index),
}

/// What the index has at one path and below it.
#[derive(Debug, Default)]
struct Branch {
    table: Table,
    below: BTreeMap<Box<str>, Branch>,
}

/// Numbers of buckets by values.
#[derive(Debug, Default)]
struct Table {
    texts: Texts,
    folded: Texts,
    scalars: HashMap<Scalar, usize>,
}

#[derive(Debug, Default)]
struct Texts {
    whole: HashMap<Box<str>, usize>,
    prefixes: Prefixes,
}

impl Index {
    /// Of patterns by what they pin; a pattern's place among them is its number.
    pub(super) fn new<'p>(patterns: impl Iterator<Item = &'p [Pin]>) -> Self {
        let (mut builder, patterns) = Builder::read(patterns);
        builder.index(patterns.iter(), 0)
    }

    pub(super) fn enter(&mut self, (path, want): Entry<'_>, bucket: Bucket) {
        let Some((first, rest)) = path.split_first() else {
            return; // Not reached: a pin is at a field.
        };
        let branch = self.below.entry(first.clone()).or_default();
        let branch = rest.iter().fold(branch, |it, key| it.below.entry(key.clone()).or_default());
        branch.table.enter(want, self.buckets.len());
        self.buckets.push(bucket);
    }

    /// When all is entered, and before anything is asked.
    pub(super) fn seal(&mut self) {
        self.below.values_mut().for_each(Branch::seal);
    }

    /// Whether it tells no pattern from another.
    pub(super) fn is_pointless(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Adds the numbers of all patterns that can match the record, and of few others; some may be
    /// there twice.
    pub(super) fn candidates(&self, record: &Map<String, Value>, into: &mut Vec<usize>) {
        into.extend_from_slice(&self.always);
        let mut buckets = Vec::new();
        look(&self.below, record, &mut buckets);
        if buckets.len() > 1 {
            buckets.sort_unstable();
            buckets.dedup();
        }
        for bucket in buckets.into_iter().filter_map(|number| self.buckets.get(number)) {
            match bucket {
                Bucket::Few(numbers) => into.extend_from_slice(numbers),
                Bucket::Many(index) => index.candidates(record, into),
            }
        }
    }
}

/// Walks an object and the branches that bear its keys' names.
fn look(branches: &BTreeMap<Box<str>, Branch>, object: &Map<String, Value>, into: &mut Vec<usize>) {
    if branches.len() <= object.len() {
        for (key, branch) in branches {
            if let Some(value) = object.get(&**key) {
                branch.look(value, into);
            }
        }
    } else {
        for (key, value) in object {
            if let Some(branch) = branches.get(key.as_str()) {
                branch.look(value, into);
            }
        }
    }
}

impl Branch {
    fn look(&self, value: &Value, into: &mut Vec<usize>) {
        match value {
            Value::Array(list) => list.iter().for_each(|element| self.look(element, into)),
            Value::Object(object) => look(&self.below, object, into),
            scalar => self.table.look(scalar, into),
        }
    }

    fn seal(&mut self) {
        self.table.texts.prefixes.seal();
        self.table.folded.prefixes.seal();
        self.below.values_mut().for_each(Self::seal);
    }
}

impl Table {
    fn enter(&mut self, want: &Want, bucket: usize) {
        match want {
            Want::Text(text) => drop(self.texts.whole.insert(text.clone(), bucket)),
            Want::Prefix(text) => self.texts.prefixes.enter(text, bucket),
            Want::Folded(text) => drop(self.folded.whole.insert(text.clone(), bucket)),
            Want::FoldedPrefix(text) => self.folded.prefixes.enter(text, bucket),
            Want::Scalar(scalar) => drop(self.scalars.insert(*scalar, bucket)),
        }
    }

    fn look(&self, value: &Value, into: &mut Vec<usize>) {
        if let Value::String(text) = value {
            self.texts.look(text, into);
            if !self.folded.is_empty() {
                self.folded.look(&fold(text), into);
            }
        } else if !self.scalars.is_empty() {
            into.extend(Scalar::of(value).and_then(|scalar| self.scalars.get(&scalar)));
        }
    }
}

impl Texts {
    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.prefixes.is_empty()
    }

    fn look(&self, text: &str, into: &mut Vec<usize>) {
        if !self.whole.is_empty() {
            into.extend(self.whole.get(text));
        }
        self.prefixes.look(text, into);
    }
}
