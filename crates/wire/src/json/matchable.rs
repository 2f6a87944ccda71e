//! Whether `serde_json::Value` can hold a document.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::NotJson;

/// Whether a Value can hold this document, without making one: no number beyond a double's range,
/// no half of a surrogate pair, and not the one key that Value takes for a message of its own.
pub(crate) fn matchable(text: &str) -> Result<(), NotJson> {
    serde_json::from_str::<Matchable>(text).map(drop).map_err(NotJson::syntax)
}

/// With its `raw_value` feature, serde_json takes an object that starts with this key for a
/// document in a string, and parses that in the object's place: a sender could show one document
/// to the patterns and another to the function.
const PRIVATE_KEY: &str = "$serde_json::private::RawValue";

/// Walks a document as `Value` does and keeps nothing.
struct Matchable;

impl<'de> Deserialize<'de> for Matchable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Matchable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_key::<Key>()?.is_some() {
            members.next_value::<Self>()?;
        }
        Ok(self)
    }
}

struct Key;

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Self)
    }
}

impl Visitor<'_> for Key {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self, E> {
        if key == PRIVATE_KEY {
            return Err(E::custom(format_args!("the key {PRIVATE_KEY:?} is reserved")));
        }
        Ok(self)
    }
}
