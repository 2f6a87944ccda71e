//! The checker: a program outside of the system that knows what was promised.
//!
//! It is this test binary executed anew, as a process that the service under test neither started
//! nor knows. In its first role it is the sender: it sends events, calls and redrives ([`crate::load`])
//! and writes down each promise in a [`journal`] that is fsynced after the answer has arrived and
//! before anything else is done. In its second it is the auditor: after the last crash it waits until
//! nothing is under way, reads every state over HTTP and holds it against the journal ([`audit`]).
//! The test in between only kills and starts. [`remains`] looks for what a dead service left.
//!
//! # What functions report, and how
//!
//! A function has no network and no folder outside of its sandbox, so it cannot report its starts
//! to a recorder of ours. It reports through what it has: each start and each end is a line of its
//! log that names the event, the attempt and the hash of the data, and the answer repeats them. The
//! ledger keeps those of every attempt that was settled. Of an attempt that was interrupted it can
//! keep none; but an attempt is started only after the commit of a lease with its number, so the
//! count of leases is an upper bound of the starts that nobody can have missed, and the numbers that
//! functions print are held against it: none twice, none above the count. What this cannot see is
//! a start without any lease; that the lease comes first is held by the store's and control's own
//! tests.

pub mod audit;
mod client;
pub mod journal;
pub mod remains;
pub mod story;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::service::{Service, is_alive};
use journal::Journal;

/// Holds what the process shall do; set only for it.
const ORDERS: &str = "LAMBENT_TEST_CHECKER";

/// What the auditor found.
pub type Report = audit::Report;

/// The sender, seen from the test that kills the service.
pub struct Checker {
    folder: PathBuf,
    child: Child,
    /// Counts the service's lives, so that the sender knows a new address from an old one.
    life: u64,
}

impl Checker {
    /// Starts sending to the service, with everything random coming from `seed`.
    pub fn start(folder: &Path, service: &Service, seed: u64, projects: &[&str]) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let (folder, life) = (folder.to_owned(), 0);
        announce(&folder, life, service);
        let orders = json!({"do": "load", "folder": folder, "seed": seed, "projects": projects});
        let child = process(&orders).stdin(Stdio::piped()).spawn().unwrap();
        Self { folder, child, life }
    }

    /// The service has been started again and is elsewhere now.
    pub fn moved(&mut self, service: &Service) {
        self.life += 1;
        announce(&self.folder, self.life, service);
    }

    /// Promises that were written down so far.
    pub fn promises(&self) -> usize {
        Journal::read(&self.folder).iter().filter(|entry| entry.is_promise()).count()
    }

    /// Lets the sender finish what it has begun, and waits for its end.
    pub fn stop(&mut self) {
        drop(self.child.stdin.take());
        let pid = self.child.id();
        crate::service::wait_until("the sender ended", || {
            if is_alive(pid) { Err("it still sends") } else { Ok(()) }
        });
        assert!(self.child.wait().unwrap().success(), "the sender failed; see above");
    }

    /// Waits until nothing is under way in the service, and holds it against the journal.
    pub fn audit(&self, service: &Service, one_life: bool) -> Report {
        let orders = json!({
            "do": "audit", "folder": self.folder, "address": service.address(), "one_life": one_life,
        });
        let status = process(&orders).stdin(Stdio::null()).status().unwrap();
        assert!(
            status.success(),
            "the auditor failed; see above. The service said:\n{}",
            service.log()
        );
        serde_json::from_slice(&std::fs::read(self.folder.join("report")).unwrap()).unwrap()
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        // A test that fails in between: the sender ends when its standard input does.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

fn announce(folder: &Path, life: u64, service: &Service) {
    let text = json!({"life": life, "address": service.address()}).to_string();
    std::fs::write(folder.join("service.new"), text).unwrap();
    std::fs::rename(folder.join("service.new"), folder.join("service")).unwrap();
}

fn process(orders: &Value) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "checker::the_process_that_checks", "--ignored", "--nocapture"]);
    command.arg("--test-threads=1").env(ORDERS, orders.to_string()).stdout(Stdio::null());
    command
}

#[test]
#[ignore = "not a test: the process that the tests of crashes start"]
fn the_process_that_checks() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Value = serde_json::from_str(&orders).unwrap();
    let folder = PathBuf::from(orders["folder"].as_str().unwrap());
    match orders["do"].as_str().unwrap() {
        "load" => crate::load::send(&folder, &orders),
        "audit" => {
            let one_life = orders["one_life"].as_bool().unwrap();
            let report = audit::audit(&folder, orders["address"].as_str().unwrap(), one_life);
            std::fs::write(folder.join("report"), serde_json::to_vec(&report).unwrap()).unwrap();
        }
        other => panic!("nobody knows how to {other}"),
    }
}
