//! Notifications as OpenStack's services send them through oslo.messaging.
//!
//! On the wire is `{"oslo.version": "2.0", "oslo.message": "…"}` with JSON within the string, or,
//! from version 1, the inner message alone: `event_type`, `publisher_id`, `payload`, `priority`,
//! `timestamp`, `message_id`, and the request's context as `_context_*` members. The type is
//! `event_type`, the source `publisher_id`, and the data
//!
//! ```json
//! {"payload": {…}, "priority": "INFO", "context": {"project_id", "user_id", "request_id"}}
//! ```
//!
//! Of the context these three are kept, where they are strings: who asked, and the id that finds
//! the request in a service's log. Nothing else of it is, since it may hold a token that can do
//! what its user can; and services put whole contexts into payloads, too, so these are searched
//! to the bottom (`secrets.rs`). Whose event it is, is `owner.rs`.
//!
//! What a reader of Swift's notifications (`objectstore.http.request`) must know: `outcome` is
//! "success" for requests that were refused, with 401, 403 or 404, as well; there is no HTTP
//! status. One without a valid token has no `initiator.project_id` and is nobody's, but one of
//! a project that was denied access to another's container is told as done, and goes to the one
//! that tried; `target.id` is whose account it was. A function must look whether the object is
//! there. Requests through the S3 API send nothing at all.

use std::fmt::Write as _;

use model::{Timestamp, limits};
use serde_json::value::RawValue;

use super::owner::{self, Notification};
use super::{Malformed, Owner, Projects, Raw, Read, members, secrets};
use crate::{cloudevents, http, json};

/// The inner message is JSON in a string, so every quote of it takes two bytes on the wire; what
/// becomes the event is held to `limits::EVENT_BYTES` by itself.
pub(super) const BODY_BYTES: usize = 2 * limits::EVENT_BYTES;

const EXAMPLE: &str = r#"{"event_type": "image.create", "publisher_id": "image.a", "payload": {}}"#;

pub(super) fn read(
    projects: Projects,
    raw: &Raw<'_>,
    received: Timestamp,
) -> Result<Read, Malformed> {
    let text = raw.text(BODY_BYTES)?;
    let Some([version, message]) = members::pick(text, ["oslo.version", "oslo.message"])? else {
        return Err(Malformed::NotAnObject { what: "body", example: EXAMPLE });
    };
    let Some(message) = members::string("oslo.message", message)? else {
        return notification(text, projects, raw, received);
    };
    if let Some(found) = members::string("oslo.version", version)?
        && found.split('.').next() != Some("2")
    {
        return Err(Malformed::OsloVersion { found: found.chars().take(80).collect() });
    }
    let inner = json::text(message.as_bytes(), limits::JSON_DEPTH)
        .map_err(|why| Malformed::OsloMessage { why })?;
    notification(inner.trim_ascii(), projects, raw, received)
}

fn notification(
    text: &str,
    projects: Projects,
    raw: &Raw<'_>,
    received: Timestamp,
) -> Result<Read, Malformed> {
    let names = ["event_type", "publisher_id", "payload", "priority", "timestamp", "message_id"];
    let Some([kind, source, payload, priority, time, id]) = members::pick(text, names)? else {
        return Err(Malformed::NotAnObject { what: "oslo.message", example: EXAMPLE });
    };
    let kind = members::string("event_type", kind)?;
    let source = members::string("publisher_id", source)?;
    let (Some(kind), Some(source), Some(payload)) = (&kind, &source, payload) else {
        let all = [kind.is_none(), source.is_none(), payload.is_none()];
        let names = names.into_iter().zip(all).filter(|(_, missing)| *missing);
        return Err(Malformed::Missing {
            format: "a notification",
            names: names.map(|(name, _)| name.to_owned()).collect(),
        });
    };
    let priority = members::string("priority", priority)?;
    let time = members::string("timestamp", time)?
        .map_or_else(|| http::rfc3339(received), |naive| with_zone(&naive));
    let id = members::string("message_id", id)?.filter(|id| !id.is_empty());
    let context = Context::read(text)?;

    let owner = match projects {
        Projects::Source => Owner::Source,
        Projects::Owners => owner::of(&Notification {
            kind,
            publisher: source,
            payload: payload.get(),
            asked_by: context.project_id.as_deref(),
        })?,
    };
    let data = data(payload.get(), priority.as_deref(), &context);
    let attributes = [
        ("id", id.as_deref().unwrap_or_else(|| raw.id())),
        ("source", source),
        ("type", kind),
        ("time", &*time),
    ];
    Ok(Read { owner, event: cloudevents::compose(&attributes, &data)? })
}

/// Services write the time of UTC without saying so, as `2026-11-24 03:12:11.123456`. Whether it
/// is a time at all is checked with the event's other attributes.
fn with_zone(naive: &str) -> String {
    let mut time = naive.to_owned();
    if time.get(10..11) == Some(" ") {
        time.replace_range(10..11, "T");
    }
    if !time.get(10..).is_some_and(|clock| clock.contains(['Z', 'z', '+', '-'])) {
        time.push('Z');
    }
    time
}

/// What is kept of the request that made a service send this.
struct Context {
    project_id: Option<String>,
    user_id: Option<String>,
    request_id: Option<String>,
}

impl Context {
    fn read(text: &str) -> Result<Self, Malformed> {
        // Releases differ in what they call a project and a user.
        let names = [
            "_context_project_id",
            "_context_tenant",
            "_context_user_id",
            "_context_user",
            "_context_request_id",
        ];
        let found = members::pick(text, names)?.unwrap_or_default();
        // A context that holds something else is no reason to lose the event.
        let string = |value: Option<&RawValue>| {
            members::string("_context", value).ok().flatten().filter(|text| !text.is_empty())
        };
        let [project_id, tenant, user_id, user, request_id] = found.map(string);
        Ok(Self { project_id: project_id.or(tenant), user_id: user_id.or(user), request_id })
    }
}

fn data(payload: &str, priority: Option<&str>, context: &Context) -> String {
    let mut data = String::from(r#"{"payload":"#);
    secrets::copy_without(payload, &mut data);
    if let Some(priority) = priority {
        write!(data, r#","priority":{}"#, quoted(priority)).expect("a String takes everything");
    }
    let kept = [
        ("project_id", &context.project_id),
        ("user_id", &context.user_id),
        ("request_id", &context.request_id),
    ];
    let mut separator = r#","context":{"#;
    for (name, value) in kept {
        if let Some(value) = value {
            write!(data, r#"{separator}"{name}":{}"#, quoted(value))
                .expect("a String takes everything");
            separator = ",";
        }
    }
    if separator == "," {
        data.push('}');
    }
    data.push('}');
    data
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("every string has a form in JSON")
}
