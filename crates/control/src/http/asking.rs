//! Requests: who asks, and what came with it, read with a limit on size and on patience.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Query};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use model::limits::JSON_DEPTH;
use model::{FunctionName, InvocationId, Project};
use serde::de::DeserializeOwned;
use store::Page;
use wire::http::list::PageQuery;
use wire::http::problem::{Code, Problem};

use super::Api;
use super::answering::{Result, Told};
use crate::call::too_large;

/// Names the project where there are no keys.
pub(super) const PROJECT_HEADER: &str = "lambent-project";
/// Between two pieces of a body; a sender that pauses longer is gone, or means harm.
const BODY_IDLE: Duration = Duration::from_secs(30);
/// A whole body, however steadily it drips.
const BODY_WHOLE: Duration = Duration::from_secs(600);
/// JSON bodies of the API's own operations are small.
const JSON_BYTES: usize = 256 * 1024;

/// The project that a request acts in. A handler without it serves everybody.
#[derive(Debug)]
pub(super) struct Tenant(pub(super) Project);

impl FromRequestParts<Api> for Tenant {
    type Rejection = Told;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or("?").to_owned();
        let authorization = parts.headers.get(AUTHORIZATION).map(text);
        let named = parts.headers.get(PROJECT_HEADER).map(text);
        let project = || api.auth.project(authorization.as_deref(), named.as_deref());
        match project() {
            Err(problem) if problem.status == 401 && authorization.is_some() => {
                api.control.reload_keys(&api.auth).await;
                Ok(Self(project()?))
            }
            known => Ok(Self(known?)),
        }
    }
}

/// Query parameters, with a problem that names what is wrong.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Told;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => {
                let detail = format!("the query parameters cannot be read: {}", error.body_text());
                Err(Problem::new(Code::InvalidValue, detail).into())
            }
        }
    }
}

/// The whole body, at most `most` bytes of it.
pub(super) async fn body(headers: &HeaderMap, mut body: Body, most: usize) -> Result<Bytes> {
    let told = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if let Some(bytes) = told.filter(|bytes| *bytes > most) {
        return Err(too_large("the body", bytes, most).into());
    }
    let whole = async {
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        loop {
            let frame = match tokio::time::timeout(BODY_IDLE, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    return Err(incomplete(format!("the body ended early: {error}")));
                }
                Err(_elapsed) => return Err(incomplete("the body stopped coming".into())),
            };
            let Ok(data) = frame.into_data() else { continue };
            let so_far = first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len();
            if so_far > most {
                return Err(too_large("the body", so_far, most).into());
            }
            match &first {
                None => first = Some(data),
                Some(_) => rest.extend_from_slice(&data),
            }
        }
        // One piece is the common case and is not copied.
        Ok(match first {
            None => Bytes::new(),
            Some(first) if rest.is_empty() => first,
            Some(first) => {
                let mut all = BytesMut::with_capacity(first.len() + rest.len());
                all.extend_from_slice(&first);
                all.extend_from_slice(&rest);
                all.freeze()
            }
        })
    };
    match tokio::time::timeout(BODY_WHOLE, whole).await {
        Ok(read) => read,
        Err(_elapsed) => Err(incomplete("the body took longer than ten minutes".into())),
    }
}

fn incomplete(detail: String) -> Told {
    Problem::new(Code::InvalidUpload, detail).into()
}

/// A small JSON body of one of the API's own shapes.
pub(super) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T> {
    let bytes = self::body(headers, body, JSON_BYTES).await?;
    let invalid =
        |why: String| Problem::new(Code::InvalidJson, format!("the body cannot be read: {why}"));
    wire::json::check(&bytes, JSON_DEPTH).map_err(|error| invalid(error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| invalid(format!("it is not what this operation takes: {error}")).into())
}

/// A function's name from the path.
pub(super) fn function(name: &str) -> Result<FunctionName> {
    Ok(FunctionName::parse(name)?)
}

/// An invocation's id from the path. What is not an id names nothing.
pub(super) fn invocation(id: &str) -> Result<InvocationId> {
    id.parse().map_err(|_not_an_id| no_invocation(id))
}

pub(super) fn no_invocation(id: &str) -> Told {
    let id: String = id.chars().take(64).collect();
    let detail = format!("there is no invocation {id:?} in this project");
    Problem::new(Code::NotFound, detail).into()
}

pub(super) fn page(limit: Option<usize>, cursor: Option<String>) -> Result<Page> {
    let query = PageQuery { limit, cursor };
    Ok(Page { limit: query.limit()?, cursor: query.cursor })
}

/// A moment from a query parameter or a field.
pub(super) fn time(field: &'static str, text: &str) -> Result<model::Timestamp> {
    wire::http::parse_time(text).ok_or_else(|| {
        let why = "it must be a time such as 2026-01-31T12:00:00Z, or seconds since 1970";
        model::Invalid::new(field, text, why).into()
    })
}
