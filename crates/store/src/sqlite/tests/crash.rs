//! Crashes: a child process that is killed while it writes.
//!
//! The child is this very test binary, told by an environment variable to be one; it prints what
//! was acknowledged, and the parent kills it and looks what is there.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use model::EventId;
use model::invocation::Status;

use super::super::Sqlite;
use crate::blobs::Blobs;
use crate::contract::World;
use crate::failpoint::FAILPOINTS;
use crate::{CallKey, Error, Filter, LogAppend, Next};

/// Where the child finds its data folder; set only for a child.
const FOLDER: &str = "LAMBENT_TEST_CRASH_FOLDER";
/// Set for the negative control: acknowledge first, then write.
const TOO_EARLY: &str = "LAMBENT_TEST_CRASH_TOO_EARLY";

fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    command.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn open(folder: &Path) -> World {
    World::new(Arc::new(Sqlite::open(folder).unwrap()), ())
}

/// Kills the child after it has acknowledged `count` events, and answers all that it did.
fn acknowledged_until_killed(mut child: Child, count: usize) -> Vec<EventId> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines {
        let Ok(line) = line else { break };
        let Some(id) = line.strip_prefix("acknowledged ") else { continue };
        let Ok(id) = id.parse() else { continue };
        acknowledged.push(id);
        if acknowledged.len() == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= count, "the child died by itself");
    acknowledged
}

pub(super) async fn missing(folder: &Path, acknowledged: &[EventId]) -> usize {
    let w = open(folder);
    let mut missing = 0;
    for id in acknowledged {
        let of_event = Filter { event: Some(*id), ..Filter::default() };
        let whole = w.store.event(&w.project, *id).await.unwrap().is_some()
            && w.list(of_event, 10).await.len() == 1;
        missing += usize::from(!whole);
    }
    missing
}

#[tokio::test]
#[ignore = "the child of the tests below"]
async fn child_that_appends() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let too_early = std::env::var_os(TOO_EARLY).is_some();
    let w = Arc::new(open(Path::new(&folder)));
    let function = w.deploy("f").await;
    let tasks = (0..16).map(|task| {
        let (w, function) = (Arc::clone(&w), function.clone());
        tokio::spawn(async move {
            for n in 0.. {
                let event = w.event(&format!("{task}-{n}"), &[&function]);
                let id = event.id;
                if too_early {
                    println!("acknowledged {id}");
                }
                w.store.append(vec![event]).await.unwrap();
                if !too_early {
                    println!("acknowledged {id}");
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    for count in [1, 40, 300] {
        let folder = tempfile::tempdir().unwrap();
        let child = child("child_that_appends", folder.path()).spawn().unwrap();
        let acknowledged = acknowledged_until_killed(child, count);
        assert_eq!(missing(folder.path(), &acknowledged).await, 0, "after {count}");
    }
}

#[tokio::test]
async fn acknowledging_before_the_commit_loses_events() {
    // The test above proves something only if this one finds a loss.
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child("child_that_appends", folder.path());
        let child = child.env(TOO_EARLY, "1").spawn().unwrap();
        let acknowledged = acknowledged_until_killed(child, 40 + round);
        if missing(folder.path(), &acknowledged).await > 0 {
            return;
        }
    }
    panic!("twenty kills lost nothing, though events were acknowledged before their commit");
}

#[tokio::test]
async fn a_write_that_fails_ends_the_process_and_loses_nothing() {
    use std::os::unix::process::ExitStatusExt;

    // A limit on file sizes makes writes fail with an error that is not "no space".
    let folder = tempfile::tempdir().unwrap();
    let bare = child("child_that_appends", folder.path());
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -c 0; ulimit -f 4000; exec \"$0\" \"$@\""])
        .arg(bare.get_program())
        .args(bare.get_args())
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(6), "it aborts: {output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let acknowledged = output.lines().filter_map(|line| line.strip_prefix("acknowledged "));
    let acknowledged: Vec<_> = acknowledged.filter_map(|id| id.parse().ok()).collect();
    assert!(!acknowledged.is_empty());
    assert_eq!(missing(folder.path(), &acknowledged).await, 0);
}

/// Passes every failpoint once.
#[tokio::test]
#[ignore = "the child of the test below"]
async fn child_that_does_everything() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let w = open(Path::new(&folder));
    everything(&w, Path::new(&folder)).await.unwrap();
}

async fn everything(w: &World, folder: &Path) -> Result<(), Error> {
    use model::function::Trigger;
    use model::{Fault, KeyName, Pattern, TriggerName};

    Blobs::open(folder)?.put(b"code")?;
    let (f, doomed) = (w.deploy("f").await, w.deploy("doomed").await);
    let trigger = Trigger {
        function: f.id,
        name: TriggerName::parse("t").unwrap(),
        pattern: Pattern::parse(r#"{"type":["a"]}"#).unwrap(),
        delivery: model::Delivery::default(),
        created_at: w.now(),
    };
    w.store.put_trigger(&trigger).await?;
    w.store.delete_trigger(f.id, &trigger.name).await?;
    let key = crate::Key {
        project: w.project.clone(),
        name: KeyName::parse("k").unwrap(),
        created_at: w.now(),
        hash: [1; 32],
    };
    w.store.create_key(crate::NewKey { key, hash: [1; 32] }).await?;
    w.store.delete_key(&w.project, "k").await?;
    let event = w.event("1", &[&f, &doomed]);
    w.store.append(vec![event.clone()]).await?;
    println!("acknowledged {}", event.id);
    w.store.append_invocations(&w.project, vec![w.invocation(event.id, &f)]).await?;
    let claimed = w.claim(&f, 2).await;
    let held = vec![(claimed[0].id, 1)];
    w.store.renew(w.worker, held, w.now().plus(std::time::Duration::from_secs(30))).await?;
    let (invocation, function) = (claimed[0].id, f.id);
    let lines = vec![crate::contract::world::line(w.now(), "x")];
    w.store.append_log(vec![LogAppend { invocation, function, attempt: 1, lines }]).await?;
    w.settle(&claimed[0], Next::GaveUp("RetriesExhausted")).await;
    w.store.redrive(&w.project, claimed[0].id, w.now()).await?;
    w.wait(60);
    w.store.interrupt(w.now(), None).await?;
    let call_key = CallKey { project: w.project.clone(), function, key: "k".into(), body: [0; 32] };
    let mut call = w.call(&f, None);
    w.store.begin_call(call_key.clone(), call.id, w.now()).await?;
    w.store.release_call(call_key.clone(), call.id).await?;
    w.store.begin_call(call_key.clone(), call.id, w.now()).await?;
    call.key = Some(call_key);
    w.store.record(call).await?;
    let fault = Fault::platform(model::fault::FUNCTION_DELETED, "deleted");
    w.store.delete_function(doomed.id, &fault, w.now()).await?;
    super::rest::do_the_rest(w, &f).await?;
    w.store.probe().await?;
    w.wait(100 * 24 * 3_600);
    w.store.sweep(w.now(), w.now(), 100).await?;
    Ok(())
}

#[tokio::test]
async fn a_crash_at_each_failpoint_leaves_what_was_acknowledged_and_no_half_of_anything() {
    use std::os::unix::process::ExitStatusExt;

    for point in FAILPOINTS {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child("child_that_does_everything", folder.path());
        let output = child.env("LAMBENT_FAILPOINT", point).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "{point} was not passed");
        let acknowledged = String::from_utf8(output.stdout).unwrap();
        let acknowledged = acknowledged.lines().any(|line| line.starts_with("acknowledged "));
        check_after(point, folder.path(), acknowledged).await;
    }
}

/// Every invocation tells a story that its state agrees with, and everything can go on.
async fn check_after(point: &str, folder: &Path, acknowledged: bool) {
    let w = open(folder);
    w.wait(10 * 24 * 3_600);
    w.store.interrupt(w.now(), Some(model::WorkerId::new(&w.clock))).await.unwrap();
    let ids = w.list(Filter::default(), 100).await;
    let swept = point.starts_with("sweep");
    assert!(!acknowledged || swept || ids.len() >= 2, "{point}: {ids:?}");
    for id in ids {
        let detail = w.detail(id).await;
        let told = detail.transitions.last().unwrap().status;
        assert_eq!(told, detail.invocation.status, "{point}");
        assert_ne!(told, Status::Running, "{point}");
        assert_eq!(detail.invocation.attempts as usize, detail.attempts.len(), "{point}");
    }
    Blobs::open(folder).unwrap().put(b"code").unwrap();
    w.deploy("f").await;
    let sql = "PRAGMA integrity_check";
    let conn = rusqlite::Connection::open(folder.join("lambent.db")).unwrap();
    let sound: String = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "{point}");
    super::rest::check_the_rest(point, folder);
}

#[test]
fn every_failpoint_is_somewhere() {
    let distinct: HashSet<_> = FAILPOINTS.iter().collect();
    assert!(distinct.len() >= 40);
}
