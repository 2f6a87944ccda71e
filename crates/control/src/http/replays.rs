//! Stored events again: one at once, or those of a time as an order that can be watched and ended.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use model::limits::ATTRIBUTE_BYTES;
use model::{EventId, Invalid, Pattern, ReplayId, TriggerName};
use serde_json::value::RawValue;
use store::ReplayState;
use wire::http::list::{List, PageQuery};
use wire::http::problem::{Code, Problem};
use wire::http::replays::{
    RATE_PER_S, RATE_PER_S_MAX, Replay, ReplayAccepted, ReplayAnswer, ReplayRequest,
};
use wire::http::rfc3339;

use super::Api;
use super::answering::{Result, json, list as answer_list};
use super::asking::{self, Params, Tenant};
use crate::replay::{Asked, One, Order, no_replay};

/// Run stored events again.
///
/// One event by its id, which is done when this answers; or those of a time, which is an order: it
/// is carried out at a rate, in the order in which the events arrived, and can be watched and
/// cancelled. Either against the triggers of now, or to one function at a version of your choice.
#[utoipa::path(post, path = "/v1/replays", tag = "events", request_body = ReplayRequest,
    responses((status = 200, description = "Of a dry run: what would run", body = ReplayAnswer),
        (status = 202, description = "Stored", body = ReplayAccepted),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn post(
    State(api): State<Api>,
    Tenant(project): Tenant,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let request: ReplayRequest = asking::json(&headers, body).await?;
    let (asked, dry_run) = (asked(&request)?, request.dry_run);
    let counted = if dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    match (&request.event_id, &request.from) {
        (Some(id), None) => {
            let event: EventId = id.parse().map_err(|error: model::id::NotAnId| {
                Problem::new(Code::InvalidValue, error.to_string()).field("event_id")
            })?;
            let answer = api.control.replay_one(&project, One { event, asked, dry_run }).await?;
            Ok(json(counted, &answer))
        }
        (None, Some(from)) => {
            let order = order(&api, &request, from, asked)?;
            if dry_run {
                return Ok(json(counted, &api.control.try_replay(&project, order).await?));
            }
            let replay = api.control.order_replay(&project, order).await?;
            Ok(json(counted, &shape(&replay)))
        }
        _ => {
            let detail = "a replay needs either \"event_id\" or \"from\", and not both";
            Err(Problem::new(Code::InvalidValue, detail).field("event_id").into())
        }
    }
}

/// List replays of the events of a time, newest first.
#[utoipa::path(get, path = "/v1/replays", tag = "events", params(PageQuery),
    responses((status = 200, body = List<Replay>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Params(query): Params<PageQuery>,
) -> Result<Response> {
    let page = asking::page(query.limit, query.cursor)?;
    Ok(answer_list(api.control.replays(&project, page).await?, shape))
}

/// How a replay stands.
#[utoipa::path(get, path = "/v1/replays/{id}", tag = "events", params(("id" = String, Path)),
    responses((status = 200, body = Replay),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(id): Path<String>,
) -> Result<Response> {
    Ok(json(StatusCode::OK, &shape(&api.control.replay(&project, parse(&id)?).await?)))
}

/// Cancel a replay.
///
/// It starts nothing more from now on; what it has started runs. One that has ended stays as it is.
#[utoipa::path(delete, path = "/v1/replays/{id}", tag = "events", params(("id" = String, Path)),
    responses((status = 200, description = "How it stands now", body = Replay),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn cancel(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(id): Path<String>,
) -> Result<Response> {
    let replay = api.control.cancel_replay(&project, parse(&id)?).await?;
    Ok(json(StatusCode::OK, &shape(&replay)))
}

fn parse(id: &str) -> Result<ReplayId> {
    id.parse().map_err(|_not_an_id| no_replay(id).into())
}

/// What is asked of every event.
fn asked(request: &ReplayRequest) -> Result<Asked> {
    let function = request.function.as_deref().map(asking::function).transpose()?;
    let trigger = request.trigger.as_deref().map(TriggerName::parse).transpose()?;
    let (version, ignore_triggers) = (request.version, request.ignore_triggers);
    if function.is_none() && (version.is_some() || ignore_triggers || trigger.is_some()) {
        let why = "version, trigger and ignore_triggers need a function";
        return Err(Invalid::new("function", "null", why).into());
    }
    if trigger.is_some() && ignore_triggers {
        let why = "with a trigger only its events run, so its others cannot";
        return Err(Invalid::new("ignore_triggers", "true", why).into());
    }
    let pattern = request.pattern.as_ref().map(|pattern| {
        Pattern::parse(pattern.get()).map_err(|invalid| {
            Problem::new(Code::InvalidPattern, invalid.to_string())
                .field("pattern")
                .reason(invalid.code())
        })
    });
    Ok(Asked { pattern: pattern.transpose()?, function, trigger, version, ignore_triggers })
}

fn order(api: &Api, request: &ReplayRequest, from: &str, asked: Asked) -> Result<Order> {
    let from = asking::time("from", from)?;
    let to = request.to.as_deref().map(|to| asking::time("to", to)).transpose()?;
    let to = to.unwrap_or_else(|| api.control.now());
    if to < from {
        let why = "it must not be before \"from\"";
        return Err(Invalid::new("to", rfc3339(to), why).into());
    }
    let rate_per_s = request.rate_per_s.unwrap_or(RATE_PER_S);
    if rate_per_s > RATE_PER_S_MAX {
        let why = format!("it must be 0, which is as fast as it can, to {RATE_PER_S_MAX}");
        return Err(Invalid::new("rate_per_s", rate_per_s, why).into());
    }
    let attribute = |field: &'static str, value: &Option<String>| match value {
        Some(value) if value.len() > ATTRIBUTE_BYTES => {
            let why = format!("no event has one longer than {ATTRIBUTE_BYTES} bytes");
            Err(Invalid::new(field, format!("{} bytes", value.len()), why))
        }
        value => Ok(value.clone()),
    };
    let source = attribute("source", &request.source)?;
    let kind = attribute("type", &request.kind)?;
    Ok(Order { from, to, source, kind, rate_per_s, asked })
}

fn shape(replay: &store::Replay) -> Replay {
    let (order, target) = (&replay.order, replay.order.target.as_ref());
    let state = match replay.state {
        ReplayState::Running => "running",
        ReplayState::Done => "done",
        ReplayState::Cancelled => "cancelled",
        ReplayState::Failed => "failed",
    };
    let pattern = order.pattern.as_ref();
    Replay {
        id: replay.id.to_string(),
        state: state.into(),
        reason: replay.reason.clone(),
        from: rfc3339(order.from),
        to: rfc3339(order.to),
        source: order.source.clone(),
        kind: order.kind.clone(),
        pattern: pattern.and_then(|it| RawValue::from_string(it.to_string()).ok()),
        function: target.map(|it| it.function_name.to_string()),
        trigger: target.and_then(|it| it.trigger.as_ref()).map(ToString::to_string),
        version: target.and_then(|it| it.version),
        ignore_triggers: target.is_some_and(|it| it.ignore_triggers),
        rate_per_s: order.rate_per_s,
        created_at: rfc3339(replay.created_at),
        ended_at: replay.ended_at.map(rfc3339),
        reached_at: replay.reached_at.map(rfc3339),
        events: replay.events,
        matched: replay.matched,
        invocations: replay.invocations,
        dry_run: false,
    }
}
