//! An fsync that fails: a child process whose kernel answers EIO to it from some moment on.
//!
//! The child is this very test binary. It acknowledges events, copies its files as they are then
//! (everything acknowledged is flushed), loads a filter that makes fsync fail, and goes on. The
//! parent looks at what is there twice: in the files as the child left them, and in the copies,
//! which are what a disk has that dropped all that was written after its last good fsync.
//!
//! What it does not do: it makes no write fail, see `super::crash`, and no disk full, see
//! `super::full`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use model::EventId;
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::super::Sqlite;
use super::crash::missing;
use crate::contract::World;

/// Where the child finds its data folder; set only for a child.
const FOLDER: &str = "LAMBENT_TEST_FSYNC_FOLDER";
/// What fails, and when, in the child.
const FAILS: &str = "LAMBENT_TEST_FSYNC_FAILS";

/// Every fsync, while events come.
const COMMIT: &str = "commit";
/// That of the database alone, which only a checkpoint flushes.
const CHECKPOINT: &str = "checkpoint";
/// Every fsync, of the checkpoint that a clean end makes.
const END: &str = "end";

/// Printed between what was acknowledged before and after.
const FROM_NOW_ON: &str = "from now on fsync fails";
/// Printed if nothing ended the child.
const WENT_ON: &str = "it went on";

/// Fifty pages of the write-ahead log: forty such events are more than a checkpoint waits for.
const RECORD_BYTES: usize = 200_000;

/// More than a checkpoint waits for, however large an event is in the log.
const MOST_EVENTS: usize = 1_000;

#[tokio::test]
#[ignore = "the child of the tests below"]
async fn child_whose_disk_fails() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (folder, fails) = (Path::new(&folder), std::env::var(FAILS).unwrap());
    // It is meant to abort, and nobody wants the core of it.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    // The test runner has begun a line.
    println!();
    let w = Arc::new(World::new(Arc::new(Sqlite::open(folder).unwrap()), ()));
    let function = w.deploy("f").await;
    for n in 0..20 {
        append(&w, w.event(&format!("before {n}"), &[&function])).await;
    }
    let database = folder.join("lambent.db");
    // By another process: to close the file in this one would let go of SQLite's locks on it.
    let copied = Command::new("cp")
        .args([&database, &folder.join("lambent.db-wal"), &folder.join("flushed")])
        .status();
    assert!(copied.unwrap().success());
    match fails.as_str() {
        CHECKPOINT => refuse_fsync(Some(&database)),
        _ => refuse_fsync(None),
    }
    println!("{FROM_NOW_ON}");
    match fails.as_str() {
        COMMIT => {
            // Together, so that those who only share the commit are not acknowledged either.
            let appends = (0..8).map(|n| {
                let event = w.event(&format!("after {n}"), &[&function]);
                let w = Arc::clone(&w);
                tokio::spawn(async move { append(&w, event).await })
            });
            for append in appends.collect::<Vec<_>>() {
                append.await.unwrap();
            }
        }
        CHECKPOINT => {
            for n in 0..MOST_EVENTS {
                let mut event = w.event(&format!("after {n}"), &[&function]);
                event.event.record = "x".repeat(RECORD_BYTES).into();
                append(&w, event).await;
            }
        }
        _ => drop(w),
    }
    println!("{WENT_ON}");
}

async fn append(w: &World, event: crate::NewEvent) {
    let id = event.id;
    if w.store.append(vec![event]).await.is_ok() {
        println!("acknowledged {id}");
    }
}

/// From now on this process cannot flush this file as it has it open, or no file at all.
fn refuse_fsync(only: Option<&Path>) {
    let rules = only.map_or(Vec::new(), |file| {
        let open = descriptors_of(file);
        assert!(!open.is_empty(), "{} is not open", file.display());
        let rule = |descriptor| {
            let is = SeccompCmpOp::Eq;
            let is = SeccompCondition::new(0, SeccompCmpArgLen::Dword, is, descriptor).unwrap();
            SeccompRule::new(vec![is]).unwrap()
        };
        open.into_iter().map(rule).collect()
    });
    let calls = [libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync_file_range];
    let calls: BTreeMap<_, _> = calls.into_iter().map(|call| (call, rules.clone())).collect();
    let eio = SeccompAction::Errno(libc::EIO.cast_unsigned());
    let here = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, eio, here).unwrap();
    let program: seccompiler::BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter_all_threads(&program).unwrap();
    let refused = fs::File::open("/").unwrap().sync_all();
    assert_eq!(refused.is_err(), only.is_none(), "{refused:?}");
}

fn descriptors_of(file: &Path) -> Vec<u64> {
    let file = file.canonicalize().unwrap();
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    // The listing's own is closed by the time it is looked at.
    let of_file = descriptors.filter(|it| fs::read_link(it).is_ok_and(|target| target == file));
    of_file.map(|it| it.file_name().unwrap().to_str().unwrap().parse().unwrap()).collect()
}

/// What the child acknowledged before and after fsync began to fail. It has ended by abort.
fn acknowledged(folder: &Path, fails: &str) -> (Vec<EventId>, Vec<EventId>) {
    fs::create_dir(folder.join("flushed")).unwrap();
    let name = module_path!().split_once("::").unwrap().1;
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{name}::child_whose_disk_fails")])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FAILS, fails)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    let errors = String::from_utf8_lossy(&child.stderr);
    let said = format!("{}\n{output}\n{errors}", child.status);
    assert_eq!(child.status.signal(), Some(6), "it aborts: {said}");
    assert!(!output.contains(WENT_ON), "{said}");
    let (before, after) = output.split_once(FROM_NOW_ON).expect("it came so far");
    let ids = |lines: &str| {
        let ids = lines.lines().filter_map(|line| line.strip_prefix("acknowledged "));
        ids.map(|id| id.parse().unwrap()).collect::<Vec<_>>()
    };
    let (before, after) = (ids(before), ids(after));
    assert_eq!(before.len(), 20, "{said}");
    (before, after)
}

/// All of these are in the folder, and its database is sound.
async fn holds(folder: &Path, ids: &[EventId]) {
    assert_eq!(missing(folder, ids).await, 0, "{} of {}", folder.display(), ids.len());
    let database = rusqlite::Connection::open(folder.join("lambent.db")).unwrap();
    let sound = database.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(sound.unwrap(), "ok");
}

#[tokio::test]
async fn a_commit_whose_fsync_fails_ends_the_process_and_is_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = acknowledged(folder.path(), COMMIT);
    assert_eq!(after, [], "not flushed, and yet acknowledged");
    holds(folder.path(), &before).await;
    holds(&folder.path().join("flushed"), &before).await;
}

#[tokio::test]
async fn a_checkpoint_whose_fsync_fails_ends_the_process_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = acknowledged(folder.path(), CHECKPOINT);
    assert!(!after.is_empty(), "commits flush the log alone, which works");
    // The log was flushed up to the end; what was copied into the database was not.
    let flushed = folder.path().join("flushed");
    fs::copy(folder.path().join("lambent.db-wal"), flushed.join("lambent.db-wal")).unwrap();
    let all = [before, after].concat();
    holds(&flushed, &all).await;
    holds(folder.path(), &all).await;
}

#[tokio::test]
async fn a_last_checkpoint_whose_fsync_fails_is_no_clean_end_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = acknowledged(folder.path(), END);
    assert_eq!(after, []);
    let log = fs::metadata(folder.path().join("lambent.db-wal"));
    assert_ne!(log.map_err(|error| error.kind()).err(), Some(ErrorKind::NotFound), "it is kept");
    holds(folder.path(), &before).await;
    holds(&folder.path().join("flushed"), &before).await;
}
