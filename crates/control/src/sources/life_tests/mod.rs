//! The contract of a source that reads a queue, on a queue and a ledger that do what a test says, in
//! virtual time. What holds here holds for every kind of broker.
//!
//! [`contract`] says each promise by itself; [`chaos`] has everything go wrong in random order.

mod broker;
mod chaos;
mod contract;
mod ledger;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use model::{Clock, Project};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::http::sources::State;
use wire::message::Format;

use super::batch::Store;
use super::life::Life;
use super::read::Reader;
use super::state::Report;
use broker::{Broker, TestQueue};
use ledger::{TestClock, TestLedger};

/// Virtual, so it costs nothing.
const SOON: Duration = Duration::from_secs(3_600);
const GOOD: &str = r#"{"type": "t"}"#;

struct World {
    broker: Arc<Broker>,
    ledger: Arc<TestLedger>,
    report: Arc<Report>,
    clock: Arc<TestClock>,
    stop: CancellationToken,
    life: Option<JoinHandle<()>>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(TestClock { began: Instant::now(), entropy: AtomicU64::new(1) });
        let (broker, ledger) = (Arc::<Broker>::default(), Arc::<TestLedger>::default());
        broker.lock().ledger = Some(ledger.clone());
        Self {
            broker,
            ledger,
            report: Arc::new(Report::new("test", "mine", "s", clock.now())),
            clock,
            stop: CancellationToken::new(),
            life: None,
        }
    }

    fn begin(mut self) -> Self {
        let project = Project::parse("mine").unwrap();
        let reader = Reader { format: Format::Auto, queue: "q".into(), project, any_project: true };
        let life = Life {
            name: "mine/s".into(),
            queue: Box::new(TestQueue(self.broker.clone())),
            store: Store {
                reader: Arc::new(reader),
                ledger: self.ledger.clone(),
                clock: self.clock.clone(),
                report: self.report.clone(),
            },
            stop: self.stop.clone(),
        };
        self.life = Some(tokio::spawn(life.live()));
        self
    }

    fn state(&self) -> State {
        self.report.shape(self.clock.now())
    }

    /// Waits, in virtual time.
    #[track_caller]
    fn until(&self, what: &str, fact: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let (what, began) = (what.to_owned(), Instant::now());
        async move {
            while !fact(self) {
                let (inner, state) = (self.broker.lock(), self.state());
                assert!(began.elapsed() < SOON, "never saw that {what}: {state:?}, {inner:?}");
                drop(inner);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn accepted(&self, count: usize) {
        self.until("all is accepted", |w| w.broker.lock().accepted.len() >= count).await;
    }
}
