//! Effects: events that a handler sends if it succeeds.

use serde_json::json;

use super::{ECHO, dies_at, message, ran};
use crate::service::{Service, wait_until};

/// Sends in every attempt, and fails in the first.
const SENDS: &str = "def handler(event, context):\n    \
                     context.send('sent', {'attempt': context.attempt})\n    \
                     if context.attempt == 1: raise RuntimeError('not yet')\n";
const SENDS_AT_ONCE: &str =
    "def handler(event, context):\n    context.send('sent', event)\n    return 'answer'\n";

#[test]
fn what_a_failed_attempt_sent_was_never_sent_and_what_succeeded_is_sent_once() {
    let service = Service::start();
    service.deploy("sends", SENDS, &[("backoff_s", "0")]).expect(201);
    service.deploy("sees", ECHO, &[]).expect(201);
    service.trigger("sends", "x");
    service.trigger("sees", "sent");
    let id = service.send("x", &json!({})).remove(0);
    let seen = ran(&service, "sees", 1);
    let event = &seen[0]["result"];
    assert_eq!(event["data"], json!({"attempt": 2}));
    assert_eq!(
        (&event["id"], &event["source"]),
        (&json!(format!("{id}/0")), &json!("lambent:function/sends"))
    );
    assert_eq!(event["lambenthops"], 1);
    let told = message(&service, &id, |it| it["status"] == "sent");
    assert_eq!((&told["purpose"], &told["kind"]), (&json!("effect"), &json!("events")));
    assert_eq!(told["target"]["type"], "sent");
}

#[test]
fn what_a_call_sends_is_safe_before_the_call_is_answered() {
    let service = Service::start();
    service.deploy("sends", SENDS_AT_ONCE, &[]).expect(201);
    service.deploy("sees", ECHO, &[]).expect(201);
    service.trigger("sees", "sent");
    let answer = service.invoke("sends", &json!([1])).expect(200);
    assert_eq!(answer.json(), json!("answer"));
    message(&service, &answer.headers["lambent-invocation-id"], |it| it["status"] == "sent");
    assert_eq!(ran(&service, "sees", 1)[0]["result"]["data"], json!([1]));
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
fn what_a_call_that_was_answered_sent_survives_a_kill() {
    let (_folder, service) = dies_at("claim_messages.before_commit", |service| {
        service.deploy("sends", SENDS_AT_ONCE, &[]).expect(201);
        service.deploy("sees", ECHO, &[]).expect(201);
        service.trigger("sees", "sent");
        // It was committed before the service could die of it.
        drop(service.try_request("POST", "/v1/functions/sends/invoke", &[], b"{}"));
    });
    ran(&service, "sends", 1);
    ran(&service, "sees", 1);
}

#[test]
fn what_is_no_event_fails_the_attempt_and_says_why() {
    let service = Service::start();
    let source = "def handler(event, context):\n    for n in range(event['n']): context.send('t' * event['l'])\n";
    service.deploy("sends", source, &[]).expect(201);
    let many = service.invoke("sends", &json!({"n": 101, "l": 1}));
    assert_eq!(many.json()["reason"], "Function.TooManyEffects", "{many:?}");
    let long = service.invoke("sends", &json!({"n": 1, "l": 300}));
    assert_eq!(long.json()["reason"], "Function.InvalidEffect", "{long:?}");
    service.invoke("sends", &json!({"n": 100, "l": 1})).expect(200);
}

#[test]
fn a_function_that_sends_what_triggers_it_is_stopped() {
    let service = Service::start();
    service.deploy("sends", "def handler(e, c):\n    c.send('x')\n", &[]).expect(201);
    service.trigger("sends", "x");
    service.send("x", &json!({}));
    let runs = ran(&service, "sends", 17);
    wait_until("the last one was stopped", || {
        let given_up = runs.iter().filter(|it| {
            let it = service.invocation(it["id"].as_str().unwrap());
            it["messages"][0]["status"] == "gave_up"
        });
        if given_up.count() == 1 { Ok(()) } else { Err(()) }
    });
}
