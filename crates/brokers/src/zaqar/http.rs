//! One request, one answer, within a bounded time and of a bounded size. Follows no redirection and
//! repeats nothing.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use tokio_rustls::rustls;

use super::connector::Connector;
use crate::{Error, Kind, tls};

/// Twenty messages of Zaqar's usual 256 KiB are 5 MiB; an operator may allow more, up to here.
const ANSWER_BYTES: usize = 32 << 20;
/// A sentence of the service's, in our error.
const WORDS_BYTES: usize = 500;
/// Connections to one host that wait for the next request. As many as there are deletions at a time.
const IDLE_CONNECTIONS: usize = 8;
/// Shorter than the usual servers keep one open, so that a request seldom meets a closing one.
const IDLE: Duration = Duration::from_secs(20);

/// Where a service is: scheme, host and the beginning of every path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    url: String,
    pub(super) tls: bool,
}

impl Base {
    /// What is wrong is said without repeating what may be secret. The version at the end, as some
    /// catalogues have it and some do not, is taken off.
    pub(super) fn parse(text: &str, version: &str) -> Result<Base, String> {
        let uri: Uri = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("must begin with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("names no host")?.as_str();
        if uri.host().is_none_or(str::is_empty) {
            return Err("names no host".to_owned());
        }
        if authority.contains('@') {
            return Err("takes no user and password: they are settings of their own".to_owned());
        }
        if uri.query().is_some() {
            return Err("takes no ?".to_owned());
        }
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix(version).unwrap_or(path);
        let scheme = if tls { "https" } else { "http" };
        Ok(Base { url: format!("{scheme}://{authority}{path}"), tls })
    }
}

impl std::fmt::Display for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url)
    }
}

pub(super) struct Http {
    client: Client<Connector, Full<Bytes>>,
    base: Base,
    wait: Duration,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    /// Keystone's, in a header of its own.
    pub(super) token: Option<HeaderValue>,
    pub(super) body: Bytes,
}

impl Http {
    pub(super) async fn open(
        base: Base,
        ca_file: Option<PathBuf>,
        wait: Duration,
    ) -> Result<Http, Error> {
        let tls = if base.tls {
            let attempt = || format!("connect to {base}");
            let config = tls::configure(ca_file).await;
            Some(config.map_err(|why| Error::new(Kind::Refused, attempt(), why))?)
        } else {
            None
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(Connector { tls });
        Ok(Http { client, base, wait })
    }

    /// Any answer is one, whatever its status.
    pub(super) async fn send(
        &self,
        attempt: &str,
        method: Method,
        path: &str,
        headers: &[(&'static str, HeaderValue)],
        body: Option<Bytes>,
    ) -> Result<Reply, Error> {
        let failed =
            |kind, why: String| Error::new(kind, attempt, format!("{why} (asking {})", self.base));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(USER_AGENT, concat!("lambent/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(HeaderName::from_static(name), value);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| failed(Kind::Refused, error.to_string()))?;
        match tokio::time::timeout(self.wait, self.exchange(request)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err((kind, why))) => Err(failed(kind, why)),
            Err(_) => {
                let wait = self.wait.as_secs_f32();
                Err(failed(Kind::Lost, format!("no answer within {wait} s")))
            }
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, (Kind, String)> {
        let answer = self.client.request(request).await.map_err(|error| {
            let kind = match error.is_connect() {
                true if is_certificate(&error) => Kind::Refused,
                true => Kind::Unreachable,
                false => Kind::Lost,
            };
            (kind, chain(&error))
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| {
            let why = if error.is::<http_body_util::LengthLimitError>() {
                format!("the answer has more than {} MiB: claim fewer", ANSWER_BYTES >> 20)
            } else {
                format!("the answer ends too early: {error}")
            };
            (Kind::Lost, why)
        })?;
        let location = head.headers.get(LOCATION).and_then(|it| it.to_str().ok());
        Ok(Reply {
            status: head.status,
            location: location.map(str::to_owned),
            token: head.headers.get("x-subject-token").cloned(),
            body: body.to_bytes(),
        })
    }
}

impl Reply {
    /// An error unless the status is one of these.
    pub(super) fn expect(self, attempt: &str, expected: &[u16]) -> Result<Reply, Error> {
        if expected.contains(&self.status.as_u16()) {
            return Ok(self);
        }
        let kind = match self.status.as_u16() {
            // "Too many requests", and everything that is the service's own trouble.
            429 | 500.. => Kind::Busy,
            _ => Kind::Refused,
        };
        Err(Error::new(kind, attempt, self.words()))
    }

    /// The status, and the service's own sentence if it has one. An answer that is no JSON is some
    /// proxy's page, and is not repeated.
    pub(super) fn words(&self) -> String {
        #[derive(Deserialize)]
        struct Said {
            title: Option<String>,
            description: Option<String>,
            error: Option<Inner>,
        }
        #[derive(Deserialize)]
        struct Inner {
            message: Option<String>,
        }
        let said = serde_json::from_slice::<Said>(&self.body).ok();
        let sentence =
            said.and_then(|it| it.error.and_then(|it| it.message).or(it.description).or(it.title));
        match sentence {
            Some(sentence) => format!("{}: {}", self.status, cut(&sentence, WORDS_BYTES)),
            None => self.status.to_string(),
        }
    }
}

/// The beginning of a text, in whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn is_certificate(error: &hyper_util::client::legacy::Error) -> bool {
    let mut cause = error.source();
    while let Some(it) = cause {
        let inner = it.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(|it| it.is::<rustls::Error>()) {
            return true;
        }
        cause = it.source();
    }
    false
}

/// The last cause says it; those above it say "client error".
fn chain(error: &hyper_util::client::legacy::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_with_and_without_its_version() {
        for text in ["http://h:8888", "http://h:8888/", "http://h:8888/v2", "http://h:8888/v2/"] {
            assert_eq!(Base::parse(text, "/v2").unwrap().to_string(), "http://h:8888", "{text}");
        }
        let base = Base::parse("https://[::1]/messaging/v2", "/v2").unwrap();
        assert_eq!((base.to_string().as_str(), base.tls), ("https://[::1]/messaging", true));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_the_password() {
        for (text, expected) in [
            ("h:8888", "must begin with"),
            ("ftp://h", "must begin with"),
            ("/v2", "must begin with"),
            ("http://u:secret@h", "takes no user"),
            ("http://h/?a=secret", "takes no ?"),
            ("http://secret h", "not a URL"),
        ] {
            let why = Base::parse(text, "/v2").unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
            assert!(!why.contains("secret"), "{text}: {why}");
        }
    }

    #[test]
    fn an_error_is_told_in_the_services_own_words() {
        let reply = |status: u16, body: &str| Reply {
            status: StatusCode::from_u16(status).unwrap(),
            location: None,
            token: None,
            body: body.to_owned().into(),
        };
        for (status, body, kind, expected) in [
            (400, r#"{"title":"a","description":"b"}"#, Kind::Refused, "400 Bad Request: b"),
            (401, r#"{"error":{"message":"c"}}"#, Kind::Refused, "401 Unauthorized: c"),
            (404, r#"{"title":"404 Not Found"}"#, Kind::Refused, "404 Not Found: 404 Not Found"),
            (503, "<html>", Kind::Busy, "503 Service Unavailable"),
            (429, "", Kind::Busy, "429 Too Many Requests"),
        ] {
            let error = reply(status, body).expect("ask", &[200]).err().unwrap();
            assert_eq!(
                (error.kind(), error.to_string()),
                (kind, format!("cannot ask: {expected}"))
            );
        }
    }
}
