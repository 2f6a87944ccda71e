//! Schedules: functions that run by the clock, once for each tick, whatever happens in between.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use serde_json::{Value, json};

use crate::service::{Service, command, lambent, wait_until};

const ECHO: &str = "def handler(event, context):\n    return event['time']\n";
/// Waits until the test says that it may end.
const WAITS: &str = "import time\ndef handler(event, context):\n    time.sleep(600)\n";

fn put(service: &Service, name: &str, settings: &Value) -> Value {
    let body = json!({"kind": "schedule", "settings": settings}).to_string();
    let path = format!("/v1/sources/{name}");
    let answer = service.request("PUT", &path, &[], body.as_bytes());
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    answer.json()
}

fn state(service: &Service, name: &str) -> Value {
    service.get(&format!("/v1/sources/{name}")).expect(200).json()["state"].clone()
}

/// Sends the schedule's ticks to the function.
fn trigger(service: &Service, function: &str, schedule: &str) {
    let body = json!({"pattern": {"source": [format!("schedule:{schedule}")]}}).to_string();
    let path = format!("/v1/functions/{function}/triggers/by-the-clock");
    service.request("PUT", &path, &[], body.as_bytes()).expect(201);
}

fn invocations(service: &Service, query: &str) -> Vec<Value> {
    let listed = service.get(&format!("/v1/invocations?limit=1000{query}")).expect(200).json();
    listed["items"].as_array().unwrap().clone()
}

fn run(service: &Service, words: &[&str]) -> Output {
    lambent().args(words).args(["--url", &service.url()]).output().unwrap()
}

fn text_of(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_function_runs_by_the_clock_and_sees_the_tick() {
    let service = Service::start();
    service.deploy("f", "def handler(event, context):\n    return event\n", &[]).expect(201);
    trigger(&service, "f", "often");
    let settings = json!({
        "schedule": "rate(1 second)",
        "event": {"type": "tick", "data": {"a": 1}},
    });
    let made = put(&service, "often", &settings);
    assert!(made["state"]["schedule"]["next_tick"].is_string(), "{made}");
    let ended = wait_until("three ticks ran", || {
        let all = invocations(&service, "&status=succeeded");
        if all.len() >= 3 { Ok(all) } else { Err(all) }
    });
    let records: Vec<_> = ended
        .iter()
        .map(|it| service.invocation(it["id"].as_str().unwrap())["result"].clone())
        .collect();
    let times: BTreeSet<_> = records.iter().map(|it| it["time"].as_str().unwrap()).collect();
    assert_eq!(times.len(), records.len(), "each tick once: {records:?}");
    for record in &records {
        let (time, id) = (record["time"].as_str().unwrap(), record["id"].as_str().unwrap());
        assert!(id.ends_with(&format!("/{time}")), "{record}");
        assert_eq!(
            (&record["type"], &record["source"]),
            (&json!("tick"), &json!("schedule:often"))
        );
        assert_eq!(record["data"], json!({"a": 1}));
    }
    let told = state(&service, "often");
    assert_eq!(told["status"], "connected");
    assert!(told["events"].as_u64().unwrap() >= 3, "{told}");
    let path = "/v1/sources/often";
    service.request("DELETE", path, &[], b"").expect(204);
    service.get(path).expect(404);
}

#[test]
fn a_schedule_that_cannot_work_is_refused_with_the_setting_at_fault() {
    let service = Service::start();
    for (settings, field) in [
        (json!({"schedule": "every day"}), "settings.schedule"),
        (json!({"schedule": "at(2020-01-01T00:00:00)"}), "settings.schedule"),
        (json!({"schedule": "* * * * *", "time_zone": "Nowhere"}), "settings.time_zone"),
        (json!({"schedule": "* * * * *", "jitter_s": 1}), "settings"),
    ] {
        let body = json!({"kind": "schedule", "settings": settings}).to_string();
        let refused = service.request("PUT", "/v1/sources/s", &[], body.as_bytes()).expect(400);
        assert_eq!((&*refused.code(), &refused.json()["field"]), ("invalid_value", &json!(field)));
    }
}

#[test]
fn a_tick_is_left_out_while_the_one_before_is_unfinished() {
    let service = Service::start();
    service.deploy("slow", WAITS, &[("timeout_s", "900")]).expect(201);
    trigger(&service, "slow", "eager");
    put(&service, "eager", &json!({"schedule": "rate(1 second)", "overlap": "skip"}));
    wait_until("ticks were left out", || {
        let told = state(&service, "eager");
        if told["schedule"]["skipped"].as_u64() >= Some(2) { Ok(()) } else { Err(told) }
    });
    assert_eq!(invocations(&service, "").len(), 1, "the first still runs");
    let metrics = service.get("/metrics").expect(200);
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("lambent_source_skipped_total{"), "{metrics}");
}

#[test]
fn the_command_line_makes_lists_and_removes_a_schedule_with_its_trigger() {
    let service = Service::start();
    service.deploy("f", ECHO, &[]).expect(201);
    let add = [
        "schedule",
        "add",
        "daily",
        "--cron",
        "0 3 * * *",
        "--zone",
        "Europe/Berlin",
        "--function",
        "f",
        "-d",
        r#"{"full": true}"#,
        "--catch-up",
        "none",
    ];
    let added = text_of(run(&service, &add));
    assert!(added.starts_with("daily  schedule  next "), "{added}");
    let listed = text_of(run(&service, &["schedule", "ls"]));
    assert!(listed.contains("daily") && listed.contains("0 3 * * *"), "{listed}");
    let path = "/v1/functions/f/triggers/schedule-daily";
    let trigger = service.get(path).expect(200).json();
    assert_eq!(trigger["pattern"], json!({"source": ["schedule:daily"]}));
    let shown = text_of(run(&service, &["source", "show", "daily", "--output", "json"]));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["settings"]["event"]["data"], json!({"full": true}));
    assert_eq!(shown["settings"]["catch_up"], "none");
    text_of(run(&service, &["schedule", "rm", "daily", "--function", "f"]));
    service.get(path).expect(404);
    // A function that is not there is told before anything ticks.
    let missing = run(&service, &["schedule", "add", "x", "--every", "5m", "--function", "none"]);
    assert_eq!(missing.status.code(), Some(6), "{missing:?}");
    assert_eq!(service.get("/v1/sources").expect(200).json()["items"], json!([]));
    let plain =
        text_of(run(&service, &["source", "add", "plain", "--schedule", "rate(5 minutes)"]));
    assert!(plain.starts_with("plain  schedule  next "), "{plain}");
    let mixed = ["source", "add", "x", "--schedule", "rate(5 minutes)", "--queue", "q"];
    assert_eq!(run(&service, &mixed).status.code(), Some(2));
}

/// A put that changes nothing is no change: what is due stays due.
#[test]
fn a_schedule_that_is_put_again_as_it_is_stays_as_it_was() {
    let service = Service::start();
    let settings = json!({"schedule": "rate(1 hour)"});
    let (first, again) = (put(&service, "s", &settings), put(&service, "s", &settings));
    assert_eq!(first["updated_at"], again["updated_at"]);
    let other = put(&service, "s", &json!({"schedule": "rate(2 hours)"}));
    assert_ne!(first["updated_at"], other["updated_at"]);
}

/// What was missed while the service was down is caught up, and what was not is not fired twice, at
/// whichever point of a tick it died.
#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
fn a_crash_at_any_point_of_a_tick_fires_it_once() {
    for point in
        ["append_from.before_events", "append_from.before_commit", "append_from.after_commit"]
    {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut service = Service::start_on(&data, &[], &[]);
        service.deploy("f", ECHO, &[]).expect(201);
        trigger(&service, "f", "often");
        let made =
            put(&service, "often", &json!({"schedule": "rate(1 second)", "catch_up": "all"}));
        assert!(service.stop().success());

        let armed = format!("{point}:2");
        let started =
            Service::try_start(command(&data, &[], &[("LAMBENT_FAILPOINT", &armed)]), &data);
        let died = started.map_or_else(|ended| ended.status, |mut service| service.wait());
        assert_eq!(died.signal(), Some(9), "{point} was not passed: {died:?}");

        let mut service = Service::start_on(&data, &[], &[]);
        let enough = wait_until("it ticks again", || {
            let told = state(&service, "often");
            if told["events"].as_u64() >= Some(3) { Ok(told) } else { Err(told) }
        });
        assert_eq!(enough["schedule"]["skipped"], json!(0), "{point}");
        service.request("DELETE", "/v1/sources/often", &[], b"").expect(204);
        let results = wait_until("everything ended", || {
            let all = invocations(&service, "");
            match all.iter().all(|it| it["status"] == "succeeded") {
                true => Ok(all),
                false => Err(all),
            }
        });
        let times: BTreeSet<_> = results
            .iter()
            .map(|it| service.invocation(it["id"].as_str().unwrap())["result"].to_string())
            .collect();
        assert_eq!(times.len(), results.len(), "{point}: a tick ran twice");
        let millis = |text: &str| {
            let at: i64 = wire::http::parse_time(text.trim_matches('"')).unwrap().micros();
            at / 1_000
        };
        let times: Vec<_> = times.iter().map(|it| millis(it)).collect();
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap == 1_000), "{point}: a tick is missing: {times:?}");
        let first = millis(made["created_at"].as_str().unwrap()) + 1_000;
        assert_eq!(times[0], first, "{point}: {times:?}");
        assert!(service.stop().success());
    }
}
