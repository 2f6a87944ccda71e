//! The benchmarks' load generator, held against servers of a few lines whose behaviour is known.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "../benches/load/mod.rs"]
mod load;

use std::net::SocketAddr;
use std::time::Duration;

use load::{Histogram, Load, offer, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const CLOSED: Load =
    Load { connections: 4, rate: None, count: 1_000, duration: Duration::from_secs(60) };

/// Serves each connection with `serve` for as long as the test's runtime lives.
async fn server<F, S>(serve: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// One request of ours, whole: they have no body.
async fn hear(stream: &mut TcpStream, heard: &mut Vec<u8>) -> bool {
    heard.clear();
    while !heard.ends_with(b"\r\n\r\n") {
        if stream.read_buf(heard).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

/// Answers every request, in pieces where `pieces`.
async fn answer(mut stream: TcpStream, pieces: bool) {
    let mut heard = Vec::new();
    while hear(&mut stream, &mut heard).await {
        let status = if heard.starts_with(b"GET /7 ") { "429 Too Many" } else { "200 OK" };
        let whole = format!("HTTP/1.1 {status}\r\ncontent-LENGTH: 5\r\nx: y\r\n\r\nhello");
        if pieces {
            for byte in whole.bytes() {
                stream.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        } else {
            stream.write_all(whole.as_bytes()).await.unwrap();
        }
    }
}

fn get(number: u64, into: &mut Vec<u8>) {
    into.extend(request("GET", &format!("/{number}"), "text/plain", b""));
}

#[tokio::test]
async fn a_closed_loop_sends_so_many_and_counts_each_answer() {
    let address = server(|stream| answer(stream, false)).await;
    let outcome = offer(address, CLOSED, get).await;
    assert_eq!(outcome.statuses.get(&200), Some(&999), "{outcome}");
    assert_eq!(outcome.statuses.get(&429), Some(&1), "{outcome}");
    assert_eq!((outcome.failures, outcome.latency.len()), (0, 1_000));
    assert!(outcome.per_second() > 0.0 && outcome.answered() == 1_000);
    assert!(outcome.all(200).unwrap_err().contains("should have status 200"));
    let outcome = offer(address, Load { count: 7, ..CLOSED }, get).await;
    assert!(outcome.all(200).is_ok());
}

#[tokio::test]
async fn an_answer_in_pieces_is_one_answer() {
    let address = server(|stream| answer(stream, true)).await;
    let outcome = offer(address, Load { count: 50, ..CLOSED }, get).await;
    assert_eq!(outcome.answered(), 50, "{outcome}");
    let mut connection = load::Connection::open(address).await.unwrap();
    connection.send(&request("GET", "/", "text/plain", b"")).await.unwrap();
    let answer = connection.receive().await.unwrap();
    assert_eq!((answer.status, answer.body), (200, b"hello".as_slice()));
}

#[tokio::test]
async fn a_run_ends_with_its_time() {
    let address = server(|stream| answer(stream, false)).await;
    let load = Load { count: u64::MAX, duration: Duration::from_millis(50), ..CLOSED };
    let outcome = offer(address, load, get).await;
    assert!(outcome.elapsed >= load.duration && outcome.elapsed < Duration::from_secs(20));
    assert!(outcome.answered() > 0 && outcome.failures == 0, "{outcome}");
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate_and_counts_from_when_a_request_was_due() {
    let address = server(|stream| answer(stream, false)).await;
    let load = Load { rate: Some(500.0), count: 100, ..CLOSED };
    let outcome = offer(address, load, get).await;
    assert_eq!(outcome.answered(), 100);
    assert!(outcome.elapsed >= Duration::from_millis(198), "faster than its rate: {outcome}");

    // One connection, and answers take 10 ms: what is due every millisecond waits ever longer.
    let slow = server(|mut stream: TcpStream| async move {
        let mut heard = Vec::new();
        while hear(&mut stream, &mut heard).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let load = Load { connections: 1, rate: Some(1_000.0), count: 30, ..CLOSED };
    let outcome = offer(slow, load, get).await;
    assert_eq!(outcome.statuses.get(&204), Some(&30));
    assert!(outcome.latency.max() >= Duration::from_millis(250), "{outcome}");
    assert!(outcome.latency.per_mille(500) >= Duration::from_millis(100), "{outcome}");
}

#[tokio::test]
async fn what_is_not_answered_is_counted_and_told() {
    for (reply, says) in [
        ("", "closed the connection"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "closed the connection"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked is not read here"),
        ("HTTP/1.1 200 OK\r\n\r\n", "tells no Content-Length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhello", "more bytes came"),
        ("SSH-2.0\r\n\r\n", "this is no answer"),
    ] {
        let address = server(move |mut stream: TcpStream| async move {
            hear(&mut stream, &mut Vec::new()).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
        })
        .await;
        let outcome = offer(address, CLOSED, get).await;
        assert_eq!((outcome.answered(), outcome.failures), (0, 8), "twice per connection: {reply}");
        assert!(outcome.to_string().contains(says), "{outcome}");
        assert!(outcome.all(200).is_err());
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_every_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = offer(address, CLOSED, get).await;
    assert_eq!((outcome.answered(), outcome.failures), (0, 8), "{outcome}");
}

#[test]
fn percentiles_are_within_two_per_cent() {
    let mut times = Histogram::default();
    for micros in 1..=10_000 {
        times.record(Duration::from_micros(micros));
    }
    for (so_many, micros) in [(500, 5_000.0), (900, 9_000.0), (990, 9_900.0), (999, 9_990.0)] {
        let found = times.per_mille(so_many).as_secs_f64() * 1e6;
        assert!(
            found >= micros && found <= micros * 1.02,
            "{so_many} of 1,000: {found} for {micros}"
        );
    }
    assert_eq!(times.max(), Duration::from_millis(10));
    assert_eq!(times.per_mille(1_000), Duration::from_millis(10));
    assert_eq!(times.len(), 10_000);
    assert!(times.to_string().ends_with("max 10.000 ms  of 10000"), "{times}");
}

#[test]
fn the_shortest_and_the_longest_times_have_their_place() {
    let mut times = Histogram::default();
    assert_eq!(times.per_mille(500), Duration::ZERO);
    for nanos in [0, 1, 63, 64, 65, 127, 128, u64::MAX - 1, u64::MAX] {
        times.record(Duration::from_nanos(nanos));
    }
    times.record(Duration::MAX);
    assert_eq!(times.per_mille(0), Duration::ZERO);
    assert_eq!(times.per_mille(200), Duration::from_nanos(1));
    assert_eq!(times.per_mille(400), Duration::from_nanos(64));
    assert_eq!(times.max(), Duration::from_nanos(u64::MAX));
}
