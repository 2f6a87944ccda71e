//! Route: which triggers does this event hit? Pure: a table of triggers and an event in, matches
//! out. It never stores anything; [`crate::ingest`] writes what it finds.
//!
//! Most patterns pin the event's type to a few exact strings, so triggers are indexed by those and
//! an event is held only against the ones that could match. A function is hit once per trigger
//! that matches, in the order of function and trigger names, so that equal tables answer equally.

use std::collections::HashMap;
use std::sync::Arc;

use model::function::Trigger;
use model::{FunctionId, FunctionName};
use serde_json::Value;

use crate::catalogue::Entry;

/// The triggers of one project, ready to be matched.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    /// Positions in `routes` by the exact types that their patterns accept.
    by_type: HashMap<Box<str>, Vec<usize>>,
    /// Those whose pattern does not pin the type.
    any_type: Vec<usize>,
}

/// One trigger with the function that it feeds.
#[derive(Clone, Debug)]
pub struct Route {
    pub function: FunctionId,
    pub function_name: FunctionName,
    pub trigger: Arc<Trigger>,
}

impl Routes {
    pub fn new<'a>(functions: impl Iterator<Item = &'a Arc<Entry>>) -> Self {
        let mut routes: Vec<Route> = functions
            .flat_map(|entry| entry.triggers.iter().map(move |trigger| (entry, trigger)))
            .map(|(entry, trigger)| Route {
                function: entry.function.id,
                function_name: entry.function.name.clone(),
                trigger: trigger.clone(),
            })
            .collect();
        routes.sort_by(|a, b| {
            (&a.function_name, &a.trigger.name).cmp(&(&b.function_name, &b.trigger.name))
        });
        let mut table = Self { routes, ..Self::default() };
        for (position, route) in table.routes.iter().enumerate() {
            match route.trigger.pattern.exact_types() {
                Some(types) => {
                    for kind in types {
                        table.by_type.entry(kind.as_str().into()).or_default().push(position);
                    }
                }
                None => table.any_type.push(position),
            }
        }
        table
    }

    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The triggers that match the event `record`, whose type is `kind`.
    pub fn matching(&self, kind: &str, record: &Value) -> Vec<&Route> {
        let pinned = self.by_type.get(kind).map(Vec::as_slice).unwrap_or_default();
        let mut hits: Vec<usize> = pinned
            .iter()
            .chain(&self.any_type)
            .copied()
            .filter(|&position| self.routes[position].trigger.pattern.matches(record))
            .collect();
        hits.sort_unstable();
        hits.dedup();
        hits.into_iter().map(|position| &self.routes[position]).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::function::Code;
    use model::{
        Config, Digest, Function, Handler, Pattern, Project, RuntimeName, Timestamp, TriggerName,
        Version,
    };
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::catalogue::spec;

    /// A function with triggers that have these patterns.
    fn entry(number: u8, patterns: &[Value]) -> Arc<Entry> {
        let at = Timestamp::from_millis(0);
        let id = FunctionId::from_bytes([number; 16]);
        let runtime = RuntimeName::parse("python3.11").unwrap();
        let config = Config::new(runtime, Handler::parse("handler.handler").unwrap());
        let code = Code { digest: Digest([0; 32]), size_bytes: 0, file_name: String::new() };
        let name = FunctionName::parse(&format!("f{number}")).unwrap();
        let latest = Version { number: 1, created_at: at, code, config };
        let project = Project::default_project();
        let function = Function { id, project, name, created_at: at, latest };
        let trigger = |(n, pattern): (usize, &Value)| {
            let name = TriggerName::parse(&format!("t{n}")).unwrap();
            let pattern = Pattern::from_value(pattern).unwrap();
            Arc::new(Trigger { function: id, name, pattern, created_at: at })
        };
        Arc::new(Entry {
            spec: Arc::new(spec(&function, &function.latest)),
            triggers: patterns.iter().enumerate().map(trigger).collect(),
            gauge: Arc::default(),
            project_gauge: Arc::default(),
            function,
        })
    }

    fn pattern() -> impl Strategy<Value = Value> {
        let kind = prop_oneof![Just("a"), Just("b"), Just("c")];
        let kinds = proptest::collection::vec(kind, 1..3);
        prop_oneof![
            kinds.prop_map(|kinds| json!({"type": kinds})),
            Just(json!({"type": [{"prefix": "a"}]})),
            Just(json!({"type": ["a", {"suffix": "c"}]})),
            (0..3_u8).prop_map(|n| json!({"data": {"n": [n]}})),
            (0..3_u8).prop_map(|n| json!({"type": ["a"], "data": {"n": [n]}})),
            Just(json!({"$or": [{"type": ["a"]}, {"type": ["b"], "data": {"n": [1]}}]})),
            Just(json!({"$or": [{"type": ["a"]}, {"data": {"n": [1]}}]})),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn the_index_finds_what_trying_every_trigger_finds(
            functions in proptest::collection::vec(proptest::collection::vec(pattern(), 0..4), 0..6),
            kind in prop_oneof![Just("a"), Just("b"), Just("c"), Just("ac"), Just("d")],
            n in 0..4_u8,
        ) {
            let entries: Vec<_> =
                (0..).zip(&functions).map(|(number, patterns)| entry(number, patterns)).collect();
            let record = json!({"type": kind, "data": {"n": n}});
            let routes = Routes::new(entries.iter());
            let named = |function: &FunctionName, trigger: &Trigger| {
                (function.to_string(), trigger.name.to_string())
            };
            let found: Vec<_> = routes
                .matching(kind, &record)
                .into_iter()
                .map(|route| named(&route.function_name, &route.trigger))
                .collect();
            let tried: BTreeSet<_> = entries
                .iter()
                .flat_map(|entry| entry.triggers.iter().map(move |trigger| (entry, trigger)))
                .filter(|(_, trigger)| trigger.pattern.matches(&record))
                .map(|(entry, trigger)| named(&entry.function.name, trigger))
                .collect();
            prop_assert_eq!(found, tried.into_iter().collect::<Vec<_>>(), "each once, in order");
        }
    }
}
