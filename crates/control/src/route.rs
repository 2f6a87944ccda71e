//! Route: which triggers does this event hit? Pure: a table of triggers and an event in, matches
//! out. It never stores anything; [`crate::ingest`] writes what it finds.
//!
//! An index of what the patterns pin ([`index`]) finds the few triggers that an event could match,
//! and it is held against those only. A function is hit once per trigger that matches, in the order
//! of function and trigger names, so that equal tables answer equally.
//!
//! A table is never changed. Whoever changes a trigger has a new one made of all of them, when the
//! next event comes; see [`crate::catalogue`].

mod build;
mod index;
mod prefixes;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use model::function::Trigger;
use model::{FunctionId, FunctionName};
use serde_json::Value;

use crate::catalogue::Entry;
use index::Index;

/// The triggers of one project, ready to be matched.
#[derive(Debug, Default)]
pub struct Routes {
    /// By function and trigger names.
    routes: Vec<Route>,
    /// Of positions in `routes`.
    index: Index,
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
        let mut functions: Vec<_> = functions.collect();
        functions.sort_unstable_by(|a, b| a.function.name.cmp(&b.function.name));
        let triggers = functions.into_iter().flat_map(|entry| {
            let mut triggers: Vec<_> = entry.triggers.iter().collect();
            triggers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            triggers.into_iter().map(move |trigger| Route {
                function: entry.function.id,
                function_name: entry.function.name.clone(),
                trigger: trigger.clone(),
            })
        });
        let routes: Vec<Route> = triggers.collect();
        let index = Index::new(routes.iter().map(|route| route.trigger.pattern.pins()));
        Self { routes, index }
    }

    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// All triggers, by function and trigger names.
    pub fn all(&self) -> &[Route] {
        &self.routes
    }

    /// The triggers that match the event `record`.
    pub fn matching(&self, record: &Value) -> Vec<&Route> {
        let matching = self.candidates(record).into_iter();
        let routes = matching.filter_map(|position| self.routes.get(position));
        routes.filter(|route| route.trigger.pattern.matches(record)).collect()
    }

    /// Positions of the triggers that the record is held against, in their order, each once.
    fn candidates(&self, record: &Value) -> Vec<usize> {
        let mut candidates = Vec::new();
        if let Some(record) = record.as_object() {
            self.index.candidates(record, &mut candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}
