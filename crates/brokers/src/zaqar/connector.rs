//! How the HTTP client reaches a host: TCP, and TLS over it for https.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};

#[derive(Clone)]
pub(super) struct Connector {
    /// For https; None if it is not to be spoken.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Wire>>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = self.tls.clone();
        Box::pin(async move { open(&uri, tls).await.map(TokioIo::new) })
    }
}

async fn open(uri: &Uri, tls: Option<Arc<ClientConfig>>) -> io::Result<Wire> {
    let https = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap_or_default();
    // An address of version 6 is in brackets in a URL and nowhere else.
    let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await?;
    // A request is small, and its sender waits for the answer.
    stream.set_nodelay(true)?;
    if !https {
        return Ok(Wire::Plain(stream));
    }
    let config = tls.ok_or_else(|| io::Error::other("https is not set up"))?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(Wire::Tls(Box::new(TlsConnector::from(config).connect(name, stream).await?)))
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(it) => Pin::new(it).poll_read(context, buffer),
            Wire::Tls(it) => Pin::new(it).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(it) => Pin::new(it).poll_write(context, bytes),
            Wire::Tls(it) => Pin::new(it).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(it) => Pin::new(it).poll_flush(context),
            Wire::Tls(it) => Pin::new(it).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(it) => Pin::new(it).poll_shutdown(context),
            Wire::Tls(it) => Pin::new(it).poll_shutdown(context),
        }
    }
}
