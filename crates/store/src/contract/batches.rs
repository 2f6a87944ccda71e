//! Batches: attempts that ended together are settled together.

use model::invocation::{BatchPart, Status};
use model::{Fault, fault};

use super::World;
use super::world::seconds;
use crate::{Claimed, Error, Next, Settled};

impl World {
    /// So many running attempts of one lane.
    async fn batch(&self, count: usize) -> Vec<Claimed> {
        let f = self.deploy("f").await;
        let new = |n: usize| self.event_in("batched", &format!("b{n}"), &f);
        self.store.append((0..count).map(new).collect()).await.unwrap();
        self.claim_in(&f, Some("batched"), count).await
    }
}

const OURS: Settled = Settled { ours: true, released: false };
const LATE: Settled = Settled { ours: false, released: false };

pub(crate) async fn a_batch_is_settled_at_once_and_each_has_its_own_end(w: World) {
    let batch = w.batch(4).await;
    assert!(w.settle(&batch[3], Next::Succeeded).await);
    let ends = [
        (&batch[0], Next::Succeeded),
        (&batch[1], Next::RetryAt(w.now())),
        (&batch[2], Next::GaveUp("RetriesExhausted")),
        (&batch[3], Next::RetryAt(w.now())),
        (&batch[0], Next::Succeeded),
    ];
    let ends = ends.map(|(claimed, next)| w.settlement(claimed, next)).to_vec();
    let settled = w.store.settle_all(ends).await.unwrap();
    assert_eq!(settled, [OURS, OURS, OURS, LATE, LATE]);
    let expect = [Status::Succeeded, Status::Retrying, Status::Dead, Status::Succeeded];
    for (claimed, status) in batch.iter().zip(expect) {
        assert_eq!(w.status(claimed.id).await, status);
    }
    assert_eq!(w.store.settle_all(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn a_batch_that_cannot_be_settled_whole_is_not_settled_at_all(w: World) {
    let batch = w.batch(2).await;
    let mut ends: Vec<_> =
        batch.iter().map(|claimed| w.settlement(claimed, Next::Succeeded)).collect();
    let message = w.message("to");
    for end in &mut ends {
        end.send = vec![message.clone()];
    }
    let failed = w.store.settle_all(ends.clone()).await;
    assert!(matches!(failed, Err(Error::Failed { .. })), "an id is given once: {failed:?}");
    for claimed in &batch {
        assert_eq!(w.status(claimed.id).await, Status::Running);
    }
    ends[1].send.clear();
    assert_eq!(w.store.settle_all(ends).await.unwrap(), [OURS, OURS]);
}

pub(crate) async fn a_split_counts_for_nobody_and_makes_the_next_batch_smaller(w: World) {
    let first = w.batch(1).await.remove(0);
    assert_eq!(first.batch_limit, None);
    let f = w.store.catalogue().await.unwrap().remove(0).function;
    let again = async || w.claim_in(&f, Some("batched"), 1).await.remove(0);
    let at = w.now().plus(seconds(2));
    assert!(w.settle(&first, Next::Split { at, limit: 8 }).await);
    assert!(w.claim_in(&f, Some("batched"), 1).await.is_empty(), "not before its time");
    let told = w.detail(first.id).await;
    assert_eq!(told.invocation.status, Status::Retrying);
    let reason = &told.transitions.last().unwrap().reason;
    assert!(reason.starts_with("BatchSplit: waits until "), "{reason}");
    w.wait(2);
    let second = again().await;
    assert_eq!((second.attempt, second.failures, second.disturbances), (2, 0, 0));
    assert_eq!(second.batch_limit, Some(8));
    assert!(w.settle(&second, Next::RetryAt(w.now())).await);
    let third = again().await;
    assert_eq!((third.failures, third.batch_limit), (1, Some(8)), "a retry leaves the limit");
    let mut ours = w.settlement(&third, Next::Split { at: w.now(), limit: 4 });
    ours.attempt.fault = Some(Fault::platform(fault::NO_CAPACITY, "no room"));
    assert!(w.store.settle(ours).await.unwrap().ours);
    let fourth = again().await;
    assert_eq!((fourth.failures, fourth.disturbances), (1, 0));
    assert_eq!(fourth.batch_limit, Some(4));
}

pub(crate) async fn a_split_for_a_deleted_function_is_a_dead_letter(w: World) {
    let running = w.batch(1).await.remove(0);
    let deleted = Fault::platform(fault::FUNCTION_DELETED, "the function was deleted");
    assert!(w.store.delete_function(running.function, &deleted, w.now()).await.unwrap());
    assert!(w.settle(&running, Next::Split { at: w.now(), limit: 1 }).await);
    let told = w.detail(running.id).await.invocation;
    assert_eq!((told.status, told.fault), (Status::Dead, Some(deleted)));
}

pub(crate) async fn an_attempt_tells_in_which_batch_it_was_made(w: World) {
    let batch = w.batch(3).await;
    let part = BatchPart { id: batch[0].id, size: 3 };
    let mut end = w.settlement(&batch[1], Next::RetryAt(w.now()));
    end.attempt.batch = Some(part);
    assert!(w.store.settle(end).await.unwrap().ours);
    let f = w.store.catalogue().await.unwrap().remove(0).function;
    let again = w.claim_in(&f, Some("batched"), 1).await.remove(0);
    assert!(w.settle(&again, Next::Succeeded).await);
    let attempts = w.detail(batch[1].id).await.attempts;
    let told: Vec<_> = attempts.iter().map(|attempt| attempt.batch).collect();
    assert_eq!(told, [Some(part), None]);
}
