//! `cargo xtask demo`: the main job on real input, as a newcomer would do it by hand.
//!
//! Builds lambent, starts it on a free port of this machine with a data folder of its own, deploys
//! `examples/hello`, calls it, gives it a trigger, sends an event and shows what became of it:
//! record, timeline, log. Each step is one HTTP request, printed as the curl line that does the
//! same. At the end the server is stopped the way an operator would, and must end well.
//!
//! It works as root and as an ordinary user; what isolation is missing without root the server
//! says itself.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

mod server;

use crate::failure::{Attempting, Failure, Outcome};
use crate::http::{Answer, Body, Request};
use crate::json::{self, Value};
use crate::tools;
use server::Server;

/// From the event's acceptance to the end of its invocation: a tenth of a second on most machines.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the record is read while we wait for that.
const POLL: Duration = Duration::from_millis(20);

const FUNCTION: &str = "/v1/functions/hello";
const TRIGGER: &str = r#"{"pattern": {"type": ["file.created"], "source": ["S1"]}}"#;
const EVENT: &str =
    r#"{"type": "file.created", "source": "S1", "data": {"filename": "holiday.jpg"}}"#;

pub(crate) fn run() -> Outcome {
    let began = Instant::now();
    step("Build lambent (the first time this compiles everything: some minutes)");
    let program = tools::build_lambent(true)?;
    let built = began.elapsed();

    step("Start it, on a free port and with a data folder that is removed afterwards");
    let started = Instant::now();
    let server = Server::start(&program)?;
    match walk(server.address(), started) {
        Ok(first_answer) => {
            step("Stop it: SIGTERM, and it ends when what runs has ended");
            server.stop()?;
            println!("\nFirst answer {} after the server was started,", seconds(first_answer));
            println!(
                "{} after the demo began ({} to build).",
                seconds(built + first_answer),
                seconds(built)
            );
            println!("Next: lambent dev, or the tutorial in docs/tutorial.");
            Ok(())
        }
        Err(failure) => Err(Failure::new(format!("{failure}\n\n{}", server.last_words()))),
    }
}

/// The steps between start and stop; answers how long after the start the first answer came.
fn walk(server: SocketAddr, started: Instant) -> Outcome<Duration> {
    let (path, code) = example()?;
    step("Deploy a Python function");
    quote(&code);
    let deployed = ask(
        server,
        &Request {
            method: "PUT",
            path: FUNCTION,
            body: Body::File { path: &path, content: &code },
        },
    )?;
    members(&deployed, &["name", "version", "runtime", "handler", "memory_mib", "timeout_s"]);

    step("Call it");
    let path = format!("{FUNCTION}/invoke");
    let body = Body::Json(r#"{"name": "world"}"#);
    let answer = ask(server, &Request { method: "POST", path: &path, body })?;
    let first_answer = started.elapsed();
    println!("  {answer}");

    step("Give it a trigger: which events it wants");
    let path = format!("{FUNCTION}/triggers/new-files");
    let body = Body::Json(TRIGGER);
    let trigger = ask(server, &Request { method: "PUT", path: &path, body })?;
    members(&trigger, &["name", "pattern"]);

    step("Send an event");
    let request = Request { method: "POST", path: "/v1/events", body: Body::Json(EVENT) };
    let accepted = ask(server, &request)?;
    let invocation = invocation_of(&accepted)?;
    println!("  event {} is on disk and started invocation {invocation}", text(&accepted, "id"));

    step("See what became of it: record, timeline and log");
    let path = format!("/v1/invocations/{invocation}");
    let request = Request { method: "GET", path: &path, body: Body::None };
    println!("  $ {}", request.as_curl(server));
    show(&ended(server, &request)?);
    let path = format!("{path}/log");
    let log = ask(server, &Request { method: "GET", path: &path, body: Body::None })?;
    let lines = log.get("items").map(Value::items).unwrap_or_default();
    for line in lines {
        println!("  {} {:6} | {}", text(line, "at"), text(line, "stream"), text(line, "text"));
    }
    if lines.is_empty() {
        println!("  (it printed nothing)");
    }
    Ok(first_answer)
}

/// The example's code, and its path from the repository's root.
fn example() -> Outcome<(String, String)> {
    let folder = "examples/hello";
    let listed = std::fs::read_dir(tools::root().join(folder));
    let listed = listed.attempting(|| format!("read the folder {folder}"))?;
    let mut names: Vec<String> = listed
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "py"))
        .collect();
    names.sort();
    let name = names.first().ok_or_else(|| Failure::new(format!("{folder} holds no .py file")))?;
    let path = format!("{folder}/{name}");
    let code = std::fs::read_to_string(tools::root().join(&path));
    Ok((path.clone(), code.attempting(|| format!("read {path}"))?))
}

/// Prints the request, sends it, and insists that it succeeds.
fn ask(server: SocketAddr, request: &Request<'_>) -> Outcome<Value> {
    println!("  $ {}", request.as_curl(server));
    read(request, &request.send(server)?)
}

fn read(request: &Request<'_>, answer: &Answer) -> Outcome<Value> {
    let Request { method, path, .. } = request;
    if !(200..300).contains(&answer.status) {
        let problem = json::parse(&answer.body).ok();
        let detail = problem.as_ref().map_or(answer.body.as_str(), |it| text(it, "detail"));
        return Err(Failure::new(format!(
            "{method} {path} was answered {}: {detail}",
            answer.status
        )));
    }
    json::parse(&answer.body).attempting(|| format!("read the answer to {method} {path}"))
}

/// The invocation that an event started.
fn invocation_of(accepted: &Value) -> Outcome<String> {
    let triggers = accepted.get("triggers").map(Value::items).unwrap_or_default();
    match triggers {
        [one] => Ok(text(one, "invocation_id").to_owned()),
        other => {
            let count = other.len();
            Err(Failure::new(format!("the event matched {count} triggers, and should match one")))
        }
    }
}

/// Reads the record until the invocation has succeeded.
fn ended(server: SocketAddr, request: &Request<'_>) -> Outcome<Value> {
    let began = Instant::now();
    loop {
        let record = read(request, &request.send(server)?)?;
        match text(&record, "status") {
            "succeeded" => return Ok(record),
            "queued" | "running" if began.elapsed() < PATIENCE => std::thread::sleep(POLL),
            status => {
                let error = record.get("error").map_or("no error".to_owned(), Value::to_string);
                let after = seconds(began.elapsed());
                return Err(Failure::new(format!(
                    "the event's invocation is {status} after {after}, and should have succeeded: {error}"
                )));
            }
        }
    }
}

fn show(record: &Value) {
    members(record, &["function", "version", "trigger", "status", "attempts", "start", "result"]);
    println!("  where its time went:");
    for part in ["queued_ms", "placed_ms", "sandbox_ms", "init_ms", "run_ms"] {
        if let Some(value) = record.get(part) {
            let name = part.trim_end_matches("_ms");
            println!("    {name:8} {:>9} ms", value.to_string());
        }
    }
    println!("  what happened:");
    for transition in record.get("transitions").map(Value::items).unwrap_or_default() {
        let [at, status, reason] = ["at", "status", "reason"].map(|name| text(transition, name));
        println!("    {at} {status:10} {reason}");
    }
}

/// The named members of an object, those that it has, one a line.
fn members(object: &Value, names: &[&str]) {
    for name in names {
        if let Some(value) = object.get(name) {
            println!("  {name:11} {value}");
        }
    }
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::text).unwrap_or("?")
}

fn step(title: &str) {
    println!("\n== {title}");
}

fn quote(code: &str) {
    for line in code.lines() {
        println!("  | {line}");
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<'static> {
        Request { method: "GET", path: "/x", body: Body::None }
    }

    #[test]
    fn what_the_demo_sends_is_json() {
        for text in [TRIGGER, EVENT] {
            assert!(json::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_event_must_match_exactly_one_trigger() {
        let one = json::parse(r#"{"triggers": [{"invocation_id": "i"}]}"#).unwrap();
        assert_eq!(invocation_of(&one), Ok("i".to_owned()));
        let none = json::parse(r#"{"triggers": []}"#).unwrap();
        assert!(invocation_of(&none).unwrap_err().to_string().contains("0 triggers"));
    }

    #[test]
    fn a_refusal_is_told_by_its_detail() {
        let body = r#"{"code": "unknown_runtime", "detail": "there is no python3"}"#;
        let answer = Answer::plain(400, body);
        let failure = read(&request(), &answer).unwrap_err().to_string();
        assert_eq!(failure, "GET /x was answered 400: there is no python3");
    }
}
