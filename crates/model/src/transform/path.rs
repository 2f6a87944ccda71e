//! Where in a record something stands: the part of JSONPath that can be read without a manual.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::digest::Digest;
use crate::name::Invalid;

/// A path's text: AWS's limit.
const PATH_BYTES: usize = 256;
/// A scalar's text as a key, before it is replaced by its digest: keys are stored, indexed and
/// compared, and ids, file names and URLs nearly always fit.
const TEXT_BYTES: usize = 256;

/// A compiled path: `$` is the record, and then `.name` or `['any name']` is a field, `[0]` an
/// element of a list and `[*]` all of them.
///
/// A path without `[*]` gives the one value that is there, or none. With it, a path gives a list of
/// all that there are, perhaps an empty one; lists of lists become one list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Field(String),
    Element(usize),
    Every,
}

impl Path {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > PATH_BYTES {
            let why = format!("it has {} bytes, and may have {PATH_BYTES}", text.len());
            return Err(Invalid::new("path", text, why));
        }
        let steps = steps(text).map_err(|(rest, why)| {
            let before = text.strip_suffix(rest).unwrap_or(text);
            let position = before.chars().count() + 1;
            Invalid::new("path", text, format!("at character {position}, {why}"))
        })?;
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Whether it gives a list of what it finds, rather than the one value that is there.
    pub fn gives_list(&self) -> bool {
        self.steps.contains(&Step::Every)
    }

    /// What stands there, if anything does.
    pub fn get<'r>(&self, record: &'r Value) -> Option<Cow<'r, Value>> {
        let found = self.find(record);
        if self.gives_list() {
            return Some(Cow::Owned(found.into_iter().cloned().collect()));
        }
        found.first().copied().map(Cow::Borrowed)
    }

    /// The string, number or boolean that stands there, as a text to compare: by it events are kept
    /// in order. A long one is represented by its digest. Null is no text, and neither is an object
    /// or a list.
    pub fn text(&self, record: &Value) -> Option<String> {
        let text = match &*self.get(record)? {
            Value::String(text) => text.clone(),
            scalar @ (Value::Bool(_) | Value::Number(_)) => scalar.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        if text.len() <= TEXT_BYTES {
            return Some(text);
        }
        Some(format!("sha256:{}", Digest::of(text.as_bytes())))
    }

    /// Everything that the steps lead to, without a copy.
    pub(super) fn find<'r>(&self, record: &'r Value) -> Vec<&'r Value> {
        let mut found = vec![record];
        for step in &self.steps {
            found = match step {
                Step::Field(name) => found.iter().filter_map(|it| it.get(name)).collect(),
                Step::Element(index) => found.iter().filter_map(|it| it.get(index)).collect(),
                Step::Every => found.iter().filter_map(|it| it.as_array()).flatten().collect(),
            };
        }
        found
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The rest of the text at which something is wrong, and what.
type Wrong<'t> = (&'t str, &'static str);

fn steps(text: &str) -> Result<Vec<Step>, Wrong<'_>> {
    let Some(mut rest) = text.strip_prefix('$') else {
        return Err((text, "a path must begin with $, the event, as in $.data.name"));
    };
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = match (rest.strip_prefix('.'), rest.strip_prefix('[')) {
            (Some(field), _) => dotted(field)?,
            (_, Some(inner)) => bracketed(inner)?,
            _ => return Err((rest, "a field (.name) or an element ([0]) must follow")),
        };
        steps.push(step);
        rest = after;
    }
    Ok(steps)
}

fn dotted(text: &str) -> Result<(Step, &str), Wrong<'_>> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    let (name, rest) = text.split_at(text.find(|c| !plain(c)).unwrap_or(text.len()));
    if !name.is_empty() {
        return Ok((Step::Field(name.to_owned()), rest));
    }
    Err((
        text,
        match text.chars().next() {
            None => "the name of a field must follow the dot",
            Some('.') => "a search at every depth (..) is not possible; name each field",
            Some('*') => "all fields (.*) are not possible; [*] has all elements of a list",
            Some(_) => "a name without quotes has letters, digits, _, - and $; else write ['…']",
        },
    ))
}

fn bracketed(text: &str) -> Result<(Step, &str), Wrong<'_>> {
    let (step, rest) = if let Some(rest) = text.strip_prefix('*') {
        (Step::Every, rest)
    } else if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        quoted(text, quote)?
    } else {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (index, rest) = text.split_at(digits);
        match index.parse() {
            Ok(index) => (Step::Element(index), rest),
            Err(_) if text.starts_with('-') => {
                return Err((text, "elements are counted from the front, from 0 on"));
            }
            Err(_) if text.starts_with('?') => return Err((text, "a filter is not possible")),
            Err(_) => return Err((text, "brackets hold a number, * or a name in quotes")),
        }
    };
    match rest.strip_prefix(']') {
        Some(rest) => Ok((step, rest)),
        None => Err((rest, "a closing bracket must follow")),
    }
}

/// A name in quotes, in which a backslash makes the next character an ordinary one.
fn quoted(text: &str, quote: char) -> Result<(Step, &str), Wrong<'_>> {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some((_, c)) if c == quote || c == '\\' => name.push(c),
                _ => {
                    let why = "a backslash must be followed by a quote or another backslash";
                    return Err((text.split_at(at).1, why));
                }
            },
            c if c == quote => {
                return Ok((Step::Field(name), text.split_at(at + c.len_utf8()).1));
            }
            c => name.push(c),
        }
    }
    Err((text, "this quote is never closed"))
}
