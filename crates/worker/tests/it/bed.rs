//! What a test stands on: a worker with its launcher, a place for code, and calls in one line.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::function::{Code, Digest};
use model::invocation::{LogLine, Stream};
use model::{
    Clock, FunctionId, FunctionName, Handler, InvocationId, Project, RuntimeName, Timestamp,
};
use sandbox::{Launcher, Options};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wire::worker::{FunctionSpec, Job, LogSink, Report, Worker};
use worker::{CodeSource, Config, LocalWorker, runtimes};

/// Far beyond what anything here takes, also on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The machine's time.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }

    fn entropy(&self) -> u128 {
        uuid::Uuid::now_v7().as_u128()
    }
}

/// Packages in memory.
#[derive(Debug, Default)]
pub(crate) struct Packages(Mutex<HashMap<Digest, Bytes>>);

impl CodeSource for Packages {
    fn read(&self, digest: &Digest) -> io::Result<Bytes> {
        let packages = self.0.lock().unwrap();
        packages.get(digest).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

pub(crate) struct Bed {
    pub(crate) worker: Arc<LocalWorker>,
    pub(crate) runtime: Runtime,
    pub(crate) launcher_pid: u32,
    pub(crate) name: RuntimeName,
    packages: Arc<Packages>,
    clock: Arc<SystemClock>,
    _data: TempDir,
}

impl Bed {
    /// A worker with an empty stock, so that it starts only what it is asked for.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        static BEDS: AtomicU32 = AtomicU32::new(0);
        let data = tempfile::tempdir().unwrap();
        let shim = runtimes::install(data.path()).unwrap();
        let found = runtimes(&shim);
        let (name, _) = found.first_key_value().unwrap();
        let name = name.clone();
        let code_root = data.path().join("code");
        std::fs::create_dir(&code_root).unwrap();
        let options = Options {
            instance: format!(
                "worker-test-{}-{}",
                std::process::id(),
                BEDS.fetch_add(1, Ordering::Relaxed)
            ),
            code_root: code_root.clone(),
            runtimes: found.iter().map(|(name, r)| (name.to_string(), r.clone())).collect(),
            uid_base: 700_000,
            max_sandboxes: 100,
        };
        let launcher = Launcher::execute(&options).unwrap();
        let launcher_pid = launcher.pid();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let packages = Arc::new(Packages::default());
        let clock = Arc::new(SystemClock);
        let mut config =
            Config::new(found.keys().cloned().collect(), 8_192, 100, packages.clone(), code_root);
        config.pool_target = 0;
        change(&mut config);
        let worker = {
            let _inside = runtime.enter();
            LocalWorker::start(config, launcher, clock.clone()).unwrap()
        };
        Self { worker, runtime, launcher_pid, name, packages, clock, _data: data }
    }

    /// A function out of one source file.
    pub(crate) fn function(&self, source: &str) -> FunctionSpec {
        self.package(source.as_bytes(), "handler.py")
    }

    pub(crate) fn package(&self, bytes: &[u8], file_name: &str) -> FunctionSpec {
        let digest = Digest::of(bytes);
        self.packages.0.lock().unwrap().insert(digest, Bytes::copy_from_slice(bytes));
        FunctionSpec {
            function: FunctionId::new(&*self.clock),
            project: Project::default_project(),
            name: FunctionName::parse("test").unwrap(),
            version: 1,
            runtime: self.name.clone(),
            handler: Handler::parse("handler.handler").unwrap(),
            env: BTreeMap::new(),
            memory_mib: 128,
            timeout: Duration::from_secs(20),
            code: Code { digest, size_bytes: bytes.len() as u64, file_name: file_name.to_owned() },
        }
    }

    pub(crate) fn job(&self, spec: &FunctionSpec, event: &str) -> Job {
        Job {
            invocation: InvocationId::new(&*self.clock),
            attempt: 1,
            spec: Arc::new(spec.clone()),
            payload: Bytes::copy_from_slice(event.as_bytes()),
            start_by: self.clock.now().plus(PATIENCE),
            event: None,
            live_log: None,
        }
    }

    pub(crate) fn now_and(&self, later: Duration) -> Timestamp {
        self.clock.now().plus(later)
    }

    /// Makes one attempt and waits for it.
    pub(crate) fn call(&self, spec: &FunctionSpec, event: &str) -> Report {
        self.run(self.job(spec, event))
    }

    pub(crate) fn run(&self, job: Job) -> Report {
        self.runtime.block_on(self.worker.run(job))
    }

    /// Makes an attempt in the background.
    pub(crate) fn spawn(&self, job: Job) -> tokio::task::JoinHandle<Report> {
        let worker = self.worker.clone();
        self.runtime.spawn(async move { worker.run(job).await })
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn eventually(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let capacity = self.worker.capacity();
            assert!(begun.elapsed() < PATIENCE, "still not so: {what}; {capacity:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The interpreters of this machine, looked for once: the answer is the same for each test but for
/// the folder of the shim.
fn runtimes(shim: &Path) -> BTreeMap<RuntimeName, sandbox::Runtime> {
    static FOUND: OnceLock<BTreeMap<RuntimeName, sandbox::Runtime>> = OnceLock::new();
    let mut found = FOUND.get_or_init(|| runtimes::find(Path::new("/shim")).unwrap()).clone();
    for bind in found.values_mut().flat_map(|runtime| &mut runtime.binds) {
        if bind.source == Path::new("/shim") {
            bind.source = shim.to_owned();
        }
    }
    found
}

/// What was answered, as text.
#[track_caller]
pub(crate) fn answer(report: &Report) -> String {
    match &report.outcome {
        Ok(answer) => String::from_utf8(answer.to_vec()).unwrap(),
        Err(fault) => panic!("the attempt failed: {fault:?}; log {:?}", report.log),
    }
}

/// The code of what went wrong.
#[track_caller]
pub(crate) fn code(report: &Report) -> &str {
    match &report.outcome {
        Ok(answer) => panic!("the attempt succeeded: {answer:?}"),
        Err(fault) => &fault.code,
    }
}

/// The lines of one stream.
pub(crate) fn lines(report: &Report, stream: Stream) -> Vec<&str> {
    report.log.iter().filter(|l| l.stream == stream).map(|l| l.text.as_str()).collect()
}

/// Keeps the lines it is given.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    pub(crate) lines: Mutex<Vec<LogLine>>,
    pub(crate) times: AtomicU64,
}

impl LogSink for Follower {
    fn take(&self, _: InvocationId, _: u32, mut lines: Vec<LogLine>) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.lines.lock().unwrap().append(&mut lines);
    }
}
