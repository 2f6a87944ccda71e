//! Logs: pages of lines, or lines as they come.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use model::Project;
use serde::Deserialize;
use store::{Listed, LogOf, LoggedLine, Page};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;
use wire::http::invocations::LogLine;
use wire::http::list::{List, PageQuery};
use wire::http::problem::{Code, Problem};

use super::Api;
use super::answering::{Result, json};
use super::asking::{self, Params, Tenant, no_invocation};
use crate::Control;

/// How often a follower asks for more: a person cannot tell it from at once.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// A follower that sees nothing gets an empty line this often, so that both ends notice when the
/// other is gone.
const KEEP_ALIVE: u32 = 50;
/// Lines per piece while following.
const FOLLOW_LINES: usize = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Keep the answer open and send lines as they come, as JSON lines.
    #[serde(default)]
    follow: bool,
    /// RFC 3339, or seconds since 1970. While following: from now on, if it is left out.
    since: Option<String>,
    /// Items at most, 1 to 1,000.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The log of a function, oldest first.
#[utoipa::path(get, path = "/v1/functions/{name}/logs", tag = "functions",
    params(("name" = String, Path), LogQuery),
    responses((status = 200, description = "A page; with `follow`, `application/x-ndjson` without end", body = List<LogLine>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn of_function(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
    Params(query): Params<LogQuery>,
) -> Result<Response> {
    let function = api.control.entry(&project, &asking::function(&name)?)?.function.id;
    let page = asking::page(query.limit, query.cursor)?;
    let since = query.since.as_deref().map(|since| asking::time("since", since)).transpose()?;
    if !query.follow {
        let of = LogOf::Function { function, since };
        return Ok(answer(api.control.log(&project, of, page.clone()).await?, page.limit));
    }
    let Ok(turn) = api.followers.clone().try_acquire_owned() else {
        let detail = "as many logs are being followed as this service allows";
        return Err(Problem::new(Code::TooManyRequests, detail).retry_after(10).into());
    };
    let since = Some(since.unwrap_or_else(|| api.control.now()));
    let of = LogOf::Function { function, since };
    Ok(follow(api.control.clone(), project, of, page.cursor, turn))
}

/// The log of one invocation, oldest first.
#[utoipa::path(get, path = "/v1/invocations/{id}/log", tag = "invocations",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = List<LogLine>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn of_invocation(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(id): Path<String>,
    Params(query): Params<PageQuery>,
) -> Result<Response> {
    let invocation = asking::invocation(&id)?;
    let page = asking::page(query.limit, query.cursor)?;
    if api.control.invocation(&project, invocation).await?.is_none() {
        return Err(no_invocation(&id));
    }
    let of = LogOf::Invocation(invocation);
    Ok(answer(api.control.log(&project, of, page.clone()).await?, page.limit))
}

fn answer(listed: Listed<LoggedLine>, limit: usize) -> Response {
    // The store always has a cursor to go on from; a page that is not full is the last for now.
    let next = listed.next.filter(|_| listed.items.len() == limit);
    json(StatusCode::OK, &List { items: listed.items.iter().map(shape).collect(), next })
}

fn shape(logged: &LoggedLine) -> LogLine {
    LogLine::new(logged.invocation, logged.attempt, &logged.line)
}

/// Lines as they come, until the reader leaves or the service drains.
fn follow(
    control: Arc<Control>,
    project: Project,
    of: LogOf,
    cursor: Option<String>,
    turn: OwnedSemaphorePermit,
) -> Response {
    let state = (control, project, cursor, turn);
    let pieces = stream::unfold(state, move |(control, project, mut cursor, turn)| async move {
        for quiet in 0.. {
            if control.draining.is_cancelled() {
                return None;
            }
            let page = Page { limit: FOLLOW_LINES, cursor: cursor.clone() };
            let listed = match control.log(&project, of, page).await {
                Ok(listed) => listed,
                Err(problem) => {
                    tracing::warn!(detail = problem.detail, "a followed log ended");
                    return None;
                }
            };
            cursor = listed.next.or(cursor);
            let piece = if listed.items.is_empty() {
                if quiet < KEEP_ALIVE {
                    tokio::time::sleep(FOLLOW_EVERY).await;
                    continue;
                }
                b"\n".to_vec()
            } else {
                lines(&listed.items)
            };
            let piece = Ok::<_, std::io::Error>(Bytes::from(piece));
            return Some((piece, (control, project, cursor, turn)));
        }
        None
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces)).into_response()
}

fn lines(items: &[LoggedLine]) -> Vec<u8> {
    let mut text = Vec::new();
    for item in items {
        serde_json::to_writer(&mut text, &shape(item)).expect("strings and numbers become JSON");
        text.push(b'\n');
    }
    text
}
