//! A day of many schedules in a moment: a real store, a clock that is told what time it is, and two
//! schedulers that tick the same sources and are restarted all the time. Each tick is in the ledger
//! exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use model::{Clock, Event, EventId, Project, SourceId, SourceName, Timestamp};
use store::{EventFilter, NewEvent, NewSource, Page, Source, Store};
use wire::http::problem::{Code, Problem};

use super::ticker::{Ticker, Ticks, Turn};

#[derive(Debug)]
struct TestClock {
    now: AtomicI64,
    entropy: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::Relaxed))
    }

    /// Counts where ids take their chance from.
    fn entropy(&self) -> u128 {
        let count = self.entropy.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 16];
        bytes[2..10].copy_from_slice(&count.to_be_bytes());
        u128::from_le_bytes(bytes)
    }
}

#[derive(Debug)]
struct World {
    store: Arc<dyn Store>,
    clock: TestClock,
    project: Project,
    _folder: tempfile::TempDir,
}

/// A schedule of one scheduler, and when it wakes up.
struct Sleeper {
    ticker: Ticker,
    until: Timestamp,
}

impl Sleeper {
    fn new(source: &Source) -> Self {
        Self { ticker: Ticker::new(source).unwrap(), until: Timestamp::default() }
    }
}

/// One source in the store, as a scheduler sees it.
#[derive(Debug)]
struct Of<'a> {
    world: &'a World,
    source: &'a Source,
    /// Events whose invocations are unfinished.
    busy: &'a [EventId],
}

fn failed(error: &store::Error) -> Problem {
    Problem::new(Code::Internal, error.to_string())
}

#[async_trait]
impl Ticks for Of<'_> {
    async fn tick(
        &self,
        before: Option<String>,
        after: String,
        event: Option<(EventId, Event)>,
    ) -> Result<bool, Problem> {
        let (project, received_at) = (self.source.project.clone(), self.world.clock.now());
        let new = |(id, event)| {
            let project = project.clone();
            NewEvent { id, project, event, received_at, invocations: Vec::new() }
        };
        let events = event.into_iter().map(new).collect();
        let appended = self.world.store.append_from(self.source.id, before, after, events).await;
        let appended = appended.map_err(|error| failed(&error))?;
        let duplicate = appended.iter().flatten().any(|it| it.duplicate);
        assert!(!duplicate, "the cursor alone must keep ticks apart");
        Ok(appended.is_some())
    }

    async fn is_busy(&self, event: EventId) -> Result<bool, Problem> {
        Ok(self.busy.contains(&event))
    }

    async fn cursor(&self) -> Result<Option<Option<String>>, Problem> {
        let sources = self.world.store.sources(None).await.map_err(|error| failed(&error))?;
        Ok(sources.into_iter().find(|it| it.id == self.source.id).map(|it| it.cursor))
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(store::sqlite::Sqlite::open(folder.path()).unwrap());
        // 2026-03-28: the clocks of Berlin change in the night after it.
        let now = AtomicI64::new(1_774_656_000_000_000);
        let clock = TestClock { now, entropy: AtomicU64::new(1) };
        let project = Project::parse("p").unwrap();
        Self { store, clock, project, _folder: folder }
    }

    async fn put(&self, name: &str, settings: &str) -> Source {
        let new = NewSource {
            id: SourceId::new(&self.clock),
            project: self.project.clone(),
            name: SourceName::parse(name).unwrap(),
            kind: "schedule".into(),
            settings: settings.into(),
            sealed: None,
            enabled: true,
            now: self.clock.now(),
        };
        self.store.put_source(new).await.unwrap()
    }

    fn advance(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap();
        self.clock.now.fetch_add(micros, Ordering::Relaxed);
    }

    /// Ticks until nothing is due, and as a life does, not before there is something; answers how many
    /// fired, and how often somebody else was faster.
    async fn turns(&self, source: &Source, sleeper: &mut Sleeper, busy: &[EventId]) -> (u64, u64) {
        let (mut fired, mut overtaken) = (0, 0);
        let Sleeper { ticker, until } = sleeper;
        while *until <= self.clock.now() {
            let of = Of { world: self, source, busy };
            match ticker.turn(&of, &self.clock).await.unwrap() {
                Turn::Fired => fired += 1,
                Turn::Overtaken => overtaken += 1,
                Turn::Skipped(_) => {}
                Turn::Until(next) => *until = next.unwrap_or(Timestamp::from_micros(i64::MAX)),
                Turn::Gone => panic!("the source is there"),
            }
        }
        (fired, overtaken)
    }

    /// The times of all events, by source.
    async fn events(&self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        let mut cursor = None;
        loop {
            let page = Page { limit: 1_000, cursor };
            let filter = EventFilter::default();
            let listed = self.store.events(&self.project, filter, page).await.unwrap();
            for it in listed.items {
                let (_, tick) = it.event.id.split_once('/').unwrap();
                all.entry(it.event.source.clone()).or_default().push(tick.to_owned());
            }
            cursor = listed.next;
            if cursor.is_none() {
                return all;
            }
        }
    }
}

fn schedule(n: u64) -> String {
    let minute = n * 7 % 60;
    let expression = match n % 5 {
        0 => format!("{minute} * * * *"),
        1 => format!("cron({minute}/20 * * * ? *)"),
        2 => format!("rate({} minutes)", 10 + n % 50),
        3 => format!("{minute} 2,3,14 * * *"),
        _ => format!("{minute} */{} * * *", 1 + n % 4),
    };
    // A tick that is late by a restart of minutes is caught up by all of them.
    format!(r#"{{"schedule": "{expression}", "time_zone": "Europe/Berlin", "catch_up": "all"}}"#)
}

#[tokio::test]
async fn in_a_day_of_restarts_two_schedulers_fire_each_tick_once() {
    let slow = std::env::var_os("SLOW_TESTS").is_some_and(|it| it == "1");
    let (schedules, step) = if slow { (1_000, 10) } else { (100, 30) };
    let world = World::new();
    let began = world.clock.now();
    let mut sources = Vec::new();
    for n in 0..schedules {
        sources.push(world.put(&format!("s{n}"), &schedule(n)).await);
    }
    let begun = |sources: &[Source]| -> Vec<Sleeper> { sources.iter().map(Sleeper::new).collect() };
    let (mut one, mut other) = (begun(&sources), begun(&sources));
    let (mut fired, mut overtaken) = (0, 0);
    let ends = began.plus(Duration::from_secs(86_400));
    let mut minutes = 0;
    while world.clock.now() < ends {
        world.advance(Duration::from_secs(step));
        minutes += u64::from(world.clock.now().since(began).as_secs().is_multiple_of(60));
        // For two minutes of ten, nobody is there; then both come back from what the store knows,
        // one of them with what it knew before the other's last ticks.
        match minutes % 10 {
            8 => continue,
            9 => {
                one = begun(&world.store.sources(None).await.unwrap());
                one.sort_by_key(|it| sources.iter().position(|s| it.ticker.is_of(s)));
                continue;
            }
            _ => {}
        }
        let turns = sources.iter().zip(one.iter_mut().zip(&mut other)).map(|(source, (a, b))| {
            let world = &world;
            async move { tokio::join!(world.turns(source, a, &[]), world.turns(source, b, &[])) }
        });
        for (a, b) in join_all(turns).await {
            fired += a.0 + b.0;
            overtaken += a.1 + b.1;
        }
    }
    world.advance(Duration::from_secs(1));
    let events = world.events().await;
    let mut expected = 0;
    for source in &sources {
        let settings: wire::http::schedules::Schedule =
            serde_json::from_str(&source.settings).unwrap();
        let zone = settings.time_zone.as_deref();
        let schedule = model::Schedule::parse(&settings.schedule, zone).unwrap();
        let schedule = schedule.anchored_at(source.created_at);
        // What was due in the last two minutes may be still to come.
        let until = world.clock.now().minus(Duration::from_secs(150));
        let ticks = schedule.ticks_between(source.updated_at, until, usize::MAX);
        let ticks: Vec<_> = ticks.into_iter().map(wire::http::rfc3339).collect();
        let found = events.get(&format!("schedule:{}", source.name)).cloned().unwrap_or_default();
        assert_eq!(found[..ticks.len()], ticks, "{}", settings.schedule);
        assert!(found.len() <= ticks.len() + 3);
        expected += found.len() as u64;
    }
    assert_eq!(fired, expected);
    assert!(
        fired > 10 * schedules && overtaken > fired / 4,
        "{fired} fired, {overtaken} raced for"
    );
}

#[tokio::test]
async fn a_tick_is_left_out_while_an_earlier_one_is_unfinished() {
    let world = World::new();
    let source = world.put("s", r#"{"schedule": "rate(1 minute)", "overlap": "skip"}"#).await;
    let mut sleeper = Sleeper::new(&source);
    let minute = Duration::from_secs(60);
    world.advance(minute);
    assert_eq!(world.turns(&source, &mut sleeper, &[]).await.0, 1);
    let page = Page { limit: 10, cursor: None };
    let first = world.store.events(&world.project, EventFilter::default(), page).await.unwrap();
    let busy = [first.items[0].id];
    for _ in 0..3 {
        world.advance(minute);
        assert_eq!(world.turns(&source, &mut sleeper, &busy).await.0, 0);
    }
    assert_eq!(sleeper.ticker.state().skipped, 3);
    // Whoever takes over knows what the last tick was that fired.
    let taken_over = world.store.sources(None).await.unwrap().remove(0);
    let mut sleeper = Sleeper::new(&taken_over);
    world.advance(minute);
    assert_eq!(world.turns(&source, &mut sleeper, &busy).await.0, 0);
    world.advance(minute);
    assert_eq!(world.turns(&source, &mut sleeper, &[]).await.0, 1);
    let state = sleeper.ticker.state();
    assert_eq!((state.skipped, state.last_tick.is_some()), (4, true));
    assert_eq!(world.events().await["schedule:s"].len(), 2);
}

#[tokio::test]
async fn a_source_that_is_gone_fires_nothing() {
    let world = World::new();
    let source = world.put("s", r#"{"schedule": "rate(1 minute)"}"#).await;
    let mut ticker = Ticker::new(&source).unwrap();
    assert!(world.store.delete_source(&world.project, &source.name).await.unwrap());
    world.advance(Duration::from_secs(60));
    let of = Of { world: &world, source: &source, busy: &[] };
    assert_eq!(ticker.turn(&of, &world.clock).await.unwrap(), Turn::Gone);
    assert!(world.events().await.is_empty());
}
