//! Lambent as its callers see it: `cargo bench -p lambent --bench service [WORD…]`.
//!
//! Each figure gets a `lambent dev` of its own with an empty data folder, is measured three times,
//! and is told as the median; a bare server that always gives one answer is measured before each
//! round, so that a slow moment of the machine shows as such. A word selects the figures whose
//! name it is part of. Every wait and every loop has an end.

#![expect(clippy::print_stdout, reason = "a benchmark's readings are what it is for")]

mod load;
mod rig;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::{Connection, Histogram, Load, offer, request};
use rig::bare::Bare;
use rig::{Outcome, Server};

const ROUNDS: usize = 3;
/// Half a minute of calls would measure the same; this is enough for a p99 of 100 samples.
const CALLS: u64 = 10_000;
const MANY: usize = 64;
const MANY_CALLS: u64 = 60_000;
const DEPLOYS: usize = 200;
const ACCEPTED: u64 = 40_000;
const END_TO_END: u64 = 20_000;
/// Events that wait at once, and how many of them come in one request.
const BACKLOG: u64 = 1_000_000;
const BACKLOG_BATCH: u64 = 500;
/// No single load goes on for longer.
const LOAD: Duration = Duration::from_secs(60);
/// What was accepted is settled by then, at a tenth of the rate that is promised.
const SETTLED: Duration = Duration::from_secs(120);
/// Empty sandboxes that `lambent dev` keeps ready.
const POOL: u64 = 2;

/// The counter of invocations that have ended, and how it labels those that went well and not.
const ENDED: &str = "lambent_invocations_total";
const WELL: &str = "status=\"succeeded\"";
const BADLY: &str = "status=\"dead\"";

/// Keeps its one place for longer than the measurement takes.
const STUCK: &str = "import time\ndef handler(event, context):\n    time.sleep(800)\n";
const HELLO: &str = "def handler(event, context):\n    return {\"hello\": event.get(\"name\")}\n";
const CLOUDEVENT: &str = "application/cloudevents+json";
const CLOUDEVENTS: &str = "application/cloudevents-batch+json";

#[derive(Clone, Copy, Debug)]
enum Figure {
    Warm,
    Throughput,
    Cold,
    Accept,
    AcceptMatched,
    EndToEnd,
    Idle,
    Backlog,
}

impl Figure {
    const ALL: [Self; 8] = [
        Self::Warm,
        Self::Throughput,
        Self::Cold,
        Self::Accept,
        Self::AcceptMatched,
        Self::EndToEnd,
        Self::Idle,
        Self::Backlog,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm-call",
            Self::Throughput => "throughput",
            Self::Cold => "cold-start",
            Self::Accept => "events-accepted",
            Self::AcceptMatched => "events-accepted-matched",
            Self::EndToEnd => "events-end-to-end",
            Self::Idle => "idle-memory",
            Self::Backlog => "backlog-memory",
        }
    }

    /// A million events are not sent three times.
    fn rounds(self) -> usize {
        if matches!(self, Self::Backlog) { 1 } else { ROUNDS }
    }
}

/// One number of a round.
#[derive(Clone, Copy, Debug)]
struct Reading {
    what: &'static str,
    value: f64,
    unit: &'static str,
    goal: Goal,
}

#[derive(Clone, Copy, Debug)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
    None,
}

fn main() -> ExitCode {
    // Cargo hands options of its own to every benchmark.
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |figure: &Figure| {
        words.is_empty() || words.iter().any(|word| figure.name().contains(word.as_str()))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let all = async {
        println!("{}", rig::machine::describe());
        let bare = rig::bare::start()?;
        for figure in Figure::ALL.into_iter().filter(chosen) {
            report(figure, bare).await.map_err(|why| format!("{}: {why}", figure.name()))?;
        }
        Ok(())
    };
    let done = match runtime {
        Ok(runtime) => runtime.block_on(all),
        Err(why) => Err(format!("cannot make a runtime: {why}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn report(figure: Figure, bare: std::net::SocketAddr) -> Outcome {
    println!("\n{}", figure.name());
    let server = Server::start().await?;
    server.deploy("hello", HELLO).await?;
    let (mut rounds, mut bares) = (Vec::new(), Vec::new());
    for round in 0..figure.rounds() {
        bares.push(rig::bare::measure(bare).await?);
        rounds.push(measure(figure, &server, round).await?);
    }
    let bare = Bare {
        p50_ms: median(bares.iter().map(|it| it.p50_ms)),
        per_second: median(bares.iter().map(|it| it.per_second)),
    };
    let first = rounds.first().cloned().unwrap_or_default();
    for (at, reading) in first.iter().enumerate() {
        let values: Vec<f64> =
            rounds.iter().filter_map(|round| Some(round.get(at)?.value)).collect();
        let value = median(values.iter().copied());
        let goal = match reading.goal {
            Goal::AtMost(most) => format!("at most {most}: {}", met(value <= most)),
            Goal::AtLeast(least) => format!("at least {least}: {}", met(value >= least)),
            Goal::None => String::new(),
        };
        let ratio = match reading.unit {
            "ms" => format!("{:.1} x the bare p50", value / bare.p50_ms),
            "/s" => format!("1/{:.1} of the bare rate", bare.per_second / value),
            _ => String::new(),
        };
        let Reading { what, unit, .. } = reading;
        println!("  {what:<22} {value:>12.3} {unit:<4} {goal:<24} {ratio:<26} rounds {values:.3?}");
    }
    println!("  bare: p50 {:.3} ms, {:.0} requests/s", bare.p50_ms, bare.per_second);
    Ok(())
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

async fn measure(figure: Figure, server: &Server, round: usize) -> Outcome<Vec<Reading>> {
    match figure {
        Figure::Warm => warm(server).await,
        Figure::Throughput => throughput(server).await,
        Figure::Cold => cold(server, round).await,
        Figure::Accept => accept(server, round, "unmatched").await,
        Figure::AcceptMatched => {
            trigger(server).await?;
            let readings = accept(server, round, "matched").await?;
            // Or the next round would compete with this one's work.
            settled(server, ACCEPTED * (round as u64 + 1)).await?;
            Ok(readings)
        }
        Figure::EndToEnd => end_to_end(server, round).await,
        Figure::Idle => idle(server).await,
        Figure::Backlog => backlog(server).await,
    }
}

async fn calls(server: &Server, connections: usize, count: u64) -> Outcome<load::Outcome> {
    let call =
        request("POST", "/v1/functions/hello/invoke", "application/json", br#"{"name":"world"}"#);
    let load = Load { connections, rate: None, count, duration: LOAD };
    // The first calls find no sandbox; whoever measures warm calls does not mean them.
    let warm_up = Load { count: 20 * connections as u64, ..load };
    let first = call.clone();
    offer(server.address, warm_up, move |_, whole| whole.extend_from_slice(&first))
        .await
        .all(200)?;
    offer(server.address, load, move |_, whole| whole.extend_from_slice(&call)).await.all(200)
}

async fn warm(server: &Server) -> Outcome<Vec<Reading>> {
    let outcome = calls(server, 1, CALLS).await?;
    println!("  {outcome}");
    Ok(vec![
        millis("p50, 1 connection", &outcome.latency, 500, Goal::AtMost(0.2)),
        millis("p99, 1 connection", &outcome.latency, 990, Goal::None),
    ])
}

async fn throughput(server: &Server) -> Outcome<Vec<Reading>> {
    let outcome = calls(server, MANY, MANY_CALLS).await?;
    println!("  {outcome}");
    let value = outcome.per_second();
    Ok(vec![
        Reading { what: "calls, 64 connections", value, unit: "/s", goal: Goal::AtLeast(12_000.0) },
        millis("p50, 64 connections", &outcome.latency, 500, Goal::None),
        millis("p99, 64 connections", &outcome.latency, 990, Goal::None),
    ])
}

/// The first call of a version that nobody has called, with sandboxes made ahead.
async fn cold(server: &Server, round: usize) -> Outcome<Vec<Reading>> {
    let call = request("POST", "/v1/functions/hello/invoke", "application/json", b"{}");
    let failed = |why: std::io::Error| format!("the call of a new version: {why}");
    let mut connection = Connection::open(server.address).await.map_err(failed)?;
    let mut times = Histogram::default();
    for deploy in 0..DEPLOYS {
        server.deploy("hello", &format!("# {round} {deploy}\n{HELLO}")).await?;
        server
            .wait("the pool is filled", LOAD, async || {
                let pooled = server.pooled().await?;
                Ok(if pooled >= POOL { Ok(()) } else { Err(format!("{pooled} of {POOL}")) })
            })
            .await?;
        let start = Instant::now();
        connection.send(&call).await.map_err(failed)?;
        let answer = connection.receive().await.map_err(failed)?;
        times.record(start.elapsed());
        if answer.status != 200 {
            let body = String::from_utf8_lossy(answer.body);
            return Err(format!("the call of a new version: {} {body}", answer.status));
        }
    }
    println!("  {times}");
    Ok(vec![
        millis("p50, new version", &times, 500, Goal::AtMost(6.0)),
        millis("p99, new version", &times, 990, Goal::AtMost(15.0)),
    ])
}

async fn trigger(server: &Server) -> Outcome {
    let pattern = br#"{"pattern": {"type": ["bench.matched"]}}"#;
    server.ask("PUT", "/v1/functions/hello/triggers/bench", pattern).await.map(drop)
}

/// Sends events of the type `bench.KIND`, each of them new.
async fn send(
    server: &Server,
    round: usize,
    kind: &'static str,
    count: u64,
) -> Outcome<load::Outcome> {
    let load = Load { connections: MANY, rate: None, count, duration: LOAD };
    let make = move |number: u64, whole: &mut Vec<u8>| {
        let event = format!(
            r#"{{"specversion":"1.0","id":"{round}-{number}","source":"bench","type":"bench.{kind}","data":{{"name":"world"}}}}"#
        );
        whole.extend(request("POST", "/v1/events", CLOUDEVENT, event.as_bytes()));
    };
    let outcome = offer(server.address, load, make).await.all(202)?;
    if outcome.answered() != count {
        return Err(format!("only {} of {count} events went out in {LOAD:?}", outcome.answered()));
    }
    Ok(outcome)
}

async fn accept(server: &Server, round: usize, kind: &'static str) -> Outcome<Vec<Reading>> {
    let outcome = send(server, round, kind, ACCEPTED).await?;
    println!("  {outcome}");
    let value = outcome.per_second();
    Ok(vec![
        Reading { what: "events, 64 connections", value, unit: "/s", goal: Goal::AtLeast(8_000.0) },
        millis("p99, 64 connections", &outcome.latency, 990, Goal::None),
    ])
}

async fn end_to_end(server: &Server, round: usize) -> Outcome<Vec<Reading>> {
    trigger(server).await?;
    let start = Instant::now();
    send(server, round, "matched", END_TO_END).await?;
    settled(server, END_TO_END * (round as u64 + 1)).await?;
    let value = END_TO_END as f64 / start.elapsed().as_secs_f64();
    Ok(vec![Reading { what: "events settled", value, unit: "/s", goal: Goal::AtLeast(3_000.0) }])
}

/// Waits until so many invocations have ended since the server's start, all of them well.
async fn settled(server: &Server, count: u64) -> Outcome {
    let what = format!("{count} invocations have ended");
    server
        .wait(&what, SETTLED, async || {
            let bad = server.counter(ENDED, BADLY).await?;
            if bad > 0.0 {
                return Err(format!("{bad} events became dead letters"));
            }
            let well = server.counter(ENDED, WELL).await?;
            Ok(if well >= count as f64 { Ok(()) } else { Err(format!("{well}")) })
        })
        .await
}

/// One function deployed, nothing running: when two readings in a row agree within a per cent.
async fn idle(server: &Server) -> Outcome<Vec<Reading>> {
    let mut before = 0;
    let tree = server
        .wait("memory has settled", LOAD, async || {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let tree = server.memory()?;
            let now: u64 = tree.iter().map(|(.., kib)| kib).sum();
            let settled = now.abs_diff(before) * 100 <= now;
            let last = std::mem::replace(&mut before, now);
            Ok(if settled { Ok(tree) } else { Err(format!("{last}, then {now} KiB")) })
        })
        .await?;
    for (pid, name, kib) in &tree {
        println!("  {kib:>8} KiB  {name} ({pid})");
    }
    let kib: u64 = tree.iter().map(|(.., kib)| kib).sum();
    let value = kib as f64 / 1024.0;
    Ok(vec![Reading { what: "PSS of all processes", value, unit: "MiB", goal: Goal::AtMost(40.0) }])
}

/// How much memory it takes that a million events wait: those are on the disk.
async fn backlog(server: &Server) -> Outcome<Vec<Reading>> {
    let form = [("timeout_s", "900"), ("concurrency", "1")];
    server.deploy_with("stuck", STUCK, &form).await?;
    server
        .ask("PUT", "/v1/functions/stuck/triggers/all", br#"{"pattern": {"type": ["b"]}}"#)
        .await?;
    let before = server_kib(server)?;
    let load = Load {
        connections: 4,
        rate: None,
        count: BACKLOG / BACKLOG_BATCH,
        duration: Duration::from_secs(300),
    };
    let make = |number: u64, whole: &mut Vec<u8>| {
        let events: Vec<String> = (0..BACKLOG_BATCH)
            .map(|at| {
                let id = number * BACKLOG_BATCH + at;
                format!(r#"{{"specversion":"1.0","id":"{id}","source":"bench","type":"b"}}"#)
            })
            .collect();
        let body = format!("[{}]", events.join(","));
        whole.extend(request("POST", "/v1/events", CLOUDEVENTS, body.as_bytes()));
    };
    let outcome = offer(server.address, load, make).await.all(202)?;
    println!("  {outcome}");
    let after = server_kib(server)?;
    println!("  {before} KiB before, {after} KiB with {BACKLOG} events that wait");
    let value = after.saturating_sub(before) as f64 / 1024.0;
    Ok(vec![Reading { what: "growth of the server", value, unit: "MiB", goal: Goal::AtMost(64.0) }])
}

/// Of the server's own process.
fn server_kib(server: &Server) -> Outcome<u64> {
    let tree = server.memory()?;
    tree.first().map(|(.., kib)| *kib).ok_or_else(|| "the server is not there".into())
}

fn millis(what: &'static str, times: &Histogram, per_mille: u64, goal: Goal) -> Reading {
    Reading { what, value: times.per_mille(per_mille).as_secs_f64() * 1e3, unit: "ms", goal }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
