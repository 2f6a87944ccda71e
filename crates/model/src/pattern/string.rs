//! Tests of strings: prefix, suffix, without regard to case, and with `*` for any characters.
//!
//! Strings are compared code point by code point; nothing is normalised, so a precomposed é is not
//! an e with a combining accent. "Ignore case" folds each code point to one code point: Σ, σ and ς
//! are equal, ß and "ss" are not, since a fold that changes lengths has no meaning for a prefix.
//!
//! No test allocates and each takes time linear in the event's string.

use super::limits::WILDCARDS_PER_STRING;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    Prefix(Box<str>),
    Suffix(Box<str>),
    PrefixIgnoringCase(Folded),
    SuffixIgnoringCase(Folded),
    EqualIgnoringCase(Folded),
    Wildcard(Wildcard),
}

impl Text {
    pub(super) fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::PrefixIgnoringCase(prefix) => prefix.starts(text),
            Self::SuffixIgnoringCase(suffix) => suffix.ends(text),
            Self::EqualIgnoringCase(whole) => whole.equals(text),
            Self::Wildcard(wildcard) => wildcard.accepts(text),
        }
    }
}

/// A string whose code points are folded already.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Folded(Box<str>);

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        Self(text.chars().map(fold).collect::<String>().into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_text(self) -> String {
        self.0.into()
    }

    fn starts(&self, text: &str) -> bool {
        let mut chars = text.chars().map(fold);
        self.0.chars().all(|wanted| chars.next() == Some(wanted))
    }

    fn ends(&self, text: &str) -> bool {
        let mut chars = text.chars().rev().map(fold);
        self.0.chars().rev().all(|wanted| chars.next() == Some(wanted))
    }

    fn equals(&self, text: &str) -> bool {
        self.0.chars().eq(text.chars().map(fold))
    }
}

/// Upper case first, then lower, so that the several lower case forms of one capital meet.
fn fold(c: char) -> char {
    match c {
        _ if c.is_ascii() => c.to_ascii_lowercase(),
        // Its capital is I, but only Turkish means it so; Unicode's default fold keeps it apart.
        'ı' => c,
        _ => only(only(c, c.to_uppercase()), only(c, c.to_uppercase()).to_lowercase()),
    }
}

/// The one code point of a case mapping, or the original where the mapping has several.
fn only(original: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => original,
    }
}

/// `first*middle*…*last`. The literal pieces are found from left to right, each at its leftmost
/// place: a later place could only leave less room for the rest. So nothing is ever tried twice,
/// and the time is linear however many stars there are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wildcard {
    first: Box<str>,
    /// What follows the first star: `None` without a star, when the whole string is `first`.
    rest: Option<AfterStar>,
}

#[derive(Debug, Clone, PartialEq)]
struct AfterStar {
    middle: Box<[Box<str>]>,
    last: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WildcardProblem {
    Consecutive,
    Escape,
    TooMany,
}

impl Wildcard {
    /// `\*` is a star and `\\` a backslash; a backslash before anything else is refused, since
    /// it would mean one thing to one reader and another to the next.
    pub(super) fn parse(text: &str) -> Result<Self, WildcardProblem> {
        let mut pieces = vec![String::new()];
        let mut chars = text.chars();
        let mut after_star = false;
        while let Some(c) = chars.next() {
            let literal = match c {
                '*' if after_star => return Err(WildcardProblem::Consecutive),
                '*' => {
                    pieces.push(String::new());
                    after_star = true;
                    continue;
                }
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '\\')) => escaped,
                    _ => return Err(WildcardProblem::Escape),
                },
                other => other,
            };
            after_star = false;
            if let Some(piece) = pieces.last_mut() {
                piece.push(literal);
            }
        }
        if pieces.len() - 1 > WILDCARDS_PER_STRING {
            return Err(WildcardProblem::TooMany);
        }
        let mut pieces = pieces.into_iter().map(String::into_boxed_str);
        let first = pieces.next().unwrap_or_default();
        let mut middle: Vec<_> = pieces.collect();
        let rest = middle.pop().map(|last| AfterStar { middle: middle.into(), last });
        Ok(Self { first, rest })
    }

    /// What every string that it accepts begins with.
    pub(super) fn start(&self) -> &str {
        &self.first
    }

    /// Without a star: it accepts its start and nothing else.
    pub(super) fn is_plain(&self) -> bool {
        self.rest.is_none()
    }

    pub(super) fn accepts(&self, text: &str) -> bool {
        let Some(AfterStar { middle, last }) = &self.rest else {
            return *text == *self.first;
        };
        let inner = text.strip_prefix(&*self.first);
        let Some(mut inner) = inner.and_then(|inner| inner.strip_suffix(&**last)) else {
            return false;
        };
        for piece in middle {
            match inner.split_once(&**piece) {
                Some((_, after)) => inner = after,
                None => return false,
            }
        }
        true
    }
}
