//! Where the acts are watched: a service of its own, the neighbour, and what the host looks like.

use std::io::{Cursor, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::neighbour::{Neighbour, SOURCE};
use super::{Act, Ends};
use crate::service::{Answer, Service, family, lambent, wait_until};

/// One arena at a time: two would be each other's noise, and count each other's processes.
static TURN: Mutex<()> = Mutex::new(());

/// Sandboxes that stay when an act is over: the neighbour's, and the one made ahead.
const AT_REST: usize = 2;

/// How much more memory the service may hold after an act. What an act leaves should be nothing;
/// this is a debug build's buffers, the allocator's habits, and the ledger's cache.
const RSS_GROWTH_KIB: u64 = 32 * 1024;

pub(super) struct Arena {
    pub(super) service: Service,
    neighbour: Neighbour,
    package: Vec<u8>,
    /// The first of the service's user ids, which no other test's service has.
    uid_base: u32,
    /// In each of these, every sandbox has a control group.
    groups: Vec<PathBuf>,
    begun: Instant,
    name: String,
    _folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

const MAX_SANDBOXES: u32 = 16;

impl Arena {
    /// None, said aloud, where there is no root.
    pub(super) fn enter(name: &str) -> Option<Self> {
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            println!("skipped: {name} needs root, for users and control groups of its sandboxes");
            return None;
        }
        // A test that failed has left a poisoned lock and nothing else.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let uid_base = 1_950_000_000 + std::process::id() % 100_000 * 100;
        // Little is kept: whether an act's sandbox is gone is seen when it is no longer idle.
        let (folder, service) = serve(&format!(
            "uid_base = {uid_base}\nmax_sandboxes = {MAX_SANDBOXES}\npool = 1\nkeep_alive_s = 1\n"
        ));
        let groups = groups_of(service.pid());
        let good = [("lambent-project", "good")];
        let sum = service.upload("sum", "handler.py", SOURCE.as_bytes(), &[], &good);
        assert_eq!(sum.status, 201, "{}", String::from_utf8_lossy(&sum.body));
        let address = service.url().trim_start_matches("http://").to_owned();
        let neighbour = Neighbour::of(address);
        let first = neighbour.look();
        assert!(first.failed.is_empty(), "before any act: {:?}", first.failed);
        let (name, begun) = (name.to_owned(), Instant::now());
        Some(Self {
            service,
            neighbour,
            package: package(),
            uid_base,
            groups,
            begun,
            name,
            _folder: folder,
            _turn: turn,
        })
    }

    /// Does the act and looks at everything that it must not have touched.
    pub(super) fn watch(&self, act: &Act) -> Result<(), String> {
        let name = format!("{}-{}", act.number, act.module.replace('_', "-")).to_lowercase();
        let handler = format!("{}.handler", act.module);
        let mut settings = vec![("handler", handler.as_str())];
        settings.extend_from_slice(act.settings);
        self.deploy(&name, "code.zip", &self.package, &settings);
        let label = format!("{} {} {}", act.number, act.module, act.event);
        self.observe(&label, || {
            for _ in 0..if act.twice { 2 } else { 1 } {
                judge(&act.ends, &self.call(&name, &act.event))?;
            }
            Ok(())
        })
    }

    /// Does something as an attacker would, and looks at everything that must not have been touched.
    pub(super) fn observe(
        &self,
        label: &str,
        attack: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        self.neighbour.look();
        let before = self.rss_kib();
        let begun = Instant::now();
        let outcome = attack();
        let took = begun.elapsed();
        let mut wrong: Vec<String> = outcome.err().into_iter().collect();

        let mut calls = self.neighbour.look();
        if let Some(why) = calls.failed.first() {
            wrong.push(format!("{} of the neighbour's calls failed: {why}", calls.failed.len()));
        }
        wait_until("everything of the act is gone", || self.at_rest());
        let after = self.rss_kib();
        if after > before + RSS_GROWTH_KIB {
            wrong.push(format!("the service grew from {before} to {after} KiB"));
        }
        if self.service.get("/healthz").status != 200 {
            wrong.push("the service is not healthy".to_owned());
        }
        let (half, most, count) = (calls.percentile(50), calls.percentile(99), calls.took.len());
        println!(
            "{label}: {took:.1?}; neighbour: {count} calls, p50 {half:.1?}, p99 {most:.1?}; \
             service: {before} to {after} KiB{}",
            if wrong.is_empty() { "" } else { "; FAILED" }
        );
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("{label}: {}", wrong.join("; "))),
        }
    }

    pub(super) fn deploy(&self, name: &str, file: &str, code: &[u8], settings: &[(&str, &str)]) {
        let evil = [("lambent-project", "evil")];
        let answer = self.service.upload(name, file, code, settings, &evil);
        let text = String::from_utf8_lossy(&answer.body);
        assert!([200, 201].contains(&answer.status), "cannot deploy {name}: {text}");
    }

    pub(super) fn call(&self, name: &str, event: &Value) -> Answer {
        self.evil("POST", &format!("/v1/functions/{name}/invoke"), event.to_string().as_bytes())
    }

    /// Deploys this source and calls it once.
    pub(super) fn try_out(&self, name: &str, source: &str, settings: &[(&str, &str)]) -> Answer {
        self.deploy(name, "handler.py", source.as_bytes(), settings);
        self.call(name, &json!({}))
    }

    /// A request of project `evil`.
    pub(super) fn evil(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let headers = [("content-type", "application/json"), ("lambent-project", "evil")];
        self.service.request(method, path, &headers, body)
    }

    pub(super) fn record(&self, call: &Answer) -> Value {
        let id = &call.headers["lambent-invocation-id"];
        self.evil("GET", &format!("/v1/invocations/{id}"), b"").expect(200).json()
    }

    pub(super) fn log(&self, call: &Answer) -> Vec<Value> {
        let id = &call.headers["lambent-invocation-id"];
        let log = self.evil("GET", &format!("/v1/invocations/{id}/log"), b"").expect(200).json();
        log["items"].as_array().unwrap().clone()
    }

    /// Process ids, as the host counts them, of what runs as a user of this service's sandboxes.
    pub(super) fn guests(&self) -> Vec<u32> {
        let own = self.uid_base + 1..=self.uid_base + 1 + MAX_SANDBOXES;
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        pids.filter(|entry| user(&entry.path()).is_some_and(|user| own.contains(&user)))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| crate::service::is_alive(*pid))
            .collect()
    }

    pub(super) fn groups(&self) -> &[PathBuf] {
        &self.groups
    }

    /// Whether only the neighbour and what was made ahead are left: an init and a program each.
    fn at_rest(&self) -> Result<(), String> {
        let groups = self.groups.iter().map(|folder| sandboxes(folder));
        if let Some(groups) = groups.into_iter().find(|groups| groups.len() > AT_REST) {
            return Err(format!("control groups {groups:?}"));
        }
        let guests = self.guests();
        if guests.len() > 2 * AT_REST {
            return Err(format!("processes {guests:?}"));
        }
        Ok(())
    }

    fn rss_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.service.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends the service and looks for what it may have left.
    pub(super) fn leave(self) {
        let Self { mut service, neighbour, groups, begun, name, uid_base, .. } = self;
        let calls = neighbour.look();
        assert!(calls.failed.is_empty(), "{:?}", calls.failed);
        neighbour.leave();
        let family = family(service.pid());
        let log = service.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains('\x1b'), "a function's escape sequence is in the service's own log");
        assert!(service.stop().success(), "{}", service.log());
        wait_until("nothing of the service is left", || {
            let left: Vec<_> =
                family.iter().filter(|pid| crate::service::is_alive(**pid)).collect();
            let groups: Vec<_> = groups.iter().filter(|folder| folder.exists()).collect();
            match left.is_empty() && groups.is_empty() {
                true => Ok(()),
                false => Err(format!("processes {left:?}, groups {groups:?}")),
            }
        });
        println!("{name}: {:.1?} in all (users from {uid_base})", begun.elapsed());
    }
}

/// `lambent serve` with this configuration file, on data of its own.
fn serve(config: &str) -> (TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("lambent.toml"));
    std::fs::write(&file, config).unwrap();
    let mut command = lambent();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    command.arg("--config").arg(file).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Service::try_start(command, &data);
    let service = started.unwrap_or_else(|ended| panic!("the service did not start: {ended:?}"));
    (folder, service)
}

/// The user of a process. Not its folder's, which is root's where nobody may trace the process.
fn user(process: &Path) -> Option<u32> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn judge(ends: &Ends, answer: &Answer) -> Result<(), String> {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.chars().take(2_000).collect();
    let reason = || answer.json()["reason"].as_str().unwrap_or("none").to_owned();
    match (ends, answer.status) {
        (Ends::Answers(good) | Ends::AnswersOrFails(good, _), 200) => {
            good(&answer.json()).map_err(|why| format!("{why} in {text}"))
        }
        (Ends::Fails(_), 200) => Err(format!("an answer instead of an error: {text}")),
        (Ends::Fails(codes) | Ends::AnswersOrFails(_, codes), _)
            if codes.contains(&reason().as_str()) =>
        {
            Ok(())
        }
        (Ends::Fails(codes), status) => Err(format!("{status} instead of {codes:?}: {text}")),
        (_, status) => Err(format!("{status} instead of an answer: {text}")),
    }
}

/// All of `examples/hostile`, and a copy of `id` that has the setuid bit as archives write it.
fn package() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hostile");
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for entry in folder.read_dir().unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".py") {
            archive.start_file(name, SimpleFileOptions::default()).unwrap();
            archive.write_all(&std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    let setuid = SimpleFileOptions::default().unix_permissions(0o6755);
    archive.start_file("setuid_id", setuid).unwrap();
    archive.write_all(&std::fs::read("/usr/bin/id").unwrap()).unwrap();
    archive.finish().unwrap().into_inner()
}

/// The folders `lambent-<pid>` among the control groups: one in each hierarchy of version 1.
fn groups_of(service: u32) -> Vec<PathBuf> {
    let name = format!("lambent-{service}");
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(folder) = folders.pop() {
        match folder.ends_with(&name) {
            true => found.push(folder),
            false => folders.extend(sandboxes(&folder)),
        }
    }
    assert!(!found.is_empty(), "no control group {name}: are they mounted?");
    found
}

/// The groups in a folder, without that in which version 2 has the service itself.
fn sandboxes(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries
        .filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|it| it.file_name() != "supervisor")
        .map(|it| it.path())
        .collect()
}
