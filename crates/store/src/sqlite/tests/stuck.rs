//! Ordering keys in states that no whole operation leaves, made by hand.

use std::sync::Arc;

use model::{Fault, fault};
use rusqlite::Connection;

use super::super::ledger::Ledger;
use super::super::{Sqlite, burial, catalogue, ordering};
use crate::contract::World;

#[tokio::test]
async fn what_is_held_for_nothing_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let w = World::new(Arc::new(Sqlite::open(folder.path()).unwrap()), ());
    let f = w.deploy("f").await;
    let keys: Vec<_> = (0..300).map(|n| format!("k{n}")).collect();
    let thrice: Vec<_> = [&keys, &keys, &keys].into_iter().flatten().map(String::as_str).collect();
    let sent = w.send_keyed(&thrice, &f).await;
    // As if the ends of the first had not let go of the second.
    let lose = |ended: &str| {
        let conn = Connection::open(folder.path().join("lambent.db")).unwrap();
        let sql = format!("UPDATE invocations SET status = 3 WHERE turn = 1 AND {ended}");
        conn.execute(&sql, []).unwrap()
    };
    assert_eq!(lose("ordering_key != 'k7'"), 299);
    w.wait(1);
    let claim = async || w.claim_in(&f, Some("ordered"), 1_000).await;
    assert_eq!(claim().await.len(), 1);
    assert_eq!(w.store.interrupt(w.now(), None).await.unwrap(), 0);
    let claimed = claim().await;
    assert_eq!(claimed.len(), 299);
    assert!(claimed.iter().all(|one| sent[300..600].contains(&one.id) && one.due_at == w.now()));
    for held in [sent[307], sent[607], sent[608]] {
        assert!(w.detail(held).await.invocation.held, "another of its key runs");
    }
}

#[tokio::test]
async fn what_is_no_longer_held_for_nothing_when_it_is_to_be_let_go_stays() {
    let folder = tempfile::tempdir().unwrap();
    let w = World::new(Arc::new(Sqlite::open(folder.path()).unwrap()), ());
    let f = w.deploy("f").await;
    let sent = w.send_keyed(&["k", "k"], &f).await;
    let ledger =
        Ledger::new(Connection::open(folder.path().join("lambent.db")).unwrap(), Arc::default());
    ordering::repair(&ledger, &sent, w.now()).unwrap();
    assert!(w.detail(sent[1]).await.invocation.held);
    assert_eq!(w.claim_in(&f, Some("ordered"), 9).await.len(), 1);
}

#[tokio::test]
async fn half_a_burial_leaves_nothing_held_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let w = World::new(Arc::new(Sqlite::open(folder.path()).unwrap()), ());
    let f = w.deploy("f").await;
    w.send_keyed(&vec!["k"; burial::BATCH + 2], &f).await;
    let mut ledger =
        Ledger::new(Connection::open(folder.path().join("lambent.db")).unwrap(), Arc::default());
    let deleted = Fault::platform(fault::FUNCTION_DELETED, "deleted");
    assert!(catalogue::delete_function(&mut ledger, f.id, &deleted, w.now()).unwrap());
    assert_eq!(burial::bury(&mut ledger, w.now(), false).unwrap(), burial::BATCH);
    assert_eq!(ordering::stuck(&ledger.conn).unwrap(), []);
    assert_eq!(burial::bury(&mut ledger, w.now(), false).unwrap(), 2);
}
