//! Replays of the events of a time: paced, watched, cancelled, killed in the middle.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::service::{Service, wait_until};

/// Tells which replay it runs for.
const TELLS: &str = "def handler(e, c):\n    return e.get('lambentreplay')\n";
const EVER: &str = "2020-01-01T00:00:00Z";

/// Sends so many events in one batch, and waits until all of them have run.
fn sent(service: &Service, kind: &str, count: u64) {
    let event = |n| json!({"type": kind, "source": "s", "data": {"n": n}});
    let batch: Vec<_> = (0..count).map(event).collect();
    service.post("/v1/events", Value::Array(batch).to_string()).expect(202);
    wait_until("all have run", || match invocations(service, "succeeded").len() as u64 {
        ended if ended >= count => Ok(()),
        ended => Err(ended),
    });
}

fn invocations(service: &Service, status: &str) -> Vec<Value> {
    let path = format!("/v1/invocations?limit=1000&status={status}");
    service.get(&path).expect(200).json()["items"].as_array().unwrap().clone()
}

fn order(service: &Service, order: &Value) -> String {
    let accepted = service.post("/v1/replays", order.to_string()).expect(202).json();
    assert_eq!((&accepted["state"], &accepted["events"]), (&json!("running"), &json!(0)));
    accepted["id"].as_str().unwrap().to_owned()
}

fn state(service: &Service, id: &str) -> Value {
    service.get(&format!("/v1/replays/{id}")).expect(200).json()
}

fn ended(service: &Service, id: &str) -> Value {
    wait_until("the replay ended", || match state(service, id) {
        it if it["state"] == "running" => Err(it),
        it => Ok(it),
    })
}

/// How often each event has run for this replay, of all that is in the ledger.
fn runs(service: &Service, replay: &str) -> BTreeMap<String, usize> {
    let mut runs = BTreeMap::new();
    let list = service.get("/v1/invocations?limit=1000").expect(200).json();
    for it in list["items"].as_array().unwrap() {
        if it["replay_id"] == replay {
            *runs.entry(it["event_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    runs
}

#[test]
fn the_events_of_a_time_run_again_and_their_function_sees_it() {
    let service = Service::start();
    service.deploy("f", TELLS, &[]).expect(201);
    service.trigger("f", "x");
    sent(&service, "x", 30);
    let id = order(&service, &json!({"from": EVER, "rate_per_s": 0}));
    let done = ended(&service, &id);
    let told = ["state", "events", "matched", "invocations", "reason"].map(|name| &done[name]);
    assert_eq!(told, [&json!("done"), &json!(30), &json!(30), &json!(30), &json!(null)]);
    let runs = runs(&service, &id);
    assert_eq!((runs.len(), runs.values().max()), (30, Some(&1)));
    let all = wait_until("all have run again", || match invocations(&service, "succeeded") {
        all if all.len() == 60 => Ok(all),
        all => Err(all.len()),
    });
    for it in all {
        let seen = &service.invocation(it["id"].as_str().unwrap())["result"];
        assert_eq!(*seen, it["replay_id"], "{it}");
    }
    let list = service.get("/v1/replays").expect(200).json();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["id"]), (1, &json!(id)));
    let as_other = [("lambent-project", "other")];
    service.request("GET", &format!("/v1/replays/{id}"), &as_other, b"").expect(404);
    service.request("DELETE", &format!("/v1/replays/{id}"), &as_other, b"").expect(404);
}

#[test]
fn a_replay_that_is_cancelled_in_the_middle_starts_nothing_more() {
    let service = Service::start();
    service.deploy("f", TELLS, &[]).expect(201);
    service.trigger("f", "x");
    sent(&service, "x", 200);
    let id = order(&service, &json!({"from": EVER, "rate_per_s": 20}));
    wait_until("some have been started", || {
        let state = state(&service, &id);
        if state["invocations"].as_u64() >= Some(4) { Ok(()) } else { Err(state) }
    });
    let path = format!("/v1/replays/{id}");
    let cancelled = service.request("DELETE", &path, &[], b"").expect(200).json();
    assert_eq!(cancelled["state"], "cancelled");
    let made = usize::try_from(cancelled["invocations"].as_u64().unwrap()).unwrap();
    assert!((4..200).contains(&made), "{cancelled}");
    let again = service.request("DELETE", &path, &[], b"").expect(200).json();
    assert_eq!(again, cancelled, "it stays as it ended");
    // Another one begins and ends after it: had the first gone on, it would show.
    let other = order(&service, &json!({"from": EVER, "rate_per_s": 0}));
    assert_eq!(ended(&service, &other)["invocations"], 200);
    assert_eq!(runs(&service, &id).len(), made);
    assert_eq!(state(&service, &id), cancelled);
    wait_until("what was started has run", || match invocations(&service, "succeeded").len() {
        all if all == 400 + made => Ok(()),
        all => Err(all),
    });
}

#[test]
fn after_a_kill_in_the_middle_each_event_has_run_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    service.deploy("f", TELLS, &[]).expect(201);
    service.trigger("f", "x");
    sent(&service, "x", 120);
    let id = order(&service, &json!({"from": EVER, "rate_per_s": 60}));
    for count in [12, 50, 90] {
        wait_until("some have been started", || {
            let state = state(&service, &id);
            if state["invocations"].as_u64() >= Some(count) { Ok(()) } else { Err(state) }
        });
        service.kill();
        service = Service::start_on(&data, &[], &[]);
    }
    let done = ended(&service, &id);
    assert_eq!((&done["state"], &done["invocations"]), (&json!("done"), &json!(120)));
    let runs = runs(&service, &id);
    assert_eq!((runs.len(), runs.values().max()), (120, Some(&1)));
    wait_until("all have run again", || match invocations(&service, "succeeded").len() {
        240 => Ok(()),
        other => Err(other),
    });
}

#[test]
fn a_dry_run_tells_what_would_run_and_stores_nothing() {
    let service = Service::start();
    service.deploy("f", TELLS, &[]).expect(201);
    service.trigger("f", "x");
    service.deploy("g", TELLS, &[]).expect(201);
    service.trigger("g", "x");
    sent(&service, "x", 25);
    sent(&service, "y", 3);
    let dry = |request: Value| service.post("/v1/replays", request.to_string()).expect(200).json();
    let all = dry(json!({"from": EVER, "dry_run": true}));
    let told = ["id", "events", "matched", "invocations"].map(|name| &all[name]);
    assert_eq!(told, [&json!(null), &json!(28), &json!(25), &json!(50)]);
    let targets = all["targets"].as_array().unwrap();
    let targets: Vec<_> = targets.iter().map(|it| (&it["function"], &it["invocations"])).collect();
    assert_eq!(targets, [(&json!("f"), &json!(25)), (&json!("g"), &json!(25))]);
    let sample = all["sample"].as_array().unwrap();
    assert_eq!((sample.len(), &sample[0]["type"]), (20, &json!("x")));
    let past = dry(json!({
        "from": EVER, "type": "y", "function": "f", "ignore_triggers": true, "dry_run": true
    }));
    assert_eq!((&past["invocations"], &past["targets"][0]["trigger"]), (&json!(3), &json!(null)));
    assert_eq!(service.get("/v1/replays").expect(200).json()["items"], json!([]));
    let all = service.get("/v1/invocations?limit=1000").expect(200).json();
    assert_eq!(all["items"].as_array().unwrap().len(), 50, "those of the first time");
}

#[test]
fn a_replay_is_of_some_events_in_one_place_at_one_version() {
    let service = Service::start();
    service.deploy("f", TELLS, &[]).expect(201);
    service.trigger("f", "x");
    let odd = r#"{"pattern": {"data": {"n": [1, 3, 5]}}}"#;
    service.request("PUT", "/v1/functions/f/triggers/odd", &[], odd.as_bytes()).expect(201);
    service.deploy("other", TELLS, &[]).expect(201);
    service.trigger("other", "x");
    sent(&service, "x", 6);
    service.deploy("f", "def handler(e, c): return 'new'\n", &[]).expect(200);
    let id = order(
        &service,
        &json!({
            "from": EVER, "function": "f", "trigger": "odd", "version": 1, "rate_per_s": 0,
            "pattern": {"data": {"n": [{"numeric": [">", 2]}]}}
        }),
    );
    let done = ended(&service, &id);
    let told = ["events", "matched", "invocations"].map(|name| done[name].as_u64().unwrap());
    assert_eq!(told, [6, 2, 2], "{done}");
    let again = wait_until("both have run", || {
        let all = invocations(&service, "succeeded");
        let again: Vec<_> = all.into_iter().filter(|it| it["replay_id"] == *id).collect();
        if again.len() == 2 { Ok(again) } else { Err(again) }
    });
    for it in again {
        let told = ["function", "trigger", "version"].map(|name| it[name].clone());
        assert_eq!(told, [json!("f"), json!("odd"), json!(1)]);
    }
}

#[test]
fn an_order_that_cannot_be_carried_out_is_refused_or_fails_with_the_reason() {
    let service = Service::start();
    service.deploy("f", TELLS, &[("concurrency", "0")]).expect(201);
    service.trigger("f", "x");
    let post = |order: Value| service.post("/v1/replays", order.to_string());
    for (refused, status, code) in [
        (json!({}), 400, "invalid_value"),
        (json!({"from": EVER, "rate_per_s": 10_001}), 400, "invalid_value"),
        (json!({"from": EVER, "to": "2019-01-01T00:00:00Z"}), 400, "invalid_value"),
        (json!({"from": EVER, "trigger": "t"}), 400, "invalid_value"),
        (json!({"from": EVER, "pattern": {"type": "x"}}), 400, "invalid_pattern"),
        (json!({"from": EVER, "function": "none"}), 404, "not_found"),
        (json!({"from": EVER, "function": "f", "trigger": "none"}), 404, "not_found"),
        (json!({"from": EVER, "function": "f", "version": 9}), 404, "not_found"),
        (json!({"from": EVER, "form": 1}), 400, "invalid_json"),
    ] {
        assert_eq!(post(refused.clone()).expect(status).code(), code, "{refused}");
    }
    service.get("/v1/replays/nonsense").expect(404);
    let event = |n| json!({"type": "x", "source": "s", "data": n});
    let batch: Vec<_> = (0..50).map(event).collect();
    service.post("/v1/events", Value::Array(batch).to_string()).expect(202);
    let id = order(&service, &json!({"from": EVER, "function": "f", "rate_per_s": 1}));
    service.request("DELETE", "/v1/functions/f", &[], b"").expect(204);
    let failed = ended(&service, &id);
    let why = "function \"f\" was deleted";
    assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!(why)));
}
