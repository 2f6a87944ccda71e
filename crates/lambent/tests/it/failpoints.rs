//! The whole service, killed once at every failpoint, and then started again on the same data.
//!
//! Each point gets a copy of one prepared data folder, in which there is something for every kind
//! of write to do: a dead letter, an attempt that was interrupted, a key past its window. A script
//! of requests goes through everything a client can do until the service is dead; a point that it
//! does not die at is a failure, so the list cannot grow without the script. Afterwards all that was
//! acknowledged is there, the rest wholly or not at all, and everything ends.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use store::failpoint::{FAILPOINTS, FAILPOINTS_ABOVE};
use tempfile::TempDir;

use crate::checker::remains;
use crate::checker::story::{is_terminal, story};
use crate::crash::{copy, kill_everything};
use crate::service::{Answer, Service, command, lambent, multipart, wait_until};

/// Points that no client can make the service pass, each with its reason. The store's tests do.
const OUT_OF_REACH: [&str; 7] = [
    // A key is given back only when the whole machine has no room for ten seconds.
    "release_call.before_commit",
    "release_call.after_commit",
    // Only while the disk is full.
    "probe.before_commit",
    "probe.after_commit",
    // Only a schedule's ticks pass them: `crate::schedules` kills there.
    "append_from.before_events",
    "append_from.before_commit",
    "append_from.after_commit",
];
/// Services at once: each waits for its own disk and clock most of the time.
const AT_ONCE: usize = 4;

const QUICK: &str = "def handler(e, c):\n    return c.attempt\n";
/// Code that the store has not yet.
const NEW: &str = "def handler(e, c):\n    return 'new'\n";
const FAILS: &str = "def handler(e, c):\n    raise RuntimeError('no')\n";
/// Prints for as long as its event says, and not again after it was interrupted.
const LONG: &str = "import time\ndef handler(e, c):\n    for n in range(e['data']['s'] if c.attempt == 1 else 0):\n        \
                    print(n, flush=True)\n        time.sleep(1)\n    return c.attempt\n";

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
fn a_crash_at_each_failpoint_loses_nothing_that_was_acknowledged() {
    let template = prepare();
    let points: Vec<_> = FAILPOINTS
        .iter()
        .chain(FAILPOINTS_ABOVE)
        .filter(|point| !OUT_OF_REACH.contains(point) && !point.contains("_key."))
        // These need a broker: `crate::sources::faults` passes them.
        .filter(|point| !point.starts_with("source."))
        .collect();
    // Some happen when a process starts, in its first moments: those pass the rest of the points
    // once they are over, so a later pass is another place. In the slow tier there are more.
    let passes =
        if std::env::var_os("SLOW_TESTS").is_some_and(|it| it == "1") { 1..=4 } else { 1..=1 };
    let runs: Vec<_> =
        passes.flat_map(|pass| points.iter().map(move |point| (**point, pass))).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((point, pass)) = runs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    crash_at(point, *pass, &template);
                }
            });
        }
    });
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
fn a_crash_while_a_key_is_made_or_removed_leaves_it_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let key = |arguments: &[&str], point: &str| {
        let mut command = lambent();
        command.arg("key").args(arguments).arg("--data").arg(folder.path());
        if !point.is_empty() {
            command.env("LAMBENT_FAILPOINT", point);
        }
        command.output().unwrap()
    };
    let names = || String::from_utf8(key(&["ls", "--output", "json"], "").stdout).unwrap();
    for (verb, name, point, there) in [
        ("create", "a", "create_key.before_commit", false),
        ("create", "b", "create_key.after_commit", true),
        ("rm", "b", "delete_key.before_commit", true),
        ("rm", "b", "delete_key.after_commit", false),
    ] {
        // It may be the last.
        let open: &[&str] = if verb == "rm" { &["--open"] } else { &[] };
        let output = key(&[&[verb, "--name", name], open].concat(), point);
        assert_eq!(output.status.signal(), Some(9), "{point} was not passed: {output:?}");
        assert_eq!(
            names().contains(&format!("\"name\":\"{name}\"")),
            there,
            "{point}: {}",
            names()
        );
    }
    remains::is_sound(folder.path());
}

struct Template {
    folder: TempDir,
    event: String,
    dead: String,
}

impl Template {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

fn prepare() -> Template {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    for (name, source, settings) in [
        ("quick", QUICK, [("backoff_s", "0"), ("concurrency", "1000")]),
        ("fails", FAILS, [("retries", "0"), ("concurrency", "1000")]),
        ("long", LONG, [("timeout_s", "60"), ("concurrency", "1000")]),
        // What waits for it waits for ever.
        ("doomed", QUICK, [("backoff_s", "0"), ("concurrency", "0")]),
    ] {
        service.deploy(name, source, &settings).expect(201);
        service.trigger(name, name);
    }
    let dead = service.send("fails", &json!({})).remove(0);
    service.ended(&dead);
    let quick = service.send("quick", &json!({})).remove(0);
    let event = service.ended(&quick)["event_id"].as_str().unwrap().to_owned();
    service
        .request("POST", "/v1/functions/quick/invoke", &[("idempotency-key", "old")], b"{}")
        .expect(200);
    let running = service.send("long", &json!({"s": 600})).remove(0);
    wait_until("it runs", || match service.invocation(&running)["status"].as_str() {
        Some("running") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    kill_everything(&mut service);
    let conn = rusqlite::Connection::open(data.join("lambent.db")).unwrap();
    let aged = conn.execute("UPDATE call_keys SET begun_at = begun_at - 2 * 86400 * 1000000", []);
    assert_eq!(aged.unwrap(), 1);
    Template { folder, event, dead }
}

/// What was acknowledged before the service died.
#[derive(Default, Debug)]
struct Done {
    all: BTreeSet<&'static str>,
    /// Invocations that were named to us.
    started: Vec<String>,
}

fn crash_at(point: &'static str, pass: u32, template: &Template) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(&template.data(), &data);
    let armed = format!("{point}:{pass}");
    let mut done = Done::default();
    // Where it starts, the script ends with its death, or by asking it to stop.
    let status =
        match Service::try_start(command(&data, &[], &[("LAMBENT_FAILPOINT", &armed)]), &data) {
            Err(ended) => ended.status,
            Ok(mut service) => {
                if let Err(gone) = everything(&service, template, point, &mut done) {
                    println!("{armed}: {gone} after {:?}", done.all);
                } else {
                    service.signal("TERM");
                }
                service.wait()
            }
        };
    if status.signal() != Some(9) {
        assert!(pass > 1, "{point} was not passed: {status:?}, {done:?}");
        return;
    }
    let mut service = Service::start_on(&data, &[], &[]);
    check(&service, template, point, pass, &done);
    assert!(service.stop().success(), "{point}: {}", service.log());
    remains::is_sound(&data);
}

/// Everything that a client can do, as far as the service lives.
fn everything(
    service: &Service,
    template: &Template,
    point: &str,
    done: &mut Done,
) -> io::Result<()> {
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        service.try_request(method, path, headers, body.as_bytes())
    };
    // In the places where only long attempts come by, they come first.
    if point.starts_with("append_log") || point.starts_with("renew") {
        done.started.extend(started(&send(service, "long", "long", json!({"s": 25}))?));
        until_ended(service, done)?;
    }
    let (kind, form) = multipart("handler.py", NEW.as_bytes(), &[]);
    service.try_request("PUT", "/v1/functions/new", &[("content-type", &kind)], &form)?.expect(201);
    done.all.insert("deploy");
    let trigger = r#"{"pattern": {"type": ["other"]}}"#;
    ask("PUT", "/v1/functions/new/triggers/t", &[], trigger)?.expect(201);
    done.all.insert("put_trigger");
    ask("DELETE", "/v1/functions/new/triggers/t", &[], "")?.expect(204);
    done.all.insert("delete_trigger");
    // Nobody listens on port 1, which is nothing to whoever keeps the source.
    let source = r#"{"kind": "rabbitmq", "settings": {"url": "amqp://127.0.0.1:1"}}"#;
    ask("PUT", "/v1/sources/s", &[], source)?.expect(201);
    done.all.insert("put_source");
    ask("DELETE", "/v1/sources/s", &[], "")?.expect(204);
    done.all.insert("delete_source");
    done.started.extend(started(&send(service, "quick", "first", json!({}))?));
    done.all.insert("append");
    until_ended(service, done)?;
    let call = |headers: &[(&str, &str)]| ask("POST", "/v1/functions/quick/invoke", headers, "{}");
    let answer = call(&[])?.expect(200);
    ask("GET", &format!("/v1/invocations/{}", answer.headers["lambent-invocation-id"]), &[], "")?
        .expect(200);
    call(&[("idempotency-key", "k")])?.expect(200);
    done.all.insert("call");
    let replay = json!({"event_id": template.event}).to_string();
    ask("POST", "/v1/replays", &[], &replay)?.expect(202);
    done.all.insert("replay");
    let order = json!({
        "from": "2020-01-01T00:00:00Z", "type": "fails", "function": "new", "ignore_triggers": true
    });
    let order = ask("POST", "/v1/replays", &[], &order.to_string())?.expect(202).json();
    until_replayed(service, order["id"].as_str().unwrap())?;
    done.all.insert("order");
    ask("POST", &format!("/v1/dead-letters/{}/redrive", template.dead), &[], "")?.expect(202);
    done.all.insert("redrive");
    done.started.extend(started(&send(service, "doomed", "doomed", json!({}))?));
    ask("DELETE", "/v1/functions/doomed", &[], "")?.expect(204);
    done.all.insert("delete");
    until_ended(service, done)?;
    // One is told to another function, and one to an endpoint that is not there.
    let to = r#"{"on_success": {"kind": "function", "function": "new"}}"#;
    ask("PUT", "/v1/functions/quick/destinations", &[], to)?.expect(200);
    done.all.insert("put_destinations");
    let to = r#"{"on_failure": {"kind": "http", "url": "http://127.0.0.1:1/",
                                "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}"#;
    ask("PUT", "/v1/functions/fails/destinations", &[], to)?.expect(200);
    for kind in ["quick", "fails"] {
        let told = started(&send(service, kind, &format!("told-{kind}"), json!({}))?);
        until_tried(service, &told[0])?;
        done.started.extend(told);
    }
    until_ended(service, done)?;
    Ok(())
}

/// Waits until what goes out because of an invocation was tried once.
fn until_tried(service: &Service, id: &str) -> io::Result<()> {
    wait_until("its message was tried", || {
        match service.try_request("GET", &format!("/v1/invocations/{id}"), &[], b"") {
            Ok(answer) => {
                let told = answer.json();
                let message = &told["messages"][0];
                let tried = message["status"] == "sent" || message["error"].is_string();
                if tried { Ok(Ok(())) } else { Err(told) }
            }
            Err(gone) => Ok(Err(gone)),
        }
    })
}

fn send(service: &Service, kind: &str, id: &str, data: Value) -> io::Result<Answer> {
    let event = json!({"specversion": "1.0", "id": id, "source": "s", "type": kind, "data": data});
    let headers = [("content-type", "application/cloudevents+json")];
    Ok(service
        .try_request("POST", "/v1/events", &headers, event.to_string().as_bytes())?
        .expect(202))
}

fn started(accepted: &Answer) -> Vec<String> {
    let triggers = accepted.json()["triggers"].as_array().unwrap().clone();
    triggers.iter().map(|it| it["invocation_id"].as_str().unwrap().to_owned()).collect()
}

fn until_ended(service: &Service, done: &Done) -> io::Result<()> {
    for id in &done.started {
        wait_until("it ended", || {
            match service.try_request("GET", &format!("/v1/invocations/{id}"), &[], b"") {
                Ok(answer) if !is_terminal(&answer.json()["status"]) => Err(answer.json()),
                Ok(_) => Ok(Ok(())),
                Err(gone) => Ok(Err(gone)),
            }
        })?;
    }
    Ok(())
}

fn until_replayed(service: &Service, id: &str) -> io::Result<()> {
    wait_until("the replay ended", || {
        match service.try_request("GET", &format!("/v1/replays/{id}"), &[], b"") {
            Ok(answer) if answer.json()["state"] == "running" => Err(answer.json()),
            Ok(_) => Ok(Ok(())),
            Err(gone) => Ok(Err(gone)),
        }
    })
}

/// An order that was stored is carried out, and its one event runs again once.
fn check_orders(service: &Service, point: &str, ordered: Option<bool>) {
    let orders = service.get("/v1/replays").expect(200).json()["items"].clone();
    let orders = orders.as_array().unwrap();
    if let Some(ordered) = ordered {
        assert_eq!(orders.len(), usize::from(ordered), "{point}");
    }
    for order in orders {
        let id = order["id"].as_str().unwrap();
        until_replayed(service, id).unwrap();
        let order = service.get(&format!("/v1/replays/{id}")).expect(200).json();
        let list = service.get("/v1/invocations?function=new").expect(200).json();
        let runs = list["items"].as_array().unwrap().iter();
        let runs = runs.filter(|it| it["replay_id"] == *id).count();
        let told = (&order["state"], &order["invocations"], runs);
        assert_eq!(told, (&json!("done"), &json!(1), 1), "{point}: {order}");
    }
}

fn check(service: &Service, template: &Template, point: &str, pass: u32, done: &Done) {
    let said = |what: &str| done.all.contains(what);
    let before = point.ends_with(".before_commit") || point.ends_with(".before_invocations");
    // Whether a write of this name was certainly not, or certainly was, committed; the first pass of
    // a point is the script's own.
    let fate = |operation: &str| match point.split_once('.') {
        Some((name, _)) if name == operation && pass == 1 => Some(!before),
        _ => said(operation).then_some(true),
    };
    let there = |path: &str| service.get(path).status == 200;
    if let Some(fate) = fate("deploy") {
        assert_eq!(there("/v1/functions/new"), fate, "{point}");
    }
    if said("deploy")
        && let Some(fate) = fate("put_trigger")
    {
        let found = there("/v1/functions/new/triggers/t");
        match fate_of_removal(point, pass, done) {
            Some(removed) => assert_eq!(found, fate && !removed, "{point}: {done:?}"),
            None => assert!(!found || fate, "{point}: {done:?}"),
        }
    }
    let source = there("/v1/sources/s");
    match (fate("put_source"), fate("delete_source")) {
        (Some(put), Some(deleted)) => assert_eq!(source, put && !deleted, "{point}: {done:?}"),
        (Some(put), None) if !said("put_source") => assert_eq!(source, put, "{point}: {done:?}"),
        (None, None) if pass == 1 && !said("delete_trigger") => assert!(!source, "{point}"),
        _ => {}
    }
    // What was sent and not acknowledged may be sent again, and then runs once.
    let again = send(service, "quick", "first", json!({})).unwrap();
    if let Some(fate) = fate("append") {
        assert_eq!(again.json()["duplicate"], fate, "{point}");
    }
    let ids = started(&again);
    assert_eq!(ids.len(), 1, "{point}: {again:?}");
    assert!(
        done.started.is_empty() || done.started.contains(&ids[0]) || !said("append"),
        "{point}: {done:?}"
    );
    let call =
        service.request("POST", "/v1/functions/quick/invoke", &[("idempotency-key", "k")], b"{}");
    match (call.status, said("call")) {
        (200, true) => assert_eq!(call.headers["lambent-idempotent-replay"], "true", "{point}"),
        (200, false) => {}
        (409, false) => assert_eq!(call.code(), "call_interrupted", "{point}"),
        _ => panic!("{point}: the call that was made again got {call:?}"),
    }
    let deleted = service.request("DELETE", "/v1/functions/doomed", &[], b"");
    match fate("delete_function").or(said("delete").then_some(true)) {
        Some(fate) => assert_eq!(deleted.status, if fate { 404 } else { 204 }, "{point}"),
        None => assert!([204, 404].contains(&deleted.status), "{point}"),
    }
    if let Some(fate) = fate("put_destinations") {
        let told = service.get("/v1/functions/quick/destinations").expect(200).json();
        assert_eq!(told["on_success"].is_object(), fate, "{point}: {told}");
    }
    check_orders(service, point, fate("create_replay").or(said("order").then_some(true)));
    let items = wait_until("everything ended", || {
        let items = service.get("/v1/invocations?limit=1000").expect(200).json()["items"].clone();
        let items = items.as_array().unwrap().clone();
        let moving: Vec<_> =
            items.iter().filter(|it| !is_terminal(&it["status"])).cloned().collect();
        if moving.is_empty() { Ok(items) } else { Err(format!("{point}: {moving:?}")) }
    });
    let ids: BTreeSet<_> = items.iter().map(|it| it["id"].as_str().unwrap()).collect();
    for id in &done.started {
        assert!(ids.contains(id.as_str()), "{point}: {id} is lost");
    }
    let mut interrupted = 0;
    for id in ids {
        let detail = service.invocation(id);
        let asked = usize::from(id == template.dead);
        let story = story(&detail, (asked * usize::from(said("redrive")), asked));
        assert_eq!(story.wrong, [""; 0], "{point}: {detail}");
        interrupted += story.interruptions;
    }
    assert!(
        interrupted >= 1,
        "{point}: the attempt that ran when the data was made was interrupted"
    );
    let of_event = format!("/v1/invocations?event={}", template.event);
    let replayed = service.get(&of_event).json()["items"].as_array().unwrap().len() == 2;
    if let Some(fate) = fate("append_invocations").or(said("replay").then_some(true)) {
        assert_eq!(replayed, fate, "{point}");
    }
}

/// Whether the trigger's removal was committed. Nobody knows where the service died at another
/// point while the removal was on its way, since attempts go on beside the script.
fn fate_of_removal(point: &str, pass: u32, done: &Done) -> Option<bool> {
    match point {
        _ if done.all.contains("delete_trigger") => Some(true),
        "delete_trigger.before_commit" if pass == 1 => Some(false),
        "delete_trigger.after_commit" if pass == 1 => Some(true),
        _ if done.all.contains("put_trigger") => None,
        _ => Some(false),
    }
}

/// Every point is either killed at, or named above with the reason why it cannot be.
#[test]
fn what_is_out_of_reach_is_on_the_list_of_failpoints() {
    assert!(OUT_OF_REACH.iter().all(|point| FAILPOINTS.contains(point)));
    assert!(Path::new(env!("CARGO_BIN_EXE_lambent")).exists());
}
