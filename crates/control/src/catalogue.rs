//! The catalogue in memory: what a call or an event has to find without asking the store.
//!
//! Loaded from the store at start, changed only after the store has accepted a change, by the
//! operations of [`crate::deploy`]. Readers get shared, immutable entries; a deploy replaces the
//! entry, and attempts that still run keep the one that they began with. The count of running
//! attempts ([`Gauge`]) belongs to the function and outlives its versions.
//!
//! The table that routes a project's events is made of all its triggers when the first event after
//! a change asks for it, and outside of the lock: ten thousand triggers take milliseconds, which
//! neither those who set them one after the other nor other projects should wait for.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::function::Trigger;
use model::{Function, FunctionId, FunctionName, Project, Version};
use store::Destinations;
use wire::worker::FunctionSpec;

use crate::gate::Gauge;
use crate::route::Routes;

/// A function, ready to be called.
#[derive(Debug)]
pub struct Entry {
    pub function: Function,
    /// The latest version, as a worker wants it.
    pub spec: Arc<FunctionSpec>,
    pub triggers: Vec<Arc<Trigger>>,
    pub destinations: Arc<Destinations>,
    pub gauge: Arc<Gauge>,
    pub project_gauge: Arc<Gauge>,
}

impl Entry {
    pub fn trigger(&self, name: &model::TriggerName) -> Option<&Arc<Trigger>> {
        self.triggers.iter().find(|trigger| trigger.name == *name)
    }
}

/// Everything of everyone; each look-up names its project.
#[derive(Debug, Default)]
pub struct Catalogue {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    projects: HashMap<Project, Tenant>,
    by_id: HashMap<FunctionId, Arc<Entry>>,
}

#[derive(Debug, Default)]
struct Tenant {
    functions: HashMap<FunctionName, Arc<Entry>>,
    /// Made of these functions' triggers when they are asked for.
    routes: Arc<OnceLock<Arc<Routes>>>,
    gauge: Arc<Gauge>,
}

impl Catalogue {
    pub fn new(functions: Vec<(Function, Vec<Trigger>)>) -> Self {
        let catalogue = Self::default();
        let mut state = catalogue.write();
        for (function, triggers) in functions {
            let triggers = triggers.into_iter().map(Arc::new).collect();
            state.put(function, triggers);
        }
        drop(state);
        catalogue
    }

    pub fn get(&self, project: &Project, name: &FunctionName) -> Option<Arc<Entry>> {
        self.read().projects.get(project)?.functions.get(name).cloned()
    }

    pub fn by_id(&self, id: FunctionId) -> Option<Arc<Entry>> {
        self.read().by_id.get(&id).cloned()
    }

    /// What routes an event of this project.
    pub fn routes(&self, project: &Project) -> Arc<Routes> {
        let (routes, functions) = {
            let state = self.read();
            let Some(tenant) = state.projects.get(project) else { return Arc::default() };
            if let Some(routes) = tenant.routes.get() {
                return routes.clone();
            }
            (tenant.routes.clone(), tenant.functions.values().cloned().collect::<Vec<_>>())
        };
        routes.get_or_init(|| Arc::new(Routes::new(functions.iter()))).clone()
    }

    /// A new function, or a new version of one.
    pub fn put_function(&self, function: Function) -> Arc<Entry> {
        let mut state = self.write();
        let triggers = state.by_id.get(&function.id).map(|entry| entry.triggers.clone());
        // Its triggers are as they were, if it had any: the routes stay.
        state.put(function, triggers.unwrap_or_default())
    }

    pub fn put_trigger(&self, trigger: Trigger) {
        self.change_triggers(trigger.function, |triggers| {
            let trigger = Arc::new(trigger);
            match triggers.iter_mut().find(|other| other.name == trigger.name) {
                Some(other) => *other = trigger,
                None => triggers.push(trigger),
            }
        });
    }

    pub fn put_destinations(&self, function: FunctionId, destinations: Destinations) {
        let mut state = self.write();
        let Some(entry) = state.by_id.get(&function).cloned() else { return };
        let triggers = entry.triggers.clone();
        state.put_with(entry.function.clone(), triggers, Arc::new(destinations));
    }

    pub fn remove_trigger(&self, function: FunctionId, name: &model::TriggerName) {
        self.change_triggers(function, |triggers| triggers.retain(|other| other.name != *name));
    }

    pub fn remove_function(&self, id: FunctionId) {
        let mut state = self.write();
        let Some(entry) = state.by_id.remove(&id) else { return };
        if let Some(tenant) = state.projects.get_mut(&entry.function.project) {
            tenant.functions.remove(&entry.function.name);
            tenant.reroute();
        }
    }

    /// Functions of every project, for gauges.
    pub fn len(&self) -> usize {
        self.read().by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change_triggers(&self, id: FunctionId, change: impl FnOnce(&mut Vec<Arc<Trigger>>)) {
        let mut state = self.write();
        let Some(entry) = state.by_id.get(&id).cloned() else { return };
        let mut triggers = entry.triggers.clone();
        change(&mut triggers);
        state.put(entry.function.clone(), triggers);
        state.reroute(&entry.function.project);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Its destinations stay as they are.
    fn put(&mut self, function: Function, triggers: Vec<Arc<Trigger>>) -> Arc<Entry> {
        let destinations = self.by_id.get(&function.id).map(|entry| entry.destinations.clone());
        self.put_with(function, triggers, destinations.unwrap_or_default())
    }

    fn put_with(
        &mut self,
        function: Function,
        triggers: Vec<Arc<Trigger>>,
        destinations: Arc<Destinations>,
    ) -> Arc<Entry> {
        let tenant = self.projects.entry(function.project.clone()).or_default();
        let gauge = self.by_id.get(&function.id).map(|entry| entry.gauge.clone());
        let entry = Arc::new(Entry {
            spec: Arc::new(spec(&function, &function.latest)),
            gauge: gauge.unwrap_or_default(),
            project_gauge: tenant.gauge.clone(),
            triggers,
            destinations,
            function,
        });
        tenant.functions.insert(entry.function.name.clone(), entry.clone());
        self.by_id.insert(entry.function.id, entry.clone());
        entry
    }

    fn reroute(&mut self, project: &Project) {
        if let Some(tenant) = self.projects.get_mut(project) {
            tenant.reroute();
        }
    }
}

impl Tenant {
    fn reroute(&mut self) {
        self.routes = Arc::default();
    }
}

/// A version, as a worker wants it.
pub fn spec(function: &Function, version: &Version) -> FunctionSpec {
    FunctionSpec {
        function: function.id,
        project: function.project.clone(),
        name: function.name.clone(),
        version: version.number,
        runtime: version.config.runtime.clone(),
        handler: version.config.handler.clone(),
        env: version.config.env.clone(),
        memory_mib: version.config.memory_mib,
        timeout: version.config.timeout(),
        code: version.code.clone(),
    }
}
