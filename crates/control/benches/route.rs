//! What routing costs: ten thousand triggers of one project, in shapes that differ by what tells
//! the triggers apart. `cargo bench -p control --bench route [WORD…]`.
//!
//! One thread, no store and no HTTP: a record in, the triggers that match out. Each rate is told
//! for records that are parsed already and for records as text, as ingest has them, and counts the
//! processor's time alone, so that what else the machine does is not in it. A word selects the
//! figures whose name it is part of.

#![expect(clippy::print_stdout, reason = "a benchmark's readings are what it is for")]

#[path = "../../sandbox/benches/rig/mod.rs"]
#[expect(dead_code, reason = "what tells times of single acts is for other benchmarks")]
mod rig;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use control::catalogue::Catalogue;
use model::function::{Code, Trigger};
use model::{
    Config, Delivery, Digest, Function, FunctionId, FunctionName, Handler, Pattern, Project,
    RuntimeName, Timestamp, TriggerName, Version,
};
use serde_json::{Value, json};

use rig::{Figure, Processor, RATE, Reading, Share};

const TRIGGERS: usize = 10_000;
/// As many as a function may have.
const TRIGGERS_PER_FUNCTION: usize = model::limits::TRIGGERS_PER_FUNCTION;
/// Different records: more than the processor's caches hold of what they lead to.
const RECORDS: usize = 4_096;
const EVENTS: usize = 1_000_000;
/// What is tried one by one is tried less often.
const SCANNED: usize = 2_000;
const CHANGES: usize = 20;
/// Routed on one core, so that a project's triggers never are what its events wait for.
const GOAL: Option<f64> = Some(100_000.0);
/// For the first event after a trigger was changed.
const REBUILD_GOAL_MS: Option<f64> = Some(20.0);

/// A name, and the pattern of the n-th trigger.
type Shape = (&'static str, fn(usize) -> Value);

const FIGURES: [Figure; 9] = [
    Figure { name: "types", measure: types },
    Figure { name: "sources", measure: sources },
    Figure { name: "buckets", measure: buckets },
    Figure { name: "prefixes", measure: prefixes },
    Figure { name: "grid", measure: grid },
    Figure { name: "hundredth", measure: hundredth },
    Figure { name: "three", measure: three },
    Figure { name: "unpinned", measure: unpinned },
    Figure { name: "change", measure: change },
];

fn main() -> ExitCode {
    rig::run(&FIGURES)
}

/// Each trigger has a type of its own.
fn types(share: Share) -> Vec<Reading> {
    let catalogue = catalogue(|n| json!({"type": [format!("t{n}")]}));
    rates(&catalogue, share.of(EVENTS), 1.0, |n| record(&format!("t{n}"), "s", n))
}

fn sources(share: Share) -> Vec<Reading> {
    let catalogue = catalogue(|n| json!({"type": ["t"], "source": [format!("s{n}")]}));
    rates(&catalogue, share.of(EVENTS), 1.0, |n| record("t", &format!("s{n}"), n))
}

fn buckets(share: Share) -> Vec<Reading> {
    let catalogue = catalogue(|n| json!({"type": ["t"], "data": {"bucket": [format!("b{n}")]}}));
    rates(&catalogue, share.of(EVENTS), 1.0, |n| record("t", "s", n))
}

/// A hundred types, and a hundred beginnings of a key for each: no one field tells them apart.
fn prefixes(share: Share) -> Vec<Reading> {
    let catalogue = catalogue(|n| {
        let prefix = format!("tenant-{:02}/", n / 100);
        json!({"type": [format!("t{}", n % 100)], "data": {"key": [{"prefix": prefix}]}})
    });
    rates(&catalogue, share.of(EVENTS), 1.0, |n| record(&format!("t{}", n % 100), "s", n))
}

/// Ten types, ten sources, a hundred owners.
fn grid(share: Share) -> Vec<Reading> {
    let catalogue = catalogue(|n| {
        let (kind, source) = (format!("t{}", n % 10), format!("s{}", n / 10 % 10));
        json!({"type": [kind], "source": [source], "data": {"owner": {"id": [n / 100]}}})
    });
    rates(&catalogue, share.of(EVENTS), 1.0, |n| {
        record(&format!("t{}", n % 10), &format!("s{}", n / 10 % 10), n)
    })
}

/// One event of a hundred is wanted at all.
fn hundredth(share: Share) -> Vec<Reading> {
    let catalogue = catalogue(|n| json!({"type": ["t"], "source": [format!("s{n}")]}));
    rates(&catalogue, share.of(EVENTS), 0.01, |n| {
        let source = if n % 100 == 0 { format!("s{n}") } else { format!("other{n}") };
        record("t", &source, n)
    })
}

/// Every event is wanted by three triggers, which ask for more than the index knows.
fn three(share: Share) -> Vec<Reading> {
    let catalogue = catalogue(|n| {
        let more = json!({"bucket": [format!("b{}", n / 3)], "size": [{"numeric": [">=", 0]}]});
        json!({"type": [{"prefix": "t"}], "data": more})
    });
    rates(&catalogue, share.of(EVENTS), 3.0, |n| record("t", "s", n / 3))
}

/// What no index helps with: every event is held against every trigger.
fn unpinned(share: Share) -> Vec<Reading> {
    let catalogue = catalogue(|n| json!({"data": {"size": [{"numeric": [">", n, "<", n + 2]}]}}));
    let mut readings = rates(&catalogue, share.of(SCANNED), 1.0, |n| record("t", "s", n.max(1)));
    readings.iter_mut().for_each(|reading| reading.goal = None);
    readings
}

/// What the first event after a change waits for.
fn change(share: Share) -> Vec<Reading> {
    let shapes: [Shape; 3] = [
        ("mean, types", |n| json!({"type": [format!("t{n}")]})),
        ("mean, a grid", |n| {
            let (kind, source) = (format!("t{}", n % 10), format!("s{}", n / 10 % 10));
            json!({"type": [kind], "source": [source], "data": {"owner": {"id": [n / 100]}}})
        }),
        ("mean, types and prefixes", |n| {
            let prefix = format!("tenant-{:02}/", n / 100);
            json!({"type": [format!("t{}", n % 100)], "data": {"key": [{"prefix": prefix}]}})
        }),
    ];
    let measure = |(what, pattern): Shape| {
        let catalogue = catalogue(pattern);
        let project = Project::default_project();
        let count = share.of(CHANGES);
        let took = busy(|| {
            for n in 0..count {
                catalogue.put_trigger(trigger(n, &pattern(n)));
                black_box(catalogue.routes(&project));
            }
        });
        let value = took.as_secs_f64() * 1e3 / count as f64;
        Reading { what, value, unit: "ms", goal: REBUILD_GOAL_MS }
    };
    shapes.into_iter().map(measure).collect()
}

/// A record such as a store of objects sends.
fn record(kind: &str, source: &str, number: usize) -> String {
    let tenant = number / 100;
    json!({
        "specversion": "1.0",
        "id": format!("0199a8c2-7d1e-7c3a-9f00-{number:012}"),
        "source": source,
        "type": kind,
        "subject": format!("tenant-{tenant:02}/photos/{number}.jpg"),
        "time": "2026-01-31T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "bucket": format!("b{number}"),
            "key": format!("tenant-{tenant:02}/photos/{number}.jpg"),
            "size": number,
            "etag": "9e107d9d372bb6826bd81d3542a419d6",
            "owner": {"id": tenant, "name": "somebody"},
        },
    })
    .to_string()
}

/// The processor time that `act` takes of this process, which has one thread.
fn busy(act: impl FnOnce()) -> Duration {
    let begun = Processor::now(std::process::id());
    act();
    begun.since()
}

/// Events in a second, parsed before and parsed meanwhile; `hits` is how many triggers one is
/// wanted by, so that what is measured is what is meant.
fn rates(
    catalogue: &Catalogue,
    count: usize,
    hits: f64,
    record: impl Fn(usize) -> String,
) -> Vec<Reading> {
    // In no order that a processor could guess: 7,919 is a prime, and so meets every trigger.
    let texts: Vec<_> = (0..RECORDS).map(|n| record(n * 7_919 % TRIGGERS)).collect();
    let parse = |text: &String| serde_json::from_str::<Value>(text).expect("this is JSON");
    let parsed: Vec<_> = texts.iter().map(parse).collect();
    let routes = catalogue.routes(&Project::default_project());
    let expect: usize = parsed.iter().map(|record| routes.matching(record).len()).sum();
    let mean = expect as f64 / RECORDS as f64;
    assert!((mean - hits).abs() < 0.1 * hits, "an event hits {mean} triggers, not {hits}");
    let took = busy(|| {
        for record in parsed.iter().cycle().take(count) {
            black_box(routes.matching(record));
        }
    });
    let parsing = busy(|| {
        for text in texts.iter().cycle().take(count) {
            black_box(routes.matching(&parse(text)));
        }
    });
    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    vec![
        Reading { what: "routed", value: rate(took), unit: RATE, goal: GOAL },
        Reading { what: "parsed and routed", value: rate(parsing), unit: RATE, goal: GOAL },
    ]
}

fn catalogue(pattern: impl Fn(usize) -> Value) -> Catalogue {
    let functions = (0..TRIGGERS / TRIGGERS_PER_FUNCTION).map(|number| {
        let first = number * TRIGGERS_PER_FUNCTION;
        let triggers = first..first + TRIGGERS_PER_FUNCTION;
        (function(number), triggers.map(|n| trigger(n, &pattern(n))).collect())
    });
    Catalogue::new(functions.collect())
}

fn function_id(number: usize) -> FunctionId {
    FunctionId::from_bytes((number as u128).to_be_bytes())
}

fn function(number: usize) -> Function {
    let at = Timestamp::from_millis(0);
    let runtime = RuntimeName::parse("python3.11").expect("this is a runtime's name");
    let handler = Handler::parse("handler.handler").expect("this names a handler");
    let code = Code { digest: Digest([0; 32]), size_bytes: 0, file_name: String::new() };
    let config = Config::new(runtime, handler);
    Function {
        id: function_id(number),
        project: Project::default_project(),
        name: FunctionName::parse(&format!("f{number}")).expect("this is a function's name"),
        created_at: at,
        latest: Version { number: 1, created_at: at, code, config },
    }
}

fn trigger(number: usize, pattern: &Value) -> Trigger {
    Trigger {
        function: function_id(number / TRIGGERS_PER_FUNCTION),
        name: TriggerName::parse(&format!("t{number}")).expect("this is a trigger's name"),
        pattern: Pattern::from_value(pattern).expect("this is a pattern"),
        delivery: Delivery::default(),
        created_at: Timestamp::from_millis(0),
    }
}
