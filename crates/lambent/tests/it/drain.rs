//! Stopping: SIGTERM lets what runs end, a second one does not, and neither loses anything.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::crash::Siege;
use crate::service::{Service, lambent, wait_until};

/// Waits as long as its first attempt is told to.
const WAITS: &str = "import time\ndef handler(e, c):\n    time.sleep(e.get('data', e)['s'] if c.attempt == 1 else 0)\n    return c.attempt\n";

#[test]
fn restarts_under_load_lose_nothing_and_run_nothing_twice() {
    let mut siege = Siege::begin(&[]);
    for _ in 0..if crate::crash::slow() { 50 } else { 4 } {
        siege.restart();
    }
    let report = siege.end(false);
    crate::crash::assert_nothing_lost(&report);
    assert_eq!(report.duplicates, 0, "what ran was let end: {report:?}");
}

#[test]
fn a_call_that_runs_when_the_service_is_asked_to_stop_gets_its_answer_and_new_ones_are_refused() {
    let mut service = Service::start();
    service.deploy("waits", WAITS, &[]).expect(201);
    service.trigger("waits", "x");
    service.invoke("waits", &json!({"s": 0})).expect(200);
    let queued = service.send("x", &json!({"s": 2})).remove(0);
    let answer = std::thread::scope(|scope| {
        let running = scope.spawn(|| service.invoke("waits", &json!({"s": 2})));
        wait_until("the event runs", || match service.invocation(&queued)["status"].as_str() {
            Some("running") => Ok(()),
            other => Err(format!("{other:?}")),
        });
        // A synchronous call is in the ledger when it has ended; that it runs is known to the worker.
        let workers = || service.get("/v1/workers").expect(200).json()["items"][0].clone();
        wait_until("both run", || match workers() {
            worker if worker["sandboxes_busy"].as_u64() >= Some(2) => Ok(()),
            worker => Err(worker),
        });
        service.signal("TERM");
        // Refused at the door or by what is behind it: never accepted, never an answer of another kind.
        wait_until("new requests are refused", || {
            let body = json!({"s": 0}).to_string();
            match service.try_request("POST", "/v1/functions/waits/invoke", &[], body.as_bytes()) {
                Err(_refused) => Ok(()),
                Ok(answer) if answer.status == 503 => {
                    assert_eq!(answer.code(), "draining");
                    Ok(())
                }
                Ok(answer) => Err(answer.expect(200)),
            }
        });
        running.join().unwrap()
    });
    assert_eq!(answer.expect(200).body, b"1");
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    let service = Service::start_on(service.data(), &[], &[]);
    let record = service.invocation(&queued);
    assert_eq!(
        (&record["status"], &record["attempts"]),
        (&json!("succeeded"), &json!(1)),
        "{record}"
    );
}

#[test]
fn a_second_signal_ends_it_at_once_and_what_ran_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    let id = running(&service);
    service.signal("TERM");
    wait_until("it drains", || {
        if service.log().contains("stopping") { Ok(()) } else { Err(service.log()) }
    });
    let asked = Instant::now();
    service.signal("TERM");
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(asked.elapsed() < Duration::from_secs(15), "it did not wait for the attempt");
    is_made_again(&Service::start_on(&data, &[], &[]), &id);
}

#[test]
fn attempts_that_do_not_end_while_it_drains_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = folder.path().join("lambent.toml");
    std::fs::write(&config, "drain_s = 1\n").unwrap();
    let mut command = lambent();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--data")
        .arg(&data);
    command.stderr(std::process::Stdio::piped()).stdin(std::process::Stdio::null());
    let mut service = Service::try_start(command, &data).unwrap();
    let id = running(&service);
    service.signal("INT");
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    is_made_again(&Service::start_on(&data, &[], &[]), &id);
}

/// An invocation whose first attempt runs for minutes.
fn running(service: &Service) -> String {
    service.deploy("waits", WAITS, &[("timeout_s", "900")]).expect(201);
    service.trigger("waits", "x");
    let id = service.send("x", &json!({"s": 600})).remove(0);
    wait_until("it runs", || match service.invocation(&id)["status"].as_str() {
        Some("running") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    id
}

fn is_made_again(service: &Service, id: &str) {
    let record = service.ended(id);
    assert_eq!(
        (&record["status"], &record["result"]),
        (&json!("succeeded"), &json!(2)),
        "{record}"
    );
    let reasons: Vec<_> =
        record["transitions"].as_array().unwrap().iter().map(|it| it["reason"].clone()).collect();
    assert_eq!(reasons[2], "Lambent.Interrupted", "{record}");
}
