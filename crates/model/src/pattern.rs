//! Which events a trigger wants: the event patterns of Amazon EventBridge, over the CloudEvents
//! record. A rule that somebody brings along works as it is.
//!
//! A pattern looks like the record it matches:
//!
//! ```json
//! { "type": ["file.created"], "data": { "size": [{ "numeric": [">", 0] }] } }
//! ```
//!
//! A trigger's pattern is compiled once, by [`Pattern::parse`], which refuses what could not work
//! with the place and the reason ([`Invalid`]). From then on [`Pattern::matches`] is asked for
//! every event and allocates nothing; a router has a table of [`Pattern::pins`], so that most
//! patterns are not even asked. When somebody wonders why nothing ran, [`Pattern::explain`] says
//! which clause stopped the event.
//!
//! # The language
//!
//! * Fields of an object all have to hold (and); of a field's list, one alternative (or).
//! * A key is one key: `"a.b"` is the field `a.b`, not `b` in `a`.
//! * An alternative is a value, or an object with one operator: `prefix`, `suffix`,
//!   `equals-ignore-case`, `wildcard`, `anything-but`, `numeric`, `cidr`, `exists`.
//! * `"$or": [pattern, pattern, …]` holds if one of its patterns does, at any depth, together
//!   with the fields beside it. Inside, no field can have the name of an operator, since that is
//!   nearly always an operator in the wrong place. A field named `$or` cannot be matched.
//! * Only values are matched: strings, numbers, true, false, null. null is a value: `exists: true`
//!   accepts it and `anything-but` does. A missing field, an empty array and an object are no
//!   value, where a list of alternatives stands: only `exists: false` accepts that.
//! * An array stands for its elements, and arrays in arrays are one array. A list of alternatives
//!   holds if one element satisfies it, `anything-but` too: `["a", "b"]` is anything but "a",
//!   because of "b". An object of fields holds if one and the same element satisfies all of it,
//!   and its `exists: false` if no element that could be meant has the field.
//!
//! Where this differs from AWS's own matcher: numbers are compared as numbers at any size and
//! precision, strings that look like IP addresses are still plain strings, alternatives for one
//! key beside and inside a `$or` both count, and `exists: false` in arrays of objects does not
//! depend on the order of field names.
//!
//! What it does not do: it knows no attribute of CloudEvents but `type` and `source`, which it
//! tries first; it does not change events; it cannot refer from one field to another.

use std::fmt;

use serde_json::Value;

mod cidr;
mod compile;
mod expand;
mod explain;
mod invalid;
mod leaf;
pub mod limits;
mod matching;
mod number;
mod operator;
mod pins;
mod string;
mod text;

#[cfg(test)]
mod tests;

pub use explain::{Had, Stop, Verdict};
pub use invalid::{Invalid, Problem};
pub use pins::{Pin, Place, Scalar, Want, fold};

use compile::Node;
use matching::Holds;

/// A compiled pattern. Two are equal if their canonical texts are.
#[derive(Clone)]
pub struct Pattern {
    root: Node,
    canonical: Value,
    pins: Vec<Pin>,
}

impl Pattern {
    /// From the text, as a user wrote it. Only from text can a key that is given twice be seen.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > limits::PATTERN_BYTES {
            return Err(Invalid::at("", Problem::TooLarge { bytes: text.len() }));
        }
        // Each level is an object and perhaps a list; an operator's operand adds a few.
        if text::nesting(text) > 2 * limits::PATTERN_DEPTH + 4 {
            return Err(Invalid::at("", Problem::TooDeep));
        }
        let value = serde_json::from_str(text)
            .map_err(|e| Invalid::at("", Problem::NotJson { reason: e.to_string() }))?;
        text::refuse_duplicate_keys(text)?;
        Self::from_value(&value)
    }

    /// From parsed JSON, for what came out of our own store. A request's body goes to
    /// [`Pattern::parse`].
    pub fn from_value(value: &Value) -> Result<Self, Invalid> {
        let root = compile::compile(value)?;
        let canonical = compile::canonical(value);
        // The canonical text has to be a pattern again.
        let bytes = canonical.to_string().len();
        if bytes > limits::PATTERN_BYTES {
            return Err(Invalid::at("", Problem::TooLarge { bytes }));
        }
        let pins = pins::of(&root);
        Ok(Self { root, canonical, pins })
    }

    /// Whether this record is wanted. What is no JSON object is no record, and never is.
    pub fn matches(&self, record: &Value) -> bool {
        record.as_object().is_some_and(|object| self.root.holds(Some(object)) != Holds::No)
    }

    /// The same answer as [`Pattern::matches`], with the first clause that stopped the record.
    pub fn explain(&self, record: &Value) -> Verdict {
        if self.matches(record) {
            return Verdict::Matched;
        }
        let stop =
            record.as_object().and_then(|object| explain::stop(&self.root, Some(object), ""));
        Verdict::Stopped(stop.unwrap_or_else(|| Stop {
            path: String::new(),
            wanted: "a JSON object".to_owned(),
            had: Had::Value(invalid::shown(record)),
        }))
    }

    /// What a record that matches must have: every one of these. So a router finds the patterns
    /// that might want a record in a table, and asks no others.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// The pattern as JSON, with sorted keys and numbers in their shortest form.
    pub fn to_value(&self) -> Value {
        self.canonical.clone()
    }
}

/// The canonical text.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.canonical.fmt(f)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Pattern {}

impl std::str::FromStr for Pattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}
