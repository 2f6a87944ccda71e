//! A field's list of alternatives, compiled: does one value of an event satisfy any of them?
//!
//! Exact strings are kept sorted and found by halves, since a list of a hundred types is common;
//! the rest is tried one by one. Nothing here allocates.

use std::cmp::Ordering;

use serde_json::Value;

use super::cidr::Cidr;
use super::number::{Num, Range};
use super::string::Text;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Leaf {
    /// The list as it was written, to say what was wanted.
    pub(super) wanted: Value,
    pub(super) strings: Exact,
    pub(super) numbers: Vec<Num>,
    pub(super) null: bool,
    pub(super) yes: bool,
    pub(super) no: bool,
    /// `{"exists": true}`: any value will do.
    pub(super) any: bool,
    /// `{"exists": false}`: so will no value.
    pub(super) absent: bool,
    pub(super) tests: Vec<Test>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Text(Text),
    Numeric(Range),
    Cidr(Cidr),
    AnythingBut(Excluded),
}

/// What `anything-but` leaves out. A value of another kind than the excluded ones is not among
/// them, and so is accepted: the number 5 is anything but "five", and null is, too.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Excluded {
    Strings(Exact),
    Numbers(Vec<Num>),
    Texts(Vec<Text>),
}

impl Leaf {
    /// `value` is a scalar.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        self.any
            || match value {
                Value::String(text) => self.strings.contains(text),
                Value::Number(_) => !self.numbers.is_empty() && is_among(&self.numbers, value),
                Value::Bool(true) => self.yes,
                Value::Bool(false) => self.no,
                Value::Null => self.null,
                Value::Array(_) | Value::Object(_) => false,
            }
            || self.tests.iter().any(|test| test.accepts(value))
    }
}

impl Test {
    fn accepts(&self, value: &Value) -> bool {
        match self {
            Self::Text(test) => value.as_str().is_some_and(|text| test.accepts(text)),
            Self::Numeric(range) => Num::of_value(value).is_some_and(|n| range.contains(n)),
            Self::Cidr(block) => value.as_str().is_some_and(|text| block.accepts(text)),
            Self::AnythingBut(excluded) => !excluded.contains(value),
        }
    }
}

impl Excluded {
    fn contains(&self, value: &Value) -> bool {
        match self {
            Self::Strings(strings) => value.as_str().is_some_and(|text| strings.contains(text)),
            Self::Numbers(numbers) => is_among(numbers, value),
            Self::Texts(tests) => {
                value.as_str().is_some_and(|text| tests.iter().any(|test| test.accepts(text)))
            }
        }
    }
}

fn is_among(numbers: &[Num], value: &Value) -> bool {
    Num::of_value(value)
        .is_some_and(|number| numbers.iter().any(|n| n.compare(number) == Ordering::Equal))
}

/// A set of strings. Invariant: sorted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Exact(Vec<String>);

impl Exact {
    pub(super) fn new(mut strings: Vec<String>) -> Self {
        strings.sort_unstable();
        strings.dedup();
        Self(strings)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn contains(&self, text: &str) -> bool {
        self.0.binary_search_by(|own| own.as_str().cmp(text)).is_ok()
    }
}
