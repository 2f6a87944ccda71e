//! The service itself: workers, health, metrics, and what its error codes mean.

use std::fmt::Write;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use wire::http::list::List;
use wire::http::problem::{Code, Problem};
use wire::http::system::{Health, Worker};

use super::Api;
use super::answering::{Result, json};
use super::asking::Tenant;

/// The machines that run functions.
#[utoipa::path(get, path = "/v1/workers", tag = "service",
    responses((status = 200, body = List<Worker>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn workers(State(api): State<Api>, _asker: Tenant) -> Result<Response> {
    let worker = Worker::new(api.control.id.to_string(), &api.control.worker.capacity());
    Ok(json(StatusCode::OK, &List { items: vec![worker], next: None }))
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> Response {
    json(StatusCode::OK, &Health { status: "ok".into(), reasons: vec![] })
}

/// The process takes calls and events.
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 200, body = Health), (status = 503, description = "It does not, and why", body = Health)))]
pub(super) async fn readyz(State(api): State<Api>) -> Response {
    match api.control.accepts_work() {
        Ok(()) => json(StatusCode::OK, &Health { status: "ok".into(), reasons: vec![] }),
        Err(problem) => {
            let health = Health { status: problem.code, reasons: vec![problem.detail] };
            json(StatusCode::SERVICE_UNAVAILABLE, &health)
        }
    }
}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (api.metrics)()).into_response()
}

/// The error codes of this API, for people.
#[utoipa::path(get, path = "/docs/errors", tag = "service",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(super) async fn errors() -> Response {
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><title>Lambent: errors</title><h1>Error codes</h1><dl>",
    );
    for code in Code::ALL {
        let (word, status, meaning) = (code.as_str(), code.status(), code.meaning());
        write!(page, "<dt id={word}><b>{word}</b> ({status})<dd>{meaning}")
            .expect("a string takes what is written");
    }
    Html(page + "</dl>").into_response()
}
