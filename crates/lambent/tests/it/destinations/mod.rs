//! What goes out because an invocation ended: to other functions and in circles here, to endpoints in
//! [`http`], what a handler sends itself in [`effects`], to a broker in [`rabbitmq`].

mod effects;
mod http;
mod rabbitmq;

use serde_json::{Value, json};

use crate::service::{Service, wait_until};

const ECHO: &str = "def handler(event, context):\n    return event\n";
const FAILS: &str = "def handler(event, context):\n    raise RuntimeError('no')\n";

/// Sets the destinations of a function.
fn set(service: &Service, function: &str, destinations: &Value) -> Value {
    let path = format!("/v1/functions/{function}/destinations");
    let body = destinations.to_string();
    service.request("PUT", &path, &[], body.as_bytes()).expect(200).json()
}

fn function(name: &str) -> Value {
    json!({"kind": "function", "function": name})
}

/// Waits until so many invocations of a function have succeeded; there are no others.
#[track_caller]
fn ran(service: &Service, function: &str, count: usize) -> Vec<Value> {
    let path = format!("/v1/invocations?limit=1000&function={function}");
    let items = wait_until("all have run", || {
        let items = service.get(&path).expect(200).json()["items"].as_array().unwrap().clone();
        let done = items.iter().filter(|it| it["status"] == "succeeded").count();
        if done >= count { Ok(items) } else { Err(items) }
    });
    assert_eq!(items.len(), count, "{items:?}");
    items.iter().map(|it| service.invocation(it["id"].as_str().unwrap())).collect()
}

/// Waits until the one message of an invocation is as it should be.
#[track_caller]
fn message(service: &Service, invocation: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_until("the message stands so", || {
        let messages = service.invocation(invocation)["messages"].as_array().unwrap().clone();
        match messages.as_slice() {
            [one] if is(one) => Ok(one.clone()),
            _ => Err(messages),
        }
    })
}

/// Starts with a failpoint, and on the same data again once it has died there.
fn dies_at(point: &str, prepare: impl FnOnce(&Service)) -> (tempfile::TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[("LAMBENT_FAILPOINT", point)]);
    prepare(&service);
    service.wait();
    let service = Service::start_on(&data, &[], &[]);
    (folder, service)
}

#[test]
fn success_and_failure_are_told_to_other_functions_with_the_whole_record() {
    let service = Service::start();
    service.deploy("works", ECHO, &[]).expect(201);
    service.deploy("fails", FAILS, &[("retries", "0")]).expect(201);
    service.deploy("sees", ECHO, &[]).expect(201);
    service.trigger("works", "x");
    service.trigger("fails", "x");
    let both = json!({"on_success": function("sees"), "on_failure": function("sees")});
    for name in ["works", "fails"] {
        assert_eq!(set(&service, name, &both), both);
    }
    let ids = service.send("x", &json!({"n": 1}));
    let seen = ran(&service, "sees", 2);
    for id in &ids {
        let ended = service.ended(id);
        let of_it = seen.iter().find(|it| it["result"]["subject"] == ended["id"]);
        let event = &of_it.unwrap_or_else(|| panic!("{seen:?}"))["result"];
        assert_eq!(event["lambenthops"], 1);
        let data = &event["data"];
        assert_eq!(data["requestPayload"]["data"], json!({"n": 1}));
        if ended["function"] == "works" {
            assert_eq!(event["type"], "lambent.destination.success");
            assert_eq!(data["requestContext"]["condition"], "Success");
            assert_eq!(data["responsePayload"]["type"], "x");
        } else {
            assert_eq!(event["type"], "lambent.destination.failure");
            assert_eq!(data["requestContext"]["condition"], "RetriesExhausted");
            assert_eq!(data["responsePayload"]["errorType"], "RuntimeError");
        }
        let told = message(&service, id, |it| it["status"] == "sent");
        assert_eq!((&told["kind"], &told["tries"]), (&json!("function"), &json!(1)));
        assert_eq!(told["id"], event["id"]);
    }
}

#[test]
fn a_call_that_waits_is_told_to_nobody_and_one_that_does_not_is() {
    let service = Service::start();
    service.deploy("works", ECHO, &[]).expect(201);
    service.deploy("sees", ECHO, &[]).expect(201);
    set(&service, "works", &json!({"on_success": function("sees")}));
    let called = service.invoke("works", &json!({})).expect(200);
    let id = &called.headers["lambent-invocation-id"];
    assert_eq!(service.invocation(id)["messages"], json!([]));
    let headers = [("prefer", "respond-async")];
    let path = "/v1/functions/works/invoke";
    service.request("POST", path, &headers, br#"{"a": 1}"#).expect(202);
    let seen = ran(&service, "sees", 1);
    assert_eq!(seen[0]["result"]["data"]["requestPayload"], json!({"a": 1}));
}

#[test]
fn functions_that_send_to_each_other_in_a_circle_are_stopped() {
    let service = Service::start();
    let hops = "def handler(event, context):\n    return event.get('lambenthops', 0)\n";
    service.deploy("ping", hops, &[]).expect(201);
    service.deploy("pong", hops, &[]).expect(201);
    service.trigger("ping", "x");
    set(&service, "ping", &json!({"on_success": function("pong")}));
    set(&service, "pong", &json!({"on_success": function("ping")}));
    service.send("x", &json!({}));
    // The first, and sixteen that ours led to.
    let pings = ran(&service, "ping", 9);
    ran(&service, "pong", 8);
    let last = pings.iter().max_by_key(|it| it["result"].as_u64()).unwrap();
    assert_eq!(last["result"], 16);
    let stopped = message(&service, last["id"].as_str().unwrap(), |it| it["status"] == "gave_up");
    let why = stopped["error"].as_str().unwrap();
    assert!(why.starts_with("LoopDetected"), "{why}");
    let metrics = service.get("/metrics").expect(200);
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("lambent_loops_stopped_total 1"), "{metrics}");
}

#[test]
fn destinations_are_checked_when_they_are_set_and_removed_when_asked() {
    let service = Service::start();
    service.deploy("f", ECHO, &[]).expect(201);
    let path = "/v1/functions/f/destinations";
    let put = |body: Value| service.request("PUT", path, &[], body.to_string().as_bytes());
    let refused = put(json!({"on_success": function("nobody")})).expect(400);
    assert_eq!(refused.json()["field"], "on_success.function");
    let weak = json!({"kind": "http", "url": "https://h.example", "secret": "short"});
    let refused = put(json!({"on_failure": weak})).expect(400);
    assert_eq!(refused.json()["field"], "on_failure.secret");
    put(json!({"on_sucess": function("f")})).expect(400);
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let good = json!({"kind": "http", "url": "https://h.example/x", "secret": secret});
    let shown = put(json!({"on_failure": good})).expect(200).json();
    let hidden = json!({"kind": "http", "url": "https://h.example/x", "secret": "***"});
    assert_eq!(shown, json!({"on_success": null, "on_failure": hidden}));
    assert_eq!(put(shown.clone()).expect(200).json(), shown, "what is shown can be put back");
    service.deploy("f", FAILS, &[]).expect(200);
    assert_eq!(service.get(path).expect(200).json(), shown, "a new version changes nothing");
    service.request("DELETE", path, &[], b"").expect(204);
    let none = json!({"on_success": null, "on_failure": null});
    assert_eq!(service.get(path).expect(200).json(), none);
    service.get("/v1/functions/g/destinations").expect(404);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
fn a_function_is_told_once_wherever_the_service_is_killed() {
    for point in [
        "claim_messages.before_commit",
        "claim_messages.after_commit",
        "outbox.before_send",
        "deliver_event.before_event",
        "deliver_event.before_commit",
        "deliver_event.after_commit",
        "outbox.after_send",
    ] {
        let (_folder, service) = dies_at(point, |service| {
            service.deploy("works", ECHO, &[]).expect(201);
            service.deploy("sees", ECHO, &[]).expect(201);
            service.trigger("works", "x");
            set(service, "works", &json!({"on_success": function("sees")}));
            // It may be dead before it answers.
            let event = json!({"type": "x", "source": "test", "id": "1"}).to_string();
            drop(service.try_request("POST", "/v1/events", &[], event.as_bytes()));
        });
        let works = ran(&service, "works", 1);
        let id = works[0]["id"].as_str().unwrap();
        message(&service, id, |it| it["status"] == "sent");
        ran(&service, "sees", 1);
    }
}
