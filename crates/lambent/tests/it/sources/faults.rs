//! What is left when either side dies: every message that the broker had confirmed ends in exactly
//! one terminal invocation, and nothing waits in the queue.
//!
//! The judge reads the service's database, beside the service: which event came from which message
//! is told by the message's id.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use brokers::rabbitmq::RabbitPublisher;
use brokers::testing::Rabbit;
use brokers::{Outgoing, Publisher};
use serde_json::json;

use super::{Broker, add, message, server, state};
use crate::disk::Tmpfs;
use crate::service::{Service, command, wait_until};

const QUEUE: &str = "work";
const QUICK: &str = "def handler(event, context):\n    return context.attempt\n";

fn body() -> &'static str {
    r#"{"type": "work", "n": 1}"#
}

/// A function for what comes from the queue, and the source that reads it.
fn prepare(service: &Service, url: &str, settings: &[(&str, &str)]) {
    service.deploy("work", QUICK, settings).expect(201);
    service.trigger("work", "work");
    add(service, "work", json!({"url": url, "queue": QUEUE}));
}

/// Of each message: how many events it became, how many invocations these have, and how many of
/// them are terminal.
fn ledger(data: &Path) -> BTreeMap<String, [u64; 3]> {
    let conn = rusqlite::Connection::open(data.join("lambent.db")).unwrap();
    let sql = "SELECT e.sender_id, COUNT(DISTINCT e.id), COUNT(i.id),
                      COALESCE(SUM(i.status IN (3, 4, 5)), 0)
               FROM events e LEFT JOIN invocations i ON i.event = e.id GROUP BY e.sender_id";
    let mut statement = conn.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let counts = [row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?];
        Ok((row.get(0)?, counts.map(|it| u64::try_from(it).unwrap())))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Waits until all that was confirmed is there once and has ended, and nothing is left at the broker.
fn judge(service: &Service, rabbit: &Rabbit, confirmed: &BTreeSet<String>) {
    let settled = wait_until("every confirmed message has ended", || {
        let ledger = ledger(service.data());
        let open: Vec<_> =
            confirmed.iter().filter(|id| ledger.get(*id).is_none_or(|it| it[2] == 0)).collect();
        let first = open.first().map(ToString::to_string);
        if open.is_empty() { Ok(ledger) } else { Err((open.len(), first)) }
    });
    for id in confirmed {
        assert_eq!(settled[id], [1, 1, 1], "message {id}: events, invocations, terminal ones");
    }
    wait_until("nothing is left at the broker", || {
        let left = rabbit.ctl(&["list_queues", "messages"]);
        if left.split_whitespace().all(|it| it == "messages" || it == "0") {
            Ok(())
        } else {
            Err(left)
        }
    });
}

#[test]
fn a_queue_is_emptied_into_the_ledger_while_nothing_can_run() {
    const MESSAGES: usize = 10_000;
    let Some(broker) = Broker::start() else { return };
    let service = Service::start();
    prepare(&service, &broker.url(), &[("concurrency", "0")]);
    let messages = (0..MESSAGES).map(|id| message(QUEUE, &id.to_string(), body())).collect();
    assert!(broker.publish(messages).into_iter().all(|it| it.is_ok()));
    state(&service, "work", "all are stored and acknowledged", |it| {
        it["events"] == MESSAGES && it["lag"] == 0
    });
    let left = broker.rabbit.ctl(&["list_queues", "messages"]);
    assert!(left.split_whitespace().all(|it| it == "messages" || it == "0"), "{left}");
    let ledger = ledger(service.data());
    assert_eq!(ledger.len(), MESSAGES);
    assert!(ledger.values().all(|it| *it == [1, 1, 0]), "each waits once");
    let metrics = String::from_utf8(service.get("/metrics").expect(200).body).unwrap();
    let line =
        r#"lambent_source_events_total{kind="rabbitmq",project="default",source="work"} 10000"#;
    assert!(metrics.lines().any(|it| it == line), "{metrics}");
}

#[test]
fn a_broker_that_is_restarted_and_killed_under_load_loses_nothing() {
    let (restarts, kills) = match std::env::var_os("SLOW_TESTS").is_some_and(|it| it == "1") {
        true => (50, 20),
        false => (5, 3),
    };
    let Some(mut rabbit) = Rabbit::start() else { return };
    let service = Service::start();
    prepare(&service, &rabbit.url(), &[]);
    let url = rabbit.url();
    let (confirmed, stop) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| send_on(&url, &confirmed, &stop));
        let grown = |by: usize| {
            let before = confirmed.lock().unwrap().len();
            wait_until("the load goes on", || match confirmed.lock().unwrap().len() {
                now if now >= before + by => Ok(()),
                now => Err(now),
            });
        };
        for round in 0..restarts + kills {
            grown(50);
            // Or it would be nothing to the source.
            let events = |state: &serde_json::Value| state["events"].as_u64().unwrap();
            let before = events(&state(&service, "work", "it tells", |_| true)["state"]);
            state(&service, "work", "the source goes on", |it| events(it) > before);
            if round < restarts {
                rabbit.stop()
            } else {
                rabbit.kill()
            }
            rabbit.start_again();
        }
        grown(50);
        stop.store(true, Ordering::SeqCst);
    });
    let confirmed = confirmed.into_inner().unwrap();
    println!("{} messages were confirmed", confirmed.len());
    judge(&service, &rabbit, &confirmed);
    let source = service.get("/v1/sources/work").expect(200).json();
    let reconnects = source["state"]["reconnects"].as_u64().unwrap();
    assert!(reconnects >= restarts + kills, "{source}");
}

/// Publishes until it is told to stop; each message as often as it takes to have it confirmed.
fn send_on(url: &str, confirmed: &Mutex<BTreeSet<String>>, stop: &AtomicBool) {
    let runtime = super::runtime();
    let publisher = RabbitPublisher::new(server(url)).unwrap();
    let mut next = 0;
    while !stop.load(Ordering::SeqCst) {
        let mut wave: Vec<String> = (next..next + 10).map(|id: u64| id.to_string()).collect();
        next += 10;
        while !wave.is_empty() {
            let messages: Vec<Outgoing> =
                wave.iter().map(|id| message(QUEUE, id, body())).collect();
            let publishing = messages.into_iter().map(|it| publisher.publish(it));
            let answers = runtime.block_on(futures_util::future::join_all(publishing));
            let failed = answers.iter().any(Result::is_err);
            let (done, open): (Vec<_>, Vec<_>) =
                wave.into_iter().zip(answers).partition(|(_, answer)| answer.is_ok());
            confirmed.lock().unwrap().extend(done.into_iter().map(|(id, _)| id));
            wave = open.into_iter().map(|(id, _)| id).collect();
            if failed {
                // The broker is away: asking without a pause would only slow its start.
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }
}

/// Places between the broker and the ledger, in the order of a message's life.
const POINTS: [&str; 7] = [
    "source.after_receive",
    "ingest.before_append",
    "append.before_commit",
    "append.after_commit",
    "ingest.after_append",
    "source.before_accept",
    "source.after_accept",
];

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds have no failpoints")]
fn a_crash_anywhere_between_the_broker_and_the_ledger_loses_no_message_and_runs_none_twice() {
    const MESSAGES: usize = 100;
    let Some(broker) = Broker::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    prepare(&service, &broker.url(), &[]);
    assert!(service.stop().success());
    let mut confirmed = BTreeSet::new();
    for point in POINTS {
        let ids: Vec<_> = (0..MESSAGES).map(|number| format!("{point}-{number}")).collect();
        let messages = ids.iter().map(|id| message(QUEUE, id, body())).collect();
        assert!(broker.publish(messages).into_iter().all(|it| it.is_ok()));
        confirmed.extend(ids);
        let armed = command(&data, &[], &[("LAMBENT_FAILPOINT", point)]);
        let status = match Service::try_start(armed, &data) {
            Ok(mut service) => service.wait(),
            Err(ended) => ended.status,
        };
        assert_eq!(status.signal(), Some(9), "{point} was not passed: {status:?}");
    }
    let service = Service::start_on(&data, &[], &[]);
    judge(&service, &broker.rabbit, &confirmed);
}

#[test]
fn a_service_that_is_asked_to_stop_under_load_leaves_the_rest_to_the_next() {
    const MESSAGES: usize = 5_000;
    let Some(broker) = Broker::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    prepare(&service, &broker.url(), &[]);
    let ids: BTreeSet<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let messages = ids.iter().map(|id| message(QUEUE, id, body())).collect();
            assert!(broker.publish(messages).into_iter().all(|it| it.is_ok()));
        });
        state(&service, "work", "it is busy", |it| it["events"].as_u64() > Some(100));
        assert!(service.stop().success(), "{}", service.log());
    });
    let service = Service::start_on(&data, &[], &[]);
    judge(&service, &broker.rabbit, &ids);
    // A drain gives messages back rather than leaving their fate open.
    let source = service.get("/v1/sources/work").expect(200).json();
    assert_eq!(source["state"]["duplicates"], 0, "{source}");
}

#[test]
fn a_full_disk_sends_messages_back_to_the_broker_and_they_run_when_there_is_space() {
    const MESSAGES: usize = 2_000;
    let Some(disk) = Tmpfs::mount("size=128m,mode=755") else { return };
    let Some(broker) = Broker::start() else { return };
    let service = Service::start_on(&disk.path().join("data"), &[], &[]);
    prepare(&service, &broker.url(), &[]);
    let ballast = disk.fill();
    // More than SQLite has reserved.
    let body = json!({"type": "work", "pad": "x".repeat(10_000)}).to_string();
    let ids: BTreeSet<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let messages = ids.iter().map(|id| message(QUEUE, id, body.clone())).collect();
    assert!(broker.publish(messages).into_iter().all(|it| it.is_ok()));
    wait_until("all that is not stored is at the broker, and nobody holds it", || {
        let queues = ["list_queues", "name", "messages_ready", "messages_unacknowledged"];
        let queues = broker.rabbit.ctl(&queues);
        let work: Option<Vec<u64>> = queues.lines().find_map(|line| {
            let counts = line.strip_prefix("work\t")?.split('\t');
            counts.map(|it| it.parse().ok()).collect()
        });
        let source = service.get("/v1/sources/work").expect(200).json()["state"].clone();
        match work.as_deref() {
            Some([ready, 0]) if *ready > 0 && source["status"] == "failing" => Ok(()),
            _ => Err((queues, source)),
        }
    });
    let source = service.get("/v1/sources/work").expect(200).json();
    let error = source["state"]["error"].as_str().unwrap();
    assert!(error.contains("disk is full"), "{error}");
    std::fs::remove_file(ballast).unwrap();
    judge(&service, &broker.rabbit, &ids);
    state(&service, "work", "it is well again", |it| it["status"] == "connected");
}
