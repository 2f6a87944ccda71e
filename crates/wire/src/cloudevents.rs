//! Events as they cross HTTP or AMQP: CloudEvents 1.0 in structured, batched and binary mode.
//!
//! A request's [`mode`] follows from its content type and headers. [`structured`] and [`batch`]
//! read records, [`binary`] puts one together from `ce-` headers and a body; each gives
//! [`model::Event`]s, whose record is *canonical*: compact JSON, members in one order, extensions
//! sorted. Data keeps its digits and its order; only white space between tokens goes.
//! [`read`] does all of this by mode. Over AMQP ([`binary_amqp`]) a message's properties take the
//! place of `ce-` headers; what a message in another format says is put together by [`compose`].
//!
//! Somebody with curl and no SDK sends `{"type", "source", "data"}` as plain JSON. That is
//! [`Mode::Plain`]: what the specification asks for and only a program would care about comes
//! from [`Defaults`]. A request that says it *is* a CloudEvent is held to the specification,
//! unless the caller passes defaults for it, too.
//!
//! A record that is accepted here can be held by `serde_json::Value` and is nested no deeper than
//! `limits::JSON_DEPTH`, so a pattern can always be held against it. URIs are not parsed, since
//! nothing here follows them, and members given twice *within data* are the sender's business:
//! our reader of patterns and Python's both take the last one.

mod attributes;
mod header;
mod malformed;
mod members;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use model::{Event, limits};

use crate::json::{self, NotJson};
use attributes::{Data, Draft, Scalar};
pub use malformed::Malformed;

/// How a request carries events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// `application/cloudevents+json`: the body is a record.
    Structured,
    /// `application/cloudevents-batch+json`: the body is a list of records.
    Batch,
    /// Attributes are headers, the body is the data.
    Binary,
    /// Neither: the body is a record, or a list of them, in which [`Defaults`] may fill gaps.
    Plain,
}

/// What a sender without an SDK need not send.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The event's id; the n-th of a list, from 0, gets `id-n`.
    pub id: String,
    /// RFC 3339, such as `2026-11-24T04:50:42.123456Z`.
    pub time: String,
}

/// Whether a header is one of an event's attributes in binary mode. Names of headers know no case.
pub fn is_attribute_header(name: &str) -> bool {
    header::attribute_name(name).is_some()
}

/// How a request carries events, by its `Content-Type` and whether it has any [`ce-` header]
/// (`is_attribute_header`). curl's own content type for `-d` is a form, so any content type that
/// is not CloudEvents' is given the chance of being a record.
pub fn mode(content_type: Option<&str>, has_attribute_headers: bool) -> Result<Mode, Malformed> {
    let essence = header::essence(content_type.unwrap_or_default()).to_ascii_lowercase();
    match essence.as_str() {
        "application/cloudevents+json" | "application/cloudevents" => Ok(Mode::Structured),
        "application/cloudevents-batch+json" | "application/cloudevents-batch" => Ok(Mode::Batch),
        other if other.starts_with("application/cloudevents") => {
            Err(Malformed::Format { content_type: essence })
        }
        _ if has_attribute_headers => Ok(Mode::Binary),
        _ => Ok(Mode::Plain),
    }
}

/// The events of a request. `headers` may be all of its headers; only `ce-` ones are looked at,
/// and only in binary mode. `defaults` serve [`Mode::Plain`] alone.
pub fn read<'a>(
    mode: Mode,
    content_type: Option<&str>,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: &[u8],
    defaults: &Defaults,
) -> Result<Vec<Event>, Malformed> {
    match mode {
        Mode::Structured => Ok(vec![structured(body, None)?]),
        Mode::Batch => batch(body, None),
        Mode::Binary => Ok(vec![binary(headers, content_type, body, None)?]),
        Mode::Plain if first_token(body) == Some(b'[') => batch(body, Some(defaults)),
        Mode::Plain => Ok(vec![structured(body, Some(defaults))?]),
    }
}

/// One record in JSON.
pub fn structured(body: &[u8], defaults: Option<&Defaults>) -> Result<Event, Malformed> {
    size("body", body.len(), limits::EVENT_BYTES)?;
    let text = json::text(body, limits::JSON_DEPTH)?;
    if first_token(body) != Some(b'{') {
        return Err(Malformed::NotAnObject);
    }
    let mut draft = Draft::default();
    members::record(text, &mut draft)?;
    draft.finish(defaults)
}

/// A list of records. Nothing of it is accepted if one of them is not; the error says which.
pub fn batch(body: &[u8], defaults: Option<&Defaults>) -> Result<Vec<Event>, Malformed> {
    size("batch", body.len(), limits::BATCH_BYTES)?;
    if first_token(body) != Some(b'[') {
        // Whatever else is wrong with it comes first.
        json::check(body, limits::JSON_DEPTH)?;
        return Err(Malformed::NotAList);
    }
    // Each record is held to the depth by itself, and taking the list apart does not recurse.
    let records = members::list(json::utf8(body)?, limits::EVENTS_PER_BATCH)?;
    if records.is_empty() {
        return Err(Malformed::BatchEmpty);
    }
    let numbered = |index: usize, record: &[u8]| match defaults {
        None => structured(record, None),
        Some(Defaults { id, time }) => {
            let id = format!("{id}-{index}");
            structured(record, Some(&Defaults { id, time: time.clone() }))
        }
    };
    let events = records.into_iter().enumerate().map(|(index, record)| {
        numbered(index, record.get().as_bytes())
            .map_err(|why| Malformed::InBatch { index, why: Box::new(why) })
    });
    events.collect()
}

/// One event whose attributes are headers. JSON data is kept as JSON, text as a string, anything
/// else in base64; an empty body is no data.
pub fn binary<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    content_type: Option<&str>,
    body: &[u8],
    defaults: Option<&Defaults>,
) -> Result<Event, Malformed> {
    size("body", body.len(), limits::EVENT_BYTES)?;
    let mut draft = Draft::default();
    for (name, value) in headers {
        let Some(name) = header::attribute_name(name) else { continue };
        let name = name.to_ascii_lowercase();
        match header::decode(value) {
            Ok(text) => add_header(&mut draft, name, text.into())?,
            Err(why) => return Err(Malformed::Attribute { name, why: why.into() }),
        }
    }
    add_body(&mut draft, content_type, body)?;
    draft.finish(defaults)
}

/// Whether an application property of a message is one of an event's attributes.
pub fn is_amqp_attribute(name: &str) -> bool {
    header::amqp_attribute_name(name).is_some()
}

/// [`binary`] by the AMQP binding: attributes are the application properties `cloudEvents:NAME`
/// or `cloudEvents_NAME`, whose values are text as it is, with nothing quoted or escaped. Other
/// properties are not looked at. A time must have been written as RFC 3339.
pub fn binary_amqp<'a>(
    properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Event, Malformed> {
    size("body", body.len(), limits::EVENT_BYTES)?;
    let mut draft = Draft::default();
    for (name, value) in properties {
        let Some(name) = header::amqp_attribute_name(name) else { continue };
        add_header(&mut draft, name.to_owned(), value.into())?;
    }
    add_body(&mut draft, content_type, body)?;
    draft.finish(None)
}

/// An event out of attributes that were found elsewhere and of data in JSON; `specversion` is
/// ours.
pub(crate) fn compose(attributes: &[(&'static str, &str)], data: &str) -> Result<Event, Malformed> {
    let mut draft = Draft::default();
    for (name, value) in [("specversion", "1.0")].iter().chain(attributes) {
        draft.add((*name).into(), Scalar::Text((*value).into()))?;
    }
    // One level is the record's own.
    draft.data = members::document(json::text(data.as_bytes(), limits::JSON_DEPTH - 1)?)?;
    draft.finish(None)
}

/// An attribute in binary mode.
fn add_header<'a>(
    draft: &mut Draft<'a>,
    name: String,
    value: Cow<'a, str>,
) -> Result<(), Malformed> {
    if name == "datacontenttype" {
        let why = "in binary mode the header Content-Type says it".into();
        return Err(Malformed::Attribute { name, why });
    }
    draft.add(name.into(), Scalar::Text(value))
}

/// The data in binary mode, and what it is.
fn add_body<'a>(
    draft: &mut Draft<'a>,
    content_type: Option<&'a str>,
    body: &'a [u8],
) -> Result<(), Malformed> {
    if let Some(content_type) = content_type {
        draft.add("datacontenttype".into(), Scalar::Text(content_type.into()))?;
    }
    let content_type = content_type.unwrap_or_default();
    draft.data = if body.is_empty() {
        Data::None
    } else if header::is_json(content_type) {
        // One level is the record's own.
        members::document(json::text(body, limits::JSON_DEPTH - 1)?)?
    } else {
        match str::from_utf8(body) {
            Ok(text) if header::is_text(content_type, text.is_ascii()) => Data::Text(text),
            _ => Data::Bytes(body),
        }
    };
    Ok(())
}

fn first_token(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|byte| !json::is_space(*byte))
}

fn size(what: &'static str, bytes: usize, most: usize) -> Result<(), Malformed> {
    if bytes > most { Err(Malformed::TooLarge { what, bytes, most }) } else { Ok(()) }
}

impl From<NotJson> for Malformed {
    fn from(why: NotJson) -> Self {
        match why {
            NotJson::TooDeep { .. } => Self::TooDeep(why),
            _ => Self::NotJson(why),
        }
    }
}
