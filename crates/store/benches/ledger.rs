//! What the embedded store does in a second, with every fsync.
//!
//! `cargo bench -p store` prints medians of [`ROUNDS`] rounds, and the processor time of the
//! writer's thread per operation, which other load on the machine changes less. Set `LAMBENT_BENCH_DIR` to measure
//! another disk than the temporary folder's.

#![expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to tell")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::function::{Code, Digest};
use model::invocation::{Attempt, Origin, Start, Timing};
use model::{
    Clock, Config, Event, EventId, FunctionId, FunctionName, Handler, InvocationId, Project,
    RuntimeName, Timestamp, TriggerName, WorkerId,
};
use store::sqlite::Sqlite;
use store::{CallRecord, Claim, Deploy, NewEvent, NewInvocation, Next, Settlement, Store};

const ROUNDS: usize = 5;

/// A clock that ticks a microsecond per look: ids in order, and no system call in the figures.
#[derive(Debug)]
struct Ticks {
    now: AtomicI64,
    entropy: AtomicU64,
}

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.fetch_add(100, Ordering::Relaxed))
    }

    fn entropy(&self) -> u128 {
        // SplitMix64: spread, and the same in each run.
        let mut z = self.entropy.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(z) << 64 | u128::from(z ^ (z >> 31))
    }
}

struct Bench {
    store: Sqlite,
    clock: Ticks,
    function: FunctionId,
    worker: WorkerId,
    project: Project,
    name: FunctionName,
    /// What a dispatcher is woken by.
    appended: tokio::sync::Notify,
}

impl Bench {
    async fn new(folder: &std::path::Path) -> Self {
        let clock =
            Ticks { now: AtomicI64::new(1_764_000_000_000_000), entropy: AtomicU64::new(7) };
        let (project, name) = (Project::default_project(), FunctionName::parse("hello").unwrap());
        let store = Sqlite::open(folder).unwrap();
        let runtime = RuntimeName::parse("python3.11").unwrap();
        let function = store
            .deploy(Deploy {
                id: FunctionId::new(&clock),
                project: project.clone(),
                name: name.clone(),
                code: Code { digest: Digest([0; 32]), size_bytes: 1, file_name: "h.py".into() },
                config: Config::new(runtime, Handler::parse("handler.handler").unwrap()),
                now: clock.now(),
            })
            .await
            .unwrap()
            .id;
        let worker = WorkerId::new(&clock);
        Self { store, clock, function, worker, project, name, appended: tokio::sync::Notify::new() }
    }

    fn event(&self) -> NewEvent {
        let id = EventId::new(&self.clock);
        let now = self.clock.now();
        let record = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"bench","type":"file.created","data":{{"name":"{:0>160}"}}}}"#,
            "x"
        );
        NewEvent {
            id,
            project: self.project.clone(),
            event: Event::new(&id.to_string(), "bench", "file.created", record.into()).unwrap(),
            received_at: now,
            invocations: vec![NewInvocation {
                id: InvocationId::new(&self.clock),
                event: id,
                function: self.function,
                function_name: self.name.clone(),
                trigger: Some(TriggerName::parse("on-file").unwrap()),
                lane: None,
                ordering_key: None,
                origin: Origin::Event,
                replay: None,
                version: None,
                created_at: now,
                due_at: now,
            }],
        }
    }

    fn attempt(&self, number: u32) -> Attempt {
        Attempt {
            number,
            version: 1,
            started_at: self.clock.now(),
            ended_at: self.clock.now(),
            start: Some(Start::Warm),
            timing: Timing { run: Duration::from_micros(90), ..Timing::default() },
            memory_peak_bytes: Some(9_000_000),
            fault: None,
            log_dropped_bytes: 0,
            batch: None,
        }
    }

    fn call(&self) -> CallRecord {
        CallRecord {
            id: InvocationId::new(&self.clock),
            project: self.project.clone(),
            function: self.function,
            function_name: self.name.clone(),
            created_at: self.clock.now(),
            attempt: self.attempt(1),
            result: Some(Bytes::from_static(b"{\"hello\":\"world\"}")),
            result_bytes: Some(17),
            log: Vec::new(),
            key: None,
            send: Vec::new(),
        }
    }

    async fn claim_and_settle(&self) -> usize {
        let now = self.clock.now();
        let until = now.plus(Duration::from_secs(30));
        let (function, worker) = (self.function, self.worker);
        let claim = Claim {
            function,
            lane: None,
            limit: 32,
            worker,
            now,
            due_by: now,
            until,
            accepted_before: None,
        };
        let claimed = self.store.claim(claim).await.unwrap();
        let settled = claimed.iter().map(|claimed| {
            self.store.settle(Settlement {
                invocation: claimed.id,
                attempt: self.attempt(claimed.attempt),
                next: Next::Succeeded,
                result: Some(Bytes::from_static(b"null")),
                result_bytes: Some(4),
                log: Vec::new(),
                send: Vec::new(),
            })
        });
        for settled in join_all(settled).await {
            assert!(settled.unwrap().ours);
        }
        claimed.len()
    }
}

/// Runs futures together on this task.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut waits = false;
        for (future, output) in &mut pending {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => waits = true,
                }
            }
        }
        if waits { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

/// Processor time that the writer's thread has used, in the kernel's ticks of 10 ms.
fn writer_busy() -> Duration {
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        if let Some((_, fields)) = stat.split_once("(store writer) ") {
            let ticks =
                fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
            return Duration::from_millis(10 * ticks.sum::<u64>());
        }
    }
    Duration::ZERO
}

#[derive(Clone, Copy)]
enum Work {
    Append,
    Record,
    /// Append one event, and claim and settle up to 32 as a dispatcher would.
    Whole,
}

async fn one(bench: &Bench, work: Work, caller: usize, turn: usize) {
    match work {
        Work::Append => drop(bench.store.append(vec![bench.event()]).await.unwrap()),
        Work::Record => bench.store.record(bench.call()).await.unwrap(),
        // One caller of 64 dispatches while the others append.
        Work::Whole if caller == 0 => {
            let mut left = turn;
            while left > 0 {
                let done = bench.claim_and_settle().await;
                if done == 0 {
                    bench.appended.notified().await;
                }
                left -= done;
            }
        }
        Work::Whole => {
            drop(bench.store.append(vec![bench.event()]).await.unwrap());
            bench.appended.notify_one();
        }
    }
}

/// Prints the median of operations per second, where `callers` tasks do `each` operations.
async fn measure(what: &str, bench: &Arc<Bench>, callers: usize, each: usize, work: Work) {
    let mut rates = Vec::new();
    let (busy, mut operations) = (writer_busy(), 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let whole = matches!(work, Work::Whole);
        let mut tasks = Vec::new();
        for caller in usize::from(whole)..callers {
            let bench = Arc::clone(bench);
            tasks.push(tokio::spawn(async move {
                for turn in 0..each {
                    one(&bench, work, caller.max(1), turn).await;
                }
            }));
        }
        let count = tasks.len() * each;
        if whole {
            let bench = Arc::clone(bench);
            tasks.push(tokio::spawn(async move { one(&bench, work, 0, count).await }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let count = u32::try_from(count).unwrap();
        operations += count;
        rates.push(f64::from(count) / begun.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let busy = (writer_busy() - busy) / operations;
    println!("{what:<44} {:>8.0} /s {:>6} µs", rates[ROUNDS / 2], busy.as_micros());
}

fn main() {
    let folder = match std::env::var_os("LAMBENT_BENCH_DIR") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        // Each on an empty ledger, and the last on what the others left.
        for (what, callers, each, work) in [
            ("append, 1 caller", 1, 1_000, Work::Append),
            ("append, 64 callers", 64, 500, Work::Append),
            ("record, 1 caller", 1, 200, Work::Record),
            ("record, 64 callers", 64, 1_000, Work::Record),
            ("append + claim + settle, 63 callers and 1", 64, 100, Work::Whole),
        ] {
            let folder = tempfile::tempdir_in(folder.path()).unwrap();
            let bench = Arc::new(Bench::new(folder.path()).await);
            measure(what, &bench, callers, each, work).await;
        }
    });
}
