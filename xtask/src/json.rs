//! JSON, as much of it as the demo needs: read an answer, find a member, print it for people.
//!
//! It is here since this crate has no dependencies. It trusts its input (answers of our own
//! server, messages of cargo) and keeps numbers as they are written.

use std::fmt::{self, Write as _};

/// Deeper than any answer of ours; a parser that recurses must stop somewhere.
const DEPTH: usize = 128;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// `null`, `true`, `false` and numbers, as written.
    Bare(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Value {
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(found, _)| found == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

/// Strings without their quotes, everything else as JSON on one line.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) | Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                f.write_char('[')?;
                for (position, item) in items.iter().enumerate() {
                    f.write_str(if position == 0 { "" } else { ", " })?;
                    item.nested(f)?;
                }
                f.write_char(']')
            }
            Self::Object(members) => {
                f.write_char('{')?;
                for (position, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{name:?}: ", if position == 0 { "" } else { ", " })?;
                    value.nested(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

impl Value {
    fn nested(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            other => fmt::Display::fmt(other, f),
        }
    }
}

/// One JSON document, or the byte at which it stops being one.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEPTH)?;
    reader.space();
    if reader.at == text.len() { Ok(value) } else { Err(reader.unexpected()) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("nested more than {DEPTH} deep at byte {}", self.at));
        };
        self.space();
        match self.peek() {
            Some('"') => self.string().map(Value::Text),
            Some('[') => {
                let mut items = Vec::new();
                self.separated(']', |reader| {
                    items.push(reader.value(depth)?);
                    Ok(())
                })?;
                Ok(Value::List(items))
            }
            Some('{') => {
                let mut members = Vec::new();
                self.separated('}', |reader| {
                    reader.space();
                    let name = reader.string()?;
                    reader.space();
                    reader.expect(':')?;
                    members.push((name, reader.value(depth)?));
                    Ok(())
                })?;
                Ok(Value::Object(members))
            }
            _ => self.bare(),
        }
    }

    /// What stands between an opening bracket and `end`, with commas between.
    fn separated(
        &mut self,
        end: char,
        mut one: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.at += 1;
        self.space();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        loop {
            one(self)?;
            self.space();
            if self.peek() == Some(end) {
                self.at += 1;
                return Ok(());
            }
            self.expect(',')?;
        }
    }

    fn bare(&mut self) -> Result<Value, String> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
        let word = &rest[..end.unwrap_or(rest.len())];
        let known = ["null", "true", "false"].contains(&word) || word.parse::<f64>().is_ok();
        if !known {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(Value::Bare(word.to_owned()))
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(other) => text.push(other),
                None => return Err("a string does not end".to_owned()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let high = self.four_hex()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                self.expect('\\')?;
                self.expect('u')?;
                let low = self.four_hex()?;
                let joined =
                    0x1_0000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some(same @ ('"' | '\\' | '/')) => same,
            _ => return Err(self.unexpected()),
        })
    }

    fn four_hex(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let value = u32::from_str_radix(digits, 16).map_err(|_not_hex| self.unexpected())?;
        self.at += 4;
        Ok(value)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.peek() == Some(wanted) {
            self.at += wanted.len_utf8();
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn unexpected(&self) -> String {
        match self.peek() {
            Some(found) => format!("{found:?} at byte {} is not JSON", self.at),
            None => "it ends too early to be JSON".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_name() {
        let value = parse(r#" {"a": [1, -2.5e3, true], "b": {"c": "d"}, "e": null} "#).unwrap();
        assert_eq!(value.get("b").and_then(|b| b.get("c")).and_then(Value::text), Some("d"));
        assert_eq!(value.get("a").map(|a| a.items().len()), Some(3));
        assert_eq!(value.get("e"), Some(&Value::Bare("null".into())));
        assert_eq!(value.get("f"), None);
    }

    #[test]
    fn a_value_prints_as_what_it_was() {
        let text = r#"{"a": [1, "x", {}], "b": "say \"hi\""}"#;
        assert_eq!(parse(text).unwrap().to_string(), text);
        assert_eq!(parse(r#""bare""#).unwrap().to_string(), "bare");
    }

    #[test]
    fn escapes_become_what_they_stand_for() {
        let value = parse(r#""\u00e9\n\ud83d\ude00\/""#).unwrap();
        assert_eq!(value.text(), Some("é\n😀/"));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "[1,]", "{\"a\" 1}", "nul", "\"a", "1 2", r#""\u12""#, "'a'"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
