//! Against a service that is told what to answer, each on a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::cli::{Exit, Output};

#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answer(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

fn accepted(ids: &[&str]) -> String {
    let event = |id: &&str| format!(r#"{{"id":"{id}","duplicate":false,"triggers":[],"new":1}}"#);
    let events: Vec<_> = ids.iter().map(event).collect();
    answer("202 Accepted", "application/json", &format!(r#"{{"events":[{}]}}"#, events.join(",")))
}

fn problem(status: u16, code: &str) -> String {
    let body = serde_json::json!({
        "type": "t", "title": "t", "status": status, "code": code, "detail": "no",
    });
    answer(&format!("{status} No"), "application/problem+json", &body.to_string())
}

/// Reads one request and answers its body.
async fn body(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "cut off");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap().parse::<usize>().unwrap() {
            return body.into();
        }
    }
}

/// Sends events called `events` to a service that answers so; gives what became of it, what was
/// printed, and the bodies that the service got.
async fn check(
    events: &[&str],
    answers: Vec<String>,
    output: Output,
) -> (Result<(), Failure>, String, Vec<String>) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = async {
        let mut bodies = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            bodies.push(body(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        bodies
    };
    let (queue, queued) = mpsc::channel(10);
    for event in events {
        let record = Bytes::from(format!("\"{event}\""));
        queue.send(Described { label: (*event).into(), record }).await.unwrap();
    }
    drop(queue);
    let printed = Printed::default();
    let mut session = Session::with_output(&url, output, Box::new(printed.clone()));
    let (_stop, stopping) = watch::channel(false);
    let mut sender = Sender::new(&mut session, queued);
    let (sent, bodies) = tokio::join!(sender.run(stopping), serving);
    let printed = String::from_utf8(printed.0.lock().unwrap().clone()).unwrap();
    (sent, printed, bodies)
}

#[tokio::test]
async fn what_is_queued_goes_as_one_batch() {
    let (sent, printed, bodies) =
        check(&["a", "b"], vec![accepted(&["1", "2"])], Output::Text).await;
    sent.unwrap();
    assert_eq!(bodies, [r#"["a","b"]"#]);
    assert_eq!(printed, "1  a  no trigger matched\n2  b  no trigger matched\n");
}

#[tokio::test]
async fn json_is_the_services_own_a_document_per_event() {
    let (_, printed, _) = check(&["a"], vec![accepted(&["1"])], Output::Json).await;
    assert_eq!(printed, "{\"id\":\"1\",\"duplicate\":false,\"triggers\":[],\"new\":1}\n");
}

#[tokio::test]
async fn a_service_that_is_away_is_asked_again_with_the_same_events() {
    let answers = vec![problem(503, "draining"), accepted(&["1"])];
    let (sent, _, bodies) = check(&["a"], answers, Output::Text).await;
    sent.unwrap();
    assert_eq!(bodies, [r#"["a"]"#, r#"["a"]"#]);
}

#[tokio::test]
async fn an_event_that_is_refused_does_not_take_others_along() {
    let refusal = || problem(400, "invalid_event");
    let answers = vec![refusal(), accepted(&["1"]), refusal(), accepted(&["3"])];
    let (sent, printed, bodies) = check(&["a", "b", "c"], answers, Output::Text).await;
    let failure = sent.unwrap_err();
    assert_eq!(
        (failure.exit(), failure.to_string().as_str()),
        (Exit::Failed, "1 of the events were refused")
    );
    assert_eq!(bodies[1..], [r#"["a"]"#, r#"["b"]"#, r#"["c"]"#]);
    assert_eq!(printed, "1  a  no trigger matched\n3  c  no trigger matched\n");
}

#[tokio::test]
async fn a_sender_without_a_key_ends_and_is_told_why() {
    let (sent, ..) = check(&["a"], vec![problem(401, "unauthorized")], Output::Text).await;
    assert_eq!(sent.unwrap_err().exit(), Exit::Refused);
}
