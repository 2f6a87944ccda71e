//! Messages to HTTP endpoints: signed, tried until they are taken, and never lost.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use model::Timestamp;
use serde_json::{Value, json};
use wire::signature::{Secret, standard};

use super::{ECHO, dies_at, message, set};
use crate::service::{Service, wait_until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An endpoint that answers as it was told, and remembers.
struct Endpoint {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
struct Asked {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Its id, if it was signed by us a moment ago.
    #[track_caller]
    fn verified(&self) -> String {
        let header = |name: &str| self.headers.get(name).map(String::as_str);
        let headers = standard::Headers {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
        };
        let secret = Secret::standard(SECRET).unwrap();
        let seconds: i64 = self.headers["webhook-timestamp"].parse().unwrap();
        let now = Timestamp::from_millis(seconds * 1_000);
        standard::verify(&secret, &headers, &self.body, now).unwrap();
        self.headers["webhook-id"].clone()
    }
}

impl Endpoint {
    /// Answers with these heads, then with 204.
    fn start(answers: &[&str]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
    }

    fn on(listener: TcpListener, answers: &[&str]) -> Self {
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut answers: VecDeque<String> = answers.iter().map(|&it| it.to_owned()).collect();
        let asks = asked.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(one) = read(&stream) else { continue };
                asks.lock().unwrap().push(one);
                let head = answers.pop_front().unwrap_or_else(|| "204 No Content".into());
                let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
                drop((&stream).write_all(answer.as_bytes()));
            }
        });
        Self { address, asked }
    }

    fn destination(&self) -> Value {
        destination(self.address)
    }

    #[track_caller]
    fn asked(&self, count: usize) -> Vec<Asked> {
        wait_until("it was asked so often", || {
            let asked = self.asked.lock().unwrap().clone();
            if asked.len() >= count { Ok(asked) } else { Err(asked) }
        })
    }
}

fn destination(address: SocketAddr) -> Value {
    json!({"kind": "http", "url": format!("http://{address}/told?by=lambent"), "secret": SECRET})
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { path, headers, body })
}

fn works(service: &Service, destination: &Value) {
    service.deploy("works", ECHO, &[]).expect(201);
    service.trigger("works", "x");
    set(service, "works", &json!({"on_success": destination}));
}

#[test]
fn an_endpoint_gets_a_signed_record_and_what_it_does_not_take_again_with_the_same_id() {
    let endpoint = Endpoint::start(&["500 Oh no", "302 Found\r\nlocation: http://127.0.0.1:1/"]);
    let service = Service::start();
    works(&service, &endpoint.destination());
    let id = service.send("x", &json!({"n": 7})).remove(0);
    let asked = endpoint.asked(3);
    let ids: Vec<_> = asked.iter().map(Asked::verified).collect();
    assert_eq!((&ids[0], &ids[0]), (&ids[1], &ids[2]));
    let first = &asked[0];
    assert_eq!(first.path, "/told?by=lambent");
    assert_eq!(first.headers["host"], endpoint.address.to_string());
    assert_eq!(first.headers["ce-type"], "lambent.destination.success");
    assert_eq!(first.headers["ce-lambenthops"], "1");
    assert_eq!(first.json()["requestContext"]["requestId"], json!(id));
    assert_eq!(first.json()["responsePayload"]["data"], json!({"n": 7}));
    let sent = message(&service, &id, |it| it["status"] == "sent");
    assert_eq!((&sent["id"], &sent["tries"]), (&json!(ids[0]), &json!(3)));
    assert_eq!(sent["target"]["secret"], "***");
}

#[test]
fn an_endpoint_that_is_down_gets_its_message_when_it_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let service = Service::start();
    works(&service, &destination(address));
    let id = service.send("x", &json!({})).remove(0);
    let waits = message(&service, &id, |it| it["error"].is_string());
    assert_eq!(waits["status"], "waiting");
    let why = waits["error"].as_str().unwrap();
    assert!(why.starts_with("cannot connect to"), "{why}");
    let endpoint = Endpoint::on(TcpListener::bind(address).unwrap(), &[]);
    endpoint.asked(1)[0].verified();
    message(&service, &id, |it| it["status"] == "sent");
}

#[test]
fn an_endpoint_that_is_gone_for_good_is_not_asked_again() {
    let endpoint = Endpoint::start(&["410 Gone"]);
    let service = Service::start();
    works(&service, &endpoint.destination());
    let id = service.send("x", &json!({})).remove(0);
    let given_up = message(&service, &id, |it| it["status"] == "gave_up");
    assert!(given_up["error"].as_str().unwrap().contains("410"), "{given_up}");
    assert_eq!(given_up["tries"], 1);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
fn a_message_is_sent_again_with_its_id_if_the_service_dies_before_it_is_settled() {
    for (point, times) in [
        ("outbox.before_send", 1),
        ("outbox.after_send", 2),
        ("settle_message.before_commit", 2),
        ("settle_message.after_commit", 1),
    ] {
        let endpoint = Endpoint::start(&[]);
        let (_folder, service) = dies_at(point, |service| {
            works(service, &endpoint.destination());
            let event = json!({"type": "x", "source": "test", "id": "1"}).to_string();
            drop(service.try_request("POST", "/v1/events", &[], event.as_bytes()));
        });
        let invocations = service.get("/v1/invocations").expect(200).json();
        let id = invocations["items"][0]["id"].as_str().unwrap().to_owned();
        message(&service, &id, |it| it["status"] == "sent");
        let ids: Vec<_> = endpoint.asked(times).iter().map(Asked::verified).collect();
        assert_eq!(ids.len(), times, "{point}");
        assert!(ids.iter().all(|id| *id == ids[0]), "{point}: {ids:?}");
    }
}
