//! A mixed load, the same for the same seed but for the order in which threads get their turns:
//! events of every fate, batches, asynchronous calls, calls with an idempotency key, redrives.
//!
//! The sender behaves as the promise asks it to: what was not acknowledged it sends again, under
//! the same id, to the next life of the service. It runs in the checker's process and ends when its
//! standard input does.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::checker::journal::{Entry, Journal, Sent};
use crate::service::{Answer, Service, try_request};

/// Enough that several requests are always on their way; more would only load the tester.
const THREADS: u64 = 6;
/// The longest pause between two requests of a thread: six threads make about 200 a second.
const PAUSE_MS: u64 = 60;

/// What each function does, told by the data that it gets. See the checker's head for the prints.
const SOURCE: &str = r#"
import hashlib, time

def handler(event, context):
    data = event.get("data", event)
    sha256 = hashlib.sha256(data["text"].encode()).hexdigest()
    print("start", data["id"], context.attempt, sha256, flush=True)
    if data["do"] == "slow":
        time.sleep(0.3)
    if data["do"] == "doomed" or (data["do"] == "flaky" and context.attempt % 3):
        raise RuntimeError(data["do"])
    print("end", data["id"], context.attempt, sha256, flush=True)
    return {"id": data["id"], "sha256": sha256}
"#;

/// Function, retries, and the kinds of events that it hears.
pub const FUNCTIONS: [(&str, u32, &[&str]); 5] = [
    ("ok", 2, &["ok", "fan"]),
    ("twin", 2, &["fan"]),
    ("flaky", 2, &["flaky"]),
    ("doomed", 1, &["doomed"]),
    ("slow", 2, &["slow"]),
];

/// Deploys what the load needs, in each project.
pub fn prepare(service: &Service, projects: &[&str]) {
    for project in projects {
        let project = [("lambent-project", *project)];
        for (name, retries, kinds) in FUNCTIONS {
            let retries = retries.to_string();
            let settings = [("retries", retries.as_str()), ("backoff_s", "0")];
            service.upload(name, "handler.py", SOURCE.as_bytes(), &settings, &project).expect(201);
            for kind in kinds {
                let body = json!({"pattern": {"type": [kind]}}).to_string();
                let path = format!("/v1/functions/{name}/triggers/on-{kind}");
                service.request("PUT", &path, &project, body.as_bytes()).expect(201);
            }
        }
    }
}

/// Sends until the standard input ends.
pub fn send(folder: &Path, orders: &Value) {
    let seed = orders["seed"].as_u64().unwrap();
    let projects: Vec<_> =
        orders["projects"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let (journal, stop) = (Journal::open(folder), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (journal, stop, projects) = (&journal, &stop, &projects);
            scope.spawn(move || {
                let random = Random(seed ^ thread.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let project = projects[usize::try_from(thread).unwrap() % projects.len()];
                Sender {
                    folder,
                    journal,
                    stop,
                    random,
                    project,
                    name: format!("{project}-{thread}"),
                    sent: 0,
                }
                .run();
            });
        }
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        stop.store(true, Ordering::SeqCst);
    });
}

struct Sender<'a> {
    folder: &'a Path,
    journal: &'a Journal,
    stop: &'a AtomicBool,
    random: Random,
    project: &'a str,
    name: String,
    sent: u64,
}

impl Sender<'_> {
    fn run(mut self) {
        while !self.stopped() {
            match self.random.below(100) {
                0..60 => {
                    let kinds = [
                        Sent::Ok,
                        Sent::Ok,
                        Sent::Fan,
                        Sent::Flaky,
                        Sent::Doomed,
                        Sent::Slow,
                        Sent::Nobody,
                    ];
                    let kind = kinds[self.random.index(kinds.len())];
                    self.events(&[kind]);
                }
                60..70 => self.events(&[Sent::Ok, Sent::Fan, Sent::Flaky]),
                70..82 => self.call_later(),
                82..94 => self.call(),
                _ => self.redrive(),
            }
            // Pacing, and nothing else.
            std::thread::sleep(Duration::from_millis(self.random.below(PAUSE_MS)));
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Makes a new id and data for it, and writes the intent down.
    fn intend(&mut self, sent: Sent) -> (String, Value) {
        self.sent += 1;
        let id = format!("{}-{}", self.name, self.sent);
        let text = self.random.text();
        let hash = hex(&Sha256::digest(text.as_bytes()));
        let data = json!({"id": id, "do": sent.word(), "text": text});
        self.journal.note(&Entry::Intent {
            id: id.clone(),
            project: self.project.into(),
            sent,
            hash,
        });
        (id, data)
    }

    /// One event, or a batch.
    fn events(&mut self, kinds: &[Sent]) {
        let (ids, events): (Vec<_>, Vec<_>) = kinds
            .iter()
            .map(|kind| {
                let (id, data) = self.intend(*kind);
                let event = json!({"specversion": "1.0", "id": id, "source": "load", "type": kind.word(), "data": data});
                (id, event)
            })
            .unzip();
        let (body, kind) = match &events[..] {
            [event] => (event.to_string(), "application/cloudevents+json"),
            _ => (json!(events).to_string(), "application/cloudevents-batch+json"),
        };
        let headers = [("content-type", kind)];
        let Some(answer) = self.until_answered(&ids[0], "/v1/events", &headers, &body, &[202])
        else {
            return;
        };
        let accepted = match answer.json()["events"].as_array() {
            Some(all) => all.clone(),
            None => vec![answer.json()],
        };
        for (id, accepted) in ids.into_iter().zip(accepted) {
            let triggers = accepted["triggers"].as_array().unwrap();
            let invocations =
                triggers.iter().map(|it| it["invocation_id"].as_str().unwrap().to_owned());
            self.journal.note(&Entry::Accepted {
                id,
                event: accepted["id"].as_str().unwrap().into(),
                duplicate: accepted["duplicate"].as_bool().unwrap(),
                invocations: invocations.collect(),
            });
        }
    }

    fn call_later(&mut self) {
        let (id, data) = self.intend(Sent::CallLater);
        let headers = [("prefer", "respond-async"), ("idempotency-key", &id)];
        let path = "/v1/functions/ok/invoke";
        if let Some(answer) = self.until_answered(&id, path, &headers, &data.to_string(), &[202]) {
            let invocation = answer.json()["invocation_id"].as_str().unwrap().to_owned();
            self.journal.note(&Entry::CallAccepted { id, invocation });
        }
    }

    fn call(&mut self) {
        let (id, data) = self.intend(Sent::Call);
        let headers = [("idempotency-key", id.as_str())];
        let path = "/v1/functions/ok/invoke";
        // 409: it was interrupted and may have run. 502: the launcher was killed under it. Neither
        // promises anything.
        if let Some(answer) =
            self.until_answered(&id, path, &headers, &data.to_string(), &[200, 409, 502])
            && answer.status == 200
        {
            self.journal
                .note(&Entry::Answered { id, body: String::from_utf8(answer.body).unwrap() });
        }
    }

    fn redrive(&mut self) {
        let life = self.life();
        let project = [("lambent-project", self.project)];
        let Ok(list) = try_request(&life.1, "GET", "/v1/dead-letters?limit=20", &project, b"")
        else {
            return;
        };
        let items = list.json()["items"].as_array().cloned().unwrap_or_default();
        if items.is_empty() {
            return;
        }
        let invocation = items[self.random.index(items.len())]["id"].as_str().unwrap().to_owned();
        self.journal.note(&Entry::Redriving { invocation: invocation.clone() });
        let path = format!("/v1/dead-letters/{invocation}/redrive");
        // Not sent again: the letter may have been dead twice by then. Another thread may be first.
        if try_request(&life.1, "POST", &path, &project, b"")
            .is_ok_and(|answer| answer.status == 202)
        {
            self.journal.note(&Entry::Redriven { invocation });
        }
    }

    /// Sends the same until there is an answer; none if the load ends before.
    fn until_answered(
        &mut self,
        id: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        expected: &[u16],
    ) -> Option<Answer> {
        let mut headers = headers.to_vec();
        headers.push(("lambent-project", self.project));
        while !self.stopped() {
            let (life, address) = self.life();
            match try_request(&address, "POST", path, &headers, body.as_bytes()) {
                Ok(answer) if expected.contains(&answer.status) => return Some(answer),
                // Too much, or on its way out: it says when to come again.
                Ok(answer) if [429, 503].contains(&answer.status) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Ok(answer) => {
                    let body = String::from_utf8_lossy(&answer.body).into_owned();
                    self.journal.note(&Entry::Odd { id: id.into(), status: answer.status, body });
                    return None;
                }
                // It is gone. Its port may be somebody else's soon, so it is not asked again.
                Err(_) => {
                    while !self.stopped() && self.life().0 == life {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            }
        }
        None
    }

    /// Which life of the service it is, and where that listens.
    fn life(&self) -> (u64, String) {
        let text = std::fs::read(self.folder.join("service")).unwrap();
        let said: Value = serde_json::from_slice(&text).unwrap();
        (said["life"].as_u64().unwrap(), said["address"].as_str().unwrap().to_owned())
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SplitMix64: small, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// Text that is hard to pass along: quotes, controls, what needs two units of UTF-16; now and
    /// then more than a page of the database.
    fn text(&mut self) -> String {
        let all =
            ['a', '"', '\\', '\n', '\0', '/', 'é', '\u{7f}', '\u{2028}', '\u{ffff}', '🦀', ' '];
        let length = if self.below(20) == 0 { 5_000 } else { self.below(60) };
        (0..length).map(|_| all[self.index(all.len())]).collect()
    }
}
