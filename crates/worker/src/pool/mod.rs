//! Which sandbox takes which job, and when there shall be more of them, or fewer.
//!
//! [`Pool`] is a state machine without I/O, clock or locks. Whoever owns it tells it what happened
//! (a job came, a sandbox is ready, an attempt ended, time passed) and carries out the [`Order`]s
//! that it leaves. The story of one job: [`Pool::request`] hands out an idle sandbox of its
//! version at once, or has the job wait in its version's queue; then either a sandbox of the
//! version comes back ([`Pool::give_back`]), or one that was started is ready
//! ([`Pool::started`]), and an order gives it to the job at the head.
//!
//! Sandboxes are started for a runtime, not for a job: one that arrives when nobody waits any more
//! becomes part of the runtime's stock of empty ones. Memory is reserved from the order to create
//! until the launcher has said that nothing is left, so the sum that is promised never exceeds
//! what the machine was said to have.
//!
//! Queues are in the order of arrival. A sandbox that is given back serves the head of its own
//! version's queue; room for new sandboxes goes to whoever has waited longest, and while that job
//! lacks room no later one may take it. So a large function is not starved by many small ones.
//!
//! Files: `words` what is said to a pool and by it; [`rules`] the formulas; `scale` getting more; `upkeep` what time does: expiry, freezing,
//! the stock, eviction; this one everything that happens to a job and a sandbox in between.

pub(crate) mod rules;
mod scale;
#[cfg(test)]
mod tests;
mod upkeep;
mod words;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use model::invocation::Start;
use sandbox::SandboxId;

use rules::{Average, Shortest};
pub(crate) use words::{
    Answer, Counts, Need, Order, Reason, Refusal, Rules, RuntimeIndex, Ticket, VersionKey,
};

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    /// Ordered; `behalf` is the version whose queue made us order it.
    Starting {
        since: Instant,
        behalf: Option<VersionKey>,
    },
    /// Ready, without code.
    Empty {
        since: Instant,
    },
    Busy {
        key: VersionKey,
    },
    Idle {
        key: VersionKey,
        since: Instant,
        frozen: bool,
    },
    /// Ordered to be destroyed; holds its memory until it is gone.
    Going,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    runtime: RuntimeIndex,
    memory_mib: u32,
    state: State,
    uses: u32,
    /// What it is worth to keep, while it is idle or empty.
    worth: f64,
}

#[derive(Debug)]
struct Version {
    runtime: RuntimeIndex,
    memory_mib: u32,
    /// The one used last is at the end and is used next: the others may expire.
    idle: Vec<SandboxId>,
    busy: usize,
    /// Sandboxes in [`State::Starting`] on our behalf.
    expected: usize,
    waiting: VecDeque<Ticket>,
    overdue: usize,
    run: Shortest,
    /// Mounting and loading the code.
    load: Average,
    /// Deleted or superseded: sandboxes are not kept.
    forgotten: bool,
    used_at: Instant,
    /// When an attempt ended last, and somebody else of the queue could be served.
    served_at: Instant,
}

#[derive(Debug, Default)]
struct Stock {
    /// Ready; the newest at the end.
    empty: Vec<SandboxId>,
    /// On their way, and on nobody's behalf.
    starting: usize,
    create: Average,
    /// Starts that failed since one succeeded.
    failures: u32,
    /// After failures the stock is not filled up before this.
    pause_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    key: VersionKey,
    since: Instant,
    overdue: bool,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Pool {
    rules: Rules,
    sandboxes: HashMap<SandboxId, Entry>,
    versions: HashMap<VersionKey, Version>,
    stocks: Vec<Stock>,
    jobs: BTreeMap<Ticket, Waiting>,
    /// Versions that somebody waits for, by their oldest job.
    queues: BTreeMap<Ticket, VersionKey>,
    memory_reserved_mib: u64,
    starting: usize,
    /// Greedy-Dual's clock.
    clock: f64,
    next_sandbox: SandboxId,
    next_ticket: Ticket,
    draining: bool,
    not_frozen: u32,
    launcher_gone: Option<String>,
    orders: Vec<Order>,
}

impl Pool {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            sandboxes: HashMap::new(),
            versions: HashMap::new(),
            stocks: (0..rules.runtimes).map(|_| Stock::default()).collect(),
            jobs: BTreeMap::new(),
            queues: BTreeMap::new(),
            memory_reserved_mib: 0,
            starting: 0,
            clock: 0.0,
            next_sandbox: 1,
            next_ticket: 1,
            draining: false,
            not_frozen: 0,
            launcher_gone: None,
            orders: Vec::new(),
        }
    }

    /// What is to be done, in order. Whoever calls the pool calls this before it lets go of it.
    pub(crate) fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// A job wants a sandbox.
    pub(crate) fn request(&mut self, need: Need, now: Instant) -> Answer {
        if let Some(why) = &self.launcher_gone {
            return Answer::Refuse(Refusal::LauncherGone(why.clone()));
        }
        if self.draining {
            return Answer::Refuse(Refusal::Draining);
        }
        let Need { key, runtime, memory_mib } = need;
        let total_mib = self.rules.memory_total_mib;
        if u64::from(memory_mib) > total_mib {
            return Answer::Refuse(Refusal::TooLarge { memory_mib, total_mib });
        }
        let version = self.versions.entry(key).or_insert_with(|| Version {
            runtime,
            memory_mib,
            idle: Vec::new(),
            busy: 0,
            expected: 0,
            waiting: VecDeque::new(),
            overdue: 0,
            run: Shortest::default(),
            load: Average::default(),
            forgotten: false,
            used_at: now,
            served_at: now,
        });
        version.used_at = now;
        version.forgotten = false; // somebody replays against an old version
        if let Some(sandbox) = version.idle.pop() {
            version.busy += 1;
            return Answer::Take { sandbox, thaw: self.make_busy(sandbox, key) };
        }
        if version.waiting.len() >= self.rules.waiting_most {
            return Answer::Refuse(Refusal::QueueFull(self.rules.waiting_most));
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        version.waiting.push_back(ticket);
        if version.waiting.len() == 1 {
            self.queues.insert(ticket, key);
        }
        self.jobs.insert(ticket, Waiting { key, since: now, overdue: false });
        let overdue = rules::overdue_after(self.start_cost(key));
        self.dispatch(now);
        Answer::Wait { ticket, overdue }
    }

    /// The job has waited for longer than was expected. Answers when to say so again, if its queue
    /// has moved in the meantime.
    pub(crate) fn overdue(&mut self, ticket: Ticket, now: Instant) -> Option<Duration> {
        let job = self.jobs.get_mut(&ticket)?;
        let version = self.versions.get_mut(&job.key)?;
        if now.saturating_duration_since(version.served_at) < rules::OVERDUE_LEAST {
            return Some(rules::OVERDUE_LEAST);
        }
        if !std::mem::replace(&mut job.overdue, true) {
            version.overdue += 1;
            self.dispatch(now);
        }
        None
    }

    /// The job waits no longer. False if it has been given a sandbox already.
    pub(crate) fn cancel(&mut self, ticket: Ticket, now: Instant) -> bool {
        let waited = self.leave_queue(ticket).is_some();
        if waited {
            self.dispatch(now); // it may have stood before somebody
        }
        waited
    }

    /// A sandbox that was ordered is up and waits for code.
    pub(crate) fn started(&mut self, sandbox: SandboxId, now: Instant) {
        let Some(entry) = self.sandboxes.get_mut(&sandbox) else { return };
        let State::Starting { since, behalf } = entry.state else { return };
        let runtime = entry.runtime;
        entry.state = State::Empty { since: now };
        self.forget_start(runtime, behalf);
        let stock = &mut self.stocks[runtime];
        stock.create.add(now.saturating_duration_since(since));
        stock.failures = 0;
        stock.pause_until = None;
        stock.empty.push(sandbox);
        self.appraise(sandbox);
        self.dispatch(now);
    }

    /// A sandbox that was ordered does not come up. `gone`: nothing of it is left.
    pub(crate) fn start_failed(&mut self, sandbox: SandboxId, why: &str, gone: bool, now: Instant) {
        let Some(&Entry { state: State::Starting { behalf, .. }, runtime, .. }) =
            self.sandboxes.get(&sandbox)
        else {
            return;
        };
        self.forget_start(runtime, behalf);
        if gone {
            self.remove(sandbox);
        } else {
            self.send_away(sandbox, Reason::Failure);
        }
        self.count_failed_start(runtime, why, now);
        self.dispatch(now);
    }

    /// The sandbox has loaded its version's code, which took so long.
    pub(crate) fn loaded(&mut self, sandbox: SandboxId, took: Duration) {
        if let Some(Entry { state: State::Busy { key }, .. }) = self.sandboxes.get(&sandbox)
            && let Some(version) = self.versions.get_mut(key)
        {
            version.load.add(took);
        }
    }

    /// An attempt ended and the sandbox can serve the next one of its version.
    pub(crate) fn give_back(&mut self, sandbox: SandboxId, run: Duration, now: Instant) {
        let Some(&Entry { state: State::Busy { key }, .. }) = self.sandboxes.get(&sandbox) else {
            return; // it ended in the meantime
        };
        let Some(version) = self.versions.get_mut(&key) else { return };
        version.run.add(run);
        version.used_at = now;
        version.served_at = now;
        let starved = self.starves(key, now);
        let Some(version) = self.versions.get_mut(&key) else { return };
        if let Some(&ticket) = version.waiting.front()
            && !starved
        {
            self.leave_queue(ticket);
            let thaw = self.make_busy(sandbox, key);
            self.orders.push(Order::Give { ticket, sandbox, start: Start::Warm, thaw });
            return;
        }
        version.busy -= 1;
        if self.draining || version.forgotten || starved {
            let reason = match (self.draining, starved) {
                (true, _) => Reason::Drained,
                (false, true) => Reason::Evicted,
                (false, false) => Reason::Forgotten,
            };
            self.send_away(sandbox, reason);
        } else {
            version.idle.push(sandbox);
            self.set_state(sandbox, State::Idle { key, since: now, frozen: false });
            self.appraise(sandbox);
        }
        if !self.queues.is_empty() {
            self.dispatch(now); // it could be evicted for somebody who lacks room
        }
    }

    /// The sandbox must not serve again.
    pub(crate) fn discard(&mut self, sandbox: SandboxId, reason: Reason, now: Instant) {
        self.withdraw(sandbox);
        self.send_away(sandbox, reason);
        self.dispatch(now);
    }

    /// Nothing is left of the sandbox, whoever wanted it so.
    pub(crate) fn exited(&mut self, sandbox: SandboxId, now: Instant) {
        if matches!(self.sandboxes.get(&sandbox), Some(Entry { state: State::Starting { .. }, .. }))
        {
            return self.start_failed(sandbox, "it ended while it started", true, now);
        }
        self.withdraw(sandbox);
        self.remove(sandbox);
        self.dispatch(now);
    }

    /// No sandbox lives, and none will.
    pub(crate) fn launcher_gone(&mut self, why: &str) {
        self.launcher_gone = Some(why.to_owned());
        for ticket in self.jobs.keys().copied().collect::<Vec<_>>() {
            self.leave_queue(ticket);
            self.orders.push(Order::Refuse { ticket, why: Refusal::LauncherGone(why.to_owned()) });
        }
        self.sandboxes.clear();
        self.versions.clear();
        self.stocks.iter_mut().for_each(|stock| *stock = Stock::default());
        self.queues.clear();
        self.memory_reserved_mib = 0;
        self.starting = 0;
    }

    /// How many there are of what.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            waiting: self.jobs.len(),
            memory_reserved_mib: self.memory_reserved_mib,
            ..Counts::default()
        };
        for entry in self.sandboxes.values() {
            match entry.state {
                State::Starting { .. } => counts.starting += 1,
                State::Empty { .. } => counts.empty += 1,
                State::Busy { .. } => counts.busy += 1,
                State::Idle { .. } => counts.idle += 1,
                State::Going => counts.going += 1,
            }
        }
        counts
    }

    /// Takes an idle sandbox (already off its list) or an empty one into use. True if it is frozen.
    fn make_busy(&mut self, sandbox: SandboxId, key: VersionKey) -> bool {
        let entry = self.sandboxes.get_mut(&sandbox).expect("listed sandboxes exist");
        let frozen = matches!(entry.state, State::Idle { frozen: true, .. });
        entry.state = State::Busy { key };
        entry.uses = entry.uses.saturating_add(1);
        frozen
    }

    /// A start has ended, one way or the other.
    fn forget_start(&mut self, runtime: RuntimeIndex, behalf: Option<VersionKey>) {
        self.starting -= 1;
        match behalf.and_then(|key| self.versions.get_mut(&key)) {
            Some(version) => version.expected -= 1,
            None => self.stocks[runtime].starting -= 1,
        }
    }

    /// Takes the sandbox off every list that could hand it out.
    fn withdraw(&mut self, sandbox: SandboxId) {
        let Some(&entry) = self.sandboxes.get(&sandbox) else { return };
        match entry.state {
            State::Busy { key } => {
                if let Some(version) = self.versions.get_mut(&key) {
                    version.busy -= 1;
                }
            }
            State::Idle { key, .. } => {
                if let Some(version) = self.versions.get_mut(&key) {
                    version.idle.retain(|id| *id != sandbox);
                }
            }
            State::Empty { .. } => self.stocks[entry.runtime].empty.retain(|id| *id != sandbox),
            State::Starting { .. } | State::Going => {}
        }
    }

    /// Orders an end, once.
    fn send_away(&mut self, sandbox: SandboxId, reason: Reason) {
        if let Some(entry) = self.sandboxes.get_mut(&sandbox)
            && entry.state != State::Going
        {
            entry.state = State::Going;
            self.orders.push(Order::Destroy { sandbox, reason });
        }
    }

    fn remove(&mut self, sandbox: SandboxId) {
        if let Some(entry) = self.sandboxes.remove(&sandbox) {
            self.memory_reserved_mib -= u64::from(entry.memory_mib);
        }
    }

    fn set_state(&mut self, sandbox: SandboxId, state: State) {
        if let Some(entry) = self.sandboxes.get_mut(&sandbox) {
            entry.state = state;
        }
    }

    /// Takes a job out of its queue, wherever in it it stands.
    fn leave_queue(&mut self, ticket: Ticket) -> Option<Waiting> {
        let job = self.jobs.remove(&ticket)?;
        let version = self.versions.get_mut(&job.key)?;
        if job.overdue {
            version.overdue -= 1;
        }
        if version.waiting.front() == Some(&ticket) {
            version.waiting.pop_front();
            self.queues.remove(&ticket);
            if let Some(&next) = version.waiting.front() {
                self.queues.insert(next, job.key);
            }
        } else {
            version.waiting.retain(|waiting| *waiting != ticket);
        }
        Some(job)
    }
}
