//! Webhooks: from a request to an event, and who may make one.
//!
//! A webhook needs no API key, since the service that posts has none: it is its own authority. Either
//! its URL holds 256 random bits, or each request is signed. So it also answers to whatever name a
//! tunnel or a proxy calls this machine, where the rest of the API without keys answers to this
//! machine's own: what a browser could be made to send from a foreign page has neither the bits nor a
//! signature.
//!
//! [`hooks`] finds the webhook of a request, in memory; [`settings`] says what is kept of one and what
//! is sealed. Here: who may post, and what the event is. Nothing here knows HTTP; headers are asked
//! for by name.

pub(super) mod hooks;
pub(super) mod settings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Event, EventId, SourceName, Timestamp};
use serde_json::value::RawValue;
use store::Appended;
use wire::cloudevents;
use wire::http::problem::{Code, Problem};
use wire::http::rfc3339;
use wire::http::webhooks::{HookAuth, TypeFrom, Webhook};
use wire::signature::{Refused, Secret, github, standard};

use super::state::{Report, Tally};
use crate::Control;

/// The path that all webhooks are under. Requests to it need no API key.
pub(crate) const PATH: &str = "/v1/hooks/";
/// Headers in which senders name what they send, so that a second try is no second event. The first
/// is signed where Standard Webhooks is; GitHub's own signature covers no id.
const IDS: [&str; 3] = ["webhook-id", "x-github-delivery", "idempotency-key"];

/// A webhook that can be posted to.
#[derive(Debug)]
pub(crate) struct Hook {
    source: store::Source,
    settings: Webhook,
    /// What requests are signed with; none where the URL is the secret.
    secret: Option<Secret>,
    report: Arc<Report>,
}

/// A request, as far as it matters here.
pub(crate) struct Incoming<'a> {
    pub(crate) header: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    pub(crate) body: &'a [u8],
}

impl std::fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Control {
    pub(crate) fn hook_by_token(&self, token: &str) -> Option<Arc<Hook>> {
        self.sources.hooks.by_token(token)
    }

    pub(crate) fn hook_by_name(&self, project: &str, source: &str) -> Option<Arc<Hook>> {
        self.sources.hooks.by_name(project, source)
    }

    /// Takes what was posted to a webhook.
    pub(crate) async fn posted(
        &self,
        hook: &Hook,
        request: &Incoming<'_>,
    ) -> Result<Appended, Problem> {
        let now = self.now();
        let one = Tally { messages: 1, ..Tally::default() };
        let refused = |_why: &Problem| hook.report.count(Tally { refused: 1, ..one });
        hook.admits(request, now).inspect_err(refused)?;
        let fresh = EventId::new(&*self.clock).to_string();
        let event =
            event(&hook.settings, &hook.source.name, request, &fresh, now).inspect_err(refused)?;
        let mut appended = self.ingest(&hook.source.project, vec![event]).await?;
        let appended = appended.pop().expect("there is an answer for each event");
        let duplicates = u64::from(appended.duplicate);
        hook.report.count(Tally { events: 1 - duplicates, duplicates, ..one });
        Ok(appended)
    }
}

impl Hook {
    /// Whether the sender may post. One who found the URL of a token may.
    fn admits(&self, request: &Incoming<'_>, now: Timestamp) -> Result<(), Problem> {
        let verified = match (self.settings.auth, &self.secret) {
            (HookAuth::Token, _) => Ok(()),
            (HookAuth::Github, Some(secret)) => {
                github::verify(secret, (request.header)(github::HEADER), request.body)
            }
            (HookAuth::Standard, Some(secret)) => {
                let headers = standard::Headers {
                    id: (request.header)(standard::ID),
                    timestamp: (request.header)(standard::TIMESTAMP),
                    signature: (request.header)(standard::SIGNATURE),
                };
                standard::verify(secret, &headers, request.body, now)
            }
            (_, None) => Err(Refused::Unsigned { header: "signature" }),
        };
        verified
            .map_err(|why| Problem::new(Code::Unauthorized, format!("{why}.")).reason(why.code()))
    }
}

/// What was posted, as an event.
fn event(
    settings: &Webhook,
    name: &SourceName,
    request: &Incoming<'_>,
    fresh: &str,
    now: Timestamp,
) -> Result<Event, Problem> {
    let id = IDS.iter().find_map(|name| (request.header)(name)).unwrap_or(fresh);
    let found: Option<Cow<'_, str>> = match &settings.type_from {
        None => None,
        Some(TypeFrom::Header(name)) => (request.header)(name).map(Cow::Borrowed),
        Some(TypeFrom::Member(name)) => member(request.body, name).map(Cow::Owned),
    };
    let kind = found.filter(|it| !it.is_empty()).unwrap_or(Cow::Borrowed(&settings.kind));
    let (source, time) = (format!("webhook:{name}"), rfc3339(now));
    let attributes = [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", id),
        ("cloudEvents:source", &source),
        ("cloudEvents:type", &kind),
        ("cloudEvents:time", &time),
    ];
    let said = (request.header)("content-type");
    // Many who send JSON do not say so: curl's own content type for -d is a form.
    let is_json = || serde_json::from_slice::<&RawValue>(request.body).is_ok();
    let says_json = said.is_some_and(|it| it.to_ascii_lowercase().contains("json"));
    let content_type = if !says_json && is_json() { Some("application/json") } else { said };
    cloudevents::binary_amqp(attributes, content_type, request.body).map_err(|why| {
        let code = match why.code() {
            "event.too_large" => Code::BodyTooLarge,
            _ => Code::InvalidEvent,
        };
        Problem::new(code, why.to_string()).reason(why.code())
    })
}

/// A member of the body, if that is an object and the member a string.
fn member(body: &[u8], name: &str) -> Option<String> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(body).ok()?;
    serde_json::from_str(members.get(name)?.get()).ok()
}
