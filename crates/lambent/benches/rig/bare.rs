//! The least that any server does: read a request, write an answer that is always the same.
//!
//! Measured in the same minute as Lambent, it shows what the sockets, the load generator and the
//! machine's other tenants cost. A ratio to it means something on another machine, too.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Outcome;
use crate::load::{self, Load};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{\"hello\":\"world\"}";

/// What this machine does at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    pub(crate) p50_ms: f64,
    pub(crate) per_second: f64,
}

/// Serves from a thread of its own until the process ends.
pub(crate) fn start() -> Outcome<SocketAddr> {
    let failed = |why: std::io::Error| format!("cannot start the bare server: {why}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("the runtime has its I/O");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    Ok(address)
}

/// Requests have no body, so that their end is the end of their headers.
async fn serve(mut stream: TcpStream) {
    let mut heard = Vec::with_capacity(1024);
    while stream.read_buf(&mut heard).await.is_ok_and(|bytes| bytes > 0) {
        if heard.ends_with(b"\r\n\r\n") {
            heard.clear();
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

pub(crate) async fn measure(address: SocketAddr) -> Outcome<Bare> {
    let request = load::request("GET", "/", "application/json", b"");
    let offered = async |connections, count| {
        let load = Load { connections, rate: None, count, duration: Duration::from_secs(5) };
        let request = request.clone();
        load::offer(address, load, move |_, whole| whole.extend_from_slice(&request)).await.all(200)
    };
    let alone = offered(1, 5_000).await?;
    let many = offered(64, 50_000).await?;
    let p50_ms = alone.latency.per_mille(500).as_secs_f64() * 1e3;
    Ok(Bare { p50_ms, per_second: many.per_second() })
}
