//! One request and its answer, whatever the operation.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use super::address::Address;
use super::outgoing::Outgoing;
use super::{Answer, ClientError, Items};
use crate::http::problem::Problem;

/// A machine that does not answer a connection by then is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// The service answers everything but calls at once, unless its disk is in deep trouble.
pub(super) const ANSWER: Duration = Duration::from_secs(60);
/// A call may load for ten seconds and run for 900, and may wait for its turn before.
pub(super) const CALL_ANSWER: Duration = Duration::from_secs(1_200);
/// The most memory that an answer may cost: a page of 1,000 log lines of 64 KiB is the largest
/// that the service gives.
const ANSWER_BYTES: usize = 128 * 1024 * 1024;
/// How much of an answer that nobody expected is shown.
const EXCERPT_BYTES: usize = 200;

/// Who asks.
#[derive(Clone, Default)]
pub struct Credentials {
    /// An API key; needed where the service listens beyond its own machine.
    pub key: Option<String>,
    /// The project to work in, where the service asks for no keys. A key belongs to a project.
    pub project: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = if self.key.is_some() { "with a key" } else { "without a key" };
        write!(f, "credentials {key}, project {:?}", self.project)
    }
}

/// A client of one service. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: legacy::Client<HttpConnector, Outgoing>,
    address: Address,
    key: Option<HeaderValue>,
    project: Option<HeaderValue>,
}

impl Client {
    /// A client of the service at `url`. Nothing is sent yet.
    pub fn new(url: &str, credentials: Credentials) -> Result<Self, ClientError> {
        let address = Address::parse(url)?;
        let mut key =
            credentials.key.map(|key| header("API key", &format!("Bearer {key}"))).transpose()?;
        if let Some(key) = &mut key {
            key.set_sensitive(true);
        }
        let project = credentials.project.map(|name| header("project", &name)).transpose()?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, address, key, project })
    }

    /// The address of the service, as it was given.
    pub fn url(&self) -> &str {
        self.address.as_str()
    }

    /// A request that can be changed until it is sent.
    pub(super) fn request(&self, method: Method, path: String) -> Sending<'_> {
        Sending {
            client: self,
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: Outgoing::new([]),
            within: ANSWER,
        }
    }
}

pub(super) fn header(what: &'static str, value: &str) -> Result<HeaderValue, ClientError> {
    // Visible ASCII only: what `HeaderValue` takes beyond that no server reads the same way.
    if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(ClientError::BadHeader { what });
    }
    Ok(HeaderValue::from_str(value).expect("visible ASCII and spaces are a header's value"))
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, HeaderValue)>,
    body: Outgoing,
    within: Duration,
}

impl Sending<'_> {
    pub(super) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn body(mut self, content_type: HeaderValue, body: Outgoing) -> Self {
        self.body = body;
        self.header(CONTENT_TYPE.as_str(), content_type)
    }

    pub(super) fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// What was asked, for sentences about it.
    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Sends it and reads the head of the answer.
    pub(super) async fn open(self) -> Result<Opened, ClientError> {
        let (what, within) = (self.what(), self.within);
        let Self { client, method, path, query, headers, body, .. } = self;
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = client.url().to_owned();
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = client.address.uri(&path, &query)?;
        let fields = request.headers_mut();
        fields.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("lambent/", env!("CARGO_PKG_VERSION"))),
        );
        fields.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.1"));
        if let Some(key) = &client.key {
            fields.insert(AUTHORIZATION, key.clone());
        }
        if let Some(project) = &client.project {
            fields.insert("lambent-project", project.clone());
        }
        for (name, value) in headers {
            fields.insert(name, value);
        }
        match tokio::time::timeout(within, client.http.request(request)).await {
            Err(_) => Err(ClientError::TimedOut { request: what, url, within }),
            Ok(Err(source)) if source.is_connect() => Err(ClientError::Connect { url, source }),
            Ok(Err(source)) => Err(ClientError::NoAnswer { request: what, url, source }),
            Ok(Ok(response)) => Ok(Opened { response, what, url, within }),
        }
    }

    /// Sends it and reads an answer that is JSON of a known form.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<Answer<T>, ClientError> {
        let opened = self.open().await?.accepted().await?;
        let (request, url) = (opened.what.clone(), opened.url.clone());
        let bytes = opened.bytes().await?;
        Answer::parse(bytes).map_err(|source| ClientError::BadAnswer { request, url, source })
    }

    /// Sends it and reads a page of a list.
    pub(super) async fn items<T: DeserializeOwned>(self) -> Result<Items<T>, ClientError> {
        let opened = self.open().await?.accepted().await?;
        let (request, url) = (opened.what.clone(), opened.url.clone());
        let bytes = opened.bytes().await?;
        Items::parse(&bytes).map_err(|source| ClientError::BadAnswer { request, url, source })
    }

    /// Sends it and reads an answer of any form, or of none.
    pub(super) async fn bytes(self) -> Result<Bytes, ClientError> {
        self.open().await?.accepted().await?.bytes().await
    }
}

/// An answer whose head is here.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) response: Response<Incoming>,
    pub(super) what: String,
    pub(super) url: String,
    within: Duration,
}

impl Opened {
    /// A header's value, where it is there and text.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.response.headers().get(name)?.to_str().ok().map(ToOwned::to_owned)
    }

    /// This, if the status is one of success; else what the service said about it.
    pub(super) async fn accepted(self) -> Result<Self, ClientError> {
        let status = self.response.status();
        if status.is_success() {
            return Ok(self);
        }
        let content_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let (request, url) = (self.what.clone(), self.url.clone());
        let bytes = self.bytes().await?;
        if content_type.starts_with("application/problem+json")
            && let Ok(problem) = serde_json::from_slice::<Problem>(&bytes)
        {
            return Err(ClientError::Problem { problem: Box::new(problem) });
        }
        let excerpt = String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT_BYTES)]).into();
        Err(ClientError::Unexpected { request, url, status: status.as_u16(), excerpt })
    }

    /// The whole body.
    pub(super) async fn bytes(self) -> Result<Bytes, ClientError> {
        let Self { response, what: request, url, within } = self;
        let body = Limited::new(response.into_body(), ANSWER_BYTES);
        match tokio::time::timeout(within, body.collect()).await {
            Err(_) => Err(ClientError::TimedOut { request, url, within }),
            Ok(Err(source)) => Err(ClientError::Broken { request, source }),
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
        }
    }
}
