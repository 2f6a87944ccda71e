//! Placeholders: which there are, where they stand in a text, and what they become.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::Room;
use super::path::Path;
use crate::name::Invalid;

/// A placeholder's name; AWS allows 256, and a template is 8 KiB.
const NAME_BYTES: usize = 64;

/// What the names between `<` and `>` stand for.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, Path>);

/// What a placeholder becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Path(Path),
    Event,
    Attribute(&'static str),
}

/// A text with placeholders in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    Literal(String),
    Slot(Slot),
}

impl Names {
    pub(super) fn add(&mut self, name: &str, path: Path) -> Result<(), Invalid> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(fits) {
            let why = format!("a name has 1 to {NAME_BYTES} letters, digits, _ and -");
            return Err(Invalid::new("paths", name, why));
        }
        if name == "event" {
            let why = "<event> is the whole event already; choose another name";
            return Err(Invalid::new("paths", name, why));
        }
        self.0.insert(name.to_owned(), path);
        Ok(())
    }

    /// What `<name>` stands for, or why it stands for nothing.
    pub(super) fn slot(&self, name: &str) -> Result<Slot, String> {
        Ok(match name {
            "event" => Slot::Event,
            "event.id" => Slot::Attribute("id"),
            "event.type" => Slot::Attribute("type"),
            "event.time" => Slot::Attribute("time"),
            _ => match self.0.get(name) {
                Some(path) => Slot::Path(path.clone()),
                None => {
                    return Err(format!(
                        "<{name}> is neither one of paths nor event, event.id, event.type or \
                         event.time; for the text itself write \\<{name}>"
                    ));
                }
            },
        })
    }

    /// Takes a text apart. Neighbours are never both literal, and none is empty.
    pub(super) fn pieces(&self, text: &str) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            let (before, from) = rest.split_at(at);
            let Some(name) = leading_name(from) else {
                let (bracket, after) = from.split_at(1);
                literal.push_str(before);
                literal.push_str(bracket);
                rest = after;
                continue;
            };
            let plain = before.trim_end_matches('\\');
            let backslashes = before.len() - plain.len();
            literal.push_str(plain);
            literal.push_str(&"\\".repeat(backslashes / 2));
            let (placeholder, after) = from.split_at(name.len() + 2);
            if backslashes % 2 == 1 {
                literal.push_str(placeholder);
            } else {
                let slot = self.slot(name)?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Slot(slot));
            }
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }
}

/// The name, if a placeholder begins here. `a < b` and `<br/>` have none.
pub(super) fn leading_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('<')?.split_once('>')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(fits)).then_some(name)
}

impl Slot {
    /// What it becomes as a value.
    pub(super) fn value(&self, record: &Value, room: &mut Room) -> Option<Value> {
        // Measured before it is copied: a list is measured by its elements.
        if let Self::Path(path) = self
            && path.gives_list()
        {
            let found = path.find(record);
            room.take_bytes(found.len())?;
            found.iter().try_for_each(|element| room.take(element))?;
            return Some(found.into_iter().cloned().collect());
        }
        let value = self.one(record).unwrap_or(&Value::Null);
        room.take(value)?;
        Some(value.clone())
    }

    /// What it becomes within a text.
    pub(super) fn text<'r>(&self, record: &'r Value, room: &mut Room) -> Option<Cow<'r, str>> {
        match self {
            Self::Path(path) if path.gives_list() => {
                Some(self.value(record, room)?.to_string().into())
            }
            _ => match self.one(record) {
                None | Some(Value::Null) => Some("".into()),
                Some(Value::String(text)) => {
                    room.take_bytes(text.len())?;
                    Some(text.into())
                }
                Some(other) => {
                    room.take(other)?;
                    Some(other.to_string().into())
                }
            },
        }
    }

    fn one<'r>(&self, record: &'r Value) -> Option<&'r Value> {
        match self {
            Self::Event => Some(record),
            Self::Attribute(name) => record.get(name),
            Self::Path(path) => path.find(record).first().copied(),
        }
    }
}
