//! A dry run of an event: which triggers would it hit, and what stops it at the others? For people
//! who ask why a function did not run.
//!
//! It asks the same table as [`crate::ingest`] and the same patterns, so it cannot say anything
//! else. It stores nothing, starts nothing, and counts in no metric.

use std::collections::HashSet;

use model::pattern::{Had, Stop, Verdict};
use model::{Event, Project};
use serde_json::Value;
use serde_json::value::RawValue;
use wire::http::events::{EventTested, StoppedBy, TriggerTested};
use wire::http::problem::Problem;

use crate::Control;
use crate::ingest::parsed;
use crate::route::{Route, Routes};

/// Triggers told of one event: more than a person reads, and as many as ten functions may have.
const TRIGGERS: usize = 1_000;
/// Triggers told of a batch in all: some megabytes of answer. Of each event of the largest batch it
/// is still ten.
const TRIGGERS_OF_BATCH: usize = 10_000;
/// Characters of a path, and of a sentence: keys may be as long as a pattern.
const TOLD: usize = 1_000;

impl Control {
    /// What these events would do, in their order. A large event against a thousand triggers takes
    /// longer than other tasks of a thread should wait.
    pub fn dry_run(
        &self,
        project: &Project,
        events: &[Event],
    ) -> Result<Vec<EventTested>, Problem> {
        let routes = self.catalogue.routes(project);
        let most = TRIGGERS.min(TRIGGERS_OF_BATCH / events.len().max(1));
        let tested = |event: &Event| {
            let record = parsed(event)?;
            let (triggers, left_out) = tested(&routes, &record, most);
            let event = RawValue::from_string(event.record.to_string());
            Ok(EventTested { event: event.expect("it was parsed just now"), triggers, left_out })
        };
        events.iter().map(tested).collect()
    }
}

/// At most `most` triggers, those that match first; and how many more there are.
fn tested(routes: &Routes, record: &Value, most: usize) -> (Vec<TriggerTested>, u64) {
    let matching = routes.matching(record);
    let matched: HashSet<_> = matching.iter().map(|route| std::ptr::from_ref(*route)).collect();
    let others = routes.all().iter().filter(|route| !matched.contains(&std::ptr::from_ref(*route)));
    let triggers: Vec<_> =
        matching.into_iter().chain(others).take(most).map(|route| told(route, record)).collect();
    let left_out = (routes.all().len() - triggers.len()) as u64;
    (triggers, left_out)
}

fn told(route: &Route, record: &Value) -> TriggerTested {
    let stopped_by = match route.trigger.pattern.explain(record) {
        Verdict::Matched => None,
        Verdict::Stopped(stop) => Some(shape(stop)),
    };
    TriggerTested {
        function: route.function_name.to_string(),
        trigger: route.trigger.name.to_string(),
        matched: stopped_by.is_none(),
        stopped_by,
    }
}

fn shape(stop: Stop) -> StoppedBy {
    let why = cut(stop.to_string());
    let actual = match stop.had {
        // What was cut is no JSON any more.
        Had::Value(json) => Some(serde_json::from_str(&json).unwrap_or(Value::String(json))),
        Had::Absent | Had::NoneOf(_) => None,
    };
    StoppedBy { path: cut(stop.path), expected: stop.wanted, actual, why }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TOLD) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route::tests::entry;

    fn dry(patterns: &[Value], record: Value, most: usize) -> Value {
        let routes = Routes::new([entry(0, patterns)].iter());
        let (triggers, left_out) = tested(&routes, &record, most);
        json!({"triggers": triggers, "left_out": left_out})
    }

    #[test]
    fn what_matches_comes_first_and_the_rest_says_what_stopped_it() {
        let patterns = [
            json!({"type": ["t"], "data": {"size": [{"numeric": [">", 100]}]}}),
            json!({"type": ["t"], "data": {"name": ["a"]}}),
            json!({"type": ["t"]}),
            json!({"$or": [{"type": ["u"]}, {"source": ["s"]}]}),
            json!({"data": {"nothing": [1]}}),
        ];
        let record = json!({"type": "t", "data": {"size": 7, "nothing": null}});
        let stopped = |trigger: &str, stopped_by: Value| json!({"function": "f0", "trigger": trigger, "matched": false, "stopped_by": stopped_by});
        let triggers = json!([
            {"function": "f0", "trigger": "t2", "matched": true},
            stopped("t0", json!({
                "path": "data.size",
                "expected": "[{\"numeric\":[\">\",100]}]",
                "actual": 7,
                "why": "data.size: the pattern wants [{\"numeric\":[\">\",100]}], the event has 7",
            })),
            stopped("t1", json!({
                "path": "data.name",
                "expected": "[\"a\"]",
                "why": "data.name: the pattern wants [\"a\"], the event has no such field",
            })),
            stopped("t3", json!({
                "path": "$or",
                "expected": "one of 2 patterns to hold",
                "why": "$or: the pattern wants one of 2 patterns to hold, but none does (\
                        type: the pattern wants [\"u\"], the event has \"t\"; \
                        source: the pattern wants [\"s\"], the event has no such field)",
            })),
            stopped("t4", json!({
                "path": "data.nothing",
                "expected": "[1]",
                "actual": null,
                "why": "data.nothing: the pattern wants [1], the event has null",
            })),
        ]);
        let expect = json!({"triggers": triggers, "left_out": 0});
        assert_eq!(dry(&patterns, record.clone(), 1_000), expect);
        let few = dry(&patterns, record, 2);
        assert_eq!(few["left_out"], 3);
        assert_eq!(few["triggers"].as_array().unwrap()[..], triggers.as_array().unwrap()[..2]);
    }

    #[test]
    fn long_values_and_keys_are_cut() {
        let record = json!({"a": "x".repeat(10_000)});
        let told = dry(&[json!({"a": ["y"]})], record, 1);
        let actual = told["triggers"][0]["stopped_by"]["actual"].as_str().unwrap();
        assert!(actual.starts_with("\"xxx") && actual.ends_with("x…"), "{actual}");
        let key = "k".repeat(10_000);
        let told = dry(&[json!({key: ["y"]})], json!({}), 1);
        assert!(told.to_string().len() < 3_000, "{told}");
    }

    #[test]
    fn an_answer_of_a_null_is_read_as_a_null() {
        let stopped = json!({"path": "a", "expected": "[1]", "actual": null, "why": "w"});
        let read: StoppedBy = serde_json::from_value(stopped.clone()).unwrap();
        assert_eq!(read.actual, Some(Value::Null));
        assert_eq!(serde_json::to_value(&read).unwrap(), stopped);
    }
}
