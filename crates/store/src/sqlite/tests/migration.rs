//! A data folder of the first schema, with a row in every state, opened by this program.
//!
//! The rows are SQL text and not made by this program's operations, which write today's rows.

use std::sync::Arc;

use model::function::Trigger;
use model::invocation::{Origin, Start, Status};
use model::{Delivery, InvocationId};
use rusqlite::Connection;

use super::super::{Sqlite, schema};
use crate::contract::World;
use crate::contract::world::{name, page, trigger};
use crate::{CallKey, CallKeyState, Destinations, EventFilter, Filter, LogOf, Next, Waiting};

const ROWS: &str = include_str!("schema_1.sql");

/// Of an invocation.
fn id(n: u8) -> InvocationId {
    let mut bytes = [0; 16];
    (bytes[8], bytes[15]) = (3, n);
    InvocationId::from_bytes(bytes)
}

fn open_old() -> World {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut conn = Connection::open(folder.path().join("lambent.db")).unwrap();
        schema::migrate_to(&mut conn, 1).unwrap();
        conn.execute_batch(ROWS).unwrap();
    }
    World::new(Arc::new(Sqlite::open(folder.path()).unwrap()), folder)
}

#[tokio::test]
async fn the_catalogue_of_an_older_schema_is_there_with_today_s_defaults() {
    let w = open_old();
    let deployed = w.store.catalogue().await.unwrap().remove(0);
    assert_eq!(deployed.function.name, name("f"));
    assert_eq!(deployed.function.latest.config.env["A"], "b");
    assert_eq!(deployed.triggers[0].name, trigger("on-it"));
    assert_eq!(deployed.triggers[0].delivery, Delivery::default());
    assert_eq!(deployed.destinations, Destinations::default());
    assert_eq!(w.store.keys().await.unwrap().len(), 1);
    assert_eq!(w.store.sources(None).await.unwrap(), []);
    let put = Trigger { created_at: w.now(), ..deployed.triggers[0].clone() };
    assert!(w.store.put_trigger(&put).await.unwrap());
}

#[tokio::test]
async fn the_ledger_of_an_older_schema_is_told_as_it_was() {
    let w = open_old();
    let all = w.list(Filter::default(), 3).await;
    assert_eq!(all, [8, 7, 6, 5, 4, 3, 2, 1].map(id));
    use Status::{Dead, Failed, Queued, Retrying, Running, Succeeded};
    let statuses = [Queued, Running, Retrying, Succeeded, Dead, Dead, Succeeded, Failed];
    for (n, status) in (1..).zip(statuses) {
        let told = w.detail(id(n)).await.invocation;
        assert_eq!(told.status, status, "{n}");
        assert_eq!((told.lane, told.ordering_key, told.held), (None, None, false), "{n}");
    }
    let dead = w.detail(id(5)).await;
    assert_eq!((dead.invocation.attempts, dead.attempts.len()), (2, 2));
    assert_eq!(dead.attempts[0].fault.as_ref().unwrap().trace, ["a", "b"]);
    assert_eq!((dead.attempts[0].start, dead.attempts[0].batch), (Some(Start::Pool), None));
    assert_eq!(dead.transitions.last().unwrap().reason, "RetriesExhausted");
    let called = w.detail(id(4)).await;
    assert_eq!(called.invocation.origin, Origin::AsyncCall);
    assert_eq!(called.result.as_deref(), Some(&b"42"[..]));
    let log = w.store.log(&w.project, LogOf::Invocation(id(4)), page(9)).await.unwrap();
    assert_eq!(log.items[0].line.text, "a line");
    let buried = w.detail(id(6)).await.invocation;
    assert_eq!(buried.fault.unwrap().code, "FunctionDeleted");
    let events = w.store.events(&w.project, EventFilter::default(), page(9)).await.unwrap();
    assert_eq!(events.items.len(), 6);
    let counts = w.store.counts().await.unwrap();
    assert_eq!((counts.queued, counts.running, counts.retrying, counts.dead), (1, 1, 1, 2));
    assert_eq!(counts.messages_waiting, 0);
}

#[tokio::test]
async fn what_waits_and_runs_in_an_older_schema_goes_on() {
    let w = open_old();
    let f = w.store.catalogue().await.unwrap().remove(0).function;
    let begin = w.now();
    let waiting = Waiting {
        function: f.id,
        lane: None,
        first_due_at: begin,
        oldest_created_at: begin,
        count: 2,
    };
    assert_eq!(w.store.waiting().await.unwrap(), [waiting]);
    w.wait(60);
    assert_eq!(w.store.interrupt(w.now(), None).await.unwrap(), 1);
    assert!(w.store.redrive(&w.project, id(5), w.now()).await.unwrap());
    let claimed = w.claim(&f, 10).await;
    let told: Vec<_> = claimed.iter().map(|it| (it.id, it.attempt, it.failures)).collect();
    assert_eq!(told, [(id(1), 1, 0), (id(3), 2, 1), (id(2), 2, 0), (id(5), 3, 0)]);
    assert_eq!(claimed[0].payload, &br#"{"id":"1"}"#[..]);
    assert_eq!(claimed[2].version, Some(1));
    for one in &claimed {
        assert_eq!((&one.lane, &one.ordering_key, one.batch_limit), (&None, &None, None));
        assert!(w.settle(one, Next::Succeeded).await);
    }
    assert!(w.store.append(vec![w.event("1", &[&f])]).await.unwrap()[0].duplicate);
    let key =
        CallKey { project: w.project.clone(), function: f.id, key: "k".into(), body: [0; 32] };
    let answered = w.store.begin_call(key, id(9), w.now()).await.unwrap();
    let outcome = Ok("1".into());
    assert_eq!(answered, CallKeyState::Answered { invocation: id(7), outcome });
    w.send_keyed(&["a", "a"], &f).await;
    assert_eq!(w.claim_in(&f, Some("ordered"), 9).await.len(), 1);
    w.wait(100 * 24 * 3_600);
    assert_eq!(w.store.sweep(w.now(), w.now(), 100).await.unwrap(), 9, "8 and the key");
}
