//! A full disk: a file system of 16 MiB that something else fills, and gives back.
//!
//! What is new is refused with 507 and a time to come again, what is there can be read, what runs
//! goes on; and when there is space again, so does the service, without anybody's help.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::checker::remains;
use crate::service::{Answer, Service, wait_until};

/// A small file system; none where the test may not mount one.
pub struct Tmpfs(TempDir);

impl Tmpfs {
    pub fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: mounting a tmpfs needs root");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no block free; the file that takes them all.
    pub fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let file = std::fs::File::create(&ballast).unwrap();
        // Until there is no block left.
        while std::io::copy(&mut &[0; 4096][..], &mut &file).is_ok() {}
        ballast
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a service that was killed may not be gone yet.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[track_caller]
fn is_refused(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (507, "storage_full"), "{answer:?}");
    let after: u32 = answer.headers["retry-after"].parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
}

#[test]
fn a_full_disk_refuses_what_is_new_and_the_service_goes_on_by_itself_when_there_is_space() {
    let Some(disk) = Tmpfs::mount("size=16m,mode=755") else { return };
    let data = disk.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    let source = "import time\ndef handler(e, c):\n    time.sleep(e.get('data', e).get('s', 0))\n    return 'ok'\n";
    service.deploy("f", source, &[("backoff_s", "0")]).expect(201);
    service.trigger("f", "x");
    let first = service.send("x", &json!({})).remove(0);
    service.ended(&first);
    let mut accepted = BTreeSet::from([first]);
    for _ in 0..3 {
        // An attempt that is under way when the disk fills.
        accepted.extend(service.send("x", &json!({"s": 1})));
        let ballast = disk.fill();
        // Of what SQLite has reserved, some takes a few more, and after each checkpoint again.
        let event = json!({"type": "x", "source": "s", "data": {"pad": "x".repeat(100_000)}});
        let event = event.to_string();
        let mut is_full = || {
            wait_until("an event is refused", || {
                let answer = service.post("/v1/events", &event);
                if answer.status == 202 {
                    accepted.extend(ids(&answer));
                    return Err("accepted");
                }
                is_refused(&answer);
                Ok(())
            });
        };
        let invoke = |headers: &[(&str, &str)]| {
            service.request("POST", "/v1/functions/f/invoke", headers, b"{}")
        };
        let mut later = Vec::new();
        let long = format!("# {}\n{source}", "x".repeat(100_000));
        until_refused("a call", &mut is_full, || invoke(&[]));
        until_refused("a call with a key", &mut is_full, || invoke(&[("idempotency-key", "k")]));
        until_refused("a call for later", &mut is_full, || {
            let answer = invoke(&[("prefer", "respond-async")]);
            if answer.status == 202 {
                later.push(answer.json()["invocation_id"].as_str().unwrap().to_owned());
            }
            answer
        });
        until_refused("a deploy", &mut is_full, || service.deploy("g", &long, &[]));
        wait_until("it is not ready", || {
            is_full();
            let ready = service.get("/readyz");
            match (ready.status, ready.json()["status"].as_str()) {
                (503, Some("storage_full")) => Ok(()),
                _ => Err(ready),
            }
        });
        service.get("/healthz").expect(200);
        service.get("/metrics").expect(200);
        service.get("/v1/functions/f").expect(200);
        let list = service.get("/v1/invocations?limit=1000").expect(200).json();
        let list = list["items"].as_array().unwrap();
        let listed: BTreeSet<_> =
            list.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        accepted.extend(later);
        assert!(listed.is_superset(&accepted), "what was accepted can be read");

        std::fs::remove_file(&ballast).unwrap();
        let freed = Instant::now();
        let again = wait_until("events are accepted again", || {
            match service.post("/v1/events", br#"{"type":"x","source":"s"}"#) {
                answer if answer.status == 202 => Ok(answer),
                answer => Err(answer),
            }
        });
        assert!(freed.elapsed() < Duration::from_secs(10), "{:?}", freed.elapsed());
        accepted.extend(ids(&again));
        service.get("/readyz").expect(200);
        service.invoke("f", &json!({})).expect(200);
    }
    for id in &accepted {
        let record = service.ended(id);
        assert_eq!(record["status"], "succeeded", "{record}");
        // The outcome of what ran was held until it could be written.
        assert_eq!(record["attempts"], 1, "{record}");
    }
    assert!(service.stop().success());
    remains::is_sound(&data);
}

/// Asks, each time with the disk full as far as events can tell, until it is refused as it should.
fn until_refused(what: &str, is_full: &mut impl FnMut(), mut ask: impl FnMut() -> Answer) {
    let refused = wait_until(&format!("{what} is refused"), || {
        is_full();
        let answer = ask();
        if [200, 201, 202].contains(&answer.status) { Err(answer) } else { Ok(answer) }
    });
    is_refused(&refused);
}

#[test]
fn a_service_on_a_disk_that_is_full_says_so_and_starts_once_there_is_space() {
    let Some(disk) = Tmpfs::mount("size=16m,mode=755") else { return };
    let data = disk.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    service.deploy("f", "def handler(e, c): pass\n", &[]).expect(201);
    assert!(service.stop().success());
    let ballast = disk.fill();
    match Service::try_start(crate::service::command(&data, &[], &[]), &data) {
        // It had all the room that it needs: then it serves, but takes nothing.
        Ok(mut service) => {
            service.get("/v1/functions/f").expect(200);
            assert!(service.stop().success());
        }
        Err(ended) => {
            assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
            let last = ended.log.lines().last().unwrap_or_default();
            let says = last.contains("full") || last.contains("No space left");
            assert!(last.starts_with("lambent: ") && says, "{}", ended.log);
        }
    }
    std::fs::remove_file(&ballast).unwrap();
    let service = Service::start_on(&data, &[], &[]);
    service.invoke("f", &json!({})).expect(200);
}

#[test]
fn a_call_with_a_key_that_ends_while_the_disk_is_full_is_recorded_when_there_is_space() {
    let Some(disk) = Tmpfs::mount("size=16m,mode=755") else { return };
    let service = Service::start_on(&disk.path().join("data"), &[], &[]);
    let source = "import time, os\ndef handler(e, c):\n    time.sleep(1)\n    return os.urandom(500_000).hex()\n";
    service.deploy("f", source, &[]).expect(201);
    let call =
        || service.request("POST", "/v1/functions/f/invoke", &[("idempotency-key", "k")], b"{}");
    std::thread::scope(|scope| {
        let first = scope.spawn(call);
        wait_until("it runs", || {
            let busy = service.get("/v1/workers").json()["items"][0]["sandboxes_busy"].clone();
            if busy == 1 { Ok(()) } else { Err(busy) }
        });
        let ballast = disk.fill();
        let first = first.join().unwrap().expect(200);
        // The answer's record, a megabyte, cannot have been written.
        let second = scope.spawn(call);
        std::fs::remove_file(&ballast).unwrap();
        let second = second.join().unwrap().expect(200);
        assert!(first.body == second.body, "the second is answered from the record of the first");
        assert_eq!(second.headers["lambent-idempotent-replay"], "true");
    });
}

fn ids(accepted: &Answer) -> Vec<String> {
    let triggers = accepted.json()["triggers"].as_array().unwrap().clone();
    triggers.iter().map(|it| it["invocation_id"].as_str().unwrap().to_owned()).collect()
}
