//! Events that are tried and not sent.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use wire::http::events::{BatchTested, EventTested};
use wire::http::problem::{Code, Problem};

use super::Api;
use super::answering::{Result, json};
use super::asking::Tenant;
use super::events;

/// Try an event without sending it.
///
/// Takes what `POST /v1/events` takes, and stores nothing: the answer says of each trigger of the
/// project whether it would match and, where not, which clause of its pattern stopped the event.
/// At most 1,000 triggers are listed, and 10,000 for a whole batch; those that match come first.
#[utoipa::path(post, path = "/v1/events/test", tag = "events",
    request_body(content = serde_json::Value, content_type = "application/cloudevents+json"),
    responses((status = 200, description = "Held against every trigger. For a batch: `{\"events\": […]}`, in its order", body = EventTested),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn post(
    State(api): State<Api>,
    Tenant(project): Tenant,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let (batch, events) = events::read(&api, &headers, body).await?;
    let turn = api.dry_runs.clone().acquire_owned().await;
    let tested = tokio::task::spawn_blocking(move || {
        // It is this work that takes turns, whether or not its caller stays.
        let _turn = turn;
        api.control.dry_run(&project, &events)
    });
    let mut tested = tested.await.map_err(|error| {
        tracing::error!(%error, "a dry run of events ended early");
        Problem::new(Code::Internal, "the dry run ended early; the service's log says why")
    })??;
    Ok(match tested.pop() {
        Some(single) if !batch => json(StatusCode::OK, &single),
        last => {
            tested.extend(last);
            json(StatusCode::OK, &BatchTested { events: tested })
        }
    })
}
