//! Triggers: which events a function wants, and how it gets them.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::TriggerName;
use wire::http::list::List;
use wire::http::problem::{Code, Problem};
use wire::http::triggers::{Trigger, TriggerBody};

use super::Api;
use super::answering::{Result, json};
use super::asking::{self, Tenant};

/// Create or replace a trigger.
///
/// The pattern follows EventBridge's rules over the CloudEvents record. What is left out is as it
/// is by default, whatever the trigger had before: each event by itself, whole, in no order.
#[utoipa::path(put, path = "/v1/functions/{name}/triggers/{trigger}", tag = "functions",
    params(("name" = String, Path), ("trigger" = String, Path)), request_body = TriggerBody,
    responses((status = 200, description = "Replaced", body = Trigger),
        (status = 201, description = "Created", body = Trigger),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path((name, trigger)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let (name, trigger) = (asking::function(&name)?, TriggerName::parse(&trigger)?);
    let body: TriggerBody = asking::json(&headers, body).await?;
    let delivery = body.delivery()?;
    let pattern = body.pattern.get();
    let (trigger, new) =
        api.control.put_trigger(&project, &name, &trigger, pattern, delivery).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &Trigger::new(&name, &trigger)))
}

/// The triggers of a function.
#[utoipa::path(get, path = "/v1/functions/{name}/triggers", tag = "functions",
    params(("name" = String, Path)),
    responses((status = 200, body = List<Trigger>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
) -> Result<Response> {
    let name = asking::function(&name)?;
    let entry = api.control.entry(&project, &name)?;
    let items = entry.triggers.iter().map(|trigger| Trigger::new(&name, trigger)).collect();
    Ok(json(StatusCode::OK, &List { items, next: None }))
}

/// One trigger.
#[utoipa::path(get, path = "/v1/functions/{name}/triggers/{trigger}", tag = "functions",
    params(("name" = String, Path), ("trigger" = String, Path)),
    responses((status = 200, body = Trigger),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path((name, trigger)): Path<(String, String)>,
) -> Result<Response> {
    let (name, trigger) = (asking::function(&name)?, TriggerName::parse(&trigger)?);
    let entry = api.control.entry(&project, &name)?;
    match entry.triggers.iter().find(|it| it.name == trigger) {
        Some(found) => Ok(json(StatusCode::OK, &Trigger::new(&name, found))),
        None => {
            let detail =
                format!("function {:?} has no trigger {:?}", name.as_str(), trigger.as_str());
            Err(Problem::new(Code::NotFound, detail).into())
        }
    }
}

/// Remove a trigger.
#[utoipa::path(delete, path = "/v1/functions/{name}/triggers/{trigger}", tag = "functions",
    params(("name" = String, Path), ("trigger" = String, Path)),
    responses((status = 204, description = "Removed"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path((name, trigger)): Path<(String, String)>,
) -> Result<Response> {
    let (name, trigger) = (asking::function(&name)?, TriggerName::parse(&trigger)?);
    api.control.delete_trigger(&project, &name, &trigger).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
