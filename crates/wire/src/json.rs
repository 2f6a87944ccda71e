//! Is it JSON, before anybody keeps it or hands it to a function?
//!
//! A call's body and an event's data travel through Lambent as text, to the digit: nothing here
//! builds a tree. [`check`] answers whether bytes are one well-formed document (RFC 8259) that is
//! not nested too deeply; [`matchable`] asks in addition whether `serde_json::Value`, which
//! patterns are matched on, can hold it; [`compact`] copies a document without the white space
//! between its tokens.
//!
//! What [`check`] lets pass, since the grammar does: numbers of any size (`1e400`), members given
//! twice, and `\u` escapes that are half of a surrogate pair (Python's reader takes those, too;
//! [`matchable`] refuses them). What it refuses although some readers take it: a byte order mark.

mod grammar;
mod matchable;

use serde::de::IgnoredAny;

pub(crate) use matchable::matchable;

/// Why bytes are not a document that is accepted. Lines and columns count from 1, columns in
/// bytes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotJson {
    #[error("JSON was expected, and nothing came: the body is empty")]
    Empty,
    #[error(
        "JSON starts with a byte order mark (EF BB BF), which RFC 8259 forbids: send it without"
    )]
    ByteOrderMark,
    #[error("JSON must be UTF-8, and the byte at line {line}, column {column} is not")]
    NotUtf8 { line: usize, column: usize },
    #[error(
        "JSON is nested deeper than {most} levels at line {line}, column {column}: \
         make it flatter, or send the inner part as a string"
    )]
    TooDeep { most: usize, line: usize, column: usize },
    #[error("this is not JSON: {what} at line {line}, column {column}")]
    Syntax { what: String, line: usize, column: usize },
}

/// Whether `bytes` are one JSON document, nested at most `max_depth` levels (`[]` has one); no
/// document may have more than [`grammar::DEEPEST`]. Takes one pass, and no memory.
pub fn check(bytes: &[u8], max_depth: usize) -> Result<(), NotJson> {
    text(bytes, max_depth).map(drop)
}

/// [`check`], and the document as text.
pub(crate) fn text(bytes: &[u8], max_depth: usize) -> Result<&str, NotJson> {
    let text = utf8(bytes)?;
    match grammar::walk(bytes, max_depth) {
        Ok(()) => Ok(text),
        Err(grammar::Stop::TooDeep { at, most }) => {
            let (line, column) = position(bytes, at);
            Err(NotJson::TooDeep { most, line, column })
        }
        Err(grammar::Stop::Syntax) => Err(explain(text)),
    }
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, NotJson> {
    str::from_utf8(bytes).map_err(|error| {
        let (line, column) = position(bytes, error.valid_up_to());
        NotJson::NotUtf8 { line, column }
    })
}

/// What is wrong, in the words of a parser that has words for it.
#[cold]
fn explain(text: &str) -> NotJson {
    if text.starts_with('\u{feff}') {
        return NotJson::ByteOrderMark;
    }
    if text.bytes().all(is_space) {
        return NotJson::Empty;
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => NotJson::syntax(error),
        // The two grammars are one: tests hold them against each other.
        Ok(_) => NotJson::Syntax { what: "an unexpected character".into(), line: 1, column: 1 },
    }
}

/// Appends `text`, which is JSON, without the white space between its tokens.
pub(crate) fn compact(text: &str, into: &mut String) {
    let bytes = text.as_bytes();
    let (mut kept, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = grammar::string(bytes, at + 1).unwrap_or(bytes.len()),
            byte if is_space(*byte) => {
                into.push_str(&text[kept..at]);
                at += 1;
                kept = at;
            }
            _ => at += 1,
        }
    }
    into.push_str(&text[kept..]);
}

impl NotJson {
    /// serde_json's own words, without the place that it appends to them.
    pub(crate) fn syntax(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let words = error.to_string();
        let what = words.strip_suffix(&format!(" at line {line} column {column}"));
        Self::Syntax { what: what.unwrap_or(&words).to_owned(), line, column }
    }
}

pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Line and column of the byte at `at`.
fn position(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (before.iter().filter(|byte| **byte == b'\n').count() + 1, at - line_start + 1)
}

#[cfg(test)]
mod tests;
