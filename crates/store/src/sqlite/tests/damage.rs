//! Rows, indexes and pages that are not what was written, each made by hand: who notices, and who
//! suffers. `super::flips` leaves to chance what is changed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use model::invocation::Status;
use model::{Function, InvocationId, fault};
use rusqlite::Connection;

use super::super::Sqlite;
use super::super::damage::Content;
use crate::contract::World;
use crate::contract::world::page;
use crate::{Error, EventFilter, Filter, Page};

const PAGE_BYTES: usize = 4_096;

fn open(folder: &Path) -> World {
    World::new(Arc::new(Sqlite::open(folder).unwrap()), ())
}

fn sqlite(folder: &Path) -> Connection {
    Connection::open(folder.join("lambent.db")).unwrap()
}

/// Changes rows as this program would never do it, one of them.
fn change(folder: &Path, sql: &str) {
    assert_eq!(sqlite(folder).execute(sql, []).unwrap(), 1, "{sql}");
}

/// The same, behind the back of an index. Nothing may have the database open.
fn change_behind(folder: &Path, index: &str, sql: &str) {
    let conn = sqlite(folder);
    conn.pragma_update(None, "writable_schema", true).unwrap();
    let saved = format!("CREATE TABLE saved AS SELECT * FROM sqlite_schema WHERE name = '{index}'");
    conn.execute_batch(&saved).unwrap();
    conn.execute("DELETE FROM sqlite_schema WHERE name = ?1", [index]).unwrap();
    drop(conn);
    change(folder, sql);
    let conn = sqlite(folder);
    conn.pragma_update(None, "writable_schema", true).unwrap();
    conn.execute_batch("INSERT INTO sqlite_schema SELECT * FROM saved; DROP TABLE saved").unwrap();
}

/// The number of the page that a table or an index begins with, which is all of a small one.
fn root(folder: &Path, name: &str) -> usize {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: u32 = sqlite(folder).query_row(sql, [name], |row| row.get(0)).unwrap();
    page.try_into().unwrap()
}

/// So many events of `f`, each with an invocation, oldest first.
async fn send(w: &World, count: usize) -> (Function, Vec<InvocationId>) {
    let f = w.deploy("f").await;
    let mut sent = Vec::new();
    for n in 0..count {
        sent.push(w.send(&n.to_string(), &f).await);
        w.wait(1);
    }
    (f, sent)
}

#[tokio::test]
async fn what_waits_for_a_damaged_event_is_a_dead_letter_and_the_others_are_claimed() {
    let folder = tempfile::tempdir().unwrap();
    let w = open(folder.path());
    let (f, sent) = send(&w, 7).await;
    for how in [
        r#"UPDATE events SET record = '{"id":"O"}' WHERE sender_id = '0'"#,
        "UPDATE events SET record = CAST(x'7bff7d' AS TEXT) WHERE sender_id = '1'",
        "UPDATE events SET kind = 'another' WHERE sender_id = '2'",
        "UPDATE events SET crc = crc + 1 WHERE sender_id = '3'",
        "DELETE FROM events WHERE sender_id = '4'",
    ] {
        change(folder.path(), how);
    }
    let claimed = w.claim(&f, 1).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [sent[5]]);
    assert_eq!(claimed[0].payload, &br#"{"id":"5"}"#[..]);
    for (n, dead) in sent[..5].iter().enumerate() {
        let told = w.detail(*dead).await;
        let fault = told.invocation.fault.unwrap();
        assert_eq!((told.invocation.status, told.invocation.attempts), (Status::Dead, 0), "{n}");
        assert_eq!(
            (fault.code.as_str(), fault.blame),
            (fault::EVENT_DAMAGED, model::Blame::Platform)
        );
        assert!(fault.message.contains("send the event again"), "{fault:?}");
        let last = told.transitions.last().unwrap();
        assert_eq!((last.status, last.reason.as_str()), (Status::Dead, fault::EVENT_DAMAGED));
    }
    assert_eq!(w.store.counts().await.unwrap().damaged_rows, 5);
    // Another round finds the same.
    assert!(w.store.redrive(&w.project, sent[0], w.now()).await.unwrap());
    assert_eq!(w.claim(&f, 9).await.len(), 1, "the last one");
    assert_eq!(w.status(sent[0]).await, Status::Dead);
    assert_eq!(w.store.counts().await.unwrap().damaged_rows, 5);
}

#[tokio::test]
async fn a_dead_letter_of_a_damaged_event_lets_go_of_the_next_of_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let w = open(folder.path());
    let f = w.deploy("f").await;
    let sent = w.send_keyed(&["k", "k"], &f).await;
    change(folder.path(), "UPDATE events SET record = '{}' WHERE no = 1");
    let claimed = w.claim_in(&f, Some("ordered"), 1).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [sent[1]]);
}

#[tokio::test]
async fn a_damaged_event_is_left_out_of_lists_and_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let w = open(folder.path());
    send(&w, 9).await;
    for n in [0, 3, 4, 5, 8] {
        change(
            folder.path(),
            &format!("UPDATE events SET record = '{{}}' WHERE sender_id = '{n}'"),
        );
    }
    for limit in [1, 2, 3, 100] {
        let (mut found, mut next) = (Vec::new(), page(limit));
        loop {
            let listed =
                w.store.events(&w.project, EventFilter::default(), next.clone()).await.unwrap();
            found.extend(listed.items.into_iter().map(|stored| stored.event.id));
            let Some(cursor) = listed.next else { break };
            next = Page { limit, cursor: Some(cursor) };
        }
        assert_eq!(found, ["1", "2", "6", "7"], "{limit}");
    }
    let all = w.list(Filter::default(), 100).await;
    let of = w.detail(*all.last().unwrap()).await.invocation.event.unwrap();
    let refused = w.store.event(&w.project, of).await.unwrap_err();
    assert!(matches!(refused, Error::Failed { .. }), "{refused}");
    assert!(refused.to_string().contains("its checksum is"), "{refused}");
    assert_eq!(w.store.counts().await.unwrap().damaged_rows, 5, "each once");
}

#[tokio::test]
async fn a_damaged_invocation_is_left_out_of_lists() {
    let folder = tempfile::tempdir().unwrap();
    let w = open(folder.path());
    let (_, mut sent) = send(&w, 5).await;
    change(
        folder.path(),
        "UPDATE invocations SET origin = 77 WHERE event = (SELECT id FROM events WHERE sender_id = '2')",
    );
    sent.remove(2);
    sent.reverse();
    for limit in [1, 2, 100] {
        assert_eq!(w.list(Filter::default(), limit).await, sent, "{limit}");
    }
}

#[tokio::test]
async fn an_invocation_that_cannot_be_changed_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let w = open(folder.path());
    let (f, sent) = send(&w, 6).await;
    drop(w);
    let of = |n: usize| format!("event = (SELECT id FROM events WHERE sender_id = '{n}')");
    let waiting = "invocations_waiting";
    let change = |index, set: &str, n| {
        let sql = format!("UPDATE invocations SET {set} WHERE {}", of(n));
        change_behind(folder.path(), index, &sql);
    };
    change(waiting, "status = 1", 0);
    change(waiting, "status = 9", 1);
    change(waiting, "function = 9", 2);
    // Its next transition is there already.
    change(waiting, "transitions = 0", 3);
    let sql = "INSERT INTO transitions SELECT id, 0, 0, 2, 0, '', NULL FROM invocations WHERE";
    sqlite(folder.path()).execute(&format!("{sql} {}", of(3)), []).unwrap();
    let w = open(folder.path());
    w.wait(60);
    let first = w.claim(&f, 1).await;
    assert_eq!(first.iter().map(|one| one.id).collect::<Vec<_>>(), [sent[4]]);
    let second = w.claim(&f, 9).await;
    assert_eq!(second.iter().map(|one| one.id).collect::<Vec<_>>(), [sent[5]]);
    assert!(w.settle(&first[0], crate::Next::Succeeded).await);
    assert_eq!(w.store.counts().await.unwrap().damaged_rows, 4);
}

#[tokio::test]
async fn a_damaged_lease_does_not_keep_the_others_from_being_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let w = open(folder.path());
    let (f, sent) = send(&w, 3).await;
    assert_eq!(w.claim(&f, 9).await.len(), 3);
    drop(w);
    let sql = "UPDATE invocations SET origin = 77
               WHERE event = (SELECT id FROM events WHERE sender_id = '0')";
    change(folder.path(), sql);
    let w = open(folder.path());
    w.wait(60);
    w.store.interrupt(w.now(), None).await.unwrap();
    let claimed = w.claim(&f, 9).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), sent[1..]);
}

#[tokio::test]
async fn a_list_whose_index_is_out_of_order_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let w = open(folder.path());
    let (_, sent) = send(&w, 3).await;
    drop(w);
    let root = root(folder.path(), "invocations_by_project");
    let path = folder.path().join("lambent.db");
    let mut database = fs::read(&path).unwrap();
    let index = &mut database[(root - 1) * PAGE_BYTES..root * PAGE_BYTES];
    let at = |id: InvocationId| {
        index.windows(16).position(|bytes| bytes == id.as_bytes()).expect("it is in the index")
    };
    let (oldest, newest) = (at(sent[0]), at(sent[2]));
    index[oldest..oldest + 16].copy_from_slice(sent[2].as_bytes());
    index[newest..newest + 16].copy_from_slice(sent[0].as_bytes());
    fs::write(&path, database).unwrap();
    let w = open(folder.path());
    let refused = w.store.invocations(&w.project, Filter::default(), page(9)).await.unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains("integrity_check"), "{refused}");
}

/// Spoils the first page that the events have for themselves.
fn spoil(folder: &Path) {
    let root = root(folder, "events");
    let path = folder.join("lambent.db");
    let mut database = fs::read(&path).unwrap();
    database[(root - 1) * PAGE_BYTES..][..8].fill(0xee);
    fs::write(&path, database).unwrap();
}

#[tokio::test]
async fn after_an_end_that_was_not_its_own_a_damaged_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("lock");
    let w = open(folder.path());
    send(&w, 3).await;
    let pid = fs::read_to_string(&lock).unwrap();
    assert_eq!(pid.trim(), std::process::id().to_string());
    assert!(Sqlite::is_in_use(folder.path()));
    drop(w);
    assert_eq!(fs::read_to_string(&lock).unwrap(), "", "it ended well");
    assert!(!Sqlite::is_in_use(folder.path()));
    assert_eq!(fs::read_to_string(&lock).unwrap(), "", "asking leaves no mark");
    fs::write(&lock, &pid).unwrap();
    drop(open(folder.path()));
    spoil(folder.path());
    // Whoever ended well has looked at nothing.
    drop(open(folder.path()));
    fs::write(&lock, &pid).unwrap();
    for _ in 0..2 {
        let refused = Sqlite::open(folder.path()).unwrap_err();
        assert!(matches!(refused, Error::Unsound { .. }), "{refused}");
        assert!(refused.to_string().contains("starting again does not help"), "{refused}");
    }
}

#[tokio::test]
async fn a_read_that_meets_a_spoilt_page_says_that_the_database_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let w = open(folder.path());
    let (f, sent) = send(&w, 3).await;
    drop(w);
    spoil(folder.path());
    let w = open(folder.path());
    let refused = w.store.events(&w.project, EventFilter::default(), page(9)).await.unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    w.wait(60);
    assert_eq!(w.claim(&f, 9).await, []);
    assert_eq!(w.status(sent[0]).await, Status::Dead);
}

#[test]
fn a_checksum_tells_apart_what_a_flipped_bit_changes() {
    let content = Content {
        project: 1,
        id: &[7; 16],
        received_at: 9,
        sender_id: "ab",
        source: "c",
        kind: "d",
        record: r#"{"a":1}"#,
    };
    let sum = content.checksum();
    let others = [
        Content { project: 2, ..content },
        Content { id: &[6; 16], ..content },
        Content { received_at: 8, ..content },
        Content { sender_id: "a", source: "bc", ..content },
        Content { source: "cd", kind: "", ..content },
        Content { record: r#"{"a":0}"#, ..content },
    ];
    for other in others {
        assert_ne!(other.checksum(), sum, "{other:?}");
    }
}
