//! What happened: an event, as CloudEvents 1.0 defines it.
//!
//! Only the attributes that Lambent itself looks at are fields; the whole record, as the function
//! will see it, is carried along as JSON text. Reading and writing the formats of the
//! specification is `wire`'s business.

use std::sync::Arc;

use crate::limits;
use crate::name::Invalid;

/// One event, accepted in form. Its key within a project is (source, id).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The sender's id, unique per source.
    pub id: String,
    /// A URI reference that tells where it comes from.
    pub source: String,
    /// Such as `file.created`.
    pub kind: String,
    /// The whole record in structured JSON form: what patterns match and functions receive.
    pub record: Arc<str>,
}

impl Event {
    /// Checks the attributes that every event must have.
    pub fn new(id: &str, source: &str, kind: &str, record: Arc<str>) -> Result<Self, Invalid> {
        attribute("id", id, limits::KEY_BYTES)?;
        attribute("source", source, limits::ATTRIBUTE_BYTES)?;
        attribute("type", kind, limits::KEY_BYTES)?;
        if record.len() > limits::EVENT_BYTES {
            let why =
                format!("it has {} bytes, and may have {}", record.len(), limits::EVENT_BYTES);
            return Err(Invalid::new("event", id, why));
        }
        Ok(Self { id: id.into(), source: source.into(), kind: kind.into(), record })
    }
}

/// A required attribute: present, not too long, and of characters that a line of a log can show.
pub fn attribute(field: &'static str, value: &str, most: usize) -> Result<(), Invalid> {
    if value.is_empty() {
        return Err(Invalid::new(field, value, "CloudEvents asks for a string that is not empty"));
    }
    if value.len() > most {
        let why = format!("it has {} bytes, and may have {most}", value.len());
        return Err(Invalid::new(field, value, why));
    }
    if let Some(c) = value.chars().find(|c| c.is_control()) {
        return Err(Invalid::new(field, value, format!("it holds the control character {c:?}")));
    }
    Ok(())
}
