//! Looks up single members of a JSON object and leaves all others as text.
//!
//! A member given twice counts by its last value, as our reader of patterns and Python's both have
//! it. Whether the text is JSON at all was checked before.

use std::fmt;

use model::Project;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Malformed;
use crate::json::NotJson;

/// The members called so, in the order of `names`. None if `text` is no object.
pub(super) fn pick<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> Result<Option<[Option<&'a RawValue>; N]>, NotJson> {
    if !text.starts_with('{') {
        return Ok(None);
    }
    let reader = &mut serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Picked(names)).map(Some).map_err(NotJson::syntax)
}

/// The member at the end of a path of names, if every step is there.
pub(super) fn follow<'a>(text: &'a str, path: &[&str]) -> Result<Option<&'a RawValue>, NotJson> {
    let Some((first, rest)) = path.split_first() else { return Ok(None) };
    let Some([Some(value)]) = pick(text, [*first])? else { return Ok(None) };
    if rest.is_empty() { Ok(Some(value)) } else { follow(value.get(), rest) }
}

/// The string that a member holds; None if it is not there, or is null.
pub(super) fn string(name: &str, value: Option<&RawValue>) -> Result<Option<String>, Malformed> {
    let Some(value) = value.map(RawValue::get).filter(|value| *value != "null") else {
        return Ok(None);
    };
    let refused = |why| Malformed::Member { name: name.to_owned(), why };
    if !value.starts_with('"') {
        return Err(refused(format!("it must be a string, and is {}", what(value))));
    }
    serde_json::from_str(value)
        .map(Some)
        .map_err(|error| refused(NotJson::syntax(error).to_string()))
}

/// What a value is, for a person.
pub(super) fn what(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

pub(super) fn project(name: &str, value: &str) -> Result<Project, Malformed> {
    Project::parse(value).map_err(|why| Malformed::Project { name: name.to_owned(), why })
}

struct Picked<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Picked<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(which) = map.next_key_seed(Which(&self.0))? {
            match which {
                Some(at) => found[at] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Reads a key, and says which of the names it is.
struct Which<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Which<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Which<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}
