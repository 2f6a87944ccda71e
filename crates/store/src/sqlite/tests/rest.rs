//! The newer half of what a child that does everything does: sources, destinations, messages, lanes
//! with keys and batches, a replay. And what a crash at any point has to leave of it.

use std::path::Path;

use bytes::Bytes;
use model::{Function, MessageId, ReplayId, SourceId, SourceName, Timestamp};
use rusqlite::Connection;

use crate::contract::World;
use crate::contract::world::page;
use crate::{
    Destinations, Error, EventFilter, MessageOutcome, NewInvocation, NewMessage, NewReplay,
    NewSource, Next, Purpose, ReplayOrder, ReplayState, ReplayStep, Target,
};

fn target() -> Target {
    Target { kind: "webhook".into(), settings: "{}".into(), sealed: None }
}

fn message(w: &World) -> NewMessage {
    let (id, body) = (MessageId::new(&w.clock), Bytes::from_static(b"{}"));
    NewMessage { id, target: target(), body, purpose: Purpose::Effect }
}

pub(super) async fn do_the_rest(w: &World, f: &Function) -> Result<(), Error> {
    let destinations = Destinations { on_success: Some(target()), on_failure: None };
    w.store.put_destinations(f.id, destinations).await?;
    let name = SourceName::parse("s").unwrap();
    let source = NewSource {
        id: SourceId::new(&w.clock),
        project: w.project.clone(),
        name: name.clone(),
        kind: "schedule".into(),
        settings: "{}".into(),
        sealed: None,
        enabled: true,
        now: w.now(),
    };
    let source = w.store.put_source(source).await?.id;
    let mut events = Vec::new();
    for sender_id in ["tick 1", "tick 2", "tick 3"] {
        let mut event = w.event_in("ordered", sender_id, f);
        event.invocations[0].ordering_key = Some("k".into());
        events.push(event);
    }
    w.store.append_from(source, None, "c1".into(), events).await?;
    w.store.delete_source(&w.project, &name).await?;
    let first = w.claim_in(f, Some("ordered"), 1).await.remove(0);
    w.settle(&first, Next::Split { at: w.now(), limit: 1 }).await;
    let first = w.claim_in(f, Some("ordered"), 1).await.remove(0);
    let mut end = w.settlement(&first, Next::Succeeded);
    end.send = vec![message(w), message(w)];
    w.store.settle_all(vec![end]).await?;
    let messages = w.claim_messages().await;
    w.store.settle_message(messages[0].id, 1, MessageOutcome::Sent, w.now()).await?;
    w.store.deliver_event(messages[1].id, w.event("delivered", &[f])).await?;
    replay(w, f).await
}

/// One step of a replay of all there is.
async fn replay(w: &World, f: &Function) -> Result<(), Error> {
    let id = ReplayId::new(&w.clock);
    let order = ReplayOrder {
        from: Timestamp::default(),
        to: w.now(),
        source: None,
        kind: None,
        pattern: None,
        target: None,
        rate_per_s: 0,
    };
    let project = w.project.clone();
    w.store.create_replay(NewReplay { id, project, order, created_at: w.now() }).await?;
    let event = w.store.events(&w.project, EventFilter::default(), page(1)).await?.items.remove(0);
    let again = NewInvocation { replay: Some(id), ..w.invocation(event.id, f) };
    let step = ReplayStep {
        replay: id,
        project: w.project.clone(),
        before: None,
        after: event.cursor,
        reached_at: event.received_at,
        events: 1,
        matched: 1,
        invocations: vec![again],
    };
    w.store.advance_replay(step).await?;
    w.store.end_replay(&w.project, id, ReplayState::Done, None, w.now()).await?;
    Ok(())
}

/// The halves of each commit are both there or neither.
pub(super) fn check_the_rest(point: &str, folder: &Path) {
    let conn = Connection::open(folder.join("lambent.db")).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let none = |sql: &str| assert_eq!(count(sql), 0, "{point}: {sql}");
    none(
        "SELECT count(*) FROM outbox m
         WHERE NOT EXISTS (SELECT 1 FROM invocations WHERE id = m.invocation AND status >= 3)",
    );
    none(
        "SELECT count(*) FROM
             (SELECT sum(due_at < 9223372036854775807) AS free FROM invocations
              WHERE ordering_key IS NOT NULL AND status IN (0, 1, 2) GROUP BY ordering_key)
         WHERE free != 1",
    );
    let ticks = count("SELECT count(*) FROM events WHERE sender_id LIKE 'tick %'");
    let moved = count("SELECT count(*) FROM sources WHERE cursor = 'c1'");
    let made = count("SELECT count(*) FROM sources");
    assert!(made == 0 || ticks == 3 * moved, "{point}: {ticks} events, and cursor moved: {moved}");
    let delivered = count("SELECT count(*) FROM events WHERE sender_id = 'delivered'");
    let sent = count("SELECT count(*) FROM outbox WHERE status = 1");
    let stepped =
        count("SELECT count(*) FROM replays WHERE cursor IS NOT NULL AND invocations = 1");
    let again = count("SELECT count(*) FROM invocations WHERE replay IS NOT NULL");
    let made = count("SELECT count(*) FROM replays");
    assert!(made == 0 || stepped == again, "{point}: {again} again, and stepped: {stepped}");
    let swept = count("SELECT count(*) FROM outbox") == 0;
    let reported = i64::from(sent > 0);
    assert!(swept || delivered == sent - reported, "{point}: {delivered} of {sent}");
}
