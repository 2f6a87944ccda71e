//! What a terminal shows: colours where they help, and no character that moves the cursor.

use std::fmt;
use std::io::{self, IsTerminal as _};

/// Colours, or none: on a terminal, unless NO_COLOR or TERM=dumb says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Paint {
    on: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Colour {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
}

impl Paint {
    pub(super) fn for_stdout() -> Self {
        Self { on: wants_colour(anstream::AutoStream::choice(&io::stdout())) }
    }

    pub(super) fn for_stderr() -> Self {
        Self { on: wants_colour(anstream::AutoStream::choice(&io::stderr())) }
    }

    /// The text in a colour. Pads nothing: align before painting.
    pub(super) fn paint(self, colour: Colour, text: impl fmt::Display) -> String {
        if !self.on {
            return text.to_string();
        }
        let code = match colour {
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Blue => "34",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    #[cfg(test)]
    pub(super) const NEVER: Self = Self { on: false };
    #[cfg(test)]
    pub(super) const ALWAYS: Self = Self { on: true };
}

fn wants_colour(choice: anstream::ColorChoice) -> bool {
    // `Auto` is what `choice` never answers; without a decision there is no colour.
    matches!(choice, anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi)
}

/// The colour of an invocation's status.
pub(super) fn status_colour(status: &str) -> Colour {
    match status {
        "succeeded" => Colour::Green,
        "failed" | "dead" => Colour::Red,
        "retrying" => Colour::Yellow,
        _ => Colour::Blue,
    }
}

/// Text from outside, fit for a line of a terminal: control characters are written as escapes, so
/// that no log and no message can move the cursor, or pretend to be another line.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || c == '\t' || !(c.is_control() || is_direction(c)) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

/// The same, and line feeds and tabs, too: for a cell of a table.
pub(super) fn clean_cell(text: &str) -> String {
    clean(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Characters that make the rest of a line run the other way.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

pub(super) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_command_a_terminal() {
        assert_eq!(clean("a\u{1b}[2J\r\u{202e}b\tc\nd"), "a\\u{1b}[2J\\u{d}\\u{202e}b\tc\nd");
        assert_eq!(clean_cell("a\nb\tc"), "a\\nb\\tc");
        assert_eq!(clean("grüße 日本"), "grüße 日本");
    }

    #[test]
    fn colours_are_only_there_when_they_are_wanted() {
        assert_eq!(Paint::NEVER.paint(Colour::Red, "x"), "x");
        assert_eq!(Paint::ALWAYS.paint(Colour::Red, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
