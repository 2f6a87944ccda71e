//! The client against a server that says what it is told to say.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Call, Client, ClientError, Credentials, Deploy};
use crate::http::list::PageQuery;

/// Answers one request per connection with the next of `answers`, and gives the requests.
async fn server(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(request(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    };
    (url, tokio::spawn(serving))
}

async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "cut off: {text}");
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

fn client(url: &str) -> Client {
    Client::new(url, Credentials::default()).unwrap()
}

const FUNCTION: &str = r#"{"name":"hello","id":"f","project":"default","version":3,
    "runtime":"python3.11","handler":"hello.handler","description":"","memory_mib":128,
    "timeout_s":30,"env":{},"retries":2,"backoff_s":60,"event_age_s":21600,"concurrency":null,
    "code":{"sha256":"00","size_bytes":6,"file_name":"hello.py"},"created_at":"t",
    "updated_at":"t","added_by_a_newer_service":[1]}"#;

#[tokio::test]
async fn a_key_and_a_project_travel_in_headers_and_the_json_is_kept_as_it_came() {
    let (url, requests) = server(vec![answer("200 OK", "", FUNCTION)]).await;
    let credentials = Credentials { key: Some("lbt_x".into()), project: Some("blue".into()) };
    let client = Client::new(&url, credentials).unwrap();
    let function = client.function("hello", Some(3)).await.unwrap();
    assert_eq!(function.value.version, 3);
    assert_eq!(function.json, FUNCTION.as_bytes());
    let request = &requests.await.unwrap()[0];
    assert!(request.starts_with("GET /v1/functions/hello?version=3 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer lbt_x\r\n"), "{request}");
    assert!(request.contains("lambent-project: blue\r\n"), "{request}");
    assert!(!format!("{client:?}").contains("lbt_x"), "a key is never printed");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_service() {
    let problem = r#"{"type":"/docs/errors#not_found","title":"Not Found","status":404,
        "code":"not_found","detail":"There is no function \"x\"."}"#;
    let head = "content-type: application/problem+json\r\n";
    let (url, _requests) = server(vec![answer("404 Not Found", head, problem)]).await;
    let error = client(&url).function("x", None).await.unwrap_err();
    assert_eq!(error.to_string(), r#"There is no function "x"."#);
    assert_eq!(error.problem().map(|problem| problem.code.as_str()), Some("not_found"));
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_answer_of_somebody_else_is_shown() {
    let (url, _requests) = server(vec![
        answer("502 Bad Gateway", "content-type: text/html\r\n", "<h1>nginx</h1>"),
        answer("200 OK", "", "<h1>welcome</h1>"),
    ])
    .await;
    let error = client(&url).function("x", None).await.unwrap_err();
    assert!(error.to_string().contains(r#"status 502 and "<h1>nginx</h1>""#), "{error}");
    assert!(error.is_transient());
    let error = client(&url).function("x", None).await.unwrap_err();
    assert!(matches!(error, ClientError::BadAnswer { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address_and_what_to_do() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).workers().await.unwrap_err();
    let expect = format!(
        "cannot connect to {url} (Connection refused (os error 111)); is `lambent dev` running? \
         If the service is elsewhere, set LAMBENT_URL"
    );
    assert_eq!(error.to_string(), expect);
}

#[tokio::test]
async fn a_deploy_sends_its_settings_and_its_file_and_tells_how_far_it_is() {
    let (url, requests) = server(vec![answer("200 OK", "", FUNCTION)]).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let deploy = Deploy {
        file_name: "hello.py".into(),
        code: Bytes::from(vec![b'#'; 200_000]),
        fields: vec![("memory_mib".into(), "256".into())],
    };
    let progress = {
        let told = Arc::clone(&told);
        Box::new(move |sent, total| told.lock().unwrap().push((sent, total)))
    };
    client(&url).deploy("hello", deploy, Some(progress)).await.unwrap();
    let request = &requests.await.unwrap()[0];
    assert!(request.starts_with("PUT /v1/functions/hello HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("name=\"memory_mib\"\r\n\r\n256\r\n"));
    assert!(request.contains("name=\"code\"; filename=\"hello.py\""));
    let told = told.lock().unwrap();
    let (sent, total) = *told.last().unwrap();
    assert!(told.len() > 3 && sent == total && total > 200_000, "{told:?}");
}

#[tokio::test]
async fn a_call_gives_the_answer_byte_for_byte() {
    let head = "lambent-invocation-id: i-1\r\n";
    let (url, requests) = server(vec![answer("200 OK", head, "{ \"a\" : 1e400 }\n")]).await;
    let call = Call {
        body: Bytes::from_static(b"[1, 2]"),
        version: Some(2),
        idempotency_key: Some("k 1".into()),
    };
    let called = client(&url).call("hello", call).await.unwrap();
    assert_eq!(called.body, "{ \"a\" : 1e400 }\n");
    assert_eq!(called.invocation_id.as_deref(), Some("i-1"));
    assert_eq!(called.function_error, None);
    let request = &requests.await.unwrap()[0];
    assert!(request.starts_with("POST /v1/functions/hello/invoke?version=2 "), "{request}");
    assert!(request.contains("idempotency-key: k 1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n[1, 2]"), "{request}");
}

#[tokio::test]
async fn a_function_that_fails_is_an_answer_whatever_its_status() {
    let head = "lambent-invocation-id: i-1\r\nlambent-function-error: ValueError\r\n";
    let (url, _requests) = server(vec![answer("500 Internal Server Error", head, "{}")]).await;
    let called = client(&url).call("hello", Call::default()).await.unwrap();
    assert_eq!(called.function_error.as_deref(), Some("ValueError"));
}

#[tokio::test]
async fn a_key_that_no_header_can_hold_is_refused_without_being_told() {
    for key in ["a\nb", "ä", "a\u{7f}"] {
        let credentials = Credentials { key: Some(key.into()), project: None };
        let error = Client::new("http://127.0.0.1:1", credentials).unwrap_err();
        assert!(matches!(error, ClientError::BadHeader { what: "API key" }), "{error}");
        assert!(!error.to_string().contains(key));
    }
}

#[tokio::test]
async fn pages_of_a_list_are_asked_for_by_limit_and_cursor() {
    let body = format!(r#"{{"items":[{FUNCTION}],"next":"c+1"}}"#);
    let (url, requests) = server(vec![answer("200 OK", "", &body)]).await;
    let page = PageQuery { limit: Some(1), cursor: Some("a/b".into()) };
    let items = client(&url).functions(&page).await.unwrap();
    assert_eq!(items.next.as_deref(), Some("c+1"));
    assert_eq!(items.items[0].json, FUNCTION.as_bytes());
    assert!(requests.await.unwrap()[0].starts_with("GET /v1/functions?limit=1&cursor=a%2Fb "));
}

#[tokio::test]
async fn a_followed_log_gives_whole_lines_however_they_arrive() {
    let line = |text: &str| {
        format!(r#"{{"at":"t","invocation_id":"i","attempt":1,"stream":"stdout","text":"{text}"}}"#)
    };
    let all = format!("{}\n\n\r\n{}\n{}", line("one"), line("two"), line("cut off"));
    let mut chunked =
        String::from("HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    for piece in all.as_bytes().chunks(7) {
        let text = str::from_utf8(piece).unwrap();
        write!(chunked, "{:x}\r\n{text}\r\n", piece.len()).unwrap();
    }
    chunked += "0\r\n\r\n";
    let (url, requests) = server(vec![chunked]).await;
    let mut lines = client(&url).follow("hello", Some("2026-01-01T00:00:00Z")).await.unwrap();
    for expect in ["one", "two"] {
        assert_eq!(lines.next().await.unwrap().unwrap().value.text, expect);
    }
    assert!(lines.next().await.unwrap().is_none());
    let request = &requests.await.unwrap()[0];
    let expect = "GET /v1/functions/hello/logs?follow=true&since=2026-01-01T00%3A00%3A00Z ";
    assert!(request.starts_with(expect), "{request}");
}

#[tokio::test]
async fn a_batch_of_events_is_one_list() {
    let (url, requests) = server(vec![answer("202 Accepted", "", r#"{"events":[]}"#)]).await;
    let records = [Bytes::from_static(b"{\"a\":1}"), Bytes::from_static(b"{}")];
    client(&url).send_events(&records).await.unwrap();
    let request = &requests.await.unwrap()[0];
    assert!(request.contains("content-type: application/cloudevents-batch+json\r\n"));
    assert!(request.ends_with("\r\n\r\n[{\"a\":1},{}]"), "{request}");
}
