//! Triggers that do more than match: what they hand over, how much at a time, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::service::{Service, lambent, wait_until};

/// Answers what it got; of a batch, the numbers in it.
const ECHO: &str = "def handler(event, context):\n    return event\n";

/// Makes the trigger `t` of a function, for events of the type "x", with more than a pattern.
fn trigger(service: &Service, function: &str, more: Value) {
    let mut body = json!({"pattern": {"type": ["x"]}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let path = format!("/v1/functions/{function}/triggers/t");
    service.request("PUT", &path, &[], body.to_string().as_bytes()).expect(201);
}

/// Sends events together, so that they are accepted at the same moment, and answers the invocation
/// of each.
fn send(service: &Service, data: impl IntoIterator<Item = Value>) -> Vec<String> {
    let events: Vec<_> =
        data.into_iter().map(|data| json!({"type": "x", "source": "test", "data": data})).collect();
    let sent = service.post("/v1/events", Value::from(events).to_string()).expect(202).json();
    let of = |it: &Value| it["triggers"][0]["invocation_id"].as_str().unwrap().to_owned();
    sent["events"].as_array().unwrap().iter().map(of).collect()
}

fn all_ended(service: &Service, ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| service.ended(id)).collect()
}

/// What the function printed, in all.
fn printed(service: &Service, function: &str) -> Vec<String> {
    let path = format!("/v1/functions/{function}/logs?limit=1000");
    let log = service.get(&path).expect(200).json();
    let lines = log["items"].as_array().unwrap().iter();
    lines.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_trigger_shows_how_its_events_are_handed_over_and_refuses_what_it_does_not_know() {
    let service = Service::start();
    service.deploy("f", ECHO, &[]).expect(201);
    let more = json!({
        "transform": {"path": "$.data"},
        "batch": {"size": 20, "window_s": 1.5, "partial_responses": true, "bisect": true},
        "ordering_key": "$.data.user",
    });
    trigger(&service, "f", more.clone());
    let shown = service.get("/v1/functions/f/triggers/t").expect(200).json();
    for name in ["transform", "batch", "ordering_key"] {
        assert_eq!(shown[name], more[name]);
    }
    let put = |body: &str| {
        service.request("PUT", "/v1/functions/f/triggers/t", &[], body.as_bytes()).expect(400)
    };
    let refused = put(r#"{"pattern":{"type":["x"]},"batch":{"sise":2}}"#);
    assert_eq!(refused.code(), "invalid_json");
    let refused = put(r#"{"pattern":{"type":["x"]},"batch":{"size":1001}}"#);
    assert_eq!(
        (refused.code(), refused.json()["field"].clone()),
        ("invalid_value".into(), json!("batch.size"),)
    );
    assert_eq!(service.get("/v1/functions/f/triggers/t").json(), shown, "it is as it was");
    service.request("PUT", "/v1/functions/f/triggers/t", &[], br#"{"pattern":{"type":["x"]}}"#);
    let plain = service.get("/v1/functions/f/triggers/t").expect(200).json();
    assert_eq!((&plain["transform"], &plain["batch"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_handler_gets_what_its_triggers_transform_makes_of_the_event() {
    let service = Service::start();
    service.deploy("f", ECHO, &[]).expect(201);
    let transform = json!({
        "paths": {"n": "$.data.n", "user": "$.data.user"},
        "template": {"number": "<n>", "greeting": "Hello <user>"},
    });
    trigger(&service, "f", json!({ "transform": transform }));
    let ids = send(&service, [json!({"n": 7, "user": "Ada"})]);
    let record = service.ended(&ids[0]);
    assert_eq!(record["result"], json!({"number": 7, "greeting": "Hello Ada"}));
}

#[test]
fn a_full_batch_runs_at_once_and_one_that_is_not_full_after_its_window() {
    let service = Service::start();
    service.deploy("f", ECHO, &[]).expect(201);
    // The window is longer than this test may take.
    trigger(&service, "f", json!({"batch": {"size": 5, "window_s": 300}}));
    let first = send(&service, (0..3).map(|n| json!(n)));
    assert_eq!(service.invocation(&first[0])["status"], "queued", "it waits for company");
    let ids = [first, send(&service, (3..5).map(|n| json!(n)))].concat();
    let records = all_ended(&service, &ids);
    let leader = records.iter().find(|it| !it["result"].is_null()).unwrap();
    let got = leader["result"]["records"].as_array().unwrap();
    let numbers: BTreeSet<_> = got.iter().map(|it| it["event"]["data"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..5).collect());
    for record in &records {
        assert_eq!((&record["status"], &record["attempts"]), (&json!("succeeded"), &json!(1)));
        let batch = json!({"first_invocation_id": leader["id"], "size": 5});
        assert_eq!(record["attempt_list"][0]["batch"], batch);
        let listed = got.iter().find(|it| it["id"] == record["id"]).unwrap();
        assert_eq!(listed["event_id"], record["event_id"]);
    }

    service.request("DELETE", "/v1/functions/f/triggers/t", &[], b"").expect(204);
    trigger(&service, "f", json!({"batch": {"size": 100, "window_s": 0.3}}));
    let ids = send(&service, (0..3).map(|n| json!(n)));
    for record in all_ended(&service, &ids) {
        assert_eq!(record["attempt_list"][0]["batch"]["size"], 3, "{record}");
    }
}

#[test]
fn of_a_batch_with_partial_responses_only_what_failed_is_tried_again() {
    let service = Service::start();
    let source = "\
def handler(event, context):
    failed = [r['id'] for r in event['records'] if r['event']['data'] % 2 and r['attempt'] == 1]
    return {'batchItemFailures': [{'itemIdentifier': id} for id in failed]}
";
    service.deploy("f", source, &[("retries", "1"), ("backoff_s", "0")]).expect(201);
    let batch = json!({"size": 6, "window_s": 1, "partial_responses": true});
    trigger(&service, "f", json!({ "batch": batch }));
    let ids = send(&service, (0..6).map(|n| json!(n)));
    for (n, record) in all_ended(&service, &ids).iter().enumerate() {
        assert_eq!(record["status"], "succeeded");
        assert_eq!(record["attempts"], 1 + n % 2, "{record}");
        if n % 2 == 1 {
            let error = &record["attempt_list"][0]["error"];
            assert_eq!(error["code"], "Lambent.BatchItemFailed", "{record}");
        }
    }
}

#[test]
fn an_answer_that_does_not_tell_what_failed_fails_the_whole_batch() {
    let service = Service::start();
    let source = "\
def handler(event, context):
    return {'batchItemFailures': [{'itemIdentifier': 'somebody else'}]}
";
    service.deploy("f", source, &[("retries", "0")]).expect(201);
    let batch = json!({"size": 3, "window_s": 300, "partial_responses": true});
    trigger(&service, "f", json!({ "batch": batch }));
    let ids = send(&service, (0..3).map(|n| json!(n)));
    for record in all_ended(&service, &ids) {
        assert_eq!(record["status"], "dead");
        assert_eq!(record["error"]["code"], "Lambent.InvalidBatchAnswer");
    }
}

#[test]
fn halving_finds_the_one_event_that_a_batch_fails_for_and_the_others_succeed_once() {
    let service = Service::start();
    let source = "\
def handler(event, context):
    numbers = [r['event']['data'] for r in event['records']]
    print('try', len(numbers))
    if 11 in numbers:
        raise ValueError('no')
    for n in numbers:
        print('did', n)
";
    service.deploy("f", source, &[("retries", "0")]).expect(201);
    trigger(&service, "f", json!({"batch": {"size": 16, "window_s": 300, "bisect": true}}));
    let ids = send(&service, (0..16).map(|n| json!(n)));
    let records = all_ended(&service, &ids);
    for (n, record) in records.iter().enumerate() {
        let expect = if n == 11 { "dead" } else { "succeeded" };
        assert_eq!(record["status"], expect, "{record}");
    }
    let poisonous = &records[11];
    assert_eq!(
        (&poisonous["attempts"], &poisonous["error"]["code"]),
        (&json!(5), &json!("ValueError"),)
    );
    let reasons = poisonous["transitions"].as_array().unwrap().iter().map(|it| &it["reason"]);
    let is_split = |reason: &Value| reason.as_str().unwrap().starts_with("BatchSplit");
    assert_eq!(reasons.filter(|it| is_split(it)).count(), 4, "{poisonous}");
    let lines = printed(&service, "f");
    let mut did: Vec<u64> =
        lines.iter().filter_map(|line| line.strip_prefix("did ")?.parse().ok()).collect();
    did.sort_unstable();
    let expect: Vec<_> = (0..16).filter(|n| *n != 11).collect();
    assert_eq!(did, expect, "each other once");
    let mut tries: Vec<u64> =
        lines.iter().filter_map(|line| line.strip_prefix("try ")?.parse().ok()).collect();
    tries.sort_unstable();
    assert_eq!(tries, [1, 1, 2, 2, 4, 4, 8, 8, 16]);
    let explained = explain(&service, &ids[11]);
    assert!(explained.contains("its batch failed and is tried again in halves"), "{explained}");
    assert!(explained.contains("of 16"), "{explained}");
}

fn explain(service: &Service, id: &str) -> String {
    let mut command = lambent();
    let output = command.args(["explain", id]).env("LAMBENT_URL", service.url()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Sleeps as long as its event says, and fails if its event says so: once, or always.
const SLOW: &str = "\
import time
def handler(event, context):
    data = event['data']
    time.sleep(data['sleep_ms'] / 1000)
    if data.get('fails') == 'always' or data.get('fails') == 'once' and context.attempt == 1:
        raise ValueError('no')
";

/// Events for five keys, those of each numbered, in one order; some sleep longer than others.
fn of_five_keys(count: usize) -> impl Iterator<Item = Value> {
    (0..count).map(|n| json!({"key": n % 5, "n": n / 5, "sleep_ms": n * 7 % 19}))
}

/// When each attempt began and ended, as the ledger has it; equal forms compare as times do.
fn attempts(record: &Value) -> Vec<(String, String)> {
    let time = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let list = record["attempt_list"].as_array().unwrap();
    list.iter().map(|it| (time(it, "started_at"), time(it, "ended_at"))).collect()
}

/// Of each key, every attempt at an event began after the last one at the event before had ended.
fn check_order(records: &[Value], data: &[Value]) {
    let mut last: BTreeMap<u64, (String, &Value)> = BTreeMap::new();
    for (record, data) in records.iter().zip(data) {
        let attempts = attempts(record);
        let key = data["key"].as_u64().unwrap();
        if let Some((ended, before)) = last.get(&key) {
            let began = &attempts.first().unwrap().0;
            assert!(began >= ended, "{data} began before {before} had ended");
        }
        last.insert(key, (attempts.last().unwrap().1.clone(), data));
    }
}

#[test]
fn events_of_one_key_run_in_order_and_those_of_others_meanwhile() {
    let service = Service::start();
    service.deploy("f", SLOW, &[]).expect(201);
    trigger(&service, "f", json!({"ordering_key": "$.data.key"}));
    let data: Vec<_> = of_five_keys(200).collect();
    let mut ids = Vec::new();
    for part in data.chunks(20) {
        ids.extend(send(&service, part.iter().cloned()));
    }
    let records = all_ended(&service, &ids);
    assert!(records.iter().all(|it| it["status"] == "succeeded" && it["attempts"] == 1));
    check_order(&records, &data);
    let mut spans: Vec<_> = records.iter().flat_map(attempts).collect();
    spans.sort();
    let overlap = spans.windows(2).any(|pair| pair[1].0 < pair[0].1);
    assert!(overlap, "keys did not wait for each other");
}

#[test]
fn order_is_kept_when_everything_is_killed_and_when_the_first_fails() {
    let folder = tempfile::tempdir().unwrap();
    let data_folder = folder.path().join("data");
    let mut service = Service::start_on(&data_folder, &[], &[]);
    service.deploy("f", SLOW, &[("retries", "1"), ("backoff_s", "0")]).expect(201);
    trigger(&service, "f", json!({"ordering_key": "$.data.key"}));
    let mut data: Vec<_> = of_five_keys(80).collect();
    data[0]["fails"] = json!("once");
    data[11]["fails"] = json!("always");
    let ids = send(&service, data.iter().cloned());
    wait_until("some have run", || {
        let done = service.get("/v1/invocations?status=succeeded&limit=1000").json();
        let done = done["items"].as_array().unwrap().len();
        if done >= 10 { Ok(()) } else { Err(done) }
    });
    service.kill();
    service = Service::start_on(&data_folder, &[], &[]);
    let records = all_ended(&service, &ids);
    for (n, record) in records.iter().enumerate() {
        let expect = if n == 11 { "dead" } else { "succeeded" };
        assert_eq!(record["status"], expect, "{record}");
    }
    assert!(records[0]["attempts"].as_u64().unwrap() >= 2, "{}", records[0]);
    check_order(&records, &data);
}

#[test]
fn what_is_held_says_behind_what() {
    let service = Service::start();
    service.deploy("f", ECHO, &[("concurrency", "0")]).expect(201);
    trigger(&service, "f", json!({"ordering_key": "$.data.user"}));
    let ids = send(&service, [json!({"user": "a"}), json!({"user": "a"}), json!({})]);
    let held: Vec<_> = ids.iter().map(|id| service.invocation(id)["held"].clone()).collect();
    assert_eq!(held, [false, true, false], "an event without a key is in no order");
    assert_eq!(service.invocation(&ids[1])["ordering_key"], "a");
    let explained = explain(&service, &ids[1]);
    let expect = format!("held behind {} (ordering key \"a\")", ids[0]);
    assert!(explained.contains(&expect), "{explained}");
}

#[test]
fn a_batch_that_was_killed_runs_again_and_none_of_it_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let data_folder = folder.path().join("data");
    let mut service = Service::start_on(&data_folder, &[], &[]);
    let source = "\
import time
def handler(event, context):
    if all(r['attempt'] == 1 for r in event['records']):
        print('begins', flush=True)
        time.sleep(600)
";
    service.deploy("f", source, &[("timeout_s", "900")]).expect(201);
    trigger(&service, "f", json!({"batch": {"size": 4, "window_s": 0}}));
    let ids = send(&service, (0..4).map(|n| json!(n)));
    wait_until("all of them run", || {
        let states: Vec<_> =
            ids.iter().map(|id| service.invocation(id)["status"].clone()).collect();
        if states.iter().all(|it| it == "running") { Ok(()) } else { Err(states) }
    });
    service.kill();
    service = Service::start_on(&data_folder, &[], &[]);
    for record in all_ended(&service, &ids) {
        assert_eq!((&record["status"], &record["attempts"]), (&json!("succeeded"), &json!(2)));
        assert_eq!(record["attempt_list"][0]["error"]["code"], "Lambent.Interrupted");
    }
}
