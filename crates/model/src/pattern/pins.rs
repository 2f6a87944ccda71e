//! What a record must have for a pattern to match it, as far as a table can look that up: values at
//! paths. So a router finds the patterns that might want a record by a few of its fields, and asks
//! no others.
//!
//! A [`Pin`] is a condition that is necessary, never sufficient: a record that the pattern matches
//! has at least one of the pin's values at its path, where a path leads through arrays into each of
//! their elements. A pattern offers several pins; which of them tells most apart depends on the
//! other patterns, so the router chooses.
//!
//! Strings, numbers, true, false and null are pinned, prefixes, and either without regard to case.
//! Suffixes, ranges and blocks of addresses are not: patterns that differ in nothing else are rare.
//! `anything-but` and `exists` cannot be, since nearly every value satisfies them. Of a `$or`, what
//! each of its members pins is pinned.

use std::collections::BTreeSet;

use serde_json::Value;

use super::compile::Node;
use super::leaf::{Leaf, Test};
use super::number::Num;
use super::string::{Folded, Text};

/// Pins that a pattern offers: a router uses few of them, and looks at all whenever a trigger
/// changes.
const PINS: usize = 8;
/// Values of a pattern's pins together, for the same reason; a list of full length is among them.
const WANTS: usize = super::limits::ALTERNATIVES;

/// A record that the pattern matches has one of the values of one of these places. There is more
/// than one place only where the members of a `$or` pin different fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub places: Vec<Place>,
}

/// One of these values at this path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: Vec<Box<str>>,
    /// Sorted, each once.
    pub wants: Vec<Want>,
}

/// A value, or all strings that begin in one way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    Text(Box<str>),
    Prefix(Box<str>),
    /// A string whose [`fold`] is this one.
    Folded(Box<str>),
    FoldedPrefix(Box<str>),
    Scalar(Scalar),
}

/// A number, true, false or null, so that what the language calls equal is equal: 1 and 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Null,
    Bool(bool),
    Int(i128),
    /// The bits of a double, which has no integer's value and is finite.
    Real(u64),
}

/// The string as those see it that do not regard case: code point by code point.
pub fn fold(text: &str) -> String {
    Folded::new(text).into_text()
}

impl Scalar {
    /// `None` for strings, arrays and objects.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self(Kind::Null)),
            Value::Bool(flag) => Some(Self(Kind::Bool(*flag))),
            Value::Number(number) => Num::of(number).map(Self::from),
            Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl From<Num> for Scalar {
    fn from(number: Num) -> Self {
        match number {
            Num::Int(int) => Self(Kind::Int(int)),
            Num::Real(real) => Self(Kind::Real(real.to_bits())),
        }
    }
}

impl Pin {
    /// Each value with its path.
    pub fn wants(&self) -> impl Iterator<Item = (&[Box<str>], &Want)> {
        self.places.iter().flat_map(|place| place.wants.iter().map(|want| (&*place.path, want)))
    }

    /// Whether a record has what is pinned. This is the definition; who has many pins builds an
    /// index that answers the same.
    pub fn admits(&self, record: &Value) -> bool {
        self.wants().any(|(path, want)| want.is_in(record, path))
    }
}

impl Want {
    fn is_in(&self, value: &Value, path: &[Box<str>]) -> bool {
        match (value, path.split_first()) {
            (Value::Array(list), _) => list.iter().any(|element| self.is_in(element, path)),
            (Value::Object(object), Some((key, rest))) => {
                object.get(&**key).is_some_and(|value| self.is_in(value, rest))
            }
            (_, Some(_)) => false,
            (value, None) => self.accepts(value),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(own), Value::String(text)) => **own == **text,
            (Self::Prefix(own), Value::String(text)) => text.starts_with(&**own),
            (Self::Folded(own), Value::String(text)) => **own == *fold(text),
            (Self::FoldedPrefix(own), Value::String(text)) => fold(text).starts_with(&**own),
            (Self::Scalar(own), value) => Scalar::of(value) == Some(*own),
            _ => false,
        }
    }
}

/// The pins of a pattern, those first that its clauses are tried by.
pub(super) fn of(root: &Node) -> Vec<Pin> {
    let mut left = WANTS;
    let pins = find(root, &[]).into_iter().map(|found| found.pin()).filter(|pin| {
        let count = pin.wants().count();
        let room = count <= left;
        left -= if room { count } else { 0 };
        room
    });
    pins.collect()
}

/// A pin to be, which borrows: only few become pins.
struct Found<'n> {
    places: Vec<(Vec<&'n str>, Vec<&'n Leaf>)>,
}

fn find<'n>(node: &'n Node, above: &[&'n str]) -> Vec<Found<'n>> {
    let mut found = Vec::new();
    for field in &node.fields {
        let path: Vec<&str> = above.iter().copied().chain([&*field.key]).collect();
        let pinned = field.leaves.iter().filter(|leaf| leaf.is_pinned());
        if let Some(leaf) = pinned.min_by_key(|leaf| leaf.looseness()) {
            found.push(Found { places: vec![(path.clone(), vec![&**leaf])] });
        }
        if let Some(inner) = &field.node {
            found.extend(find(inner, &path));
        }
    }
    for members in &node.ors {
        found.extend(either(members, above));
    }
    found.truncate(PINS);
    found
}

/// What one member or another must pin: the fields that all of them pin, or else each its first.
fn either<'n>(members: &'n [Node], above: &[&'n str]) -> Vec<Found<'n>> {
    let each: Vec<_> = members.iter().map(|member| find(member, above)).collect();
    let firsts: Option<Vec<_>> = each.iter().map(|found| found.first()).collect();
    let (Some(firsts), Some((first, others))) = (firsts, each.split_first()) else {
        return Vec::new();
    };
    let common = first.iter().filter_map(|found| {
        let same = others.iter().map(|other| other.iter().find(|it| it.is_at(found)));
        let rest: Vec<_> = same.collect::<Option<_>>()?;
        Some(Found::any(std::iter::once(found).chain(rest)))
    });
    let common: Vec<_> = common.collect();
    if common.is_empty() { vec![Found::any(firsts.into_iter())] } else { common }
}

impl<'n> Found<'n> {
    fn is_at(&self, other: &Self) -> bool {
        let (own, others) = (&self.places, &other.places);
        own.len() == others.len() && own.iter().zip(others).all(|(a, b)| a.0 == b.0)
    }

    fn any<'f>(all: impl Iterator<Item = &'f Self>) -> Self
    where
        'n: 'f,
    {
        let mut places: Vec<(Vec<&'n str>, Vec<&'n Leaf>)> = Vec::new();
        for (path, leaves) in all.flat_map(|found| &found.places) {
            match places.iter_mut().find(|(own, _)| own == path) {
                None => places.push((path.clone(), leaves.clone())),
                // A `$or` that was multiplied out names the same list many times.
                Some((_, own)) => {
                    for leaf in leaves {
                        if !own.iter().any(|it| std::ptr::eq(*it, *leaf)) {
                            own.push(leaf);
                        }
                    }
                }
            }
        }
        Self { places }
    }

    fn pin(&self) -> Pin {
        let places = self.places.iter().map(|(path, leaves)| {
            let wants: BTreeSet<_> = leaves.iter().flat_map(|leaf| leaf.wants()).collect();
            let path = path.iter().map(|key| Box::from(*key)).collect();
            Place { path, wants: wants.into_iter().collect() }
        });
        Pin { places: places.collect() }
    }
}

impl Leaf {
    /// Every alternative is one that can be looked up, and a field must be there.
    fn is_pinned(&self) -> bool {
        !self.any && !self.absent && self.tests.iter().all(|test| test.pin().is_some())
    }

    /// How much it lets through, where one of several has to be chosen.
    fn looseness(&self) -> (usize, usize) {
        let scalars = [self.null, self.yes, self.no].into_iter().filter(|it| *it).count();
        (self.tests.len(), self.strings.len() + self.numbers.len() + scalars)
    }

    fn wants(&self) -> impl Iterator<Item = Want> {
        let strings = self.strings.iter().map(|text| Want::Text(text.into()));
        let numbers = self.numbers.iter().map(|number| Scalar::from(*number));
        let words =
            [(self.null, Kind::Null), (self.yes, Kind::Bool(true)), (self.no, Kind::Bool(false))];
        let words = words.into_iter().filter(|(named, _)| *named).map(|(_, kind)| Scalar(kind));
        let tests = self.tests.iter().filter_map(Test::pin).map(Pinned::want);
        strings.chain(numbers.chain(words).map(Want::Scalar)).chain(tests)
    }
}

/// What a test pins, borrowed.
enum Pinned<'t> {
    Text(&'t str),
    Prefix(&'t str),
    Folded(&'t str),
    FoldedPrefix(&'t str),
    Number(Num),
}

impl Pinned<'_> {
    fn want(self) -> Want {
        match self {
            Self::Text(text) => Want::Text(text.into()),
            Self::Prefix(text) => Want::Prefix(text.into()),
            Self::Folded(text) => Want::Folded(text.into()),
            Self::FoldedPrefix(text) => Want::FoldedPrefix(text.into()),
            Self::Number(number) => Want::Scalar(number.into()),
        }
    }
}

impl Test {
    /// An empty prefix pins nothing: every string begins so.
    fn pin(&self) -> Option<Pinned<'_>> {
        match self {
            Self::Text(Text::Prefix(text)) => some(text).map(Pinned::Prefix),
            Self::Text(Text::PrefixIgnoringCase(text)) => {
                some(text.as_str()).map(Pinned::FoldedPrefix)
            }
            Self::Text(Text::EqualIgnoringCase(text)) => Some(Pinned::Folded(text.as_str())),
            Self::Text(Text::Wildcard(wildcard)) if wildcard.is_plain() => {
                Some(Pinned::Text(wildcard.start()))
            }
            Self::Text(Text::Wildcard(wildcard)) => some(wildcard.start()).map(Pinned::Prefix),
            Self::Numeric(range) => range.only().map(Pinned::Number),
            Self::Text(Text::Suffix(_) | Text::SuffixIgnoringCase(_))
            | Self::Cidr(_)
            | Self::AnythingBut(_) => None,
        }
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
