//! A message to an HTTP endpoint: one signed POST on a connection of its own, within a bounded time.
//!
//! The endpoint's name is looked up once, every address that it has is held against [`guard`], and the
//! connection goes to one of those that were looked at. Redirections are not followed: where they lead
//! has not been looked at. What the endpoint says is not kept, only whether it took the message.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use model::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use wire::signature::{Secret, standard};

use super::Failed;
use super::guard;
use super::made::Leaving;
use super::settings::Endpoint;

/// Looking up, connecting, sending and being answered. What takes longer should be taken at once and
/// done later.
const WHOLE: Duration = Duration::from_secs(30);
/// Addresses of one name that are tried: more is not for us to sort out.
const ADDRESSES: usize = 4;
/// Of one address, so that a dead one leaves time for another.
const CONNECT: Duration = Duration::from_secs(5);
/// What an endpoint says is read, so that it can say it, up to here and not for long.
const ANSWER_BYTES: usize = 64 * 1024;
const ANSWER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Http {
    /// Whether addresses that are not public may be connected to.
    private: bool,
    tls: OnceCell<brokers::Tls>,
}

impl Http {
    pub(super) fn new(private: bool) -> Self {
        Self { private, tls: OnceCell::new() }
    }

    pub(super) async fn post(
        &self,
        endpoint: &Endpoint,
        secret: &Secret,
        leaving: &Leaving<'_>,
        now: Timestamp,
    ) -> Result<(), Failed> {
        let request = request(endpoint, secret, leaving, now).map_err(Failed::Never)?;
        match tokio::time::timeout(WHOLE, self.send(endpoint, request)).await {
            Ok(Ok(answer)) => verdict(&answer),
            Ok(Err(why)) => Err(Failed::again(why)),
            Err(_elapsed) => Err(Failed::again(format!("no answer within {} s", WHOLE.as_secs()))),
        }
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<()>, String> {
        let stream = connect(&self.addresses(endpoint).await?).await?;
        if !endpoint.tls {
            return exchange(stream, request).await;
        }
        let tls = self.tls.get_or_try_init(brokers::Tls::of_system).await?;
        let host = &endpoint.host;
        let stream = tls
            .connect(host, stream)
            .await
            .map_err(|error| format!("cannot speak TLS with {host}: {error}"))?;
        exchange(stream, request).await
    }

    /// What the name stands for, if all of it may be connected to.
    async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, String> {
        let host = endpoint.host.as_str();
        let found = tokio::net::lookup_host((host, endpoint.port))
            .await
            .map_err(|error| format!("cannot look up {host}: {error}"))?;
        let found: Vec<_> = found.take(ADDRESSES).collect();
        if let Some(private) = found.iter().find(|it| !self.private && !guard::is_public(it.ip())) {
            return Err(format!(
                "{host} is {}, which is not on the public internet: only the operator can allow that, \
                 with destinations_private = true in the service's configuration",
                private.ip()
            ));
        }
        if found.is_empty() {
            return Err(format!("{host} has no address"));
        }
        Ok(found)
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut why = String::new();
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = format!("cannot connect to {address}: {error}"),
            Err(_elapsed) => {
                why = format!("cannot connect to {address} within {} s", CONNECT.as_secs());
            }
        }
    }
    Err(why)
}

fn request(
    endpoint: &Endpoint,
    secret: &Secret,
    leaving: &Leaving<'_>,
    now: Timestamp,
) -> Result<Request<Full<Bytes>>, String> {
    let body = leaving.body();
    let signed = standard::sign(secret, &leaving.id, now, body.as_bytes())
        .map_err(|refused| format!("the message cannot be signed: {refused}"))?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&endpoint.path)
        .header(HOST, &endpoint.authority)
        .header(USER_AGENT, concat!("lambent/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in signed {
        request = request.header(name, value);
    }
    for (name, value) in leaving.attributes() {
        // Names of functions and ids of ours are ASCII; so is everything else here.
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(format!("ce-{name}")), HeaderValue::try_from(value))
        {
            request = request.header(name, value);
        }
    }
    request
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|error| format!("there is no request to this url: {error}"))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<()>, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("cannot speak HTTP: {error}"))?;
    // The connection's end is told to whoever waits for the answer.
    let driven = async {
        drop(connection.await);
        std::future::pending::<()>().await;
    };
    let asked = async {
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| format!("the connection ended before an answer came: {error}"))?;
        Ok(heard_out(answer).await)
    };
    tokio::select! {
        answer = asked => answer,
        () = driven => Err("the connection ended".into()),
    }
}

async fn heard_out(answer: Response<Incoming>) -> Response<()> {
    let (head, body) = answer.into_parts();
    // Whatever it is, it changes nothing.
    drop(tokio::time::timeout(ANSWER, Limited::new(body, ANSWER_BYTES).collect()).await);
    Response::from_parts(head, ())
}

fn verdict(answer: &Response<()>) -> Result<(), Failed> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::GONE {
        return Err(Failed::Never("it answered 410 Gone: it wants no more of this".into()));
    }
    if status.is_redirection() {
        let error = format!("it answered {status}, and redirections are not followed");
        return Err(Failed::again(error));
    }
    let may_ask = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let asked = answer.headers().get(RETRY_AFTER).filter(|_| may_ask);
    let asked = asked.and_then(|it| it.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
    Err(Failed::Again { error: format!("it answered {status}"), asked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_the_message_was_taken_and_when_to_come_again() {
        let said = |status: u16, after: Option<&str>| {
            let mut answer = Response::builder().status(status);
            if let Some(after) = after {
                answer = answer.header(RETRY_AFTER, after);
            }
            verdict(&answer.body(()).unwrap())
        };
        let again = |error: &str, asked: Option<u64>| {
            Err(Failed::Again { error: error.into(), asked: asked.map(Duration::from_secs) })
        };
        assert_eq!((said(200, None), said(204, None)), (Ok(()), Ok(())));
        assert!(matches!(said(410, None), Err(Failed::Never(_))));
        let redirected = "it answered 302 Found, and redirections are not followed";
        assert_eq!(said(302, None), again(redirected, None));
        assert_eq!(said(404, Some("9")), again("it answered 404 Not Found", None));
        assert_eq!(said(429, Some("9")), again("it answered 429 Too Many Requests", Some(9)));
        assert_eq!(said(503, Some("soon")), again("it answered 503 Service Unavailable", None));
    }

    #[tokio::test]
    async fn other_spellings_of_a_private_address_are_seen_through() {
        let http = Http::new(false);
        for url in ["http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://[::]/"] {
            let endpoint = Endpoint::parse(url).unwrap();
            // Some are no address to this system at all, which is as good.
            let why = http.addresses(&endpoint).await.unwrap_err();
            assert!(why.contains("public internet") || why.contains("look up"), "{url}: {why}");
        }
        let endpoint = Endpoint::parse("http://127.0.0.1:1/").unwrap();
        assert!(Http::new(true).addresses(&endpoint).await.is_ok());
    }
}
