//! Destinations: where a function's outcomes are sent to.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use wire::http::destinations::Destinations;
use wire::http::problem::Problem;

use super::Api;
use super::answering::{Result, json};
use super::asking::{self, Tenant};

/// Set where a function's outcomes are sent to.
///
/// Every event and every asynchronous call that succeeded, or became a dead letter, is told to the
/// destination for it, at least once; synchronous calls are not. What is left out is not told. Secrets
/// are kept encrypted and never shown.
#[utoipa::path(put, path = "/v1/functions/{name}/destinations", tag = "functions",
    params(("name" = String, Path)), request_body = Destinations,
    responses((status = 200, description = "Set", body = Destinations),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let name = asking::function(&name)?;
    let body: Destinations = asking::json(&headers, body).await?;
    Ok(json(StatusCode::OK, &api.control.put_destinations(&project, &name, &body).await?))
}

/// Where a function's outcomes are sent to.
#[utoipa::path(get, path = "/v1/functions/{name}/destinations", tag = "functions",
    params(("name" = String, Path)),
    responses((status = 200, body = Destinations),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
) -> Result<Response> {
    let name = asking::function(&name)?;
    Ok(json(StatusCode::OK, &api.control.destinations(&project, &name)?))
}

/// Send a function's outcomes nowhere (any more). Messages that wait are sent.
#[utoipa::path(delete, path = "/v1/functions/{name}/destinations", tag = "functions",
    params(("name" = String, Path)),
    responses((status = 204, description = "Removed"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
) -> Result<Response> {
    let name = asking::function(&name)?;
    api.control.put_destinations(&project, &name, &Destinations::default()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
