//! A connection that ends with the first thing that is wrong with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio_util::sync::CancellationToken;

use super::settings::{Login, Server};
use super::words::entering;
use crate::{Error, Kind, tls};

pub(super) struct Link {
    pub(super) client: Client,
    pub(super) jetstream: Context,
    ended: CancellationToken,
    complaint: Arc<Mutex<Option<String>>>,
}

impl Link {
    pub(super) async fn open(server: &Server) -> Result<Link, Error> {
        let attempt = || format!("connect to {}", server.urls.join(", "));
        let refused = |why: String| Error::new(Kind::Refused, attempt(), why);
        let addresses: Vec<ServerAddr> = server
            .urls
            .iter()
            .map(|it| it.parse().map_err(|error: std::io::Error| refused(error.to_string())))
            .collect::<Result<_, Error>>()?;
        let ended = CancellationToken::new();
        let complaint = Arc::new(Mutex::new(None));
        let mut options = ConnectOptions::new()
            .name(&server.connection_name)
            .connection_timeout(server.answer_wait)
            .request_timeout(Some(server.answer_wait))
            .ignore_discovered_servers()
            // Counted from the first attempt on, address by address. One round is the least that the
            // library can be told.
            .max_reconnects(addresses.len())
            .event_callback(listener(ended.clone(), Arc::clone(&complaint)));
        options = match &server.login {
            Login::Nobody => options,
            Login::Password { user, password } => {
                options.user_and_password(user.clone(), password.0.clone())
            }
            Login::Token(token) => options.token(token.0.clone()),
        };
        if server.tls() {
            let config = tls::configure(server.ca_file.clone()).await.map_err(refused)?;
            options = options.require_tls(true).tls_client_config((*config).clone());
        }
        let connecting = tokio::time::timeout(server.answer_wait, options.connect(addresses));
        let client = match connecting.await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(Error::new(entering(&error), attempt(), error)),
            Err(_) => {
                let wait = server.answer_wait.as_secs_f32();
                let why = format!("no answer within {wait} s");
                return Err(Error::new(Kind::Unreachable, attempt(), why));
            }
        };
        let jetstream = ContextBuilder::new()
            .timeout(server.answer_wait)
            .ack_timeout(server.publish_wait)
            .build(client.clone());
        Ok(Link { client, jetstream, ended, complaint })
    }

    /// Waits for an answer, not longer than allowed nor than there is a connection.
    pub(super) async fn answer<T>(
        &self,
        wait: Duration,
        attempt: &str,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => Err(self.lost(attempt)),
            answer = tokio::time::timeout(wait, question) => match answer {
                Ok(Err(error)) if error.kind() == Kind::Lost => Err(self.explain(error)),
                Ok(answer) => answer,
                Err(_) => {
                    let why = format!("no answer within {} s", wait.as_secs_f32());
                    Err(self.explain(Error::new(Kind::Lost, attempt, why)))
                }
            },
        }
    }

    /// Until everything that was said is with the server's operating system at least.
    pub(super) async fn flush(&self, wait: Duration, attempt: &str) -> Result<(), Error> {
        let flushing = async {
            let flushed = self.client.flush().await;
            flushed.map_err(|error| Error::new(Kind::Lost, attempt, error))
        };
        self.answer(wait, attempt, flushing).await
    }

    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.ended.is_cancelled()
    }

    pub(super) fn lost(&self, attempt: &str) -> Error {
        self.explain(Error::new(Kind::Lost, attempt, "the connection has ended"))
    }

    /// NATS says by the way, and to nobody in particular, that something was not allowed; whoever
    /// asked for it hears nothing at all.
    fn explain(&self, error: Error) -> Error {
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(said) = &*complaint else { return error };
        let denied = said.to_ascii_lowercase().contains("permissions violation");
        let kind = if denied { Kind::Refused } else { error.kind() };
        error.with(kind, &format!("the server said: {said}"))
    }
}

/// What the library tells about the connection.
fn listener(
    ended: CancellationToken,
    complaint: Arc<Mutex<Option<String>>>,
) -> impl Fn(Event) -> std::future::Ready<()> + Send + Sync {
    move |event| {
        match event {
            Event::Disconnected | Event::Closed => ended.cancel(),
            Event::ServerError(error) => {
                *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
            _ => {}
        }
        std::future::ready(())
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("usable", &self.is_usable()).finish_non_exhaustive()
    }
}
