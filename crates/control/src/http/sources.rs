//! Sources: what events come from by themselves.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::SourceName;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::http::list::List;
use wire::http::problem::Problem;
use wire::http::sources::{Source, SourceBody};

use super::Api;
use super::answering::{Result, json};
use super::asking::{self, Params, Tenant};

/// What is shown of a source.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Reveal {
    /// Whether the token of a webhook is shown.
    #[serde(default)]
    reveal: bool,
}

/// Create a source, or change it.
///
/// Its settings are checked at once; whether the broker can be reached is told by the source's
/// `state` a moment later. Secrets are kept encrypted and never shown.
#[utoipa::path(put, path = "/v1/sources/{name}", tag = "sources",
    params(("name" = String, Path)), request_body = SourceBody,
    responses((status = 200, description = "Changed", body = Source),
        (status = 201, description = "Created", body = Source),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let name = SourceName::parse(&name)?;
    let body: SourceBody = asking::json(&headers, body).await?;
    let keyless = api.auth.is_open();
    let (source, new) = api.control.put_source(&project, &name, &body, keyless).await?;
    Ok(json(if new { StatusCode::CREATED } else { StatusCode::OK }, &source))
}

/// The project's sources, by name: all of them.
#[utoipa::path(get, path = "/v1/sources", tag = "sources",
    responses((status = 200, body = List<Source>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(api): State<Api>, Tenant(project): Tenant) -> Result<Response> {
    let items = api.control.sources(&project).await?;
    Ok(json(StatusCode::OK, &List { items, next: None }))
}

/// One source, and how it stands.
///
/// With `reveal=true`, the path of a webhook with its token, too.
#[utoipa::path(get, path = "/v1/sources/{name}", tag = "sources",
    params(("name" = String, Path), Reveal),
    responses((status = 200, body = Source),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
    Params(Reveal { reveal }): Params<Reveal>,
) -> Result<Response> {
    let name = SourceName::parse(&name)?;
    Ok(json(StatusCode::OK, &api.control.source(&project, &name, reveal).await?))
}

/// Remove a source. What it has stored stays, and so does its queue with what waits there.
#[utoipa::path(delete, path = "/v1/sources/{name}", tag = "sources", params(("name" = String, Path)),
    responses((status = 204, description = "Removed"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
) -> Result<Response> {
    let name = SourceName::parse(&name)?;
    api.control.delete_source(&project, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
