//! Who is next, among those that have work: a circle of projects, in each one of functions, and in
//! each of those one of lanes.
//!
//! Each turn goes to the first lane of the first function of the project whose turn it is, and all
//! of them go to the end of their circles. Projects take turns by weight, as evenly as whole turns
//! allow ("smooth weighted round robin"): every project that stands gains its weight in credit, the
//! richest gets the turn and pays the sum of all weights. With equal weights that is a circle.
//!
//! A project whose last lane is taken, because a claim for it is on its way, leaves the circle and
//! comes back with the credit that it left with; when nobody stands, all credit is forgotten.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use model::{FunctionId, Project, TriggerName};

use super::Lane;

/// How many turns a project gets to one of another's.
pub(crate) type Weights = BTreeMap<Project, u32>;

#[derive(Debug, Default)]
pub(super) struct Circle {
    weights: Weights,
    projects: VecDeque<Standing>,
    /// Of all that stand.
    lanes: HashSet<Lane>,
    /// Of projects that stand no more.
    credit: HashMap<Project, i64>,
}

/// A project with work.
#[derive(Debug)]
struct Standing {
    project: Project,
    weight: i64,
    credit: i64,
    functions: VecDeque<FunctionId>,
    lanes: HashMap<FunctionId, VecDeque<Option<TriggerName>>>,
}

impl Circle {
    pub(super) fn new(weights: Weights) -> Self {
        Self { weights, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// The lane stands at the end of its function's circle, unless it stands somewhere.
    pub(super) fn stand(&mut self, lane: Lane, project: Project) {
        if !self.lanes.insert(lane.clone()) {
            return;
        }
        let known = self.projects.iter().position(|it| it.project == project);
        let index = known.unwrap_or_else(|| {
            self.projects.push_back(Standing {
                weight: self.weights.get(&project).copied().unwrap_or(1).max(1).into(),
                credit: self.credit.remove(&project).unwrap_or(0),
                project,
                functions: VecDeque::new(),
                lanes: HashMap::new(),
            });
            self.projects.len() - 1
        });
        let Some(project) = self.projects.get_mut(index) else { return };
        let lanes = project.lanes.entry(lane.function).or_default();
        if lanes.is_empty() {
            project.functions.push_back(lane.function);
        }
        lanes.push_back(lane.trigger);
    }

    /// Whose turn it is. That lane does not stand any more.
    pub(super) fn take(&mut self) -> Option<Lane> {
        let mut project = self.richest()?;
        let function = project.functions.pop_front()?;
        let lanes = project.lanes.get_mut(&function)?;
        let lane = Lane { function, trigger: lanes.pop_front()? };
        if lanes.is_empty() {
            project.lanes.remove(&function);
        } else {
            project.functions.push_back(function);
        }
        self.lanes.remove(&lane);
        if !project.functions.is_empty() {
            self.projects.push_back(project);
        } else if self.projects.is_empty() {
            self.credit.clear();
        } else {
            self.credit.insert(project.project, project.credit);
        }
        Some(lane)
    }

    /// Takes the project out that has the most credit, the first of those that have as much.
    fn richest(&mut self) -> Option<Standing> {
        let mut all = 0;
        let mut best: Option<(usize, i64)> = None;
        for (index, project) in self.projects.iter_mut().enumerate() {
            all += project.weight;
            project.credit += project.weight;
            if best.is_none_or(|(_, most)| project.credit > most) {
                best = Some((index, project.credit));
            }
        }
        let mut project = self.projects.remove(best?.0)?;
        project.credit -= all;
        Some(project)
    }
}
