//! A Zaqar and a Keystone in this process, on a free port: stateful, with the statuses and bodies
//! that real ones were heard to give, and with trouble on demand.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

type Answer = Response<Full<Bytes>>;

/// What goes wrong.
#[derive(Clone)]
pub(super) enum Trouble {
    /// This, in place of an answer.
    Say(u16, &'static str),
    HangUp,
    /// The answer waits until this is cancelled.
    Wait(CancellationToken),
}

pub(super) struct Cloud {
    scheme: &'static str,
    port: u16,
    state: Arc<Mutex<State>>,
    end: CancellationToken,
}

#[derive(Default)]
struct State {
    url: String,
    queues: BTreeMap<String, Vec<Stored>>,
    count: usize,
    /// Those that are believed.
    tokens: Vec<String>,
    token_life_s: i64,
    catalogue: bool,
    logins: Vec<Value>,
    /// "POST /v2/queues/orders/claims?limit=20"
    requests: Vec<String>,
    /// For requests that contain the text; how often.
    trouble: Vec<(&'static str, usize, Trouble)>,
    post_bytes: usize,
}

struct Stored {
    id: String,
    body: Box<RawValue>,
    claim: Option<String>,
}

impl Cloud {
    pub(super) async fn start() -> Cloud {
        Cloud::start_with(None).await
    }

    pub(super) async fn start_with(tls: Option<TlsAcceptor>) -> Cloud {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = State {
            url: format!("{scheme}://localhost:{port}"),
            token_life_s: 3_600,
            catalogue: true,
            post_bytes: 262_144,
            ..State::default()
        };
        let cloud = Cloud {
            scheme,
            port,
            state: Arc::new(Mutex::new(state)),
            end: CancellationToken::new(),
        };
        let (state, end) = (Arc::clone(&cloud.state), cloud.end.clone());
        tokio::spawn(end.run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&state), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    let server = hyper::server::conn::http1::Builder::new();
                    // A client that goes away is a test's business, not the stand-in's.
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(server.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        }));
        cloud
    }

    pub(super) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn trouble(&self, request: &'static str, times: usize, trouble: Trouble) {
        self.state().trouble.push((request, times, trouble));
    }

    /// Requests that contain this, so far.
    pub(super) fn count(&self, request: &str) -> usize {
        self.state().requests.iter().filter(|it| it.contains(request)).count()
    }

    pub(super) async fn until(&self, request: &str, count: usize) {
        crate::harness::soon(async {
            while self.count(request) < count {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// As if the time of every claim were over.
    pub(super) fn end_claims(&self) {
        self.state().queues.values_mut().flatten().for_each(|it| it.claim = None);
    }

    pub(super) fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    pub(super) fn believe(&self, token: &str) {
        self.state().tokens.push(token.to_owned());
    }

    pub(super) fn tokens_live(&self, life_s: i64) {
        self.state().token_life_s = life_s;
    }

    pub(super) fn without_catalogue(&self) {
        self.state().catalogue = false;
    }

    pub(super) fn logins(&self) -> Vec<Value> {
        self.state().logins.clone()
    }

    pub(super) fn bodies(&self, queue: &str) -> Vec<String> {
        let state = self.state();
        let stored = state.queues.get(queue).into_iter().flatten();
        stored.map(|it| it.body.get().to_owned()).collect()
    }

    pub(super) fn claimed(&self, queue: &str) -> usize {
        self.state().queues[queue].iter().filter(|it| it.claim.is_some()).count()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// An error hangs up.
async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let line = format!("{} {}", head.method, head.uri);
    let header = |name: &str| head.headers.get(name).map(|it| it.to_str().unwrap().to_owned());
    let trouble = {
        let mut state = state.lock().unwrap();
        state.requests.push(line.clone());
        let found = state.trouble.iter_mut().find(|it| it.1 > 0 && line.contains(it.0));
        found.map(|it| {
            it.1 -= 1;
            it.2.clone()
        })
    };
    match trouble {
        Some(Trouble::Say(status, text)) => return Ok(say(status, text)),
        Some(Trouble::HangUp) => return Err(io::Error::other("trouble")),
        Some(Trouble::Wait(until)) => until.cancelled().await,
        None => {}
    }
    let mut state = state.lock().unwrap();
    let path = head.uri.path();
    if path == "/v3/auth/tokens" {
        return Ok(state.login(&body));
    }
    if !header("x-auth-token").is_some_and(|it| state.tokens.contains(&it)) {
        let message = "The request you have made requires authentication.";
        return Ok(json_of(401, &json!({"error": {"code": 401, "message": message}})));
    }
    if header("client-id").is_none() {
        return Ok(sorry(400, "Missing header value", "The \"Client-ID\" header is required."));
    }
    let words: Vec<&str> = path.strip_prefix("/v2/queues/").unwrap_or("").split('/').collect();
    let query = head.uri.query().unwrap_or("");
    Ok(state.zaqar(head.method.as_str(), &words, query, &body))
}

impl State {
    fn id(&mut self) -> String {
        self.count += 1;
        format!("f585d17b-8741-4184-a275-{:012}", self.count)
    }

    fn login(&mut self, body: &[u8]) -> Answer {
        let login: Value = serde_json::from_slice(body).unwrap();
        self.logins.push(login.clone());
        let identity = &login["auth"]["identity"];
        let password = &identity["password"]["user"]["password"];
        let secret = &identity["application_credential"]["secret"];
        if password != super::PASSWORD && secret != super::PASSWORD {
            let message = "The request you have made requires authentication.";
            return json_of(401, &json!({"error": {"code": 401, "message": message}}));
        }
        let token = format!("gAAAAAB{}", self.id());
        self.tokens.push(token.clone());
        let issued: i64 = 1_795_491_622;
        let text = |at: i64| {
            let hour = (at / 3_600) % 24;
            format!("2026-11-24T{hour:02}:{:02}:{:02}.000000Z", (at / 60) % 60, at % 60)
        };
        let endpoint = |interface: &str, url: &str| {
            json!({"id": "0e54", "interface": interface, "region_id": "RegionOne", "url": url,
                "region": "RegionOne"})
        };
        let endpoints = [endpoint("admin", "http://localhost:1"), endpoint("public", &self.url)];
        let mut catalogue = vec![json!({"id": "1c5e", "type": "compute", "name": "nova",
            "endpoints": [endpoint("public", "http://localhost:1")]})];
        if self.catalogue {
            catalogue.push(json!({"id": "c7fc", "type": "messaging", "name": "zaqar",
                "endpoints": endpoints}));
        }
        let body = json!({"token": {"methods": ["password"], "issued_at": text(issued),
            "expires_at": text(issued + self.token_life_s), "catalog": catalogue}});
        let mut answer = json_of(201, &body);
        answer.headers_mut().insert("x-subject-token", token.parse().unwrap());
        answer
    }

    fn zaqar(&mut self, method: &str, words: &[&str], query: &str, body: &[u8]) -> Answer {
        let parameter =
            |name: &str| query.split('&').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        let queue = words[0].to_owned();
        match (method, &words[1..]) {
            ("PUT", []) => {
                let new = !self.queues.contains_key(&queue);
                self.queues.entry(queue).or_default();
                say(if new { 201 } else { 204 }, "")
            }
            ("POST", ["messages"]) => self.post(&queue, body),
            ("POST", ["claims"]) => self.claim(&queue, parameter("limit").unwrap(), body),
            ("PATCH", ["claims", claim]) => {
                let open = self.queues[&queue].iter().any(|it| it.claim.as_deref() == Some(claim));
                if open { say(204, "") } else { json_of(404, &json!({"title": "Not found"})) }
            }
            ("DELETE", ["claims", claim]) => {
                let stored = self.queues.get_mut(&queue).unwrap();
                let of = stored.iter_mut().filter(|it| it.claim.as_deref() == Some(*claim));
                of.for_each(|it| it.claim = None);
                say(204, "")
            }
            ("DELETE", ["messages", id]) => {
                let stored = self.queues.get_mut(&queue).unwrap();
                let title = "Unable to delete";
                match stored.iter().position(|it| it.id == *id) {
                    None => say(204, ""),
                    Some(at) => match (stored[at].claim.as_deref(), parameter("claim_id")) {
                        (None, Some(_)) => sorry(
                            400,
                            title,
                            "A claim was specified, but the \
                            message is not currently claimed.",
                        ),
                        (claim, given) if claim == given => {
                            stored.remove(at);
                            say(204, "")
                        }
                        _ => sorry(
                            403,
                            title,
                            "This message is claimed; it cannot be deleted \
                            without a valid claim ID.",
                        ),
                    },
                }
            }
            ("GET", ["stats"]) => {
                let total = self.queues.get(&queue).map_or(0, Vec::len);
                let claimed = self.queues.get(&queue).into_iter().flatten();
                let claimed = claimed.filter(|it| it.claim.is_some()).count();
                json_of(
                    200,
                    &json!({"messages":
                    {"claimed": claimed, "free": total - claimed, "total": total}}),
                )
            }
            _ => json_of(404, &json!({"title": "404 Not Found"})),
        }
    }

    fn post(&mut self, queue: &str, body: &[u8]) -> Answer {
        #[derive(serde::Deserialize)]
        struct Post {
            messages: Vec<New>,
        }
        #[derive(serde::Deserialize)]
        struct New {
            ttl: u64,
            body: Box<RawValue>,
        }
        if body.len() > self.post_bytes {
            return sorry(400, "Invalid API request", "Message collection size is too large.");
        }
        let post: Post = serde_json::from_slice(body).unwrap();
        let mut resources = Vec::new();
        for New { ttl, body } in post.messages {
            assert!((60..=1_209_600).contains(&ttl), "{ttl}");
            let id = self.id();
            resources.push(format!("/v2/queues/{queue}/messages/{id}"));
            let stored = self.queues.entry(queue.to_owned()).or_default();
            stored.push(Stored { id, body, claim: None });
        }
        json_of(201, &json!({"resources": resources}))
    }

    fn claim(&mut self, queue: &str, limit: &str, body: &[u8]) -> Answer {
        let limit: usize = limit.parse().unwrap();
        let terms: Value = serde_json::from_slice(body).unwrap();
        if !(1..=20).contains(&limit) || terms["ttl"].as_u64() < Some(60) {
            return sorry(
                400,
                "Invalid API request",
                "The TTL for a claim may not exceed 43200 \
                seconds, and must be at least 60 seconds long.",
            );
        }
        assert!(terms["grace"].as_u64() >= Some(60), "{terms}");
        let claim = self.id();
        let stored = self.queues.entry(queue.to_owned()).or_default();
        let free = stored.iter_mut().filter(|it| it.claim.is_none()).take(limit);
        let messages: Vec<String> = free
            .map(|it| {
                it.claim = Some(claim.clone());
                let Stored { id, body, .. } = it;
                let href = format!("/v2/queues/{queue}/messages/{id}?claim_id={claim}");
                format!(r#"{{"id":"{id}","href":"{href}","ttl":300,"age":0,"body":{body}}}"#)
            })
            .collect();
        if messages.is_empty() {
            return say(204, "");
        }
        let mut answer = say(201, &format!(r#"{{"messages":[{}]}}"#, messages.join(",")));
        let location = format!("/v2/queues/{queue}/claims/{claim}");
        answer.headers_mut().insert("location", location.parse().unwrap());
        answer
    }
}

fn say(status: u16, body: &str) -> Answer {
    let body = Full::new(Bytes::from(body.to_owned()));
    Response::builder().status(status).body(body).unwrap()
}

fn json_of(status: u16, body: &Value) -> Answer {
    say(status, &body.to_string())
}

fn sorry(status: u16, title: &str, description: &str) -> Answer {
    json_of(status, &json!({"title": title, "description": description}))
}
