//! Whose turn is it? Pure: hints in, functions out.
//!
//! A function that has work due stands in its project's circle, and the projects stand in a circle.
//! Each turn goes to the first function of the first project, and both go to the end: a flood of
//! events for one function, or a project with a thousand functions, waits behind itself and not in
//! front of its neighbours. Work that is due later waits by time until it [ripens](Turns::ripen).
//!
//! While a claim for a function is on its way the function stands nowhere, and what is hinted
//! meanwhile is kept: the claim may have looked too early to see it.
//!
//! How much work a function has is counted, as far as anybody told, so that a claim takes no more
//! places under the function's limit than it will use: a synchronous call may want one.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use model::{FunctionId, Project, Timestamp};

#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The projects' circle, and each one's.
    circle: VecDeque<(Project, VecDeque<FunctionId>)>,
    /// Who stands in it.
    standing: HashSet<FunctionId>,
    /// Work that was told of: by time, and the time by function.
    by_time: BTreeSet<(Timestamp, FunctionId)>,
    told: HashMap<FunctionId, Timestamp>,
    /// Invocations that were told of and not claimed yet, as far as anybody knows.
    amount: HashMap<FunctionId, usize>,
    claiming: HashSet<FunctionId>,
}

impl Turns {
    /// One more invocation of the function, due from `at` on.
    pub(crate) fn hint(&mut self, function: FunctionId, at: Timestamp) {
        *self.amount.entry(function).or_default() += 1;
        self.tell(function, at);
    }

    /// The function has at least `amount` invocations in all, the first due from `at` on. (Those that
    /// were hinted at since somebody looked are not among them.)
    pub(crate) fn count(&mut self, function: FunctionId, at: Timestamp, amount: usize) {
        let known = self.amount.entry(function).or_default();
        *known = amount.max(*known);
        self.tell(function, at);
    }

    fn tell(&mut self, function: FunctionId, at: Timestamp) {
        if let Some(earlier) = self.told.get(&function).copied() {
            if earlier <= at {
                return;
            }
            self.by_time.remove(&(earlier, function));
        }
        self.told.insert(function, at);
        self.by_time.insert((at, function));
    }

    /// Lets those stand in the circle whose time has come; answers how many stand there.
    pub(crate) fn ripen(
        &mut self,
        now: Timestamp,
        project_of: impl Fn(FunctionId) -> Option<Project>,
    ) -> usize {
        let ripe: Vec<_> = self
            .by_time
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter(|(_, function)| !self.claiming.contains(function))
            .copied()
            .collect();
        for (at, function) in ripe {
            self.by_time.remove(&(at, function));
            self.told.remove(&function);
            self.stand(function, project_of(function));
        }
        self.standing.len()
    }

    /// Whose turn it is, and how much work it has. A claim for it is on its way from now on.
    pub(crate) fn take(&mut self) -> Option<(FunctionId, usize)> {
        let (project, mut functions) = self.circle.pop_front()?;
        let function = functions.pop_front()?;
        if !functions.is_empty() {
            self.circle.push_back((project, functions));
        }
        self.standing.remove(&function);
        self.claiming.insert(function);
        Some((function, self.amount.remove(&function).unwrap_or(0).max(1)))
    }

    /// The claim has been made, and found all there is.
    pub(crate) fn exhausted(&mut self, function: FunctionId) {
        self.claiming.remove(&function);
    }

    /// The claim found as much as it had asked for, or was not made for want of room: the function
    /// comes again, with this much work left.
    pub(crate) fn come_again(
        &mut self,
        function: FunctionId,
        left: usize,
        project: Option<Project>,
    ) {
        self.claiming.remove(&function);
        *self.amount.entry(function).or_default() += left;
        self.stand(function, project);
    }

    /// When the first work that is not due yet will be.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let free = |(_, function): &&(Timestamp, FunctionId)| !self.claiming.contains(function);
        self.by_time.iter().find(free).map(|(at, _)| *at)
    }

    fn stand(&mut self, function: FunctionId, project: Option<Project>) {
        if !self.standing.insert(function) {
            return;
        }
        // What a deleted function has left is claimed, too, so that it can end.
        let project = project.unwrap_or_else(Project::default_project);
        match self.circle.iter_mut().find(|(other, _)| *other == project) {
            Some((_, functions)) => functions.push_back(function),
            None => self.circle.push_back((project, VecDeque::from([function]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> FunctionId {
        FunctionId::from_bytes([n; 16])
    }

    /// Functions 1 to 9 are project a's, the rest project b's.
    fn project_of(function: FunctionId) -> Option<Project> {
        let name = if function.as_bytes()[0] < 10 { "a" } else { "b" };
        Some(Project::parse(name).unwrap())
    }

    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// The next turns, each of which has more work afterwards.
    fn turns(turns: &mut Turns, count: usize) -> Vec<u8> {
        let next = (0..count).filter_map(|_| {
            let (function, amount) = turns.take()?;
            turns.come_again(function, amount, project_of(function));
            Some(function.as_bytes()[0])
        });
        next.collect()
    }

    #[test]
    fn a_project_with_many_functions_does_not_stand_in_front_of_one_with_few() {
        let mut state = Turns::default();
        for n in [1, 2, 3, 11] {
            state.hint(id(n), ms(0));
        }
        assert_eq!(state.ripen(ms(1), project_of), 4);
        assert_eq!(turns(&mut state, 6), [1, 11, 2, 11, 3, 11]);
    }

    #[test]
    fn work_gets_its_turn_when_it_is_due_and_not_before() {
        let mut state = Turns::default();
        state.hint(id(1), ms(9));
        state.hint(id(1), ms(5));
        state.hint(id(1), ms(7));
        assert_eq!(state.ripen(ms(4), project_of), 0);
        assert_eq!((state.take(), state.next_due()), (None, Some(ms(5))));
        assert_eq!(state.ripen(ms(5), project_of), 1);
        assert_eq!((state.take(), state.next_due()), (Some((id(1), 3)), None));
        assert_eq!(state.take(), None, "not twice at once");
    }

    #[test]
    fn what_is_hinted_while_a_claim_is_on_its_way_is_not_lost_with_it() {
        let mut state = Turns::default();
        state.hint(id(1), ms(0));
        state.ripen(ms(1), project_of);
        assert_eq!(state.take(), Some((id(1), 1)));
        state.hint(id(1), ms(1));
        assert_eq!(state.ripen(ms(2), project_of), 0, "one claim at a time");
        state.exhausted(id(1));
        assert_eq!(state.ripen(ms(2), project_of), 1);
        assert_eq!(state.take(), Some((id(1), 1)));
    }

    #[test]
    fn a_function_at_its_limit_keeps_its_place_among_its_neighbours() {
        let mut state = Turns::default();
        state.hint(id(1), ms(0));
        state.hint(id(2), ms(0));
        state.ripen(ms(1), project_of);
        let (function, amount) = state.take().unwrap();
        state.come_again(function, amount, project_of(function));
        assert_eq!(turns(&mut state, 2), [2, 1]);
    }

    #[test]
    fn a_claim_is_told_how_much_work_there_is() {
        let mut state = Turns::default();
        state.hint(id(1), ms(0));
        state.hint(id(1), ms(0));
        state.ripen(ms(1), project_of);
        assert_eq!(state.take(), Some((id(1), 2)));
        state.exhausted(id(1));
        state.count(id(1), ms(0), 100);
        state.ripen(ms(1), project_of);
        assert_eq!(state.take(), Some((id(1), 100)));
        state.come_again(id(1), 36, project_of(id(1)));
        assert_eq!(state.take(), Some((id(1), 36)));
    }
}
