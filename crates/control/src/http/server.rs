//! The sockets: one accept loop, with every limit in sight.
//!
//! Bare `axum::serve` has none of them. A connection that sends its headers slowly, says nothing
//! for long, or is one too many, is closed; running out of descriptors makes us wait instead of
//! spin; a drain lets requests in flight end and then closes what is left.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once. A descriptor each; ten thousand users may hold one.
const CONNECTIONS: usize = 10_000;
/// From the first moment of waiting for a request to its last header: closes idle connections, and
/// those that send a byte a second.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// Request line and headers together; also the piece in which bodies are read.
const HEADER_BYTES: usize = 64 * 1024;
const HEADERS: usize = 100;
/// After the system refused a new connection (no descriptor left), before asking again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves until `stop` is cancelled, then lets requests in flight end. Returns when every
/// connection is closed; whoever calls this bounds it.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = std::sync::Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                connections.spawn(connection(stream, router.clone(), stop.clone(), place));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    // Answers are single writes; waiting to fill a packet only adds latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
