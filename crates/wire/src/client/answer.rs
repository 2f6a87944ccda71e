//! What comes back: the JSON as it came, and the value that it says.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::http::list::List;

/// An answer in both of its forms. Scripts get `json` verbatim, with whatever members a newer
/// service may have added; programs read `value`.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    pub json: Bytes,
    pub value: T,
}

impl<T: DeserializeOwned> Answer<T> {
    pub(super) fn parse(json: Bytes) -> Result<Self, serde_json::Error> {
        let value = serde_json::from_slice(&json)?;
        Ok(Self { json, value })
    }
}

/// Items of one or more pages of a list, each in both of its forms, and where the list goes on.
#[derive(Clone, Debug)]
pub struct Items<T> {
    pub items: Vec<Answer<T>>,
    pub next: Option<String>,
}

impl<T: DeserializeOwned> Items<T> {
    pub(super) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let list: List<Box<RawValue>> = serde_json::from_slice(json)?;
        let item =
            |raw: Box<RawValue>| Answer::parse(Bytes::from(String::from(Box::<str>::from(raw))));
        let items = list.items.into_iter().map(item).collect::<Result<_, _>>()?;
        Ok(Self { items, next: list.next })
    }
}
