//! The data folder and its file: opened again, locked, of another version, not writable.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::super::{OLDEST_SQLITE, Sqlite};
use super::world;
use crate::contract::world::{name, page};
use crate::{Error, Store};

#[tokio::test]
async fn what_was_written_is_there_after_the_store_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let w = world();
    let deployed = {
        let store = Sqlite::open(folder.path()).unwrap();
        let function = w.deploy("f").await;
        let deploy = crate::Deploy {
            id: function.id,
            project: function.project,
            name: function.name,
            code: function.latest.code,
            config: function.latest.config,
            now: w.now(),
        };
        store.deploy(deploy).await.unwrap()
    };
    let store = Sqlite::open(folder.path()).unwrap();
    assert_eq!(store.function(&w.project, &name("f")).await.unwrap(), Some(deployed));
    store.probe().await.unwrap();
}

#[test]
fn a_second_store_in_the_folder_is_refused_with_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = Sqlite::open(folder.path()).unwrap();
    let refused = Sqlite::open(folder.path()).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&refused, Error::InUse { pid: told, .. } if *told == pid), "{refused}");
    drop(first);
    Sqlite::open(folder.path()).unwrap();
}

#[test]
fn a_newer_schema_is_refused_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    drop(Sqlite::open(folder.path()).unwrap());
    let database = folder.path().join("lambent.db");
    let conn = Connection::open(&database).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let before = fs::read(&database).unwrap();
    let refused = Sqlite::open(folder.path()).unwrap_err();
    assert!(matches!(refused, Error::Newer { found: 99, known: 2, .. }), "{refused}");
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[track_caller]
fn refused_because(folder: &std::path::Path, why: &str) {
    let refused = Sqlite::open(folder).unwrap_err();
    assert!(matches!(refused, Error::Open { .. }), "{refused:?}");
    assert!(refused.to_string().contains(why), "{refused}");
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    refused_because(&file, "is a file and not a folder");
    refused_because(&file.join("below"), "is a file and not a folder");
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("lambent.db"), "this is no database, whatever its name says").unwrap();
    let refused = Sqlite::open(&other).unwrap_err();
    assert!(matches!(refused, Error::Unsound { .. }), "{refused:?}");
    assert!(refused.to_string().contains("file is not a database"), "{refused}");
    fs::remove_file(other.join("lambent.db")).unwrap();
    fs::create_dir(other.join("lambent.db")).unwrap();
    refused_because(&other, "unable to open database file");
}

#[test]
fn nobody_else_can_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b");
    let _store = Sqlite::open(&data).unwrap();
    for file in ["lambent.db", "lambent.db-wal", "lambent.db-shm"] {
        let mode = fs::metadata(data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}

#[test]
fn the_linked_sqlite_is_new_enough() {
    assert!(rusqlite::version_number() >= OLDEST_SQLITE);
}

#[tokio::test]
async fn reads_go_on_while_the_writer_is_busy() {
    let w = world();
    let function = w.deploy("f").await;
    let events = (0..3_000).map(|n| w.event(&n.to_string(), &[&function])).collect();
    // Polled once, so that the writer has it; the read is answered before the write is.
    let mut writing = std::pin::pin!(w.store.append(events));
    tokio::select! {
        biased;
        _ = &mut writing => panic!("three thousand events were stored at once"),
        () = std::future::ready(()) => {}
    }
    let listed = w.store.functions(&w.project, page(1)).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(writing.await.unwrap().len(), 3_000);
}

#[tokio::test]
async fn every_query_of_the_ledger_uses_an_index() {
    // `INDEXED BY` makes preparing fail where the index cannot be used, so running is enough:
    // the contract's lists do. What is left is that none of them sorts a history.
    let folder = tempfile::tempdir().unwrap();
    drop(Sqlite::open(folder.path()).unwrap());
    let conn = Connection::open(folder.path().join("lambent.db")).unwrap();
    for sql in [
        "SELECT id FROM invocations INDEXED BY invocations_by_project
         WHERE project = 1 AND id < x'ff' ORDER BY id DESC LIMIT 2",
        "SELECT id FROM invocations INDEXED BY invocations_by_function
         WHERE function = 1 AND id < x'ff' ORDER BY id DESC LIMIT 2",
        "SELECT id FROM invocations INDEXED BY invocations_waiting
         WHERE function = 1 AND lane = '' AND status IN (0, 2) AND due_at <= 9
           AND accepted_at < 9
         ORDER BY due_at, id LIMIT 2",
        "SELECT turn FROM invocations INDEXED BY invocations_by_key
         WHERE function = 1 AND lane = 'a' AND ordering_key = 'k' AND status IN (0, 1, 2)
         ORDER BY turn DESC LIMIT 1",
        "SELECT no FROM outbox INDEXED BY outbox_due
         WHERE status = 0 AND due_at <= 9 ORDER BY due_at, no LIMIT 2",
        "SELECT no FROM outbox INDEXED BY outbox_by_invocation
         WHERE invocation = x'00' ORDER BY no LIMIT 2",
        "SELECT no FROM log INDEXED BY log_by_function
         WHERE function = 1 AND no >= 1 AND last_at >= 1 ORDER BY no",
    ] {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: Vec<String> =
            statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let plan = plan.join("; ");
        assert!(plan.starts_with("SEARCH") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}
