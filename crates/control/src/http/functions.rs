//! Functions: deploy, look, remove.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use model::limits::CODE_BYTES;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::http::functions::{DeployForm, Function};
use wire::http::list::{List, PageQuery};
use wire::http::problem::{Code, Problem};

use super::Api;
use super::answering::{Result, Told, json, list as answer_list};
use super::asking::{self, Params, Tenant};
use crate::deploy::Upload;

/// The settings beside the code, and the multipart framing.
const FORM_BYTES: usize = 256 * 1024;

/// Create a function, or deploy its next version.
///
/// One line: `curl -X PUT localhost:8080/v1/functions/hello -F code=@hello.py`. What the form
/// leaves out keeps the value of the version before, or gets its default.
#[utoipa::path(put, path = "/v1/functions/{name}", tag = "functions",
    params(("name" = String, Path)),
    request_body(content = DeployForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "A new version", body = Function),
        (status = 201, description = "A new function", body = Function),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let name = asking::function(&name)?;
    let _turn = api.uploads.acquire().await;
    let body = asking::body(&headers, body, CODE_BYTES + FORM_BYTES).await?;
    let upload = upload(&headers, body).await?;
    let (entry, new) = api.control.deploy(&project, &name, upload).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &Function::new(&entry.function, &entry.function.latest)))
}

/// List functions, by name.
#[utoipa::path(get, path = "/v1/functions", tag = "functions", params(PageQuery),
    responses((status = 200, body = List<Function>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Params(query): Params<PageQuery>,
) -> Result<Response> {
    let page = asking::page(query.limit, query.cursor)?;
    let functions = api.control.functions(&project, page).await?;
    Ok(answer_list(functions, |function| Function::new(function, &function.latest)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionQuery {
    /// This version instead of the latest.
    version: Option<u32>,
}

/// One function, with the settings of its latest version or of the one that is asked for.
#[utoipa::path(get, path = "/v1/functions/{name}", tag = "functions",
    params(("name" = String, Path), VersionQuery),
    responses((status = 200, body = Function),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
    Params(query): Params<VersionQuery>,
) -> Result<Response> {
    let entry = api.control.entry(&project, &asking::function(&name)?)?;
    let version = api.control.version_of(&entry, query.version).await?;
    Ok(json(StatusCode::OK, &Function::new(&entry.function, &version)))
}

/// The versions of a function, newest first.
#[utoipa::path(get, path = "/v1/functions/{name}/versions", tag = "functions",
    params(("name" = String, Path), PageQuery),
    responses((status = 200, body = List<Function>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn versions(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
    Params(query): Params<PageQuery>,
) -> Result<Response> {
    let page = asking::page(query.limit, query.cursor)?;
    let entry = api.control.entry(&project, &asking::function(&name)?)?;
    let versions = api.control.versions(&entry, page).await?;
    Ok(answer_list(versions, |version| Function::new(&entry.function, version)))
}

/// Remove a function with its versions and triggers.
///
/// What still waits for it becomes a dead letter; what runs may end.
#[utoipa::path(delete, path = "/v1/functions/{name}", tag = "functions",
    params(("name" = String, Path)),
    responses((status = 204, description = "Removed"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(api): State<Api>,
    Tenant(project): Tenant,
    Path(name): Path<String>,
) -> Result<Response> {
    api.control.delete(&project, &asking::function(&name)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The form, part by part.
async fn upload(headers: &HeaderMap, body: Bytes) -> Result<Upload> {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(kind) else {
        let detail = "a deploy is a multipart/form-data body with a part \"code\", as curl -F \
                      code=@handler.py sends it";
        return Err(Problem::new(Code::UnsupportedMediaType, detail).into());
    };
    let whole = stream::once(async move { Ok::<_, std::io::Error>(body) });
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut upload = Upload::default();
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(form("a part of the form has no name".into(), None));
        };
        if name == "code" {
            let file_name = part.file_name().unwrap_or_default().to_owned();
            let bytes = part.bytes().await.map_err(malformed)?;
            if upload.code.replace((bytes, file_name)).is_some() {
                return Err(form("the form has two parts \"code\"".into(), Some("code")));
            }
            continue;
        }
        let value = part.bytes().await.map_err(malformed)?;
        let Ok(value) = std::str::from_utf8(&value) else {
            return Err(form(format!("the part {name:?} is not UTF-8"), Some(&name)));
        };
        set(&mut upload, &name, value)?;
    }
    Ok(upload)
}

fn set(upload: &mut Upload, name: &str, value: &str) -> Result<()> {
    match name {
        "runtime" => upload.runtime = Some(value.into()),
        "handler" => upload.handler = Some(value.into()),
        "description" => upload.description = Some(value.into()),
        "memory_mib" => upload.memory_mib = Some(number("memory_mib", value)?),
        "timeout_s" => upload.timeout_s = Some(number("timeout_s", value)?),
        "retries" => upload.retries = Some(number("retries", value)?),
        "backoff_s" => upload.backoff_s = Some(number("backoff_s", value)?),
        "event_age_s" => upload.event_age_s = Some(number("event_age_s", value)?),
        "concurrency" if value.is_empty() => upload.concurrency = Some(None),
        "concurrency" => upload.concurrency = Some(Some(number("concurrency", value)?)),
        "env" => {
            let env: BTreeMap<String, String> = serde_json::from_str(value).map_err(|error| {
                form(
                    format!("the part \"env\" is not a JSON object of strings: {error}"),
                    Some("env"),
                )
            })?;
            upload.env.get_or_insert_default().extend(env);
        }
        _ => match name.strip_prefix("env.") {
            Some(variable) => {
                upload.env.get_or_insert_default().insert(variable.into(), value.into());
            }
            None => return Err(form(format!("the form has an unknown part {name:?}"), Some(name))),
        },
    }
    Ok(())
}

fn number(field: &'static str, value: &str) -> Result<u32> {
    let why = "it must be a whole number";
    value.trim().parse().map_err(|_not_a_number| model::Invalid::new(field, value, why).into())
}

fn malformed(error: multer::Error) -> Told {
    form(format!("the multipart body is malformed: {error}"), None)
}

fn form(detail: String, field: Option<&str>) -> Told {
    let problem = Problem::new(Code::InvalidUpload, detail);
    match field {
        Some(field) => problem.field(field).into(),
        None => problem.into(),
    }
}
