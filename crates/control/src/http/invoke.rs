//! A direct call: body in, the function's answer out, byte for byte.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use model::InvocationId;
use model::limits::CALL_BYTES;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::http::invocations::Accepted;
use wire::http::problem::Problem;

use super::Api;
use super::answering::{Result, Told, json};
use super::asking::{self, Params, Tenant};
use crate::call::{Call, problem_of};

/// Names the invocation in every answer.
const INVOCATION: &str = "lambent-invocation-id";
/// The error's code, where the function failed.
const FUNCTION_ERROR: &str = "lambent-function-error";
const VERSION: &str = "lambent-function-version";
/// The answer is that of an earlier call with the same idempotency key.
const REPLAYED: &str = "lambent-idempotent-replay";

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InvokeQuery {
    /// Run this version instead of the latest.
    version: Option<u32>,
}

/// Call a function.
///
/// The body is JSON (none is `{}`), and so is the answer. With `Prefer: respond-async` the call is
/// stored and runs like an event: 202 and the invocation's id. With `Idempotency-Key`, calls with
/// the same key within 24 hours run once and get the same answer.
#[utoipa::path(post, path = "/v1/functions/{name}/invoke", tag = "functions",
    params(("name" = String, Path), InvokeQuery,
        ("Prefer" = Option<String>, Header, description = "`respond-async`"),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 200, description = "The function's answer", body = serde_json::Value),
        (status = 202, description = "Stored", body = Accepted),
        (status = 502, description = "The function failed (header `Lambent-Function-Error`)", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn invoke(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
    Params(query): Params<InvokeQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let function = asking::function(&name)?;
    let body = asking::body(&headers, body, CALL_BYTES).await?;
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap_or_default().to_owned());
    let call = Call { project, function, version: query.version, body, idempotency_key: key };
    if prefers_async(&headers) {
        let id = api.control.call_later(call).await?;
        let accepted = Accepted { invocation_id: id.to_string(), status: "queued".into() };
        let mut response = json(StatusCode::ACCEPTED, &accepted);
        name_invocation(&mut response, id);
        let applied = HeaderValue::from_static("respond-async");
        response.headers_mut().insert("preference-applied", applied);
        return Ok(response);
    }
    let answer = api.control.call(call).await?;
    let mut response = match answer.outcome {
        Ok(body) => {
            let json = HeaderValue::from_static("application/json");
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(fault) => {
            let mut response = Told(problem_of(&fault)).into_response();
            if fault.blame == model::Blame::Function {
                let code = HeaderValue::from_str(&fault.code);
                let code = code.unwrap_or(HeaderValue::from_static("Error"));
                response.headers_mut().insert(FUNCTION_ERROR, code);
            }
            response
        }
    };
    name_invocation(&mut response, answer.invocation);
    response.headers_mut().insert(VERSION, HeaderValue::from(answer.version));
    if answer.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn name_invocation(response: &mut Response, id: InvocationId) {
    let id = HeaderValue::from_str(&id.to_string()).expect("a UUID is visible ASCII");
    response.headers_mut().insert(INVOCATION, id);
}

/// RFC 7240.
fn prefers_async(headers: &HeaderMap) -> bool {
    headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split([',', ';']).any(|word| word.trim().eq_ignore_ascii_case("respond-async"))
    })
}
