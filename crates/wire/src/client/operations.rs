//! Every operation of the API, one method each.

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderValue;

use super::address::segment;
use super::multipart;
use super::outgoing::Outgoing;
use super::transport::{CALL_ANSWER, header};
use super::{Answer, Client, ClientError, Items, LogStream};
use crate::http::destinations::Destinations;
use crate::http::events::{BatchAccepted, EventAccepted, EventTested};
use crate::http::functions::Function;
use crate::http::invocations::{Accepted, Invocation, InvocationDetail, InvocationQuery, LogLine};
use crate::http::list::PageQuery;
use crate::http::replays::{Replay, ReplayAnswer, ReplayRequest};
use crate::http::sources::{Source, SourceBody};
use crate::http::system::Worker;
use crate::http::triggers::{Trigger, TriggerBody};

/// What a deploy uploads.
#[derive(Clone, Debug)]
pub struct Deploy {
    pub file_name: String,
    pub code: Bytes,
    /// Settings by their names in the form, such as `memory_mib`; what is left out keeps its value.
    pub fields: Vec<(String, String)>,
}

/// A direct call.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// JSON, sent as it is.
    pub body: Bytes,
    /// The version to run; without it the latest.
    pub version: Option<u32>,
    pub idempotency_key: Option<String>,
}

/// How a call ended: the function answered or failed.
#[derive(Clone, Debug)]
pub struct Called {
    pub invocation_id: Option<String>,
    /// The code of the function's error; none if it answered.
    pub function_error: Option<String>,
    /// The function's answer byte for byte, or what is known about its error.
    pub body: Bytes,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn json(body: Bytes) -> (HeaderValue, Outgoing) {
    (JSON, Outgoing::new([body]))
}

fn function(name: &str) -> String {
    format!("/v1/functions/{}", segment(name))
}

fn trigger(name: &str, trigger: &str) -> String {
    format!("{}/triggers/{}", function(name), segment(trigger))
}

fn destinations(name: &str) -> String {
    format!("{}/destinations", function(name))
}

fn source(name: &str) -> String {
    format!("/v1/sources/{}", segment(name))
}

fn replay(id: &str) -> String {
    format!("/v1/replays/{}", segment(id))
}

fn invocation(id: &str) -> String {
    format!("/v1/invocations/{}", segment(id))
}

impl Client {
    /// Creates the function or makes a new version of it. `progress` is told the bytes sent so far
    /// and all of them.
    pub async fn deploy(
        &self,
        name: &str,
        deploy: Deploy,
        progress: Option<Box<dyn FnMut(u64, u64) + Send>>,
    ) -> Result<Answer<Function>, ClientError> {
        let form = multipart::form(&deploy.fields, "code", &deploy.file_name, deploy.code);
        let content_type = header("content type", &form.content_type)?;
        let body = Outgoing::new(form.pieces).watched(progress);
        // A slow line may take long for 50 MiB; the service has its own idea of too slow.
        let request = self.request(Method::PUT, function(name)).within(CALL_ANSWER);
        request.body(content_type, body).json().await
    }

    /// Functions by name.
    pub async fn functions(&self, page: &PageQuery) -> Result<Items<Function>, ClientError> {
        self.list("/v1/functions".into(), page).await
    }

    /// A function with the settings of `version`, or of the latest.
    pub async fn function(
        &self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Answer<Function>, ClientError> {
        self.request(Method::GET, function(name)).query("version", version).json().await
    }

    /// Versions of a function, the newest first.
    pub async fn versions(
        &self,
        name: &str,
        page: &PageQuery,
    ) -> Result<Items<Function>, ClientError> {
        self.list(format!("{}/versions", function(name)), page).await
    }

    /// Removes a function with its versions and triggers.
    pub async fn delete_function(&self, name: &str) -> Result<Bytes, ClientError> {
        self.request(Method::DELETE, function(name)).bytes().await
    }

    /// Makes a trigger, or replaces the one of this name.
    pub async fn put_trigger(
        &self,
        name: &str,
        trigger_name: &str,
        body: &TriggerBody,
    ) -> Result<Answer<Trigger>, ClientError> {
        let body = serde_json::to_vec(body).expect("it has no keys that are no strings");
        let (content_type, body) = json(body.into());
        let request = self.request(Method::PUT, trigger(name, trigger_name));
        request.body(content_type, body).json().await
    }

    pub async fn trigger(
        &self,
        name: &str,
        trigger_name: &str,
    ) -> Result<Answer<Trigger>, ClientError> {
        self.request(Method::GET, trigger(name, trigger_name)).json().await
    }

    /// Replaces where the function's outcomes are sent to.
    pub async fn put_destinations(
        &self,
        name: &str,
        body: &Destinations,
    ) -> Result<Answer<Destinations>, ClientError> {
        let body = serde_json::to_vec(body).expect("it has no keys that are no strings");
        let (content_type, body) = json(body.into());
        let request = self.request(Method::PUT, destinations(name));
        request.body(content_type, body).json().await
    }

    pub async fn destinations(&self, name: &str) -> Result<Answer<Destinations>, ClientError> {
        self.request(Method::GET, destinations(name)).json().await
    }

    /// From now on the function's outcomes are sent nowhere.
    pub async fn delete_destinations(&self, name: &str) -> Result<Bytes, ClientError> {
        self.request(Method::DELETE, destinations(name)).bytes().await
    }

    /// Triggers of a function by name.
    pub async fn triggers(
        &self,
        name: &str,
        page: &PageQuery,
    ) -> Result<Items<Trigger>, ClientError> {
        self.list(format!("{}/triggers", function(name)), page).await
    }

    pub async fn delete_trigger(
        &self,
        name: &str,
        trigger_name: &str,
    ) -> Result<Bytes, ClientError> {
        self.request(Method::DELETE, trigger(name, trigger_name)).bytes().await
    }

    /// Makes a source, or replaces the settings of the one of this name.
    pub async fn put_source(
        &self,
        name: &str,
        body: &SourceBody,
    ) -> Result<Answer<Source>, ClientError> {
        let body = serde_json::to_vec(body).expect("strings and numbers are JSON");
        let (content_type, body) = json(body.into());
        self.request(Method::PUT, source(name)).body(content_type, body).json().await
    }

    pub async fn source(&self, name: &str) -> Result<Answer<Source>, ClientError> {
        self.request(Method::GET, source(name)).json().await
    }

    /// With what is not shown otherwise: where a webhook with a token is posted to.
    pub async fn source_revealed(&self, name: &str) -> Result<Answer<Source>, ClientError> {
        self.request(Method::GET, source(name)).query("reveal", Some(true)).json().await
    }

    /// Sources by name. There is one page: a project may not have more.
    pub async fn sources(&self) -> Result<Items<Source>, ClientError> {
        self.request(Method::GET, "/v1/sources".into()).items().await
    }

    pub async fn delete_source(&self, name: &str) -> Result<Bytes, ClientError> {
        self.request(Method::DELETE, source(name)).bytes().await
    }

    /// Calls a function and waits for its answer. A function that fails is an answer, too; an error
    /// is that the call itself was refused or went wrong.
    pub async fn call(&self, name: &str, call: Call) -> Result<Called, ClientError> {
        let opened = self.calling(name, call)?.within(CALL_ANSWER).open().await?;
        let function_error = opened.header("lambent-function-error");
        let invocation_id = opened.header("lambent-invocation-id");
        // The function's error has a status of failure: that is not a refusal of the call.
        let opened = if function_error.is_some() { opened } else { opened.accepted().await? };
        Ok(Called { invocation_id, function_error, body: opened.bytes().await? })
    }

    /// Accepts a call and does not wait for it.
    pub async fn call_async(
        &self,
        name: &str,
        call: Call,
    ) -> Result<Answer<Accepted>, ClientError> {
        let request = self.calling(name, call)?;
        request.header("prefer", HeaderValue::from_static("respond-async")).json().await
    }

    fn calling(
        &self,
        name: &str,
        call: Call,
    ) -> Result<super::transport::Sending<'_>, ClientError> {
        let (content_type, body) = json(call.body);
        let mut request = self
            .request(Method::POST, format!("{}/invoke", function(name)))
            .query("version", call.version)
            .body(content_type, body);
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", header("idempotency key", key)?);
        }
        Ok(request)
    }

    /// Sends one event, as a CloudEvents record in JSON.
    pub async fn send_event(&self, record: Bytes) -> Result<Answer<EventAccepted>, ClientError> {
        let content_type = HeaderValue::from_static("application/cloudevents+json");
        let request = self.request(Method::POST, "/v1/events".into());
        request.body(content_type, Outgoing::new([record])).json().await
    }

    /// Asks what an event would do, and does not send it.
    pub async fn test_event(&self, record: Bytes) -> Result<Answer<EventTested>, ClientError> {
        let content_type = HeaderValue::from_static("application/cloudevents+json");
        let request = self.request(Method::POST, "/v1/events/test".into());
        request.body(content_type, Outgoing::new([record])).json().await
    }

    /// Sends many: all of them are accepted, or none.
    pub async fn send_events(
        &self,
        records: &[Bytes],
    ) -> Result<Answer<BatchAccepted>, ClientError> {
        let content_type = HeaderValue::from_static("application/cloudevents-batch+json");
        let mut pieces = Vec::with_capacity(records.len() * 2 + 1);
        for (index, record) in records.iter().enumerate() {
            pieces.push(Bytes::from_static(if index == 0 { b"[" } else { b"," }));
            pieces.push(record.clone());
        }
        pieces.push(Bytes::from_static(if records.is_empty() { b"[]" } else { b"]" }));
        let request = self.request(Method::POST, "/v1/events".into());
        request.body(content_type, Outgoing::new(pieces)).json().await
    }

    /// Invocations, the newest first.
    pub async fn invocations(
        &self,
        query: &InvocationQuery,
    ) -> Result<Items<Invocation>, ClientError> {
        self.request(Method::GET, "/v1/invocations".into())
            .query("function", query.function.as_ref())
            .query("status", query.status.as_ref())
            .query("since", query.since.as_ref())
            .query("event", query.event.as_ref())
            .query("limit", query.limit)
            .query("cursor", query.cursor.as_ref())
            .items()
            .await
    }

    pub async fn invocation(&self, id: &str) -> Result<Answer<InvocationDetail>, ClientError> {
        self.request(Method::GET, invocation(id)).json().await
    }

    /// The log of an invocation, the oldest line first.
    pub async fn invocation_log(
        &self,
        id: &str,
        page: &PageQuery,
    ) -> Result<Items<LogLine>, ClientError> {
        self.list(format!("{}/log", invocation(id)), page).await
    }

    /// The log of a function since a time (RFC 3339, or seconds since 1970), the oldest line first.
    pub async fn function_logs(
        &self,
        name: &str,
        since: Option<&str>,
        page: &PageQuery,
    ) -> Result<Items<LogLine>, ClientError> {
        self.request(Method::GET, format!("{}/logs", function(name)))
            .query("since", since)
            .query("limit", page.limit)
            .query("cursor", page.cursor.as_ref())
            .items()
            .await
    }

    /// The log of a function as it is written, after what was written since `since`.
    pub async fn follow(&self, name: &str, since: Option<&str>) -> Result<LogStream, ClientError> {
        let opened = self
            .request(Method::GET, format!("{}/logs", function(name)))
            .query("follow", Some(true))
            .query("since", since)
            .open()
            .await?
            .accepted()
            .await?;
        Ok(LogStream::new(opened.response.into_body(), opened.what, opened.url))
    }

    pub async fn workers(&self) -> Result<Items<Worker>, ClientError> {
        self.list("/v1/workers".into(), &PageQuery::default()).await
    }

    /// Runs stored events again: one at once; those of a time step by step, of which the answer is
    /// how that stands at its beginning.
    pub async fn replay(
        &self,
        replay: &ReplayRequest,
    ) -> Result<Answer<ReplayAnswer>, ClientError> {
        let body = serde_json::to_vec(replay).expect("texts and numbers are JSON");
        let (content_type, body) = json(body.into());
        let request = self.request(Method::POST, "/v1/replays".into()).within(CALL_ANSWER);
        request.body(content_type, body).json().await
    }

    /// Replays, the newest first.
    pub async fn replays(&self, page: &PageQuery) -> Result<Items<Replay>, ClientError> {
        self.list("/v1/replays".into(), page).await
    }

    pub async fn replay_state(&self, id: &str) -> Result<Answer<Replay>, ClientError> {
        self.request(Method::GET, replay(id)).json().await
    }

    /// Ends a replay that runs: what it has started goes on, and it starts nothing more.
    pub async fn cancel_replay(&self, id: &str) -> Result<Answer<Replay>, ClientError> {
        self.request(Method::DELETE, replay(id)).json().await
    }

    /// Invocations that ran out of attempts or of time, the newest first.
    pub async fn dead_letters(
        &self,
        function: Option<&str>,
        page: &PageQuery,
    ) -> Result<Items<Invocation>, ClientError> {
        self.request(Method::GET, "/v1/dead-letters".into())
            .query("function", function)
            .query("limit", page.limit)
            .query("cursor", page.cursor.as_ref())
            .items()
            .await
    }

    /// Gives a dead letter another round.
    pub async fn redrive(&self, id: &str) -> Result<Bytes, ClientError> {
        let path = format!("/v1/dead-letters/{}/redrive", segment(id));
        self.request(Method::POST, path).bytes().await
    }

    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        path: String,
        page: &PageQuery,
    ) -> Result<Items<T>, ClientError> {
        let request = self.request(Method::GET, path);
        request.query("limit", page.limit).query("cursor", page.cursor.as_ref()).items().await
    }
}
