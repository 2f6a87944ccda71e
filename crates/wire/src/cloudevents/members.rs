//! The members of a JSON record, borrowed from its text.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::limits;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Malformed;
use super::attributes::{Data, Draft, Scalar, clip};
use crate::json::{self, NotJson};

/// The records of a list, at most `most`.
pub(super) fn list(text: &str, most: usize) -> Result<Vec<&RawValue>, Malformed> {
    let reader = &mut serde_json::Deserializer::from_str(text);
    let kept =
        reader.deserialize_seq(ListAtMost(most)).and_then(|list| reader.end().map(|()| list));
    kept.map_err(NotJson::syntax)?.ok_or(Malformed::BatchTooLong { most })
}

/// Fills the draft from the members of a record; `text` starts with a brace.
pub(super) fn record<'a>(text: &'a str, draft: &mut Draft<'a>) -> Result<(), Malformed> {
    let reader = &mut serde_json::Deserializer::from_str(text);
    let members =
        reader.deserialize_map(MembersAtMost(MEMBERS)).and_then(|all| reader.end().map(|()| all));
    let Some(members) = members.map_err(NotJson::syntax)? else {
        return Err(Malformed::TooManyAttributes { most: limits::EXTENSIONS_PER_EVENT });
    };
    let (mut data, mut base64) = (None, None);
    for (Text(name), value) in members {
        let seen = match name.as_ref() {
            "data" => data.replace(value),
            "data_base64" => base64.replace(value),
            _ => {
                let value = scalar(&name, value.get())?;
                draft.add(name, value)?;
                continue;
            }
        };
        if seen.is_some() {
            return Err(Malformed::Duplicate { name: name.into_owned() });
        }
    }
    // Null is how some writers say that a member is not set, but data may be null, too.
    let base64 = base64.map(RawValue::get).filter(|value| *value != "null");
    let data = data.map(RawValue::get).filter(|value| base64.is_none() || *value != "null");
    draft.data = match (data, base64) {
        (None, None) => Data::None,
        (Some(data), None) => document(data)?,
        (None, Some(value)) => Data::Base64(encoded(value)?),
        (Some(_), Some(_)) => {
            return Err(Malformed::Data { why: "both data and data_base64 are there".into() });
        }
    };
    Ok(())
}

/// Data in JSON, if a pattern can be held against it.
pub(super) fn document(text: &str) -> Result<Data<'_>, Malformed> {
    match json::matchable(text) {
        Ok(()) => Ok(Data::Json(text)),
        Err(NotJson::Syntax { what, line, column }) => {
            let place = format!("line {line}, column {column} of it");
            Err(Malformed::Data {
                why: format!("{what} at {place}; send such a value as a string"),
            })
        }
        Err(why) => Err(why.into()),
    }
}

/// An attribute's value. Only strings, whole numbers and booleans have a form as a header.
fn scalar<'a>(name: &str, value: &'a str) -> Result<Scalar<'a>, Malformed> {
    let refused = |why: &str| Malformed::Attribute { name: clip(name), why: why.to_owned() };
    match value.as_bytes().first() {
        Some(b'"') => match serde_json::from_str(value) {
            Ok(Text(text)) => Ok(Scalar::Text(text)),
            Err(error) => Err(refused(&NotJson::syntax(error).to_string())),
        },
        Some(b'n') => Ok(Scalar::Unset),
        Some(b't') => Ok(Scalar::Boolean(true)),
        Some(b'f') => Ok(Scalar::Boolean(false)),
        Some(b'{' | b'[') => {
            Err(refused("it must be a string, a whole number or a boolean; structure goes in data"))
        }
        _ => value.parse().map(Scalar::Integer).map_err(|_why| {
            refused(&format!(
                "as a number it must be a whole one from {} to {}; send another as a string",
                i32::MIN,
                i32::MAX
            ))
        }),
    }
}

fn encoded(value: &str) -> Result<Cow<'_, str>, Malformed> {
    let refused = |why: String| Malformed::Data { why: format!("data_base64 {why}") };
    let Text(text) = serde_json::from_str(value)
        .map_err(|_other_type| refused("must be a string of base64".into()))?;
    match STANDARD.decode(text.as_bytes()) {
        Ok(_bytes) => Ok(text),
        Err(why) => {
            Err(refused(format!("is not base64 of the standard alphabet, with padding: {why}")))
        }
    }
}

/// A string that is borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;

        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrow)
    }
}

/// More members than a record can have: what the specification names, and all its extensions.
const MEMBERS: usize = 16 + limits::EXTENSIONS_PER_EVENT;

/// Collects so many, in their order and those given twice included. Beyond that it collects no
/// more, so that brackets and commas cannot be turned into memory, and answers None; but it reads
/// to the end, since what is no JSON is told first.
struct MembersAtMost(usize);

impl<'de> Visitor<'de> for MembersAtMost {
    type Value = Option<Vec<(Text<'de>, &'de RawValue)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::with_capacity(12);
        while let Some(member) = map.next_entry()? {
            if kept.len() == self.0 {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            kept.push(member);
        }
        Ok(Some(kept))
    }
}

struct ListAtMost(usize);

impl<'de> Visitor<'de> for ListAtMost {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while let Some(item) = seq.next_element()? {
            if kept.len() == self.0 {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            kept.push(item);
        }
        Ok(Some(kept))
    }
}
