//! Zaqar's requests, each with a token: one that is not believed any more is replaced, once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::http::{Base, Http, Reply};
use super::settings::Server;
use super::token::{Token, Tokens};
use crate::{Error, Kind};

/// How the catalogue calls it.
const SERVICE: &str = "messaging";
/// How long a message outlives its claim at least, so that it can be claimed again. The least that
/// Zaqar takes.
const GRACE_S: u64 = 60;
/// A UUID and what other drivers may use; an id is put into a URL.
const ID_BYTES: usize = 128;

pub(super) struct Zaqar {
    http: Http,
    tokens: Arc<dyn Tokens>,
    /// Zaqar shows a client its own messages only if it asks for them, and wants every client to
    /// have an id. Ours reads by claims, which do not care.
    client_id: HeaderValue,
}

/// What a claim gave.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) claim: Arc<str>,
    pub(super) messages: Vec<Came>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Came {
    pub(super) id: String,
    pub(super) body: Box<RawValue>,
}

impl Zaqar {
    pub(super) async fn open(server: &Server) -> Result<Zaqar, Error> {
        let attempt = "connect to Zaqar";
        let url = match &server.url {
            Some(url) => url.clone(),
            None => {
                let token = server.tokens.token().await?;
                let (interface, region) = (server.interface, server.region.as_deref());
                let url = token.endpoint(SERVICE, interface, region).ok_or_else(|| {
                    let (interface, region) = (interface.as_str(), region.unwrap_or("any"));
                    let why = format!(
                        "the catalogue has no service {SERVICE:?} with the interface {interface} in \
                         the region {region}: name a url, or others of these"
                    );
                    Error::new(Kind::Refused, attempt, why)
                })?;
                url.to_owned()
            }
        };
        let base = Base::parse(&url, "/v2")
            .map_err(|why| Error::new(Kind::Refused, attempt, format!("its URL {why}")))?;
        let client_id = uuid::Uuid::now_v7().to_string();
        let client_id = HeaderValue::try_from(client_id).expect("a UUID is hexadecimal");
        let http = Http::open(base, server.ca_file.clone(), server.answer_wait).await?;
        Ok(Zaqar { http, tokens: Arc::clone(&server.tokens), client_id })
    }

    /// Any answer but that the token is not believed.
    async fn ask(
        &self,
        attempt: &str,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Reply, Error> {
        let token = self.tokens.token().await?;
        let reply = self.ask_with(&token, attempt, method.clone(), path, body.clone()).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        self.tokens.forget(&token).await;
        let other = self.tokens.token().await?;
        if other.is(&token) {
            return reply.expect(attempt, &[]);
        }
        let reply = self.ask_with(&other, attempt, method, path, body).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return reply.expect(attempt, &[]);
        }
        Ok(reply)
    }

    async fn ask_with(
        &self,
        token: &Token,
        attempt: &str,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Reply, Error> {
        let mut secret = HeaderValue::from_str(token.secret()).map_err(|_invalid| {
            Error::new(Kind::Refused, attempt, "the token has characters that no token has")
        })?;
        secret.set_sensitive(true);
        let headers = [("x-auth-token", secret), ("client-id", self.client_id.clone())];
        self.http.send(attempt, method, path, &headers, body).await
    }

    /// Makes a queue if there is none.
    pub(super) async fn declare(&self, queue: &str) -> Result<(), Error> {
        let attempt = format!("declare the queue {queue:?}");
        let path = format!("/v2/queues/{queue}");
        let reply = self.ask(&attempt, Method::PUT, &path, Some("{}".into())).await?;
        reply.expect(&attempt, &[201, 204]).map(drop)
    }

    /// Messages that nobody has claimed.
    pub(super) async fn count(&self, queue: &str) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Stats {
            messages: Counts,
        }
        #[derive(Deserialize)]
        struct Counts {
            free: u64,
        }
        let attempt = format!("count the messages of the queue {queue:?}");
        let path = format!("/v2/queues/{queue}/stats");
        let reply = self.ask(&attempt, Method::GET, &path, None).await?;
        let reply = reply.expect(&attempt, &[200])?;
        let stats: Stats = serde_json::from_slice(&reply.body)
            .map_err(|error| unreadable(&attempt, &format!("the answer: {error}")))?;
        Ok(stats.messages.free)
    }

    /// None if there is nothing to be had.
    pub(super) async fn claim(
        &self,
        queue: &str,
        most: usize,
        time: Duration,
    ) -> Result<Option<Claimed>, Error> {
        #[derive(Deserialize)]
        struct Batch {
            messages: Vec<Came>,
        }
        let attempt = format!("claim messages of the queue {queue:?}");
        let path = format!("/v2/queues/{queue}/claims?limit={most}");
        let reply = self.ask(&attempt, Method::POST, &path, Some(term(time))).await?;
        let reply = reply.expect(&attempt, &[201, 204])?;
        if reply.status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        // "/v2/queues/orders/claims/f585d17b-…"
        let location = reply.location.as_deref().unwrap_or_default();
        let claim = location.rsplit('/').next().unwrap_or_default();
        if !is_id(claim) {
            return Err(unreadable(&attempt, "the claim's id in the header Location"));
        }
        let batch: Batch = serde_json::from_slice(&reply.body)
            .map_err(|error| unreadable(&attempt, &format!("the messages: {error}")))?;
        if !batch.messages.iter().all(|it| is_id(&it.id)) {
            return Err(unreadable(&attempt, "a message's id"));
        }
        Ok(Some(Claimed { claim: claim.into(), messages: batch.messages }))
    }

    /// False if it is over already.
    pub(super) async fn renew(
        &self,
        queue: &str,
        claim: &str,
        time: Duration,
    ) -> Result<bool, Error> {
        let attempt = format!("renew a claim on the queue {queue:?}");
        let path = format!("/v2/queues/{queue}/claims/{claim}");
        let reply = self.ask(&attempt, Method::PATCH, &path, Some(term(time))).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        reply.expect(&attempt, &[204]).map(|_| true)
    }

    pub(super) async fn release(&self, queue: &str, claim: &str) -> Result<(), Error> {
        let attempt = format!("give messages back to the queue {queue:?}");
        let path = format!("/v2/queues/{queue}/claims/{claim}");
        let reply = self.ask(&attempt, Method::DELETE, &path, None).await?;
        // One that is over has been released by itself.
        reply.expect(&attempt, &[204, 404]).map(drop)
    }

    /// A message of a claim that is not over; one that is gone is deleted.
    pub(super) async fn delete(&self, queue: &str, id: &str, claim: &str) -> Result<(), Error> {
        let attempt = format!("delete a message of the queue {queue:?}");
        let path = format!("/v2/queues/{queue}/messages/{id}?claim_id={claim}");
        let reply = self.ask(&attempt, Method::DELETE, &path, None).await?;
        if let StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN = reply.status {
            let why = format!("{} (the claim is over, so it comes again)", reply.words());
            return Err(Error::new(Kind::Lost, attempt, why));
        }
        reply.expect(&attempt, &[204, 404]).map(drop)
    }

    /// Ok means that it is in the queue.
    pub(super) async fn post(
        &self,
        queue: &str,
        life: Duration,
        body: &RawValue,
    ) -> Result<(), Error> {
        let attempt = format!("post to the queue {queue:?}");
        let path = format!("/v2/queues/{queue}/messages");
        let ttl_s = life.as_secs();
        let request = format!("{{\"messages\":[{{\"ttl\":{ttl_s},\"body\":{}}}]}}", body.get());
        let reply = self.ask(&attempt, Method::POST, &path, Some(request.into())).await?;
        reply.expect(&attempt, &[201]).map(drop)
    }
}

impl std::fmt::Debug for Zaqar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zaqar").finish_non_exhaustive()
    }
}

fn term(time: Duration) -> Bytes {
    format!("{{\"ttl\":{},\"grace\":{GRACE_S}}}", time.as_secs()).into()
}

/// Lost, since nobody knows what became of the messages: they come again when their claim is over.
fn unreadable(attempt: &str, what: &str) -> Error {
    Error::new(Kind::Lost, attempt, format!("{what} cannot be read: is this a Zaqar?"))
}

fn is_id(text: &str) -> bool {
    let taken = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    !text.is_empty() && text.len() <= ID_BYTES && text.bytes().all(taken)
}
