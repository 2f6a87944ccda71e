//! Why a pattern is refused: the place, as a path into the pattern, and the reason.
//!
//! `data.size: "numeric" takes pairs of operator and number, got "<"`. The path names fields and
//! members of `$or`; which of a field's alternatives is meant, the reason shows.

use std::fmt::{self, Write as _};

use serde_json::Value;

use super::limits;

/// A pattern that is refused, where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", if path.is_empty() { "the pattern" } else { path })]
pub struct Invalid {
    path: String,
    problem: Problem,
}

impl Invalid {
    pub(super) fn at(path: impl Into<String>, problem: Problem) -> Self {
        Self { path: path.into(), problem }
    }

    /// Where in the pattern: `data.size`, `$or[1].data["odd key"]`; empty for the pattern itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// A name of the reason that stays the same when its sentence is improved.
    pub fn code(&self) -> &'static str {
        self.problem.code()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("is no JSON: {reason}")]
    NotJson { reason: String },
    #[error("this key is given twice; give it once, with all its alternatives in one list")]
    DuplicateKey,
    #[error("must be a JSON object of fields, got {got}")]
    NotAnObject { got: String },
    #[error("is {bytes} bytes long, more than {}", limits::PATTERN_BYTES)]
    TooLarge { bytes: usize },
    #[error("is nested deeper than {} levels", limits::PATTERN_DEPTH)]
    TooDeep,
    #[error(
        "an object without fields says nothing; for any value of a field say \
         [{{\"exists\": true}}]"
    )]
    EmptyObject,
    #[error("takes a list of alternatives such as [{got}], or an object of fields, got {got}")]
    NotAList { got: String },
    #[error("an empty list of alternatives matches nothing")]
    EmptyList,
    #[error("has {count} values in one list, more than {}", limits::ALTERNATIVES)]
    TooManyAlternatives { count: usize },
    #[error("an alternative is a value or an object with one operator, got the list {got}")]
    NestedList { got: String },
    #[error("an alternative that is an object has exactly one operator, got {got}")]
    OneOperator { got: String },
    #[error(
        "{operator:?} is no operator; there are prefix, suffix, equals-ignore-case, wildcard, \
         anything-but, numeric, cidr and exists"
    )]
    UnknownOperator { operator: String },
    #[error("{operator:?} takes {takes}, got {got}")]
    Operand { operator: &'static str, takes: &'static str, got: String },
    #[error("{operator:?} with an empty string inside \"anything-but\" leaves no string over")]
    EmptyExclusion { operator: &'static str },
    #[error("\"wildcard\" {got} has two stars in a row; one means the same")]
    WildcardConsecutive { got: String },
    #[error("\"wildcard\" {got} has a backslash that is followed by neither * nor \\")]
    WildcardEscape { got: String },
    #[error("\"wildcard\" {got} has more than {} stars", limits::WILDCARDS_PER_STRING)]
    WildcardTooMany { got: String },
    #[error(
        "\"anything-but\" takes a list of strings or one of numbers, not a mixed one, got {got}"
    )]
    AnythingButMixed { got: String },
    #[error("\"numeric\" takes pairs of operator and number, got {got}")]
    Numeric { got: String },
    #[error("\"numeric\" knows =, <, <=, > and >=, got {operator:?}")]
    NumericOperator { operator: String },
    #[error(
        "\"numeric\" takes one comparison, or a lower bound (> or >=) and then an upper one \
         (< or <=), got {got}"
    )]
    NumericOrder { got: String },
    #[error("\"numeric\" {got} has no room: the lower bound must be less than the upper one")]
    NumericRange { got: String },
    #[error("a number must be finite, got {got}")]
    NotFinite { got: String },
    #[error("\"cidr\" takes a block such as 10.0.0.0/24 or 2001:db8::/32, got {got}")]
    Cidr { got: String },
    #[error("\"$or\" takes a list of patterns, got {got}")]
    OrForm { got: String },
    #[error("\"$or\" takes at least two patterns, got {count}")]
    OrTooFew { count: usize },
    #[error(
        "the name of an operator cannot be a field inside \"$or\"; write \
         {{\"field\": [{{\"{name}\": …}}]}}"
    )]
    OrReserved { name: String },
    #[error(
        "stands for {count} patterns when every \"$or\" is multiplied out, more than {}",
        limits::OR_COMBINATIONS
    )]
    TooManyCombinations { count: usize },
    #[error(
        "has {count} fields when every \"$or\" is multiplied out, more than {}; name a field \
         once, outside of \"$or\" or inside",
        limits::MULTIPLIED_FIELDS
    )]
    TooManyFields { count: usize },
}

impl Problem {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "not_json",
            Self::DuplicateKey => "duplicate_key",
            Self::NotAnObject { .. } => "not_an_object",
            Self::TooLarge { .. } => "too_large",
            Self::TooDeep => "too_deep",
            Self::EmptyObject => "empty_object",
            Self::NotAList { .. } => "not_a_list",
            Self::EmptyList => "empty_list",
            Self::TooManyAlternatives { .. } => "too_many_alternatives",
            Self::NestedList { .. } => "nested_list",
            Self::OneOperator { .. } => "one_operator",
            Self::UnknownOperator { .. } => "unknown_operator",
            Self::Operand { .. } => "operand",
            Self::EmptyExclusion { .. } => "empty_exclusion",
            Self::WildcardConsecutive { .. } => "wildcard_consecutive",
            Self::WildcardEscape { .. } => "wildcard_escape",
            Self::WildcardTooMany { .. } => "wildcard_too_many",
            Self::AnythingButMixed { .. } => "anything_but_mixed",
            Self::Numeric { .. } => "numeric",
            Self::NumericOperator { .. } => "numeric_operator",
            Self::NumericOrder { .. } => "numeric_order",
            Self::NumericRange { .. } => "numeric_range",
            Self::NotFinite { .. } => "not_finite",
            Self::Cidr { .. } => "cidr",
            Self::OrForm { .. } => "or_form",
            Self::OrTooFew { .. } => "or_too_few",
            Self::OrReserved { .. } => "or_reserved",
            Self::TooManyCombinations { .. } => "too_many_combinations",
            Self::TooManyFields { .. } => "too_many_fields",
        }
    }
}

/// The path of a field: dotted, or quoted in brackets where dots would mislead.
pub(super) fn join(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    if key.is_empty() || !key.chars().all(plain) {
        return format!("{path}[{}]", Value::from(key));
    }
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

pub(super) fn index(path: &str, position: usize) -> String {
    format!("{path}[{position}]")
}

/// Characters of a value that a sentence repeats: enough to recognise it, too few to flood a log.
const SHOWN: usize = 160;

/// As JSON. What is longer is cut and ends in `…`, and so is no JSON any more.
pub(super) fn shown(value: &Value) -> String {
    let mut start = Start { text: String::new(), left: SHOWN };
    match write!(start, "{value}") {
        Ok(()) => start.text,
        Err(fmt::Error) => start.text + "…",
    }
}

/// Takes the first characters and then no more, so that a megabyte is not written out for a line.
struct Start {
    text: String,
    left: usize,
}

impl fmt::Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match text.char_indices().nth(self.left) {
            None => {
                self.left -= text.chars().count();
                self.text += text;
                Ok(())
            }
            Some((cut, _)) => {
                self.left = 0;
                self.text += text.split_at(cut).0;
                Err(fmt::Error)
            }
        }
    }
}
