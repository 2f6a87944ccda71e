//! An event on its way in: attributes are checked as they are added, and [`Draft::finish`] writes
//! the canonical record.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Event, limits};

use super::{Defaults, Malformed, size};
use crate::json;

/// The attributes that the specification names, in the order of the canonical record.
const NAMED: [&str; 8] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];
/// The specification's advice for names, and nobody needs longer ones.
const NAME_BYTES: usize = 20;

/// An attribute's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i32),
    Boolean(bool),
    /// `null`: there, so that it cannot be there twice, and not set.
    Unset,
}

#[derive(Default)]
pub(super) enum Data<'a> {
    #[default]
    None,
    /// A JSON document that is [`json::matchable`].
    Json(&'a str),
    /// Text that becomes a JSON string.
    Text(&'a str),
    /// Base64 that was checked.
    Base64(Cow<'a, str>),
    /// Bytes that become base64.
    Bytes(&'a [u8]),
}

#[derive(Default)]
pub(super) struct Draft<'a> {
    /// A handful, so that looking one up is a walk.
    attributes: Vec<(Cow<'a, str>, Scalar<'a>)>,
    pub(super) data: Data<'a>,
}

impl<'a> Draft<'a> {
    pub(super) fn add(&mut self, name: Cow<'a, str>, value: Scalar<'a>) -> Result<(), Malformed> {
        let checked = check_name(&name).and_then(|()| check_value(&name, &value));
        if let Err(why) = checked {
            return Err(match (&*name, value) {
                ("specversion", Scalar::Text(found)) => {
                    Malformed::SpecVersion { found: format!("{:?}", clip(&found)) }
                }
                _ => Malformed::Attribute { name: clip(&name), why },
            });
        }
        if self.attributes.iter().any(|(other, _)| *other == name) {
            return Err(Malformed::Duplicate { name: name.into_owned() });
        }
        let most = limits::EXTENSIONS_PER_EVENT;
        if !NAMED.contains(&&*name) && self.extensions().count() == most {
            return Err(Malformed::TooManyAttributes { most });
        }
        self.attributes.push((name, value));
        Ok(())
    }

    /// The event, if nothing that it needs is missing.
    pub(super) fn finish(mut self, defaults: Option<&'a Defaults>) -> Result<Event, Malformed> {
        if let Some(Defaults { id, time }) = defaults {
            for (name, value) in [("specversion", "1.0"), ("id", id), ("time", time)] {
                if self.text(name).is_none() {
                    self.attributes.retain(|(other, _)| other != name);
                    self.add(name.into(), Scalar::Text(value.into()))?;
                }
            }
        }
        let required = NAMED.into_iter().take(4);
        let missing: Vec<_> = required.filter(|name| self.text(name).is_none()).collect();
        let (Some(id), Some(source), Some(kind), true) =
            (self.text("id"), self.text("source"), self.text("type"), missing.is_empty())
        else {
            return Err(Malformed::Missing { names: missing });
        };
        let record: Arc<str> = self.record().into();
        size("record", record.len(), limits::EVENT_BYTES)?;
        Event::new(id, source, kind, record).map_err(|refused| Malformed::Attribute {
            name: refused.field.into(),
            why: refused.why,
        })
    }

    fn value(&self, name: &str) -> Option<&Scalar<'a>> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn extensions(&self) -> impl Iterator<Item = &(Cow<'a, str>, Scalar<'a>)> {
        self.attributes.iter().filter(|(name, _)| !NAMED.contains(&&**name))
    }

    fn record(&self) -> String {
        let mut extensions: Vec<_> =
            self.extensions().map(|(name, value)| (&**name, value)).collect();
        extensions.sort_unstable_by_key(|(name, _)| *name);
        let named = NAMED.into_iter().filter_map(|name| Some((name, self.value(name)?)));

        let mut json = String::with_capacity(256 + self.data.bytes_at_most());
        json.push('{');
        for (name, value) in named.chain(extensions) {
            if !matches!(value, Scalar::Unset) {
                push_member(&mut json, name);
                push_scalar(&mut json, value);
            }
        }
        match &self.data {
            Data::None => {}
            Data::Json(document) => {
                push_member(&mut json, "data");
                json::compact(document, &mut json);
            }
            Data::Text(text) => {
                push_member(&mut json, "data");
                push_string(&mut json, text);
            }
            Data::Base64(text) => {
                push_member(&mut json, "data_base64");
                push_string(&mut json, text);
            }
            Data::Bytes(bytes) => {
                push_member(&mut json, "data_base64");
                json.push('"');
                STANDARD.encode_string(bytes, &mut json);
                json.push('"');
            }
        }
        json.push('}');
        json
    }
}

impl Data<'_> {
    /// A guess at the room that it takes, so that the record is rarely moved while it grows.
    fn bytes_at_most(&self) -> usize {
        match self {
            Data::None => 0,
            Data::Json(text) | Data::Text(text) => text.len(),
            Data::Base64(text) => text.len(),
            Data::Bytes(bytes) => bytes.len() / 3 * 4 + 4,
        }
    }
}

/// Names are safe in JSON as they are.
fn push_member(json: &mut String, name: &str) {
    json.push_str(if json.len() > 1 { ",\"" } else { "\"" });
    json.push_str(name);
    json.push_str("\":");
}

fn push_scalar(json: &mut String, value: &Scalar<'_>) {
    match value {
        Scalar::Text(text) => push_string(json, text),
        Scalar::Integer(number) => write!(json, "{number}").expect("a String takes everything"),
        Scalar::Boolean(true) => json.push_str("true"),
        Scalar::Boolean(false) => json.push_str("false"),
        Scalar::Unset => json.push_str("null"),
    }
}

fn push_string(json: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        json.push_str(&serde_json::to_string(text).expect("every string has a form in JSON"));
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if matches!(name, "data" | "data_base64") {
        return Err("it is the body in binary mode, and not a header".into());
    }
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(format!("its name has {} bytes, and must have 1 to {NAME_BYTES}", name.len()));
    }
    match name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9')) {
        Some(c) => Err(format!("its name may have the letters a-z and digits, not {c:?}")),
        None => Ok(()),
    }
}

fn check_value(name: &str, value: &Scalar<'_>) -> Result<(), String> {
    let text = match value {
        Scalar::Unset => return Ok(()),
        Scalar::Text(text) => text,
        Scalar::Integer(_) | Scalar::Boolean(_) if NAMED.contains(&name) => {
            return Err("it must be a string".into());
        }
        Scalar::Integer(_) | Scalar::Boolean(_) => return Ok(()),
    };
    let most = match name {
        "id" | "type" => limits::KEY_BYTES,
        _ => limits::ATTRIBUTE_BYTES,
    };
    if text.len() > most {
        return Err(format!("it has {} bytes, and may have {most}", text.len()));
    }
    if text.is_empty() && NAMED.contains(&name) {
        return Err("CloudEvents asks for a string that is not empty".into());
    }
    if let Some(c) = text.chars().find(|c| c.is_control() || is_noncharacter(*c)) {
        return Err(format!("it holds {c:?}, and CloudEvents allows no such character"));
    }
    match name {
        "specversion" if text != "1.0" => Err("only \"1.0\" is spoken here".into()),
        "time" if !is_rfc3339(text) => {
            Err("it must be a time as RFC 3339 has it, such as 2026-11-24T04:50:42Z".into())
        }
        "datacontenttype" if !is_media_type(text) => {
            Err("it must be a media type such as application/json".into())
        }
        _ => Ok(()),
    }
}

fn is_noncharacter(c: char) -> bool {
    matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE
}

fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&c))
    };
    super::header::essence(text)
        .split_once('/')
        .is_some_and(|(kind, sub)| token(kind) && token(sub))
}

/// `date T time [. digits] offset`, strictly, and a date that exists. jiff's own reader is more
/// generous (zones in brackets, spaces), and less in that it takes nine digits at most.
fn is_rfc3339(text: &str) -> bool {
    let Some((seconds, rest)) = text.split_at_checked("2026-11-24T04:50:42".len()) else {
        return false;
    };
    let shape = |part: &str, shape: &str| {
        part.len() == shape.len()
            && part.bytes().zip(shape.bytes()).all(|(c, form)| match form {
                b'0' => c.is_ascii_digit(),
                form => c.eq_ignore_ascii_case(&form),
            })
    };
    let offset = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == fraction.len() {
                return false;
            }
            offset
        }
    };
    let zone = match offset.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', clock @ ..] => {
            shape(&offset[1..], "00:00") && clock < b"24:00".as_slice() && clock[3] < b'6'
        }
        _ => false,
    };
    zone && shape(seconds, "0000-00-00T00:00:00")
        && seconds.parse::<jiff::civil::DateTime>().is_ok()
}

/// A sender's text, cut to a length that fits a message.
pub(super) fn clip(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
