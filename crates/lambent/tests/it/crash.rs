//! `kill -9` at random points under a mixed load: nothing that was accepted is lost, and what ran
//! twice says so.
//!
//! The load, and the judgement, are the [`crate::checker`]'s. Ten kills of everything at once in
//! every run of the tests, a hundred with `SLOW_TESTS=1`; fewer of the server alone and of the
//! launcher alone. Each test prints its seed, and takes another from `LAMBENT_TEST_SEED`.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::checker::{Checker, Report, remains};
use crate::load::{Random, prepare};
use crate::service::{Service, family, is_alive, signal, wait_until};

/// One project where there is only one, since this user cannot keep two apart.
pub fn projects() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &["default", "other"] } else { &["default"] }
}

pub fn slow() -> bool {
    std::env::var_os("SLOW_TESTS").is_some_and(|it| it == "1")
}

fn seed() -> u64 {
    let given = std::env::var("LAMBENT_TEST_SEED").ok().and_then(|it| it.parse().ok());
    // The standard library's hashes are keyed at random.
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("seed: run again with LAMBENT_TEST_SEED={seed}");
    seed
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    /// Server, launcher and sandboxes, at once.
    Everything,
    Server,
    Launcher,
}

/// A service under load, which is killed or restarted now and then.
pub struct Siege {
    checker: Checker,
    service: Service,
    random: Random,
    variables: Vec<(&'static str, &'static str)>,
    /// Removed when nobody uses it any more.
    folder: TempDir,
}

impl Siege {
    pub fn begin(variables: &[(&'static str, &'static str)]) -> Self {
        let (folder, seed) = (tempfile::tempdir().unwrap(), seed());
        let service = Service::start_on(&folder.path().join("data"), &[], variables);
        prepare(&service, projects());
        let checker = Checker::start(&folder.path().join("checker"), &service, seed, projects());
        Self { checker, service, random: Random(seed), variables: variables.to_vec(), folder }
    }

    /// Kills at a random point, once the load flows, and starts again.
    fn kill(&mut self, victim: Victim) {
        self.until_it_flows();
        let family = family(self.service.pid());
        match victim {
            Victim::Everything => kill_everything(&mut self.service),
            Victim::Server => {
                // Processes end before their control groups are removed.
                self.service.kill();
                remains::are_gone(&family, self.service.data());
            }
            Victim::Launcher => {
                signal(launcher(&family), "KILL");
                let status = self.service.wait();
                assert_eq!(status.code(), Some(1), "{}", self.service.log());
                let log = self.service.log();
                let last = log.lines().last().unwrap_or_default();
                assert!(last.starts_with("lambent: the launcher is gone"), "{log}");
            }
        }
        self.start_again();
        // What could not be removed by the dead has been by those who came after.
        remains::are_gone(&family, self.service.data());
    }

    /// Asks it to stop, once the load flows, and starts again.
    pub fn restart(&mut self) {
        self.until_it_flows();
        let family = family(self.service.pid());
        let status = self.service.stop();
        assert_eq!(status.code(), Some(0), "{}", self.service.log());
        remains::are_gone(&family, self.service.data());
        self.start_again();
    }

    /// Until some more was promised, and then some moment between two promises.
    fn until_it_flows(&mut self) {
        let before = self.checker.promises();
        let wanted = before + usize::try_from(self.random.below(40)).unwrap() + 1;
        wait_until("the load flows", || {
            let promises = self.checker.promises();
            if promises >= wanted { Ok(()) } else { Err((promises, wanted, self.service.log())) }
        });
        std::thread::sleep(Duration::from_micros(self.random.below(20_000)));
    }

    fn start_again(&mut self) {
        self.service = Service::start_on(&self.folder.path().join("data"), &[], &self.variables);
        self.checker.moved(&self.service);
    }

    /// Lets what is under way end, and judges.
    pub fn end(mut self, one_life: bool) -> Report {
        self.checker.stop();
        let report = self.checker.audit(&self.service, one_life);
        let family = family(self.service.pid());
        assert!(self.service.stop().success(), "{}", self.service.log());
        remains::are_gone(&family, self.service.data());
        remains::is_sound(self.service.data());
        println!(
            "{} promises, {} invocations {:?}, {} duplicates, {} redriven, {} lost",
            report.promises,
            report.invocations,
            report.statuses,
            report.duplicates,
            report.redriven,
            report.lost.len(),
        );
        report
    }
}

fn launcher(family: &[u32]) -> u32 {
    let is_launcher = |pid: &&u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.ends_with(b"__launcher\0"))
    };
    // Its sandboxes have its command line until they execute something: it is the first.
    *family.iter().find(is_launcher).expect("a service has a launcher")
}

#[track_caller]
pub fn assert_nothing_lost(report: &Report) {
    assert_eq!(report.lost, [""; 0]);
    assert!(
        report.wrong.is_empty(),
        "{} findings, such as:\n{}",
        report.wrong.len(),
        report.wrong[..report.wrong.len().min(5)].join("\n")
    );
    assert!(report.promises > 0 && report.statuses["succeeded"] > 0, "{report:?}");
}

#[test]
fn nothing_accepted_is_lost_when_everything_is_killed_at_random_points() {
    let mut siege = Siege::begin(&[]);
    for _ in 0..if slow() { 100 } else { 10 } {
        siege.kill(Victim::Everything);
    }
    let report = siege.end(false);
    assert_nothing_lost(&report);
    assert!(report.duplicates > 0, "no kill has hit a running attempt: {report:?}");
}

#[test]
fn nothing_accepted_is_lost_when_the_server_alone_is_killed_and_its_sandboxes_go_with_it() {
    let mut siege = Siege::begin(&[]);
    for _ in 0..if slow() { 50 } else { 4 } {
        siege.kill(Victim::Server);
    }
    assert_nothing_lost(&siege.end(false));
}

#[test]
fn when_the_launcher_is_killed_the_server_says_so_and_ends_and_the_next_goes_on() {
    let mut siege = Siege::begin(&[]);
    for _ in 0..if slow() { 50 } else { 3 } {
        siege.kill(Victim::Launcher);
    }
    assert_nothing_lost(&siege.end(false));
}

#[test]
fn without_a_crash_nothing_runs_twice_and_metrics_agree_with_the_ledger_to_the_unit() {
    let siege = Siege::begin(&[]);
    wait_until("there has been some load", || match siege.checker.promises() {
        promises if promises > 300 => Ok(()),
        promises => Err(promises),
    });
    let report = siege.end(true);
    assert_nothing_lost(&report);
    assert_eq!(report.duplicates, 0);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds cannot be told to do wrong")]
fn acknowledging_before_the_commit_is_found_out() {
    // The tests above prove something only if this one finds a loss.
    let mut siege = Siege::begin(&[("LAMBENT_TEST_ACK_BEFORE_COMMIT", "1")]);
    for _ in 0..6 {
        siege.kill(Victim::Everything);
    }
    let report = siege.end(false);
    assert!(!report.lost.is_empty(), "six kills lost nothing, though each answer came too early");
}

#[test]
fn an_attempt_that_was_killed_is_made_again_at_once_and_the_ledger_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    // Its first attempt would take longer than a lease.
    let source = "import time\ndef handler(e, c):\n    time.sleep(600 if c.attempt == 1 else 0)\n    return c.attempt\n";
    service.deploy("long", source, &[("timeout_s", "900"), ("retries", "0")]).expect(201);
    service.trigger("long", "x");
    let ids: Vec<_> = (0..5).map(|n| service.send("x", &json!({"n": n})).remove(0)).collect();
    for id in &ids {
        wait_until("each runs", || match service.invocation(id) {
            it if it["status"] == "running" => Ok(()),
            it => Err(it),
        });
    }
    kill_everything(&mut service);
    let started = std::time::Instant::now();
    let service = Service::start_on(&data, &[], &[]);
    for id in &ids {
        let record = service.ended(id);
        assert_eq!(
            (&record["status"], &record["result"]),
            (&json!("succeeded"), &json!(2)),
            "{record}"
        );
        assert_eq!(record["attempts"], 2);
        let told: Vec<_> = record["transitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                (
                    it["status"].as_str().unwrap(),
                    it["attempt"].as_u64().unwrap(),
                    it["reason"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("queued", 0, "accepted"),
                ("running", 1, ""),
                ("retrying", 1, "Lambent.Interrupted"),
                ("running", 2, ""),
                ("succeeded", 2, ""),
            ]
        );
        let first = &record["attempt_list"][0];
        assert_eq!(
            (&first["error"]["code"], &first["error"]["blame"]),
            (&json!("Lambent.Interrupted"), &json!("platform"))
        );
    }
    assert!(started.elapsed() < Duration::from_secs(30), "nobody waited for the leases to end");
    let metrics = String::from_utf8(service.get("/metrics").expect(200).body).unwrap();
    assert!(metrics.lines().any(|line| line == "lambent_redelivered_total 5"), "{metrics}");
}

/// The whole family, at once. A sandbox that was frozen is gone for good when the next launcher has
/// thawed it.
pub fn kill_everything(service: &mut Service) {
    let family = family(service.pid());
    let launcher = launcher(&family);
    let mut kill = Command::new("kill");
    kill.arg("-KILL").args(family.iter().map(ToString::to_string));
    // Some of them end by themselves when others do.
    assert!(kill.stderr(Stdio::null()).status().is_ok());
    service.wait();
    wait_until("the launcher is gone", || if is_alive(launcher) { Err(launcher) } else { Ok(()) });
}

/// Copies a stopped service's data.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}
