//! AWS's form of a template: a text that is JSON, but for placeholders that stand alone where a
//! value could. A reader of its own, since such a text is no JSON before it is filled in; strings,
//! numbers and words are still serde_json's to read.

use super::placeholder::{Names, leading_name};
use super::template::{DEPTH, Node, key, too_deep};

pub(super) fn parse(text: &str, names: &Names) -> Result<Node, String> {
    let mut reader = Reader { text, rest: text, names };
    let node = reader.value(DEPTH)?;
    if reader.peek().is_some() {
        return Err(reader.wrong("nothing more can follow; to have it all as a text, quote it"));
    }
    Ok(node)
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
    names: &'t Names,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Result<Node, String> {
        match self.peek() {
            Some('{') => self.object(depth.checked_sub(1).ok_or_else(too_deep)?),
            Some('[') => self.list(depth.checked_sub(1).ok_or_else(too_deep)?),
            Some('"') => {
                let text = self.string()?;
                Ok(Node::text(self.names.pieces(&text)?))
            }
            Some('<') => {
                let Some(name) = leading_name(self.rest) else {
                    return Err(self.wrong("a placeholder is <name>, closed and without spaces"));
                };
                let slot = self.names.slot(name)?;
                self.take(name.len() + 2);
                Ok(Node::Slot(slot))
            }
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, String> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        self.take(1);
        if self.accept('}') {
            return Ok(Node::object(fields));
        }
        loop {
            if self.peek() != Some('"') {
                return Err(self.wrong("the name of a field must follow, in quotes"));
            }
            let at = self.rest;
            let name = key(&self.string()?, self.names)?;
            if fields.iter().any(|(known, _)| *known == name) {
                self.rest = at;
                return Err(self.wrong("this field is there already"));
            }
            if !self.accept(':') {
                return Err(self.wrong("a colon must follow the name of a field"));
            }
            fields.push((name, self.value(depth)?));
            if self.accept('}') {
                return Ok(Node::object(fields));
            }
            if !self.accept(',') {
                return Err(self.wrong("a comma or a closing brace must follow"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, String> {
        let mut list = Vec::new();
        self.take(1);
        if self.accept(']') {
            return Ok(Node::list(list));
        }
        loop {
            list.push(self.value(depth)?);
            if self.accept(']') {
                return Ok(Node::list(list));
            }
            if !self.accept(',') {
                return Err(self.wrong("a comma or a closing bracket must follow"));
            }
        }
    }

    /// From its opening quote to its closing one.
    fn string(&mut self) -> Result<String, String> {
        let mut escaped = false;
        let closing = |c: char| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        };
        let Some(end) = self.rest.get(1..).and_then(|inner| inner.find(closing)) else {
            return Err(self.wrong("this quote is never closed"));
        };
        let at = self.rest;
        let Ok(text) = serde_json::from_str(self.take(end + 2)) else {
            self.rest = at;
            return Err(
                self.wrong("this string has an escape or a control character that JSON has not")
            );
        };
        Ok(text)
    }

    /// A number, true, false or null.
    fn word(&mut self) -> Result<Node, String> {
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let at = self.rest;
        let Ok(value) = serde_json::from_str(self.take(end)) else {
            self.rest = at;
            return Err(self.wrong("a JSON value or a placeholder such as <name> must follow"));
        };
        Ok(Node::Constant(value))
    }

    /// The next character that is no white space; there the rest begins.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.chars().next()
    }

    fn accept(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.take(wanted.len_utf8());
        }
        there
    }

    /// The first bytes of the rest, which then begins after them.
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn wrong(&self, why: &str) -> String {
        let before = self.text.strip_suffix(self.rest).unwrap_or(self.text);
        format!("at character {}, {why}", before.chars().count() + 1)
    }
}
