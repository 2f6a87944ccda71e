//! What an attempt costs: warm, after a pause, from the stock, and from nothing. Prints medians.
//!
//! Run with `cargo bench -p worker`. Real sandboxes, the real shim, a function that answers at
//! once; everything that the server adds (HTTP, the ledger) is not here.

#[path = "../tests/it/bed.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "made for the tests; this uses a part of it")]
mod bed;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use model::invocation::Start;
use wire::worker::{FunctionSpec, Worker};

use bed::{Bed, answer};

const HELLO: &str = "def handler(event, context):\n    return {'hello': event['name']}\n";
const PRINTS: &str = "def handler(event, context):\n    print('hello')\n    return 1\n";
const EVENT: &str = r#"{"name": "world"}"#;

fn main() -> ExitCode {
    if let Some(code) = sandbox::run_if_launcher() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    // `cargo test` runs benches too, to see that they run.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let rounds = if quick { 20 } else { 20_000 };
    let bed = Bed::with(|config| config.pool_target = 2);
    let hello = bed.function(HELLO);
    bed.call(&hello, EVENT);
    one_after_the_other(&bed, "warm, one caller", &hello, rounds);
    one_after_the_other(&bed, "warm, prints a line", &bed.function(PRINTS), rounds);
    at_the_same_time(&bed, &hello, 8, rounds / 8);
    at_the_same_time(&bed, &hello, 64, rounds / 64 + 1);
    after_a_pause(&bed, &hello, if quick { 2 } else { 50 });
    from_the_stock(&bed, if quick { 2 } else { 100 });
    from_nothing(if quick { 2 } else { 100 });
    ExitCode::SUCCESS
}

fn one_after_the_other(bed: &Bed, what: &str, spec: &FunctionSpec, rounds: usize) {
    let worker = bed.worker.clone();
    let jobs: Vec<_> = (0..rounds).map(|_| bed.job(spec, EVENT)).collect();
    let calls = async move {
        let mut times = Vec::with_capacity(jobs.len());
        for job in jobs {
            let begun = Instant::now();
            let report = worker.run(job).await;
            times.push(begun.elapsed());
            answer(&report);
        }
        times
    };
    let begun = Instant::now();
    let times = bed.runtime.block_on(bed.runtime.spawn(calls)).expect("no call panics");
    tell(what, times, Some(begun.elapsed()));
}

fn at_the_same_time(bed: &Bed, spec: &FunctionSpec, callers: usize, rounds: usize) {
    let begun = Instant::now();
    let callers_tasks: Vec<_> = (0..callers)
        .map(|_| {
            let worker = bed.worker.clone();
            let jobs: Vec<_> = (0..rounds).map(|_| bed.job(spec, EVENT)).collect();
            bed.runtime.spawn(async move {
                let mut times = Vec::with_capacity(jobs.len());
                for job in jobs {
                    let begun = Instant::now();
                    answer(&worker.run(job).await);
                    times.push(begun.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for caller in callers_tasks {
        times.append(&mut bed.runtime.block_on(caller).expect("no call panics"));
    }
    let made = bed.worker.capacity().sandboxes_idle;
    tell(&format!("warm, {callers} callers, {made} sandboxes"), times, Some(begun.elapsed()));
}

fn after_a_pause(bed: &Bed, spec: &FunctionSpec, rounds: usize) {
    let (mut times, mut thaws) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // Long enough to be frozen: this measures the thaw.
        std::thread::sleep(Duration::from_millis(120));
        let job = bed.job(spec, EVENT);
        let worker = bed.worker.clone();
        let call = bed.runtime.spawn(async move {
            let begun = Instant::now();
            let report = worker.run(job).await;
            (begun.elapsed(), report)
        });
        let (took, report) = bed.runtime.block_on(call).expect("no call panics");
        assert_eq!(report.start, Some(Start::Warm));
        times.push(took);
        thaws.push(report.timing.sandbox);
    }
    tell("warm, frozen before", times, None);
    tell("  of that, the thaw", thaws, None);
}

fn from_the_stock(bed: &Bed, rounds: usize) {
    let (mut times, mut mounts, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        bed.eventually("a full stock", |bed| bed.worker.capacity().sandboxes_pooled == 2);
        let spec = bed.function(&format!("{HELLO}# {round}\n"));
        let begun = Instant::now();
        let report = bed.call(&spec, EVENT);
        times.push(begun.elapsed());
        assert_eq!(report.start, Some(Start::Pool));
        mounts.push(report.timing.sandbox);
        loads.push(report.timing.init);
    }
    tell("from the stock", times, None);
    tell("  of that, unpacking and mounting", mounts, None);
    tell("  of that, loading", loads, None);
}

fn from_nothing(rounds: usize) {
    let bed = Bed::new();
    let mut times = Vec::new();
    for round in 0..rounds {
        let spec = bed.function(&format!("{HELLO}# {round}\n"));
        let begun = Instant::now();
        let report = bed.call(&spec, EVENT);
        times.push(begun.elapsed());
        assert_eq!(report.start, Some(Start::Fresh));
        bed.worker.forget(spec.function, None);
    }
    tell("from nothing", times, None);
}

#[expect(clippy::print_stdout, reason = "a benchmark's result")]
fn tell(what: &str, mut times: Vec<Duration>, whole: Option<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 1_000).min(times.len() - 1)].as_micros();
    let rate = whole.map_or(String::new(), |whole| {
        format!("  {:8.0} calls/s", times.len() as f64 / whole.as_secs_f64())
    });
    println!("{what:40} p50 {:7} us  p99 {:7} us{rate}", at(500), at(990));
}
