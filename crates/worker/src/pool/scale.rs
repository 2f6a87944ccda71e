//! Getting more sandboxes: from the stock, from a start that is under way, or by a new one; and
//! making room for it.

use std::time::{Duration, Instant};

use model::invocation::Start;
use sandbox::SandboxId;

use super::rules::{self, Demand, FIRST_CREATE, FIRST_LOAD};
use super::{Entry, Order, Pool, Reason, Refusal, RuntimeIndex, State, VersionKey};

/// A job that lacks room for so long comes before others that only want to use a sandbox again:
/// its version gets the next one's room. Long enough that two versions which fill the machine
/// together spend most of their time running rather than starting.
const STARVED_AFTER: Duration = Duration::from_millis(200);

/// Starts that fail before those who wait are told: one, and one more try.
const FAILURES_TOLD: u32 = 2;

/// How long the stock is left alone after failed starts: doubled with each, from the first to the
/// second of these, since what is broken (no memory, no descriptors) seldom heals at once.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// What came of the wish for one more sandbox.
#[derive(PartialEq, Eq)]
enum Obtained {
    /// A job left the queue, or a start is on its way.
    Yes,
    /// No room; whoever waits longest gets the next.
    No,
}

/// Whether there is room.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Room {
    Now,
    /// Once these are gone, and those that are going already.
    After(Vec<SandboxId>),
    /// Not if all of them went: so nobody is sent away for nothing.
    Never,
}

impl Pool {
    /// Serves the queues, oldest first, as far as there is room.
    pub(super) fn dispatch(&mut self, now: Instant) {
        let mut from = 0;
        while let Some((&ticket, &key)) = self.queues.range(from..).next() {
            from = ticket + 1;
            while self.wants_another(key) {
                if self.obtain(key, now) == Obtained::No {
                    return; // later ones must not take what this one waits for
                }
            }
        }
        if self.draining && self.jobs.is_empty() {
            self.remove_unused(); // a start that came too late
        }
    }

    fn wants_another(&self, key: VersionKey) -> bool {
        let Some(version) = self.versions.get(&key) else { return false };
        rules::wants_another(&Demand {
            waiting: version.waiting.len(),
            overdue: version.overdue,
            busy: version.busy,
            expected: version.expected,
            run: version.run.get(),
            start_cost: self.start_cost(key),
        })
    }

    /// From now until a further sandbox of this version would begin to run.
    pub(super) fn start_cost(&self, key: VersionKey) -> Duration {
        let Some(version) = self.versions.get(&key) else { return FIRST_CREATE + FIRST_LOAD };
        let load = version.load.get().unwrap_or(FIRST_LOAD);
        let stock = &self.stocks[version.runtime];
        if stock.empty.is_empty() {
            load + stock.create.get().unwrap_or(FIRST_CREATE)
        } else {
            load
        }
    }

    fn obtain(&mut self, key: VersionKey, now: Instant) -> Obtained {
        let Some(version) = self.versions.get(&key) else { return Obtained::No };
        let (runtime, memory_mib) = (version.runtime, version.memory_mib);
        if let Some(&sandbox) = self.stocks[runtime].empty.last() {
            return self.fill(sandbox, key, memory_mib);
        }
        // A start for the stock is as good as one of our own.
        let unclaimed = self.sandboxes.iter_mut().find_map(|(_, entry)| match &mut entry.state {
            State::Starting { behalf: behalf @ None, .. } if entry.runtime == runtime => {
                Some(behalf)
            }
            _ => None,
        });
        if let Some(behalf) = unclaimed {
            *behalf = Some(key);
            self.stocks[runtime].starting -= 1;
        } else {
            // An empty sandbox has its own limit until it has code, and may not use less.
            let memory_mib = memory_mib.max(self.rules.empty_mib);
            if self.starting >= self.rules.parallel_starts
                || !self.make_room(u64::from(memory_mib), 1, Some(key), None)
            {
                return Obtained::No;
            }
            self.create(runtime, memory_mib, Some(key), now);
        }
        if let Some(version) = self.versions.get_mut(&key) {
            version.expected += 1;
        }
        Obtained::Yes
    }

    /// Gives an empty sandbox to the job at the head of the version's queue.
    fn fill(&mut self, sandbox: SandboxId, key: VersionKey, memory_mib: u32) -> Obtained {
        let Some(&Entry { memory_mib: held_mib, state, runtime, .. }) =
            self.sandboxes.get(&sandbox)
        else {
            return Obtained::No;
        };
        let more_mib = u64::from(memory_mib.saturating_sub(held_mib));
        if !self.make_room(more_mib, 0, Some(key), Some(sandbox)) {
            return Obtained::No;
        }
        let Some(version) = self.versions.get_mut(&key) else { return Obtained::No };
        let Some(&ticket) = version.waiting.front() else { return Obtained::No };
        version.busy += 1;
        let waits_since = self.jobs.get(&ticket).map(|job| job.since);
        self.stocks[runtime].empty.retain(|id| *id != sandbox);
        self.reserve(sandbox, memory_mib);
        self.leave_queue(ticket);
        self.make_busy(sandbox, key);
        // One that got ready while the job waited was, as far as the job can tell, made for it.
        let start = match (state, waits_since) {
            (State::Empty { since }, Some(waits_since)) if since > waits_since => Start::Fresh,
            _ => Start::Pool,
        };
        self.orders.push(Order::Give { ticket, sandbox, start, thaw: false });
        Obtained::Yes
    }

    pub(super) fn create(
        &mut self,
        runtime: RuntimeIndex,
        memory_mib: u32,
        behalf: Option<VersionKey>,
        now: Instant,
    ) {
        let sandbox = self.next_sandbox;
        self.next_sandbox += 1;
        let state = State::Starting { since: now, behalf };
        self.sandboxes
            .insert(sandbox, Entry { runtime, memory_mib, state, uses: 0, worth: self.clock });
        self.memory_reserved_mib += u64::from(memory_mib);
        self.starting += 1;
        if behalf.is_none() {
            self.stocks[runtime].starting += 1;
        }
        self.orders.push(Order::Create { sandbox, runtime });
    }

    /// Sets what the sandbox counts for.
    fn reserve(&mut self, sandbox: SandboxId, memory_mib: u32) {
        if let Some(entry) = self.sandboxes.get_mut(&sandbox) {
            self.memory_reserved_mib += u64::from(memory_mib);
            self.memory_reserved_mib -= u64::from(entry.memory_mib);
            entry.memory_mib = memory_mib;
        }
    }

    /// True if there is room now. If not, evicts what is worth least until there will be.
    fn make_room(
        &mut self,
        memory_mib: u64,
        places: usize,
        for_version: Option<VersionKey>,
        spare: Option<SandboxId>,
    ) -> bool {
        let room = self.room(memory_mib, places, |id, entry| match entry.state {
            State::Idle { key, .. } => Some(key) != for_version,
            State::Empty { .. } => Some(id) != spare,
            _ => false,
        });
        if let Room::After(victims) = &room {
            victims.iter().for_each(|victim| self.evict(*victim));
        }
        room == Room::Now
    }

    /// How to come to so much memory and so many places, if the sandboxes that `may_go` names may
    /// be evicted.
    pub(super) fn room(
        &self,
        memory_mib: u64,
        places: usize,
        may_go: impl Fn(SandboxId, &Entry) -> bool,
    ) -> Room {
        let mut free_mib = self.rules.memory_total_mib.saturating_sub(self.memory_reserved_mib);
        let mut free_places = self.rules.max_sandboxes.saturating_sub(self.sandboxes.len());
        if free_mib >= memory_mib && free_places >= places {
            return Room::Now;
        }
        for entry in self.sandboxes.values().filter(|entry| entry.state == State::Going) {
            free_mib += u64::from(entry.memory_mib);
            free_places += 1;
        }
        let mut candidates: Vec<_> =
            self.sandboxes.iter().filter(|(id, entry)| may_go(**id, entry)).collect();
        candidates.sort_by(|(a_id, a), (b_id, b)| a.worth.total_cmp(&b.worth).then(a_id.cmp(b_id)));
        let mut candidates = candidates.into_iter();
        let mut victims = Vec::new();
        while free_mib < memory_mib || free_places < places {
            let Some((id, entry)) = candidates.next() else { return Room::Never };
            free_mib += u64::from(entry.memory_mib);
            free_places += 1;
            victims.push(*id);
        }
        Room::After(victims)
    }

    pub(super) fn evict(&mut self, sandbox: SandboxId) {
        if let Some(entry) = self.sandboxes.get(&sandbox) {
            self.clock = self.clock.max(entry.worth);
        }
        self.withdraw(sandbox);
        self.send_away(sandbox, Reason::Evicted);
    }

    /// Whether somebody older than this version's queue has lacked room for too long.
    pub(super) fn starves(&self, key: VersionKey, now: Instant) -> bool {
        let Some((ticket, oldest)) = self.queues.first_key_value() else { return false };
        let Some(job) = self.jobs.get(ticket) else { return false };
        *oldest != key
            && now.saturating_duration_since(job.since) > STARVED_AFTER
            && self.starting < self.rules.parallel_starts
            && self.wants_another(*oldest)
    }

    /// Tells those who can only be served by a start that none succeeds.
    pub(super) fn count_failed_start(&mut self, runtime: RuntimeIndex, why: &str, now: Instant) {
        let stock = &mut self.stocks[runtime];
        stock.failures = stock.failures.saturating_add(1);
        let doubled = PAUSE.0.saturating_mul(1 << (stock.failures - 1).min(16));
        stock.pause_until = Some(now + doubled.min(PAUSE.1));
        if stock.failures < FAILURES_TOLD {
            return;
        }
        let hopeless: Vec<_> = self
            .versions
            .values()
            .filter(|v| v.runtime == runtime && v.busy == 0 && v.expected == 0)
            .flat_map(|version| version.waiting.iter().copied())
            .collect();
        for ticket in hopeless {
            self.leave_queue(ticket);
            self.orders.push(Order::Refuse { ticket, why: Refusal::StartFailed(why.to_owned()) });
        }
    }
}
