//! Webhooks: what others post, as they are made to post it.
//!
//! There is no tenant here: which webhook it is says which project's the event is. One that is not
//! known is answered like a path that is not there.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use model::limits::EVENT_BYTES;
use wire::http::events::EventAccepted;
use wire::http::problem::Problem;

use super::answering::{Result, json};
use super::{Api, asking, events, no_such_path};
use crate::sources::webhook::{Hook, Incoming};

/// Post to a webhook whose URL holds a token.
///
/// The body becomes the data of an event: JSON as it is, text as a string, anything else in base64.
/// `Idempotency-Key`, `webhook-id` or `X-GitHub-Delivery` is the event's id, if there is one. No API
/// key is asked for.
#[utoipa::path(post, path = "/v1/hooks/{token}", tag = "sources", security(()),
    params(("token" = String, Path)),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 202, description = "Stored", body = EventAccepted),
        (status = "default", description = "A problem; 404 if there is no such webhook", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn by_token(
    State(api): State<Api>,
    path: std::result::Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let hook = path.ok().and_then(|Path(token)| api.control.hook_by_token(&token));
    take(&api, hook, &headers, body).await
}

/// Post to a webhook whose requests are signed.
///
/// As `X-Hub-Signature-256` (GitHub and many others), or as Standard Webhooks has it. 401 if the
/// signature is missing or wrong. No API key is asked for.
#[utoipa::path(post, path = "/v1/hooks/{project}/{source}", tag = "sources", security(()),
    params(("project" = String, Path), ("source" = String, Path)),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 202, description = "Stored", body = EventAccepted),
        (status = "default", description = "A problem; 404 if there is no such webhook", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn by_name(
    State(api): State<Api>,
    path: std::result::Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let hook =
        path.ok().and_then(|Path((project, source))| api.control.hook_by_name(&project, &source));
    take(&api, hook, &headers, body).await
}

async fn take(
    api: &Api,
    hook: Option<Arc<Hook>>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response> {
    let hook = hook.ok_or_else(no_such_path)?;
    let body = asking::body(headers, body, EVENT_BYTES).await?;
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let request = Incoming { header: &header, body: &body };
    let appended = api.control.posted(&hook, &request).await?;
    Ok(json(StatusCode::ACCEPTED, &events::shape(appended)))
}
