//! The client library on the runtime that we have: tokio, told in the library's own terms.
//!
//! The library brings its own adaptor, and with it a resolver and readers of certificate formats
//! that nobody here needs, which are two thirds of its dependencies. It opens no connection by
//! itself: `super::connect` does, so that the stream is ours, and TLS, too.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{DummyIO, Task, TaskImpl};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::line::Line;

/// The runtime in which this was made.
#[derive(Clone, Debug)]
pub(super) struct Tokio(Handle);

impl Tokio {
    pub(super) fn current() -> Tokio {
        Tokio(Handle::current())
    }
}

impl RuntimeKit for Tokio {}

impl Executor for Tokio {
    type Task<T: Send + 'static> = Running<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Running<T>> {
        Running(self.0.spawn(future)).into()
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Running<T>> {
        Running(self.0.spawn_blocking(work)).into()
    }
}

impl Reactor for Tokio {
    type TcpStream = Line;
    type Sleep = tokio::time::Sleep;

    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<DummyIO, _>(unsupported())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        // A timer belongs to the runtime in whose context it is made, and the library's own thread
        // has none.
        let _context = self.0.enter();
        tokio::time::sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        let runtime = self.clone();
        futures_util::stream::unfold(Duration::ZERO, move |wait| {
            let sleep = runtime.sleep(wait);
            async move {
                sleep.await;
                Some((Instant::now(), time))
            }
        })
    }

    fn tcp_connect_addr(
        &self,
        _address: SocketAddr,
    ) -> impl Future<Output = io::Result<Line>> + Send + 'static {
        std::future::ready(Err(unsupported()))
    }
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "connections are opened elsewhere")
}

/// A task that runs on when its handle is dropped.
#[derive(Debug)]
pub(super) struct Running<T>(JoinHandle<T>);

#[async_trait::async_trait]
impl<T: Send + 'static> TaskImpl for Running<T> {
    async fn cancel(&mut self) -> Option<T> {
        self.0.abort();
        (&mut self.0).await.ok()
    }
}

impl<T: Send + 'static> Future for Running<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            Poll::Ready(Err(error)) if error.is_panic() => {
                std::panic::resume_unwind(error.into_panic())
            }
            // The runtime is shutting down, and whoever waits is dropped with it.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}
