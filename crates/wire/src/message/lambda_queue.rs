//! The queue contract: `{"event_data": {"type", …}, "user_name", "event_source"}`.
//!
//! `event_data` is the data, its `type` the event's type, `event_source` the source, and
//! `user_name` the project. One queue holds the messages of many users, so a message whose
//! `user_name` cannot be a project's name is malformed: the source's own project has no claim on
//! it. Members beside these three are not looked at.

use model::{Timestamp, limits};
use serde_json::value::RawValue;

use super::{Malformed, Owner, Raw, Read, members};
use crate::{cloudevents, http};

const EXAMPLE: &str =
    r#"{"event_data": {"type": "file.created"}, "user_name": "default", "event_source": "S1"}"#;

pub(super) fn read(raw: &Raw<'_>, received: Timestamp) -> Result<Read, Malformed> {
    let text = raw.text(limits::EVENT_BYTES)?;
    let Some([data, user, source]) =
        members::pick(text, ["event_data", "user_name", "event_source"])?
    else {
        return Err(Malformed::NotAnObject { what: "body", example: EXAMPLE });
    };
    let data = data.map(RawValue::get).filter(|data| *data != "null");
    let kind = match data.map(|data| (data, members::pick(data, ["type"]))) {
        None => None,
        Some((_, Ok(Some([kind])))) => members::string("event_data.type", kind)?,
        Some((data, Ok(None))) => {
            let why = format!("it must be an object, and is {}", members::what(data));
            return Err(Malformed::Member { name: "event_data".into(), why });
        }
        Some((_, Err(why))) => return Err(why.into()),
    };
    let source = members::string("event_source", source)?;
    let user = members::string("user_name", user)?;
    let (Some(data), Some(kind), Some(user), Some(source)) = (data, &kind, &user, &source) else {
        let all = [
            ("event_data.type", kind.is_none()),
            ("user_name", user.is_none()),
            ("event_source", source.is_none()),
        ];
        let names = all.into_iter().filter(|(_, missing)| *missing);
        return Err(Malformed::Missing {
            format: "the queue contract",
            names: names.map(|(name, _)| name.to_owned()).collect(),
        });
    };
    let owner = Owner::Named(members::project("user_name", user)?);
    let time = http::rfc3339(received);
    let attributes = [("id", raw.id()), ("source", source), ("type", kind), ("time", &*time)];
    Ok(Read { owner, event: cloudevents::compose(&attributes, data)? })
}
