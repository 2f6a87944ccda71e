//! Events: accepted, matched, run, retried, and kept when they cannot be.

use serde_json::{Value, json};

use crate::service::{Service, wait_until};

const ECHO: &str =
    "def handler(event, context):\n    print('got', event['type'])\n    return event\n";
const FAILS: &str = "def handler(event, context):\n    raise RuntimeError('no')\n";

#[test]
fn an_event_runs_the_functions_whose_triggers_match_and_leaves_a_record_and_a_log() {
    let service = Service::start();
    service.deploy("echo", ECHO, &[]).expect(201);
    service.trigger("echo", "file.created");
    let ids = service.send("file.created", &json!({"name": "a.txt"}));
    assert_eq!(ids.len(), 1);
    let record = service.ended(&ids[0]);
    assert_eq!(record["status"], "succeeded", "{record}");
    assert_eq!(record["trigger"], "on-file-created");
    assert_eq!(record["result"]["data"], json!({"name": "a.txt"}), "the function saw the record");
    assert_eq!(record["result"]["specversion"], "1.0");
    assert_eq!(service.lines(&ids[0]), ["got file.created"]);
    assert!(service.send("file.deleted", &json!({})).is_empty());
    let event = record["event_id"].as_str().unwrap();
    let stored = service.get(&format!("/v1/events/{event}")).expect(200).json();
    assert_eq!(stored, record["result"]);
}

#[test]
fn an_event_that_was_sent_twice_runs_once() {
    let service = Service::start();
    service.deploy("echo", ECHO, &[]).expect(201);
    service.trigger("echo", "x");
    let event = json!({"specversion": "1.0", "id": "e-1", "source": "s", "type": "x"}).to_string();
    let send = || service.post("/v1/events", &event).expect(202).json();
    let (first, second) = (send(), send());
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!((&first["id"], &first["triggers"]), (&second["id"], &second["triggers"]));
    let listed = service.get("/v1/invocations").expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[test]
fn an_event_that_keeps_failing_becomes_a_dead_letter_and_can_be_redriven() {
    let service = Service::start();
    service.deploy("flaky", FAILS, &[("retries", "2"), ("backoff_s", "0")]).expect(201);
    service.trigger("flaky", "x");
    let id = service.send("x", &json!({})).remove(0);
    let dead = service.ended(&id);
    assert_eq!((&dead["status"], &dead["attempts"]), (&json!("dead"), &json!(3)));
    assert_eq!(dead["error"]["code"], "RuntimeError");
    let letters = service.get("/v1/dead-letters").expect(200).json();
    assert_eq!(letters["items"][0]["id"], json!(id));
    service.deploy("flaky", ECHO, &[]).expect(200);
    service.post(&format!("/v1/dead-letters/{id}/redrive"), "").expect(202);
    let alive = wait_until("the dead letter succeeded", || {
        let it = service.invocation(&id);
        if it["status"] == "succeeded" { Ok(it) } else { Err(it) }
    });
    assert_eq!((&alive["attempts"], &alive["version"]), (&json!(4), &json!(2)));
    assert_eq!(
        service.post(&format!("/v1/dead-letters/{id}/redrive"), "").code(),
        "not_a_dead_letter"
    );
    let statuses: Vec<_> =
        alive["transitions"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(statuses[..2], [json!("queued"), json!("running")], "{statuses:?}");
}

#[test]
fn stored_events_run_again_against_a_version_of_choice() {
    let service = Service::start();
    service.deploy("f", "def handler(e, c): return 1\n", &[]).expect(201);
    service.trigger("f", "x");
    let first = service.ended(&service.send("x", &json!({}))[0]);
    service.deploy("f", "def handler(e, c): return 2\n", &[]).expect(200);
    let event = first["event_id"].as_str().unwrap();
    let replay = |body: Value| service.post("/v1/replays", body.to_string()).expect(202).json();
    let dry = json!({"from": "2020-01-01T00:00:00Z", "dry_run": true}).to_string();
    let dry = service.post("/v1/replays", dry).expect(200).json();
    assert_eq!((&dry["invocations"], &dry["id"]), (&json!(1), &json!(null)));
    replay(json!({"event_id": event, "function": "f", "version": 1}));
    replay(json!({"from": "2020-01-01T00:00:00Z", "source": "test"}));
    let results = wait_until("all three ran", || {
        let items = service.get(&format!("/v1/invocations?event={event}")).json()["items"].clone();
        let items = items.as_array().unwrap().clone();
        match items.iter().filter(|it| it["status"] == "succeeded").count() {
            3 => Ok(items),
            _ => Err(items),
        }
    });
    let mut versions: Vec<_> = results.iter().map(|it| it["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 1, 2]);
    assert_eq!(results.iter().filter(|it| it["replay_id"].is_string()).count(), 2);
}

#[test]
fn a_call_that_does_not_wait_runs_like_an_event_with_the_body_as_its_event() {
    let service = Service::start();
    service.deploy("echo", "def handler(e, c): return e\n", &[]).expect(201);
    let headers = [("prefer", "respond-async")];
    let accepted =
        service.request("POST", "/v1/functions/echo/invoke", &headers, br#"{"a":1}"#).expect(202);
    let id = accepted.json()["invocation_id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.headers["lambent-invocation-id"], id);
    let record = service.ended(&id);
    assert_eq!((&record["status"], &record["result"]), (&json!("succeeded"), &json!({"a": 1})));
}

#[test]
fn malformed_events_and_patterns_are_refused_with_the_reason() {
    let service = Service::start();
    service.deploy("echo", ECHO, &[]).expect(201);
    let post = |body: &str| service.post("/v1/events", body);
    for (body, reason) in [
        ("{", "event.not_json"),
        ("{\"type\":\"x\"}", "event.missing_attribute"),
        ("{\"type\":\"x\",\"source\":\"s\",\"BAD\":1}", "event.bad_attribute"),
        ("{\"type\":\"x\",\"source\":\"s\",\"type\":\"y\"}", "event.duplicate_member"),
        ("[]", "event.batch_empty"),
    ] {
        let refused = post(body).expect(400).json();
        assert_eq!(
            (&refused["code"], &refused["reason"]),
            (&json!("invalid_event"), &json!(reason)),
            "{body}"
        );
    }
    let large = json!({"type": "x", "source": "s", "data": "x".repeat(1024 * 1024)}).to_string();
    post(&large).expect(413);
    let put =
        |body: &str| service.request("PUT", "/v1/functions/echo/triggers/t", &[], body.as_bytes());
    assert_eq!(put(r#"{"pattern":{"type":"x"}}"#).expect(400).code(), "invalid_pattern");
    assert_eq!(put(r#"{"pattern":{}}"#).expect(400).code(), "invalid_pattern");
    assert_eq!(put(r#"{"pattrn":{}}"#).expect(400).code(), "invalid_json");
    put(r#"{"pattern":{"data":{"size":[{"numeric":[">",10]}]}}}"#).expect(201);
    assert_eq!(service.send("y", &json!({"size": 11})).len(), 1);
    assert!(service.send("y", &json!({"size": 9})).is_empty());
    service.request("DELETE", "/v1/functions/echo/triggers/t", &[], b"").expect(204);
    assert!(service.send("y", &json!({"size": 11})).is_empty());
}

#[test]
fn an_event_can_be_tried_and_each_trigger_says_what_stopped_it() {
    let service = Service::start();
    service.deploy("resize", ECHO, &[]).expect(201);
    service.deploy("archive", ECHO, &[]).expect(201);
    let put = |function: &str, trigger: &str, pattern: Value| {
        let path = format!("/v1/functions/{function}/triggers/{trigger}");
        let body = json!({"pattern": pattern}).to_string();
        service.request("PUT", &path, &[], body.as_bytes()).expect(201);
    };
    put("resize", "large", json!({"type": ["t"], "data": {"size": [{"numeric": [">", 100]}]}}));
    put("resize", "small", json!({"type": ["t"], "data": {"size": [{"numeric": ["<=", 100]}]}}));
    put("archive", "all", json!({"source": ["other"]}));
    let event = json!({"type": "t", "source": "s", "data": {"size": 7}}).to_string();
    let told = |tested: &Value| -> Vec<[String; 4]> {
        let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
        let told = |it: &Value| {
            let path = &it["stopped_by"]["path"];
            [&it["function"], &it["trigger"], &it["matched"], path].map(text)
        };
        tested["triggers"].as_array().unwrap().iter().map(told).collect()
    };
    let expect = [
        ["resize", "small", "true", "null"],
        ["archive", "all", "false", "source"],
        ["resize", "large", "false", "data.size"],
    ];

    let plain = service.post("/v1/events/test", &event).expect(200).json();
    assert_eq!(told(&plain), expect);
    assert_eq!((&plain["event"]["data"], &plain["left_out"]), (&json!({"size": 7}), &json!(0)));
    assert_eq!(plain["triggers"][2]["stopped_by"]["actual"], 7);
    let batch = service.post("/v1/events/test", format!("[{event}]")).expect(200).json();
    assert_eq!(told(&batch["events"][0]), expect);
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-type", "t"),
        ("ce-source", "s"),
        ("content-type", "application/json"),
    ];
    let binary = service.request("POST", "/v1/events/test", &binary, br#"{"size":7}"#);
    assert_eq!(told(&binary.expect(200).json()), expect);
    assert_eq!(service.post("/v1/events/test", "{}").expect(400).code(), "invalid_event");

    let ledger = service.get("/v1/invocations").expect(200).json();
    assert_eq!(ledger["items"], json!([]), "nothing was started");
    let id = plain["event"]["id"].as_str().unwrap();
    let same = json!({"id": id, "type": "t", "source": "s", "data": {"size": 7}}).to_string();
    let sent = service.post("/v1/events", &same).expect(202).json();
    assert_eq!(sent["duplicate"], json!(false), "nothing was stored");
    assert_eq!(sent["triggers"].as_array().unwrap().len(), 1);
    assert_eq!(sent["triggers"][0]["trigger"], "small");
}

#[test]
fn events_of_a_deleted_function_become_dead_letters() {
    let service = Service::start();
    service.deploy("gone", ECHO, &[("concurrency", "0")]).expect(201);
    service.trigger("gone", "x");
    let id = service.send("x", &json!({})).remove(0);
    service.request("DELETE", "/v1/functions/gone", &[], b"").expect(204);
    let dead = service.ended(&id);
    assert_eq!(
        (&dead["status"], &dead["error"]["code"]),
        (&json!("dead"), &json!("Lambent.FunctionDeleted"))
    );
    service.get("/v1/functions/gone").expect(404);
    service.deploy("gone", ECHO, &[]).expect(201);
    assert_eq!(service.get("/v1/functions/gone").expect(200).json()["version"], 1);
}

#[test]
fn a_project_sees_nothing_of_another() {
    let service = Service::start();
    let as_other = [("lambent-project", "other")];
    service.deploy("mine", ECHO, &[]).expect(201);
    service.trigger("mine", "x");
    let id = service.send("x", &json!({})).remove(0);
    let record = service.ended(&id);
    let event = record["event_id"].as_str().unwrap();
    for path in [
        "/v1/functions/mine".to_owned(),
        "/v1/functions/mine/triggers".to_owned(),
        "/v1/functions/mine/logs".to_owned(),
        format!("/v1/invocations/{id}"),
        format!("/v1/invocations/{id}/log"),
        format!("/v1/events/{event}"),
    ] {
        let theirs = service.request("GET", &path, &as_other, b"").expect(404);
        let nothing = path
            .replace("mine", "none")
            .replace(&id, &id.replace('a', "b"))
            .replace(event, &event.replace('a', "b"));
        let none = service.request("GET", &nothing, &as_other, b"").expect(404);
        assert_eq!(theirs.code(), none.code(), "{path}");
    }
    let list =
        |path| service.request("GET", path, &as_other, b"").expect(200).json()["items"].clone();
    assert_eq!((list("/v1/functions"), list("/v1/invocations")), (json!([]), json!([])));
    let event = json!({"type": "x", "source": "s"}).to_string();
    let sent =
        service.request("POST", "/v1/events", &as_other, event.as_bytes()).expect(202).json();
    assert_eq!(sent["triggers"], json!([]), "no trigger of another project");
}
