//! What time does to a pool: idle sandboxes are frozen, then expire; the stock is filled up; what
//! was deleted or is to be drained goes.

use std::time::{Duration, Instant};

use model::FunctionId;
use sandbox::SandboxId;

use super::rules::{self, FIRST_CREATE};
use super::scale::Room;
use super::{Entry, Order, Pool, Reason, State};

/// What is known about a version that nobody has used for so long is forgotten.
const MEMORY_OF_VERSIONS: Duration = Duration::from_secs(3_600);

/// Freezes that may fail before it is clear that this machine cannot do it.
const FREEZES_TRIED: u32 = 3;

impl Pool {
    /// Does what is due. Cheap when nothing is; called when [`Pool::next_due`] says so.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.expire(now);
        self.freeze(now);
        self.fill_stock(now);
        self.versions.retain(|_, version| {
            let used = !version.idle.is_empty()
                || version.busy > 0
                || version.expected > 0
                || !version.waiting.is_empty();
            used || now.saturating_duration_since(version.used_at) < MEMORY_OF_VERSIONS
        });
    }

    /// When to call [`Pool::tick`] next.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let expiry = self.rules.idle_expiry;
        let idle = self.sandboxes.values().filter_map(|entry| match entry.state {
            State::Idle { since, frozen: false, .. } => {
                Some(since + self.rules.freeze_after.unwrap_or(expiry).min(expiry))
            }
            State::Idle { since, .. } => Some(since + expiry),
            State::Empty { since } if self.surplus(entry.runtime) > 0 => Some(since + expiry),
            _ => None,
        });
        // While jobs wait, or there is no room, filling up waits for a change, not for a time.
        let stock = (0..self.stocks.len())
            .filter(|runtime| self.lacks_stock(*runtime))
            .map(|runtime| self.stocks[runtime].pause_until.unwrap_or(now));
        idle.chain(stock).min()
    }

    /// Whether the stock should be filled up now. Asked after each change.
    pub(crate) fn wants_tick(&self, now: Instant) -> bool {
        (0..self.stocks.len()).any(|runtime| {
            self.lacks_stock(runtime)
                && self.stocks[runtime].pause_until.is_none_or(|until| until <= now)
        })
    }

    /// Idle sandboxes of the function go, but those of version `keep` and later.
    pub(crate) fn forget(&mut self, function: FunctionId, keep: Option<u32>) {
        let mut gone = Vec::new();
        for (key, version) in &mut self.versions {
            if key.function == function && keep.is_none_or(|keep| key.version < keep) {
                version.forgotten = true;
                gone.append(&mut version.idle);
            }
        }
        for sandbox in gone {
            self.send_away(sandbox, Reason::Forgotten);
        }
    }

    /// Takes no further jobs, and removes what serves none. Those that wait are still served.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.remove_unused();
    }

    /// Whether nothing runs, waits or is left.
    pub(crate) fn is_drained(&self) -> bool {
        self.draining && self.jobs.is_empty() && self.sandboxes.is_empty()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    pub(crate) fn knows(&self, sandbox: SandboxId) -> bool {
        self.sandboxes.contains_key(&sandbox)
    }

    /// A sandbox could not be frozen. True if no more are tried: it does not work here.
    pub(crate) fn not_frozen(&mut self, sandbox: SandboxId) -> bool {
        if let Some(Entry { state: State::Idle { frozen, .. }, .. }) =
            self.sandboxes.get_mut(&sandbox)
        {
            *frozen = false;
        }
        self.not_frozen += 1;
        if self.not_frozen >= FREEZES_TRIED {
            self.rules.freeze_after = None;
        }
        self.rules.freeze_after.is_none()
    }

    pub(super) fn remove_unused(&mut self) {
        for version in self.versions.values_mut() {
            version.idle.clear();
        }
        for stock in &mut self.stocks {
            stock.empty.clear();
        }
        let gone: Vec<_> = self
            .sandboxes
            .iter()
            .filter(|(_, e)| matches!(e.state, State::Idle { .. } | State::Empty { .. }))
            .map(|(id, _)| *id)
            .collect();
        for sandbox in gone {
            self.send_away(sandbox, Reason::Drained);
        }
    }

    fn expire(&mut self, now: Instant) {
        let expiry = self.rules.idle_expiry;
        let is_old = |since: Instant| now.saturating_duration_since(since) >= expiry;
        let mut surplus: Vec<_> = (0..self.stocks.len()).map(|r| self.surplus(r)).collect();
        let mut gone: Vec<SandboxId> = self
            .sandboxes
            .iter()
            .filter(|(_, entry)| match entry.state {
                State::Idle { since, .. } => is_old(since),
                State::Empty { since } if is_old(since) && surplus[entry.runtime] > 0 => {
                    surplus[entry.runtime] -= 1;
                    true
                }
                _ => false,
            })
            .map(|(id, _)| *id)
            .collect();
        gone.sort_unstable();
        for sandbox in gone {
            self.withdraw(sandbox);
            self.send_away(sandbox, Reason::Expired);
        }
    }

    fn freeze(&mut self, now: Instant) {
        let Some(after) = self.rules.freeze_after else { return };
        for (id, entry) in &mut self.sandboxes {
            if let State::Idle { since, frozen: frozen @ false, .. } = &mut entry.state
                && now.saturating_duration_since(*since) >= after
            {
                *frozen = true;
                self.orders.push(Order::Freeze { sandbox: *id });
            }
        }
    }

    /// Starts empty sandboxes, where nobody waits for anything. An idle one of some version makes
    /// room for it if there is none: an empty one serves whatever comes next, and a machine that
    /// has been busy for a while is always full of idle ones.
    fn fill_stock(&mut self, now: Instant) {
        for runtime in 0..self.stocks.len() {
            if self.stocks[runtime].pause_until.is_some_and(|until| until > now) {
                continue;
            }
            loop {
                match self.stock_room(runtime) {
                    Room::Now => self.create(runtime, self.rules.empty_mib, None, now),
                    Room::After(victims) => {
                        victims.into_iter().for_each(|victim| self.evict(victim));
                        break;
                    }
                    Room::Never => break,
                }
            }
        }
    }

    /// Whether filling up would do something.
    fn lacks_stock(&self, runtime: usize) -> bool {
        match self.stock_room(runtime) {
            Room::Now => true,
            Room::After(victims) => !victims.is_empty(),
            Room::Never => false,
        }
    }

    /// Whether, and at whose cost, there may be another empty sandbox.
    fn stock_room(&self, runtime: usize) -> Room {
        let stock = &self.stocks[runtime];
        let wanted = !self.draining
            && self.launcher_gone.is_none()
            && self.jobs.is_empty()
            && stock.empty.len() + stock.starting < self.rules.stock
            && self.starting < self.rules.parallel_starts;
        if !wanted {
            return Room::Never;
        }
        let empty_mib = u64::from(self.rules.empty_mib);
        self.room(empty_mib, 1, |_, entry| matches!(entry.state, State::Idle { .. }))
    }

    fn surplus(&self, runtime: usize) -> usize {
        self.stocks[runtime].empty.len().saturating_sub(self.rules.stock)
    }

    /// Notes what the sandbox is worth now that it became idle or empty.
    pub(super) fn appraise(&mut self, sandbox: SandboxId) {
        let clock = self.clock;
        let Some(entry) = self.sandboxes.get(&sandbox) else { return };
        let create = self.stocks[entry.runtime].create.get().unwrap_or(FIRST_CREATE);
        let cost = match entry.state {
            State::Idle { key, .. } => {
                let load = self.versions.get(&key).and_then(|version| version.load.get());
                create + load.unwrap_or_default()
            }
            _ => create,
        };
        let worth = rules::worth(clock, entry.uses.max(1), cost, entry.memory_mib);
        if let Some(entry) = self.sandboxes.get_mut(&sandbox) {
            entry.worth = worth;
        }
    }
}
