//! What an attempt costs, and what functions that flood their logs cost the worker.
//! `cargo bench -p worker --bench worker [WORD…]`.
//!
//! Real sandboxes, the real shim, functions of a few lines; everything that the server adds (HTTP,
//! the ledger) is not here. Processor time is that of the worker's process alone: the launcher and
//! the sandboxes are others. A word selects the figures whose name it is part of.

#![expect(clippy::print_stdout, reason = "a benchmark's readings are what it is for")]

#[path = "../tests/it/bed.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "made for the tests; this uses a part of it")]
mod bed;
#[path = "../../sandbox/benches/rig/mod.rs"]
mod rig;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use model::invocation::Start;
use wire::worker::{FunctionSpec, Report, Worker};

use bed::{Bed, answer};
use rig::{Figure, Processor, RATE, Reading, Share, millis};

const HELLO: &str = "def handler(event, context):\n    return {'hello': event['name']}\n";
const EVENT: &str = r#"{"name": "world"}"#;
const PRINTS: &str = "def handler(event, context):\n    print('hello')\n    return 1\n";
/// A mebibyte, which is what is kept, in lines of 128 bytes.
const FILLS: &str = "import os\n\
                     def handler(event, context):\n    \
                     data = (b'x' * 127 + b'\\n') * 8192\n    \
                     while data: data = data[os.write(1, data):]\n    \
                     return 1\n";
/// As fast as it can, for so many seconds, the shortest lines that there are.
const FLOODS: &str = "import os, time\n\
                      def handler(event, context):\n    \
                      block, end = b'\\n' * 65536, time.monotonic() + event\n    \
                      while time.monotonic() < end: os.write(1, block)\n    \
                      return 1\n";

const CALLS: usize = 20_000;
const MANY: usize = 64;
/// Empty sandboxes that a worker keeps ready.
const STOCK: u32 = 2;
/// So many that the slowest hundredth is one.
const STARTS: usize = 100;
const PAUSES: usize = 50;
/// Longer than an idle sandbox stays unfrozen.
const PAUSE: Duration = Duration::from_millis(120);

const FLOODING: usize = 8;
/// By then every log is full: what is written in a few milliseconds fills one.
const FLOOD_RISES: Duration = Duration::from_secs(1);
/// Two hundred reads of each pipe.
const FLOOD: Duration = Duration::from_secs(2);
/// The functions go on for so much longer, so that none ends while it is measured.
const FLOOD_EBBS: Duration = Duration::from_secs(1);
const MIB: u64 = 1 << 20;

const FIGURES: [Figure; 7] = [
    Figure { name: "warm-alone", measure: |share| on(0, share, warm_alone) },
    Figure { name: "warm-many", measure: |share| on(0, share, warm_many) },
    Figure { name: "frozen", measure: |share| on(0, share, frozen) },
    Figure { name: "pool", measure: |share| on(STOCK, share, pool) },
    Figure { name: "fresh", measure: |share| on(0, share, fresh) },
    Figure { name: "full-log", measure: |share| on(0, share, full_log) },
    Figure { name: "flood", measure: |share| on(0, share, flood) },
];

fn main() -> ExitCode {
    if let Some(code) = sandbox::run_if_launcher() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    rig::run(&FIGURES)
}

/// A worker of its own for each round, with so many empty sandboxes kept ready.
fn on(stock: u32, share: Share, measure: fn(&Bed, Share) -> Vec<Reading>) -> Vec<Reading> {
    let bed = Bed::with(|config| config.pool_target = stock);
    let readings = measure(&bed, share);
    // The launcher lives as long as this process. What it holds must not cost the next figure.
    bed.runtime.block_on(bed.worker.drain());
    readings
}

/// Attempts one after the other, each as its caller sees it.
fn one_by_one(
    bed: &Bed,
    spec: &FunctionSpec,
    count: usize,
) -> tokio::task::JoinHandle<Vec<Duration>> {
    let worker = bed.worker.clone();
    let jobs: Vec<_> = (0..count).map(|_| bed.job(spec, EVENT)).collect();
    bed.runtime.spawn(async move {
        let mut times = Vec::with_capacity(jobs.len());
        for job in jobs {
            let begun = Instant::now();
            let report = worker.run(job).await;
            times.push(begun.elapsed());
            answer(&report);
        }
        times
    })
}

/// So many callers at the same time, `count` attempts in all: their times, and attempts per second.
fn in_flight(bed: &Bed, spec: &FunctionSpec, callers: usize, count: usize) -> (Vec<Duration>, f64) {
    let begun = Instant::now();
    let calling: Vec<_> =
        (0..callers).map(|_| one_by_one(bed, spec, count.div_ceil(callers))).collect();
    let mut times = Vec::new();
    for caller in calling {
        times.append(&mut bed.runtime.block_on(caller).expect("no call panics"));
    }
    let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
    (times, per_second)
}

/// The whole service promises a fifth of a millisecond, and is not faster than its worker.
fn warm_alone(bed: &Bed, share: Share) -> Vec<Reading> {
    let spec = bed.function(HELLO);
    bed.call(&spec, EVENT);
    let (times, value) = in_flight(bed, &spec, 1, share.of(CALLS));
    let prints = bed.function(PRINTS);
    bed.call(&prints, EVENT);
    let (printed, _) = in_flight(bed, &prints, 1, share.of(CALLS));
    vec![
        Reading { what: "attempts, 1 in flight", value, unit: RATE, goal: Some(5_000.0) },
        millis("p50", &times, 500, None),
        millis("p99", &times, 990, None),
        millis("p50, prints a line", &printed, 500, None),
    ]
}

/// The whole service promises 12,000 calls in a second, and makes no more than its worker does.
fn warm_many(bed: &Bed, share: Share) -> Vec<Reading> {
    let spec = bed.function(HELLO);
    // The first attempts find no sandbox, and make as many as are worth it.
    in_flight(bed, &spec, MANY, 20 * MANY);
    let (times, value) = in_flight(bed, &spec, MANY, share.of(3 * CALLS));
    let sandboxes = f64::from(bed.worker.capacity().sandboxes_idle);
    vec![
        Reading { what: "attempts, 64 in flight", value, unit: RATE, goal: Some(12_000.0) },
        millis("p50", &times, 500, None),
        millis("p99", &times, 990, None),
        Reading { what: "sandboxes made for them", value: sandboxes, unit: "", goal: None },
    ]
}

fn frozen(bed: &Bed, share: Share) -> Vec<Reading> {
    let spec = bed.function(HELLO);
    bed.call(&spec, EVENT);
    let (mut times, mut thaws) = (Vec::new(), Vec::new());
    for _ in 0..share.of(PAUSES) {
        std::thread::sleep(PAUSE);
        let (took, report) = started(bed, &spec, Start::Warm);
        times.push(took);
        thaws.push(report.timing.sandbox);
    }
    vec![
        millis("warm after a pause, p50", &times, 500, None),
        millis("of that, the thaw, p50", &thaws, 500, None),
    ]
}

fn pool(bed: &Bed, share: Share) -> Vec<Reading> {
    let (mut times, mut mounts, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..share.of(STARTS) {
        bed.eventually("a full stock", |bed| bed.worker.capacity().sandboxes_pooled == STOCK);
        let spec = bed.function(&format!("{HELLO}# {number}\n"));
        let (took, report) = started(bed, &spec, Start::Pool);
        times.push(took);
        mounts.push(report.timing.sandbox);
        loads.push(report.timing.init);
        bed.worker.forget(spec.function, None);
    }
    vec![
        millis("in a sandbox made ahead, p50", &times, 500, None),
        millis("in a sandbox made ahead, p99", &times, 990, None),
        millis("of that, unpacking and mounting", &mounts, 500, None),
        millis("of that, loading", &loads, 500, None),
    ]
}

fn fresh(bed: &Bed, share: Share) -> Vec<Reading> {
    let mut times = Vec::new();
    for number in 0..share.of(STARTS) {
        let spec = bed.function(&format!("{HELLO}# {number}\n"));
        times.push(started(bed, &spec, Start::Fresh).0);
        bed.worker.forget(spec.function, None);
        bed.eventually("its end", |bed| bed.worker.capacity().memory_reserved_mib == 0);
    }
    vec![
        millis("in a new sandbox, p50", &times, 500, None),
        millis("in a new sandbox, p99", &times, 990, None),
    ]
}

/// One attempt, in a sandbox that was had in this way.
fn started(bed: &Bed, spec: &FunctionSpec, start: Start) -> (Duration, Report) {
    let job = bed.job(spec, EVENT);
    let worker = bed.worker.clone();
    let call = async move {
        let begun = Instant::now();
        let report = worker.run(job).await;
        (begun.elapsed(), report)
    };
    let (took, report) = bed.runtime.block_on(bed.runtime.spawn(call)).expect("no call panics");
    answer(&report);
    assert_eq!(report.start, Some(start));
    (took, report)
}

/// What a log costs of which everything is kept.
fn full_log(bed: &Bed, share: Share) -> Vec<Reading> {
    let spec = bed.function(FILLS);
    bed.call(&spec, EVENT);
    let count = share.of(STARTS);
    let before = Processor::now(std::process::id());
    let (times, _) = in_flight(bed, &spec, 1, count);
    let value = before.since().as_secs_f64() * 1e3 / count as f64;
    vec![
        Reading { what: "worker, for a log of 1 MiB", value, unit: "cpu ms", goal: None },
        millis("the attempt that writes it, p50", &times, 500, None),
    ]
}

/// What is thrown away is the worker's time and counts for no limit of the functions': a tenth of a
/// core for eight of them is what it may be.
fn flood(bed: &Bed, _: Share) -> Vec<Reading> {
    let specs: Vec<_> = (0..FLOODING).map(|n| bed.function(&format!("{FLOODS}# {n}\n"))).collect();
    for spec in &specs {
        answer(&bed.call(spec, "0"));
    }
    let whole = FLOOD_RISES + FLOOD + FLOOD_EBBS;
    let floods: Vec<_> =
        specs.iter().map(|spec| bed.spawn(bed.job(spec, &whole.as_secs().to_string()))).collect();
    std::thread::sleep(FLOOD_RISES);
    let (before, begun) = (Processor::now(std::process::id()), Instant::now());
    std::thread::sleep(FLOOD);
    let (used, took) = (before.since(), begun.elapsed());
    let mut dropped_bytes = 0;
    for flood in floods {
        let report = bed.runtime.block_on(flood).expect("no call panics");
        answer(&report);
        let dropped = report.log_dropped_bytes;
        assert!(dropped > MIB, "a flood of which only {dropped} bytes were thrown away");
        dropped_bytes += dropped;
    }
    let value = used.as_secs_f64() * 1e3 / took.as_secs_f64();
    let mib_s = dropped_bytes as f64 / MIB as f64 / whole.as_secs_f64();
    vec![
        Reading { what: "worker, 8 floods", value, unit: "cpu ms/s", goal: Some(100.0) },
        Reading { what: "read of all and dropped", value: mib_s, unit: "MiB/s", goal: None },
    ]
}
