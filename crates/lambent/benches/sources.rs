//! From a RabbitMQ queue to a Python function: `cargo bench -p lambent --bench sources [WORD…]`.
//!
//! RabbitMQ is one of our own, on this machine, and takes its share of it; messages are persistent and
//! are acknowledged after they are stored. Rates are of a full queue that is emptied: so many
//! acknowledged in a second, and so many run to their end. Waits are those of messages that come at
//! 50 a second, from the publisher's clock before it sends to the function's first line.
//!
//! What the same queue and the same machine do with a task queue of long standing is measured by
//! `with_celery.py`, with the Python that $LAMBENT_CELERY_PYTHON names (or `python3`), and skipped where
//! that has no Celery.

#![expect(clippy::print_stdout, reason = "a benchmark's readings are what it is for")]

mod load;
#[expect(dead_code, reason = "another benchmark measures memory and compares with a bare server")]
mod rig;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use brokers::rabbitmq::{Address, RabbitPublisher, Server as RabbitServer};
use brokers::testing::Rabbit;
use brokers::{Outgoing, Publisher};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use load::Histogram;
use rig::{Outcome, Server};

const ROUNDS: usize = 3;
const MESSAGES: u64 = 20_000;
const EVENTS_PER_SECOND_LEAST: f64 = 5_000.0;
/// Half a minute of a quiet queue.
const CALM: u64 = 1_500;
const CALM_EVERY: Duration = Duration::from_millis(20);
/// No figure takes longer, at a hundredth of the rate that is promised.
const PATIENCE: Duration = Duration::from_secs(400);
/// Publications at a time.
const AT_ONCE: usize = 256;

const QUEUE: &str = "bench";
/// What the wait ends with.
const STARTED: &str = "import time\n\ndef handler(event, context):\n    \
                       return (time.time() - event[\"data\"][\"sent_at\"]) * 1000\n";
const CELERY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/with_celery.py");

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(&**word));
    let Some(rabbit) = Rabbit::start() else { return ExitCode::SUCCESS };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => {
            println!("cannot make a runtime: {why}");
            return ExitCode::FAILURE;
        }
    };
    let all = async {
        println!("{}", rig::machine::describe());
        for round in 0..ROUNDS {
            if wants("throughput") {
                throughput(&rabbit, round).await?;
            }
            if wants("celery") {
                celery(&rabbit)?;
            }
        }
        if wants("latency") {
            latency(&rabbit).await?;
        }
        Ok::<_, String>(())
    };
    match runtime.block_on(all) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn publisher(rabbit: &Rabbit) -> Outcome<RabbitPublisher> {
    let server = RabbitServer::new(Address::parse(&rabbit.url())?, "lambent bench");
    RabbitPublisher::new(server).map_err(|error| error.to_string())
}

fn message(id: &str, data: &Value) -> Outgoing {
    let body = json!({"specversion": "1.0", "id": id, "source": "bench", "type": "bench",
        "data": data});
    Outgoing {
        routing_key: QUEUE.into(),
        body: body.to_string().into_bytes().into(),
        content_type: Some("application/cloudevents+json".into()),
        ..Outgoing::default()
    }
}

/// A server with a function, and a source that is connected or, later, enabled.
async fn prepare(rabbit: &Rabbit, source: &str) -> Outcome<Server> {
    let server = Server::start().await?;
    server.deploy("work", source).await?;
    let pattern = br#"{"pattern": {"type": ["bench"]}}"#;
    server.ask("PUT", "/v1/functions/work/triggers/bench", pattern).await?;
    put(&server, rabbit, true).await?;
    server
        .wait("the source is connected", PATIENCE, async || {
            let status = state(&server).await?["status"].clone();
            Ok(if status == "connected" { Ok(()) } else { Err(status.to_string()) })
        })
        .await?;
    Ok(server)
}

async fn put(server: &Server, rabbit: &Rabbit, enabled: bool) -> Outcome {
    let body = json!({"kind": "rabbitmq", "enabled": enabled,
        "settings": {"url": rabbit.url(), "queue": QUEUE, "format": "cloudevents"}});
    server.ask("PUT", "/v1/sources/bench", body.to_string().as_bytes()).await.map(drop)
}

async fn state(server: &Server) -> Outcome<Value> {
    let body = server.ask("GET", "/v1/sources/bench", b"").await?;
    let source: Value = serde_json::from_slice(&body).map_err(|why| format!("a source: {why}"))?;
    Ok(source["state"].clone())
}

/// A full queue is emptied.
async fn throughput(rabbit: &Rabbit, round: usize) -> Outcome {
    let server =
        prepare(rabbit, "def handler(event, context):\n    return event[\"data\"]\n").await?;
    put(&server, rabbit, false).await?;
    server
        .wait("the source is off", PATIENCE, async || {
            let left = rabbit.ctl(&["list_queues", "consumers"]);
            let off = left.split_whitespace().all(|it| it == "consumers" || it == "0");
            Ok(if off { Ok(()) } else { Err(left) })
        })
        .await?;
    let publisher = publisher(rabbit)?;
    let start = Instant::now();
    let ids = (0..MESSAGES).map(|number| format!("{round}-{number}"));
    let publishing = ids.map(|id| {
        let publisher = &publisher;
        async move { publisher.publish(message(&id, &json!({"n": 1}))).await }
    });
    let mut answers = futures_util::stream::iter(publishing).buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        answer.map_err(|error| error.to_string())?;
    }
    let published = MESSAGES as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    put(&server, rabbit, true).await?;
    server
        .wait("all are acknowledged", PATIENCE, async || {
            let stored = state(&server).await?["events"].as_u64().unwrap_or(0);
            Ok(if stored >= MESSAGES { Ok(()) } else { Err(stored.to_string()) })
        })
        .await?;
    let acknowledged = MESSAGES as f64 / start.elapsed().as_secs_f64();
    server
        .wait("all have run", PATIENCE, async || {
            let label = "status=\"succeeded\"";
            let done = server.counter("lambent_invocations_total", label).await?;
            Ok(if done >= MESSAGES as f64 { Ok(()) } else { Err(done.to_string()) })
        })
        .await?;
    let run = MESSAGES as f64 / start.elapsed().as_secs_f64();
    let met = if acknowledged >= EVENTS_PER_SECOND_LEAST { "met" } else { "MISSED" };
    println!(
        "throughput, round {round}: acknowledged {acknowledged:.0}/s \
         (at least {EVENTS_PER_SECOND_LEAST:.0}: {met}), run to their end {run:.0}/s, \
         published {published:.0}/s"
    );
    Ok(())
}

/// A quiet queue: how long until the function starts.
async fn latency(rabbit: &Rabbit) -> Outcome {
    let server = prepare(rabbit, STARTED).await?;
    let publisher = publisher(rabbit)?;
    let mut ticks = tokio::time::interval(CALM_EVERY);
    for number in 0..CALM {
        ticks.tick().await;
        let sent_at = now_s()?;
        let outgoing = message(&format!("calm-{number}"), &json!({"sent_at": sent_at}));
        publisher.publish(outgoing).await.map_err(|error| error.to_string())?;
    }
    server
        .wait("all have run", PATIENCE, async || {
            let label = "status=\"succeeded\"";
            let done = server.counter("lambent_invocations_total", label).await?;
            Ok(if done >= CALM as f64 { Ok(()) } else { Err(done.to_string()) })
        })
        .await?;
    let read = |bytes: Vec<u8>| {
        serde_json::from_slice::<Value>(&bytes).map_err(|why| format!("not JSON: {why}"))
    };
    let mut waits = Histogram::default();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/invocations?limit=1000{cursor}");
        let page = read(server.ask("GET", &path, b"").await?)?;
        for item in page["items"].as_array().into_iter().flatten() {
            let path = format!("/v1/invocations/{}", item["id"].as_str().unwrap_or_default());
            let detail = read(server.ask("GET", &path, b"").await?)?;
            let ms = detail["result"].as_f64().ok_or_else(|| format!("no wait: {detail}"))?;
            waits.record(Duration::from_secs_f64(ms.max(0.0) / 1e3));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    println!("latency at 50/s, from publishing to the function's start: {waits}");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "compared with a function's own clock")]
fn now_s() -> Outcome<f64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(since.map_err(|why| format!("the clock: {why}"))?.as_secs_f64())
}

/// The same number of messages, run by two processes of Celery, acknowledged after they ran.
fn celery(rabbit: &Rabbit) -> Outcome {
    let python = std::env::var("LAMBENT_CELERY_PYTHON").unwrap_or_else(|_| "python3".into());
    let known = Command::new(&python).args(["-c", "import celery"]).output();
    if !known.is_ok_and(|it| it.status.success()) {
        println!("skipped: celery: {python} has no Celery (LAMBENT_CELERY_PYTHON names one)");
        return Ok(());
    }
    let ran = Command::new(&python).args([CELERY, &rabbit.url(), &MESSAGES.to_string()]).output();
    let ran = ran.map_err(|why| format!("cannot run {python}: {why}"))?;
    if !ran.status.success() {
        return Err(format!("{CELERY}: {}", String::from_utf8_lossy(&ran.stderr)));
    }
    print!("{}", String::from_utf8_lossy(&ran.stdout));
    Ok(())
}
