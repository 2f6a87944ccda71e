//! Reaches a RabbitMQ and is let in, within a bounded time, and says what an error of the client
//! library means.

use std::sync::Arc;
use std::time::Duration;

use async_rs::Runtime;
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, ErrorKind};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{self, ClientConfig, pki_types::ServerName};
use tokio_util::sync::CancellationToken;

use super::line::{self, Line, Stream};
use super::runtime::Tokio;
use super::settings::Server;
use crate::{Error, Kind, tls};

/// How long a goodbye may take: the broker forgets us anyway.
const GOODBYE: Duration = Duration::from_secs(2);

/// A connection that ends when this is dropped, at once: what it had not sent yet never is.
pub(super) struct Link {
    pub(super) connection: Connection,
    cut: CancellationToken,
}

impl Link {
    pub(super) async fn open(server: &Server) -> Result<Link, Error> {
        let attempt = || format!("connect to {}", server.address);
        let tls = if server.address.tls {
            let config = tls::configure(server.ca_file.clone()).await;
            Some(config.map_err(|why| Error::new(Kind::Refused, attempt(), why))?)
        } else {
            None
        };
        let cut = CancellationToken::new();
        let guard = cut.clone().drop_guard();
        let connecting = connect(server, tls, cut.clone());
        let connection = match tokio::time::timeout(server.answer_wait, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(Error::new(entering(&error), attempt(), Words(&error))),
            Err(_) => {
                let wait = server.answer_wait.as_secs_f32();
                let why = format!("no answer within {wait} s");
                return Err(Error::new(Kind::Unreachable, attempt(), why));
            }
        };
        guard.disarm();
        Ok(Link { connection, cut })
    }

    /// Whether the broker has said that it takes nothing now.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Ends it, for everybody who uses it.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Known at once, before the client library has noticed.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    pub(super) async fn close(&self) {
        let closing = self.connection.close(200, "goodbye".into());
        // Not being heard is no reason to stay.
        drop(tokio::time::timeout(GOODBYE, closing).await);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn connect(
    server: &Server,
    tls: Option<Arc<ClientConfig>>,
    cut: CancellationToken,
) -> lapin::Result<Connection> {
    let (host, port) = (server.address.host.clone(), server.address.port);
    // Runs on the library's thread, which is not there to be cancelled.
    let line = async move |_uri, _runtime| {
        let opening = open(&host, port, tls.clone());
        tokio::select! {
            () = cut.cancelled() => Err(lapin::Error::from(line::cut())),
            stream = opening => Ok(AsyncTcpStream::Plain(Line::new(stream?, cut.clone()))),
        }
    };
    let properties = ConnectionProperties::default()
        .with_connection_name(server.connection_name.as_str().into())
        .with_client_property("product".into(), "lambent".into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
    let uri = server.address.uri(server.heartbeat_s);
    Connection::connector(uri, Runtime::new(Tokio::current()), line, properties).await
}

async fn open(host: &str, port: u16, tls: Option<Arc<ClientConfig>>) -> std::io::Result<Stream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Acceptances are small, and the broker waits for them.
    stream.set_nodelay(true)?;
    let Some(config) = tls else { return Ok(Stream::Plain(stream)) };
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// An error while we were not let in yet.
fn entering(error: &lapin::Error) -> Kind {
    match error.kind() {
        ErrorKind::IOError(cause) => {
            let certificate = cause.get_ref().is_some_and(|it| it.is::<rustls::Error>());
            if certificate { Kind::Refused } else { Kind::Unreachable }
        }
        ErrorKind::ProtocolError(_) => asking(error, Kind::Unreachable),
        ErrorKind::InvalidProtocolVersion(_) => Kind::Refused,
        _ => Kind::Unreachable,
    }
}

/// An error while asking for something, on an open connection; `otherwise` if the broker did not
/// say no.
pub(super) fn asking(error: &lapin::Error, otherwise: Kind) -> Kind {
    match error.kind() {
        ErrorKind::ProtocolError(it) => match it.get_id() {
            // ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED, PRECONDITION_FAILED, COMMAND_INVALID,
            // NOT_ALLOWED, NOT_IMPLEMENTED
            403 | 404 | 405 | 406 | 503 | 530 | 540 => Kind::Refused,
            _ => otherwise,
        },
        _ => otherwise,
    }
}

/// The broker said "there is no such thing".
pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(it) if it.get_id() == 404)
}

/// An error in the broker's own words, where it had some.
pub(super) struct Words<'a>(pub(super) &'a lapin::Error);

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.kind() {
            ErrorKind::ProtocolError(it) => write!(f, "{}", it.get_message()),
            ErrorKind::IOError(it) => write!(f, "{it}"),
            ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => {
                f.write_str("the connection has ended")
            }
            _ => write!(f, "{}", self.0),
        }
    }
}

/// Waits for an answer of the broker, not longer than allowed.
pub(super) async fn answer<T>(
    server: &Server,
    attempt: impl Fn() -> String,
    otherwise: Kind,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(server.answer_wait, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Error::new(asking(&error, otherwise), attempt(), Words(&error))),
        Err(_) => {
            let wait = server.answer_wait.as_secs_f32();
            Err(Error::new(Kind::Lost, attempt(), format!("no answer within {wait} s")))
        }
    }
}
