//! One line to a broker: TCP, with or without TLS, and a switch that cuts it.
//!
//! The client library reads and writes on a thread of its own, which ends when the line does. A
//! broker that answers nothing would keep that thread, the socket, and what still waits to be sent
//! for ever; whoever holds the switch can end all three at once, without a word to the other side.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pub(super) struct Line {
    stream: Stream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Line {
    pub(super) fn new(stream: Stream, cut: CancellationToken) -> Line {
        Line { stream, cut: Box::pin(cut.cancelled_owned()) }
    }

    /// An error once the line is cut; if it is not, the reader is woken when it will be.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(cut()),
            Poll::Pending => Ok(()),
        }
    }
}

pub(super) fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "we have cut the line")
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let mut buffer = ReadBuf::new(buffer);
        ready!(match &mut self.stream {
            Stream::Plain(it) =>
                tokio::io::AsyncRead::poll_read(Pin::new(it), context, &mut buffer),
            Stream::Tls(it) => tokio::io::AsyncRead::poll_read(Pin::new(it), context, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

// Only reads wait for the switch: there is always one under way, and a future keeps one waker only.
impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(it) => tokio::io::AsyncWrite::poll_write(Pin::new(it), context, bytes),
            Stream::Tls(it) => tokio::io::AsyncWrite::poll_write(Pin::new(it), context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(it) => tokio::io::AsyncWrite::poll_flush(Pin::new(it), context),
            Stream::Tls(it) => tokio::io::AsyncWrite::poll_flush(Pin::new(it), context),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(it) => tokio::io::AsyncWrite::poll_shutdown(Pin::new(it), context),
            Stream::Tls(it) => tokio::io::AsyncWrite::poll_shutdown(Pin::new(it), context),
        }
    }
}
