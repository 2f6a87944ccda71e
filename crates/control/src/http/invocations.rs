//! Invocations: what ran, how it went, and what is left of it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::invocation::Status;
use model::{EventId, Project};
use serde_json::value::RawValue;
use store::{Detail, Filter};
use wire::http::destinations::Message;
use wire::http::invocations::{
    Accepted, Attempt, Invocation, InvocationDetail, InvocationQuery, Transition, parse_status,
    status_word,
};
use wire::http::list::List;
use wire::http::problem::{Code, Problem};
use wire::http::rfc3339;

use super::Api;
use super::answering::{Result, json, list as answer_list};
use super::asking::{self, Params, Tenant, no_invocation};

/// List invocations, newest first.
#[utoipa::path(get, path = "/v1/invocations", tag = "invocations", params(InvocationQuery),
    responses((status = 200, body = List<Invocation>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Params(query): Params<InvocationQuery>,
) -> Result<Response> {
    listed(&api, &project, query).await
}

/// List dead letters, newest first.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "invocations", params(InvocationQuery),
    responses((status = 200, body = List<Invocation>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn dead_letters(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Params(query): Params<InvocationQuery>,
) -> Result<Response> {
    let status = Some(status_word(Status::Dead).to_owned());
    listed(&api, &project, InvocationQuery { status, ..query }).await
}

/// Everything about one invocation: its timeline, its attempts, every change of its state.
#[utoipa::path(get, path = "/v1/invocations/{id}", tag = "invocations", params(("id" = String, Path)),
    responses((status = 200, body = InvocationDetail),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(id): Path<String>,
) -> Result<Response> {
    let invocation = asking::invocation(&id)?;
    match api.control.invocation(&project, invocation).await? {
        Some(detail) => {
            let messages = api.control.messages_of(&project, invocation).await?;
            Ok(json(StatusCode::OK, &shape(&detail, messages)))
        }
        None => Err(no_invocation(&id)),
    }
}

/// Give a dead letter another round: as many attempts as a new event has.
#[utoipa::path(post, path = "/v1/dead-letters/{id}/redrive", tag = "invocations", params(("id" = String, Path)),
    responses((status = 202, body = Accepted),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn redrive(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(id): Path<String>,
) -> Result<Response> {
    let invocation = asking::invocation(&id)?;
    let Some(detail) = api.control.invocation(&project, invocation).await? else {
        return Err(no_invocation(&id));
    };
    if !api.control.redrive(&project, &detail.invocation).await? {
        let status = status_word(detail.invocation.status);
        let detail =
            format!("invocation {invocation} is {status}; only a dead letter can be redriven");
        return Err(Problem::new(Code::NotADeadLetter, detail).into());
    }
    let status = status_word(Status::Retrying).into();
    Ok(json(StatusCode::ACCEPTED, &Accepted { invocation_id: invocation.to_string(), status }))
}

async fn listed(api: &Api, project: &Project, query: InvocationQuery) -> Result<Response> {
    let page = asking::page(query.limit, query.cursor)?;
    let mut filter = Filter::default();
    if let Some(name) = &query.function {
        match api.control.function_id(project, &asking::function(name)?) {
            Some(id) => filter.function = Some(id),
            // Nothing of that name has invocations; a filter that hits nothing is no error.
            None => {
                return Ok(json(StatusCode::OK, &List::<Invocation> { items: vec![], next: None }));
            }
        }
    }
    if let Some(word) = &query.status {
        let why = "it must be queued, running, retrying, succeeded, failed or dead";
        let status = parse_status(word).ok_or_else(|| model::Invalid::new("status", word, why))?;
        filter.status = Some(status);
    }
    if let Some(event) = &query.event {
        let id: EventId = event.parse().map_err(|error: model::id::NotAnId| {
            Problem::new(Code::InvalidValue, error.to_string()).field("event")
        })?;
        filter.event = Some(id);
    }
    filter.since = query.since.as_deref().map(|since| asking::time("since", since)).transpose()?;
    let found = api.control.invocations(project, filter, page).await?;
    Ok(answer_list(found, |it| Invocation::from(it)))
}

fn shape(detail: &Detail, messages: Vec<Message>) -> InvocationDetail {
    let transition = |it: &store::Transition| Transition {
        at: rfc3339(it.at),
        status: status_word(it.status).into(),
        attempt: it.attempt,
        reason: it.reason.clone(),
    };
    let result = detail
        .result
        .as_ref()
        .and_then(|bytes| RawValue::from_string(std::str::from_utf8(bytes).ok()?.to_owned()).ok());
    InvocationDetail {
        invocation: Invocation::from(&detail.invocation),
        attempt_list: detail.attempts.iter().map(Attempt::from).collect(),
        transitions: detail.transitions.iter().map(transition).collect(),
        result,
        messages,
    }
}
