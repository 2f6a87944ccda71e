//! Everything goes wrong, in random order: sessions and acknowledgements are lost, the broker is away,
//! the store is shut or slow, the life is ended and another begun. In the end each message has been
//! stored once and accepted, or refused; and none was accepted before it was stored, which the broker
//! of these tests asserts by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::{GOOD, World};

#[derive(Clone, Debug)]
enum Step {
    Publish {
        good: u64,
        bad: u64,
    },
    LoseReceive,
    LoseAccept,
    BrokerAway {
        refusals: u32,
    },
    StoreShut {
        s: u64,
    },
    StoreSlow {
        ms: u64,
    },
    Wait {
        ms: u64,
    },
    /// The life is asked to end, and another begins.
    Restart,
    /// The process dies.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..40_u64, 0..3_u64).prop_map(|(good, bad)| Step::Publish { good, bad }),
        1 => Just(Step::LoseReceive),
        2 => Just(Step::LoseAccept),
        1 => (1..6_u32).prop_map(|refusals| Step::BrokerAway { refusals }),
        2 => (0..40_u64).prop_map(|s| Step::StoreShut { s }),
        2 => (0..4_000_u64).prop_map(|ms| Step::StoreSlow { ms }),
        4 => (0..20_000_u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

async fn take(mut w: World, steps: Vec<Step>, most: usize) {
    w.broker.lock().most = Some(most);
    w = w.begin();
    let (mut good, mut bad) = (BTreeSet::new(), BTreeSet::new());
    for step in steps {
        match step {
            Step::Publish { good: more, bad: worse } => {
                for _ in 0..more {
                    let id = format!("good {}", good.len());
                    w.broker.publish(&id, GOOD);
                    good.insert(id);
                }
                for _ in 0..worse {
                    let id = format!("bad {}", bad.len());
                    w.broker.publish(&id, "{");
                    bad.insert(id);
                }
            }
            Step::LoseReceive => w.broker.lock().lose_receive += 1,
            Step::LoseAccept => w.broker.lock().lose_accept += 1,
            Step::BrokerAway { refusals } => w.broker.lock().refusals = refusals,
            Step::StoreShut { s } => w.ledger.shut_for(Duration::from_secs(s)),
            Step::StoreSlow { ms } => {
                *w.ledger.commit.lock().unwrap() = Duration::from_millis(ms);
            }
            Step::Wait { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            Step::Restart => {
                w.stop.cancel();
                w.life.take().unwrap().await.unwrap();
                w.stop = CancellationToken::new();
                w = w.begin();
            }
            Step::Crash => {
                w.life.take().unwrap().abort();
                w = w.begin();
            }
        }
    }
    w.until("every message is answered", |w| {
        let inner = w.broker.lock();
        inner.waiting.is_empty() && inner.held.is_empty()
    })
    .await;
    let stored: Vec<_> = w.ledger.ids();
    assert_eq!(stored.len(), good.len());
    assert_eq!(stored.into_iter().collect::<BTreeSet<_>>(), good);
    let inner = w.broker.lock();
    assert_eq!(inner.accepted.iter().cloned().collect::<BTreeSet<_>>(), good);
    let refused: BTreeSet<_> = inner.refused.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(refused, bad);
}

#[test]
fn whatever_goes_wrong_each_message_is_stored_once_and_accepted_after_that() {
    let slow = std::env::var_os("SLOW_TESTS").is_some_and(|it| it == "1");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: if slow { 2_000 } else { 30 },
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let all = (proptest::collection::vec(step(), 0..30), 1..60_usize);
    let ran = runner.run(&all, |(steps, most)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async { take(World::new(), steps, most).await });
        Ok(())
    });
    ran.unwrap();
}
