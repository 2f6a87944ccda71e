//! Events in, one or many.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::limits::{BATCH_BYTES, EVENT_BYTES};
use model::{Event, EventId};
use store::Appended;
use wire::cloudevents::{self, Defaults, Malformed, Mode};
use wire::http::events::{BatchAccepted, EventAccepted, Matched};
use wire::http::problem::{Code, Problem};
use wire::http::rfc3339;

use super::Api;
use super::answering::{Result, Told, json};
use super::asking::{self, Tenant};
use crate::metrics;

/// Accept an event, or a batch of them.
///
/// CloudEvents 1.0 in structured (`application/cloudevents+json`, or plain JSON with the
/// attributes as members), batched (`application/cloudevents-batch+json`) or binary mode (`ce-`
/// headers). The answer comes when the event is safe on disk: 202, its id here, and the triggers
/// that it matched. An event whose `source` and `id` were seen within 24 hours is accepted and
/// starts nothing.
#[utoipa::path(post, path = "/v1/events", tag = "events",
    request_body(content = serde_json::Value, content_type = "application/cloudevents+json"),
    responses((status = 202, description = "Stored. For a batch: `{\"events\": […]}`, in its order", body = EventAccepted),
        (status = "default", description = "A problem; of a batch, nothing was stored", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn post(
    State(api): State<Api>,
    Tenant(project): Tenant,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let (batch, events) = read(&api, &headers, body).await.inspect_err(|Told(problem)| {
        let known = Code::ALL.iter().find(|code| code.as_str() == problem.code);
        metrics::event_refused(known.map_or("other", |code| code.as_str()));
    })?;
    let appended = api.control.ingest(&project, events).await?;
    let mut accepted: Vec<_> = appended.into_iter().map(shape).collect();
    Ok(match accepted.pop() {
        Some(single) if !batch => json(StatusCode::ACCEPTED, &single),
        last => {
            accepted.extend(last);
            json(StatusCode::ACCEPTED, &BatchAccepted { events: accepted })
        }
    })
}

/// An event's record, as functions see it.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "events", params(("id" = String, Path)),
    responses((status = 200, description = "The CloudEvents record", body = serde_json::Value, content_type = "application/cloudevents+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(id): Path<String>,
) -> Result<Response> {
    let event = match id.parse::<EventId>() {
        Ok(id) => api.control.event(&project, id).await?,
        Err(_not_an_id) => None,
    };
    let Some(event) = event else {
        let detail = format!(
            "there is no event {:?} in this project",
            id.chars().take(64).collect::<String>()
        );
        return Err(Problem::new(Code::NotFound, detail).into());
    };
    let kind = [(CONTENT_TYPE, "application/cloudevents+json")];
    Ok((StatusCode::OK, kind, event.event.record.to_string()).into_response())
}

/// The events of a request, and whether they came as a batch.
pub(super) async fn read(api: &Api, headers: &HeaderMap, body: Body) -> Result<(bool, Vec<Event>)> {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let has_attributes = headers.keys().any(|name| cloudevents::is_attribute_header(name.as_str()));
    let mode = cloudevents::mode(kind, has_attributes).map_err(malformed)?;
    let single = matches!(mode, Mode::Structured | Mode::Binary);
    let most = if single { EVENT_BYTES } else { BATCH_BYTES };
    let body = asking::body(headers, body, most).await?;
    let (id, time) = api.control.event_defaults();
    let defaults = Defaults { id, time: rfc3339(time) };
    let attributes = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let events = cloudevents::read(mode, kind, attributes, &body, &defaults).map_err(malformed)?;
    // Plain JSON may be either.
    let list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    Ok((!single && list, events))
}

fn malformed(error: Malformed) -> Told {
    let code = match error.code() {
        "event.too_large" => Code::BodyTooLarge,
        "event.unsupported_format" => Code::UnsupportedMediaType,
        _ => Code::InvalidEvent,
    };
    Problem::new(code, error.to_string()).reason(error.code()).into()
}

pub(super) fn shape(appended: Appended) -> EventAccepted {
    let matched = |(function, trigger, invocation): (
        model::FunctionName,
        Option<model::TriggerName>,
        model::InvocationId,
    )| Matched {
        function: function.to_string(),
        trigger: trigger.map(|it| it.to_string()),
        invocation_id: invocation.to_string(),
    };
    let mut triggers: Vec<_> = appended.invocations.into_iter().map(matched).collect();
    // Whoever sends an event again gets the same answer, whatever the ledger's own order is.
    triggers.sort_by(|a, b| (&a.function, &a.trigger).cmp(&(&b.function, &b.trigger)));
    EventAccepted { id: appended.id.to_string(), duplicate: appended.duplicate, triggers }
}
