//! Answers: JSON bodies, and problems with their status and `Retry-After`.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use model::Invalid;
use serde::Serialize;
use wire::http::list::List;
use wire::http::problem::{Code, Problem};

/// A problem, as a response.
#[derive(Debug)]
pub(super) struct Told(pub(super) Problem);

pub(super) type Result<T> = std::result::Result<T, Told>;

impl From<Problem> for Told {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Invalid> for Told {
    fn from(invalid: Invalid) -> Self {
        Self(invalid.into())
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = body(status, "application/problem+json", &self.0);
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    body(status, "application/json", value)
}

fn body(status: StatusCode, kind: &'static str, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => (status, [(CONTENT_TYPE, kind)], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            let problem = Problem::new(Code::Internal, "the answer could not be written as JSON");
            let text = serde_json::to_vec(&problem).unwrap_or_default();
            (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, kind)], text).into_response()
        }
    }
}

/// A store's page, item by item, as the API's.
pub(super) fn list<T, U: Serialize>(listed: store::Listed<T>, shape: impl Fn(&T) -> U) -> Response {
    let items = listed.items.iter().map(shape).collect();
    json(StatusCode::OK, &List { items, next: listed.next })
}
