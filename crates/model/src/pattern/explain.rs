//! Why an event is not matched: the first clause that stopped it. For a dry run, where a person
//! asks why a function did not run; so it may allocate, and takes its time only on a mismatch.
//!
//! It decides nothing itself: it walks down where [`super::matching`] says no.

use std::fmt;

use serde_json::{Map, Value};

use super::compile::{Field, Node, OR};
use super::invalid::{index, join, shown};
use super::leaf::Leaf;
use super::matching::Holds;

/// Reasons told where several have to fail together: enough for a `$or` that people write. Within
/// one of them it is half as many, and so on: a sentence about arrays in arrays in arrays has an
/// end, however many elements these have.
const REASONS: usize = 8;

/// The answer of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Matched,
    Stopped(Stop),
}

/// One clause that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// In the event, such as `data.items[2].size`; a `$or` ends in `$or`.
    pub path: String,
    /// What the pattern has there, as JSON or in words.
    pub wanted: String,
    pub had: Had,
}

/// What the event had instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Had {
    /// There is no such field.
    Absent,
    /// This value, as JSON, cut to a length that fits a message.
    Value(String),
    /// Several things, one of which had to hold: members of a `$or`, or objects of an array.
    NoneOf(Vec<Stop>),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched => f.write_str("matched"),
            Self::Stopped(stop) => stop.fmt(f),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the event" } else { &self.path };
        write!(f, "{path}: the pattern wants {}, ", self.wanted)?;
        match &self.had {
            Had::Absent => f.write_str("the event has no such field"),
            Had::Value(value) => write!(f, "the event has {value}"),
            Had::NoneOf(stops) => {
                f.write_str("but none does (")?;
                for (position, stop) in stops.iter().enumerate() {
                    let separator = if position == 0 { "" } else { "; " };
                    write!(f, "{separator}{stop}")?;
                }
                f.write_str(")")
            }
        }
    }
}

type Object = Map<String, Value>;

/// Why `node`, which does not hold for `object`, does not.
pub(super) fn stop(node: &Node, object: Option<&Object>, path: &str) -> Option<Stop> {
    Telling { most: REASONS }.stop(node, object, path)
}

/// How many reasons may still be told where there are several.
#[derive(Clone, Copy)]
struct Telling {
    most: usize,
}

impl Telling {
    fn inside(self) -> Self {
        Self { most: (self.most / 2).max(1) }
    }

    fn stop(self, node: &Node, object: Option<&Object>, path: &str) -> Option<Stop> {
        if let Some(field) = node.fields.iter().find(|field| field.holds(object) == Holds::No) {
            return Some(self.stop_at_field(field, object, path));
        }
        let failed =
            |members: &&Vec<Node>| members.iter().all(|member| member.holds(object) == Holds::No);
        let members = node.ors.iter().find(failed)?;
        let reasons = members
            .iter()
            .take(self.most)
            .filter_map(|member| self.inside().stop(member, object, path));
        Some(Stop {
            path: join(path, OR),
            wanted: format!("one of {} patterns to hold", members.len()),
            had: Had::NoneOf(reasons.collect()),
        })
    }

    fn stop_at_field(self, field: &Field, object: Option<&Object>, path: &str) -> Stop {
        let path = join(path, &field.key);
        let value = object.and_then(|object| object.get(&*field.key));
        if let Some(leaf) = field.leaves.iter().find(|leaf| leaf.holds(value) == Holds::No) {
            return stop_at_leaf(leaf, value, path);
        }
        let inside = field.node.as_ref().and_then(|node| self.stop_inside(node, value, &path));
        // Not reached: a field that does not hold has a part that does not.
        inside.unwrap_or(Stop { path, wanted: "this field to hold".to_owned(), had: Had::Absent })
    }

    fn stop_inside(self, node: &Node, value: Option<&Value>, path: &str) -> Option<Stop> {
        let list = match value {
            Some(Value::Object(object)) => return self.stop(node, Some(object), path),
            Some(Value::Array(list)) => list,
            _ => return self.stop(node, None, path),
        };
        let mut objects = Vec::new();
        collect(list, path, &mut objects);
        if objects.is_empty() {
            return self.stop(node, None, path);
        }
        let failed = objects.iter().filter(|(object, _)| node.holds(Some(object)) == Holds::No);
        if let [(object, path)] = objects.as_slice() {
            return self.stop(node, Some(object), path);
        }
        let tell =
            |(object, path): &(&Object, String)| self.inside().stop(node, Some(object), path);
        let reasons = failed.take(self.most).filter_map(tell).collect();
        Some(Stop {
            path: path.to_owned(),
            wanted: format!("one of {} objects to satisfy all its fields", objects.len()),
            had: Had::NoneOf(reasons),
        })
    }
}

fn stop_at_leaf(leaf: &Leaf, value: Option<&Value>, path: String) -> Stop {
    let had = match value {
        None => Had::Absent,
        Some(value) => Had::Value(shown(value)),
    };
    Stop { path, wanted: shown(&leaf.wanted), had }
}

fn collect<'v>(list: &'v [Value], path: &str, objects: &mut Vec<(&'v Object, String)>) {
    for (position, element) in list.iter().enumerate() {
        match element {
            Value::Object(object) => objects.push((object, index(path, position))),
            Value::Array(inner) => collect(inner, &index(path, position), objects),
            _ => {}
        }
    }
}
