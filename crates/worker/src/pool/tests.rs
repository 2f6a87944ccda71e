//! The pool's stories, step by step, with a clock that stands still unless it is told.

use model::FunctionId;
use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn function(number: u8) -> FunctionId {
    let mut bytes = [0; 16];
    bytes[15] = number;
    FunctionId::from_bytes(bytes)
}

fn need(number: u8, memory_mib: u32) -> Need {
    Need { key: VersionKey { function: function(number), version: 1 }, runtime: 0, memory_mib }
}

fn rules() -> Rules {
    Rules {
        runtimes: 1,
        memory_total_mib: 1_024,
        max_sandboxes: 100,
        stock: 0,
        empty_mib: 128,
        parallel_starts: 4,
        waiting_most: 3,
        idle_expiry: 60_000 * MS,
        freeze_after: Some(50 * MS),
    }
}

/// A pool, its clock, and everything it has ordered and not been asked for.
struct Story {
    pool: Pool,
    now: Instant,
}

impl Story {
    fn new(rules: Rules) -> Self {
        Self { pool: Pool::new(rules), now: Instant::now() }
    }

    fn orders(&mut self) -> Vec<Order> {
        self.pool.take_orders()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.pool.tick(self.now);
    }

    /// A job that has to wait.
    #[track_caller]
    fn queue(&mut self, need: Need) -> Ticket {
        match self.pool.request(need, self.now) {
            Answer::Wait { ticket, .. } => ticket,
            other => panic!("expected to wait, got {other:?}"),
        }
    }

    #[track_caller]
    fn take(&mut self, need: Need) -> (SandboxId, bool) {
        match self.pool.request(need, self.now) {
            Answer::Take { sandbox, thaw } => (sandbox, thaw),
            other => panic!("expected an idle sandbox, got {other:?}"),
        }
    }

    #[track_caller]
    fn refused(&mut self, need: Need) -> Refusal {
        match self.pool.request(need, self.now) {
            Answer::Refuse(why) => why,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    /// Makes a sandbox busy with a job of this version, from nothing.
    #[track_caller]
    fn start_busy(&mut self, need: Need) -> SandboxId {
        let ticket = self.queue(need);
        let [Order::Create { sandbox, .. }] = self.orders()[..] else { panic!("no start") };
        self.pool.started(sandbox, self.now + 10 * MS);
        assert_eq!(self.orders(), [give(ticket, sandbox, Start::Fresh)]);
        sandbox
    }

    #[track_caller]
    fn start_idle(&mut self, need: Need, ran: Duration) -> SandboxId {
        let sandbox = self.start_busy(need);
        self.pool.give_back(sandbox, ran, self.now);
        assert_eq!(self.orders(), []);
        sandbox
    }
}

fn give(ticket: Ticket, sandbox: SandboxId, start: Start) -> Order {
    Order::Give { ticket, sandbox, start, thaw: false }
}

fn create(sandbox: SandboxId) -> Order {
    Order::Create { sandbox, runtime: 0 }
}

fn destroy(sandbox: SandboxId, reason: Reason) -> Order {
    Order::Destroy { sandbox, reason }
}

#[test]
fn the_first_job_gets_a_fresh_sandbox_and_the_next_the_same_one_warm() {
    let mut story = Story::new(rules());
    let sandbox = story.start_idle(need(1, 128), MS);
    assert_eq!(story.take(need(1, 128)), (sandbox, false));
    // Another version gets none of it.
    story.queue(need(2, 128));
    assert_eq!(story.orders(), [create(2)]);
}

#[test]
fn the_stock_is_filled_used_and_filled_again() {
    let mut story = Story::new(Rules { stock: 2, ..rules() });
    assert!(story.pool.wants_tick(story.now));
    story.pass(MS);
    assert_eq!(story.orders(), [create(1), create(2)]);
    story.pool.started(1, story.now);
    story.pool.started(2, story.now);
    story.pass(MS);
    assert_eq!(story.orders(), []);
    let ticket = story.queue(need(1, 512));
    assert_eq!(story.orders(), [give(ticket, 2, Start::Pool)]);
    assert_eq!(story.pool.counts().memory_reserved_mib, 128 + 512);
    story.pass(MS);
    assert_eq!(story.orders(), [create(3)]);
}

#[test]
fn a_full_machine_gives_up_an_idle_sandbox_for_the_stock_but_no_busy_one() {
    let mut story = Story::new(Rules { memory_total_mib: 256, ..rules() });
    let idle = story.start_idle(need(1, 128), MS);
    let busy = story.start_busy(need(2, 128));
    story.pool.rules.stock = 1;
    story.pass(MS);
    assert_eq!(story.orders(), [destroy(idle, Reason::Evicted)]);
    story.pass(MS);
    assert!(!story.pool.wants_tick(story.now));
    assert_eq!(story.orders(), [], "room is on its way");
    story.pool.exited(idle, story.now);
    assert!(story.pool.wants_tick(story.now));
    story.pass(MS);
    assert_eq!(story.orders(), [create(3)]);
    story.pool.started(3, story.now);
    // The stock yields to a job, and does not take anything back from it.
    let ticket = story.queue(need(3, 128));
    assert_eq!(story.orders(), [give(ticket, 3, Start::Pool)]);
    story.pass(MS);
    assert_eq!(story.orders(), []);
    story.pool.give_back(busy, MS, story.now);
    story.pass(MS);
    assert_eq!(story.orders(), [destroy(busy, Reason::Evicted)]);
}

#[test]
fn a_job_uses_a_start_that_is_under_way_for_the_stock() {
    let mut story = Story::new(Rules { stock: 1, ..rules() });
    story.pass(MS);
    assert_eq!(story.orders(), [create(1)]);
    let ticket = story.queue(need(1, 128));
    assert_eq!(story.orders(), []);
    story.pool.started(1, story.now + MS);
    assert_eq!(story.orders(), [give(ticket, 1, Start::Fresh)]);
}

#[test]
fn whichever_comes_first_serves_the_job_and_a_late_start_joins_the_stock() {
    let mut story = Story::new(rules());
    let busy = story.start_busy(need(1, 128));
    let ticket = story.queue(need(1, 128));
    assert_eq!(story.orders(), [create(2)]);
    story.pool.give_back(busy, MS, story.now);
    assert_eq!(story.orders(), [give(ticket, busy, Start::Warm)]);
    story.pool.started(2, story.now);
    assert_eq!(story.orders(), []);
    assert_eq!(story.pool.counts().empty, 1);
    let ticket = story.queue(need(2, 128));
    assert_eq!(story.orders(), [give(ticket, 2, Start::Pool)]);
}

#[test]
fn short_runs_wait_for_each_other_and_long_ones_get_their_own() {
    let mut story = Story::new(rules());
    story.start_idle(need(1, 128), MS / 10);
    story.take(need(1, 128));
    story.queue(need(1, 128));
    assert_eq!(story.orders(), []);

    let mut story = Story::new(rules());
    story.start_idle(need(1, 128), 100 * MS);
    story.take(need(1, 128));
    story.queue(need(1, 128));
    assert_eq!(story.orders(), [create(2)]);
}

#[test]
fn a_job_behind_an_unusually_long_run_gets_its_own_when_it_is_overdue() {
    let mut story = Story::new(rules());
    story.start_idle(need(1, 128), MS / 10);
    story.take(need(1, 128));
    let ticket = story.queue(need(1, 128));
    assert_eq!(story.orders(), []);
    story.pool.overdue(ticket, story.now + 60 * MS);
    assert_eq!(story.orders(), [create(2)]);
    story.pool.overdue(ticket, story.now + 61 * MS);
    assert_eq!(story.orders(), []);
}

#[test]
fn a_version_s_queue_is_served_in_order_and_bounded() {
    let mut story = Story::new(Rules { parallel_starts: 1, ..rules() });
    let busy = story.start_busy(need(1, 128));
    let tickets: Vec<_> = (0..3).map(|_| story.queue(need(1, 128))).collect();
    assert_eq!(story.refused(need(1, 128)), Refusal::QueueFull(3));
    story.orders();
    assert!(story.pool.cancel(tickets[1], story.now));
    assert!(!story.pool.cancel(tickets[1], story.now));
    story.pool.give_back(busy, MS, story.now);
    assert_eq!(story.orders(), [give(tickets[0], busy, Start::Warm)]);
    story.pool.give_back(busy, MS, story.now);
    assert_eq!(story.orders(), [give(tickets[2], busy, Start::Warm)]);
}

#[test]
fn memory_bounds_what_is_started_and_idle_ones_make_room() {
    let mut story = Story::new(Rules { memory_total_mib: 300, ..rules() });
    let first = story.start_idle(need(1, 128), MS);
    story.pass(MS);
    let second = story.start_idle(need(2, 128), MS);
    assert_eq!(story.pool.counts().memory_reserved_mib, 256);
    let ticket = story.queue(need(3, 128));
    // The one that was idle for longer is worth as much as the other; the older goes.
    assert_eq!(story.orders(), [destroy(first, Reason::Evicted)]);
    assert_eq!(story.pool.counts().memory_reserved_mib, 256);
    story.pool.exited(first, story.now);
    assert_eq!(story.orders(), [create(3)]);
    story.pool.started(3, story.now + MS);
    assert_eq!(story.orders(), [give(ticket, 3, Start::Fresh)]);
    assert_eq!(story.take(need(2, 128)).0, second);
}

#[test]
fn what_is_used_more_and_costs_more_to_have_again_is_evicted_later() {
    let mut story = Story::new(Rules { memory_total_mib: 300, ..rules() });
    let often = story.start_idle(need(1, 128), MS);
    for _ in 0..5 {
        story.take(need(1, 128));
        story.pool.give_back(often, MS, story.now);
    }
    let seldom = story.start_idle(need(2, 128), MS);
    story.queue(need(3, 128));
    assert_eq!(story.orders(), [destroy(seldom, Reason::Evicted)]);
}

#[test]
fn nobody_is_evicted_for_a_job_that_would_not_fit_all_the_same() {
    let mut story = Story::new(Rules { memory_total_mib: 512, ..rules() });
    story.start_busy(need(1, 256));
    story.start_idle(need(2, 128), MS);
    story.queue(need(3, 300));
    assert_eq!(story.orders(), []);
    let total_mib = 512;
    assert_eq!(story.refused(need(4, 513)), Refusal::TooLarge { memory_mib: 513, total_mib });
}

#[test]
fn a_large_job_is_not_starved_by_small_ones() {
    let mut story = Story::new(Rules { memory_total_mib: 256, waiting_most: 100, ..rules() });
    let a = story.start_busy(need(1, 128));
    let b = story.start_busy(need(1, 128));
    let large = story.queue(need(2, 256));
    let small = story.queue(need(1, 128));
    assert_eq!(story.orders(), []);
    // For a while the busy version keeps its sandboxes …
    story.pool.give_back(a, MS, story.now);
    assert_eq!(story.orders(), [give(small, a, Start::Warm)]);
    story.queue(need(1, 128));
    // … and then they make room.
    story.now += 300 * MS;
    story.pool.give_back(a, MS, story.now);
    story.pool.give_back(b, MS, story.now);
    assert_eq!(story.orders(), [destroy(a, Reason::Evicted), destroy(b, Reason::Evicted)]);
    story.pool.exited(a, story.now);
    assert_eq!(story.orders(), [], "what is free now is the large one's");
    story.pool.exited(b, story.now);
    assert_eq!(story.orders(), [create(3)]);
    story.pool.started(3, story.now);
    assert_eq!(story.orders(), [give(large, 3, Start::Fresh)]);
}

#[test]
fn places_are_bounded_like_memory() {
    let mut story = Story::new(Rules { max_sandboxes: 1, ..rules() });
    let first = story.start_idle(need(1, 128), MS);
    story.queue(need(2, 128));
    assert_eq!(story.orders(), [destroy(first, Reason::Evicted)]);
    story.pool.exited(first, story.now);
    assert_eq!(story.orders(), [create(2)]);
}

#[test]
fn starts_at_the_same_time_are_bounded() {
    let mut story = Story::new(Rules { parallel_starts: 2, ..rules() });
    let tickets: Vec<_> = (1..=3).map(|function| story.queue(need(function, 128))).collect();
    assert_eq!(story.orders(), [create(1), create(2)]);
    story.pool.started(1, story.now + MS);
    assert_eq!(story.orders(), [give(tickets[0], 1, Start::Fresh), create(3)]);
}

#[test]
fn a_failed_start_is_tried_once_more_and_then_told() {
    let mut story = Story::new(rules());
    let ticket = story.queue(need(1, 128));
    assert_eq!(story.orders(), [create(1)]);
    story.pool.start_failed(1, "no cgroup", true, story.now);
    assert_eq!(story.orders(), [create(2)]);
    story.pool.start_failed(2, "no cgroup", true, story.now);
    let why = Refusal::StartFailed("no cgroup".into());
    assert_eq!(story.orders(), [Order::Refuse { ticket, why }]);
    assert_eq!(story.pool.counts(), Counts::default());
}

#[test]
fn a_job_that_a_running_sandbox_can_serve_outlives_failed_starts() {
    let mut story = Story::new(rules());
    let busy = story.start_busy(need(1, 128));
    let ticket = story.queue(need(1, 128));
    assert_eq!(story.orders(), [create(2)]);
    story.pool.start_failed(2, "no", true, story.now);
    assert_eq!(story.orders(), [create(3)]);
    story.pool.start_failed(3, "no", false, story.now);
    let orders = story.orders();
    assert!(!orders.iter().any(|order| matches!(order, Order::Refuse { .. })), "{orders:?}");
    story.pool.give_back(busy, MS, story.now);
    assert!(story.orders().contains(&give(ticket, busy, Start::Warm)));
}

#[test]
fn a_failing_stock_is_left_alone_for_longer_and_longer() {
    let mut story = Story::new(Rules { stock: 1, ..rules() });
    story.pass(MS);
    story.pool.start_failed(1, "no", true, story.now);
    story.orders();
    story.pass(MS);
    assert_eq!(story.orders(), []);
    assert_eq!(story.pool.next_due(story.now), Some(story.now + 99 * MS));
    story.pass(100 * MS);
    assert_eq!(story.orders(), [create(2)]);
    story.pool.start_failed(2, "no", true, story.now);
    story.pass(150 * MS);
    assert_eq!(story.orders(), []);
    story.pass(50 * MS);
    assert_eq!(story.orders(), [create(3)]);
}

#[test]
fn idle_sandboxes_are_frozen_then_thawed_for_a_job_or_expire() {
    let mut story = Story::new(rules());
    let sandbox = story.start_idle(need(1, 128), MS);
    let idle_since = story.now;
    assert_eq!(story.pool.next_due(story.now), Some(idle_since + 50 * MS));
    story.pass(49 * MS);
    assert_eq!(story.orders(), []);
    story.pass(MS);
    assert_eq!(story.orders(), [Order::Freeze { sandbox }]);
    assert_eq!(story.pool.next_due(story.now), Some(idle_since + 60_000 * MS));
    assert_eq!(story.take(need(1, 128)), (sandbox, true));
    story.pool.give_back(sandbox, MS, story.now);
    story.pass(60_000 * MS);
    assert_eq!(story.orders(), [destroy(sandbox, Reason::Expired)]);
    story.pool.exited(sandbox, story.now);
    assert_eq!(story.pool.counts(), Counts::default());
}

#[test]
fn a_machine_that_cannot_freeze_is_not_asked_for_ever() {
    let mut story = Story::new(rules());
    let sandbox = story.start_idle(need(1, 128), MS);
    for failure in 1..=3 {
        story.pass(50 * MS);
        assert_eq!(story.orders(), [Order::Freeze { sandbox }]);
        assert_eq!(story.pool.not_frozen(sandbox), failure == 3);
    }
    story.pass(50 * MS);
    assert_eq!(story.orders(), []);
    assert_eq!(story.take(need(1, 128)), (sandbox, false));
}

#[test]
fn the_one_used_last_is_used_next_so_that_the_others_expire() {
    let mut story = Story::new(rules());
    let a = story.start_busy(need(1, 128));
    let b = story.start_busy(need(1, 128));
    story.pool.give_back(a, MS, story.now);
    story.pass(MS);
    story.pool.give_back(b, MS, story.now);
    assert_eq!(story.take(need(1, 128)).0, b);
}

#[test]
fn a_discarded_sandbox_serves_nobody_and_those_who_wait_get_another() {
    let mut story = Story::new(rules());
    story.start_idle(need(1, 128), MS / 10);
    let (busy, _) = story.take(need(1, 128));
    let ticket = story.queue(need(1, 128));
    assert_eq!(story.orders(), []);
    story.pool.discard(busy, Reason::Timeout, story.now);
    assert_eq!(story.orders(), [destroy(busy, Reason::Timeout), create(2)]);
    story.pool.exited(busy, story.now);
    story.pool.give_back(busy, MS, story.now); // too late: it is gone
    story.pool.started(2, story.now + MS);
    assert_eq!(story.orders(), [give(ticket, 2, Start::Fresh)]);
}

#[test]
fn forgotten_versions_lose_their_sandboxes_and_newer_ones_do_not() {
    let mut story = Story::new(rules());
    let newer = Need { key: VersionKey { function: function(1), version: 2 }, ..need(1, 128) };
    let old = story.start_idle(need(1, 128), MS);
    let busy = {
        let (sandbox, _) = story.take(need(1, 128));
        assert_eq!(sandbox, old);
        sandbox
    };
    let kept = story.start_idle(newer, MS);
    story.pool.forget(function(1), Some(2));
    assert_eq!(story.orders(), []);
    story.pool.give_back(busy, MS, story.now);
    assert_eq!(story.orders(), [destroy(busy, Reason::Forgotten)]);
    story.pool.forget(function(1), None);
    assert_eq!(story.orders(), [destroy(kept, Reason::Forgotten)]);
}

#[test]
fn a_drained_pool_serves_those_who_wait_and_refuses_the_rest() {
    let mut story = Story::new(Rules { stock: 1, ..rules() });
    story.pass(MS);
    story.pool.started(1, story.now);
    story.orders();
    let busy = story.queue(need(1, 128));
    assert_eq!(story.orders(), [give(busy, 1, Start::Pool)]);
    let waits = story.queue(need(1, 128));
    assert_eq!(story.orders(), [create(2)]);
    story.pool.drain();
    assert_eq!(story.refused(need(1, 128)), Refusal::Draining);
    story.pool.give_back(1, MS, story.now);
    assert_eq!(story.orders(), [give(waits, 1, Start::Warm)]);
    story.pool.started(2, story.now);
    assert_eq!(story.orders(), [destroy(2, Reason::Drained)]);
    story.pool.give_back(1, MS, story.now);
    assert_eq!(story.orders(), [destroy(1, Reason::Drained)]);
    assert!(!story.pool.is_drained());
    story.pool.exited(1, story.now);
    story.pool.exited(2, story.now);
    assert!(story.pool.is_drained());
    story.pass(MS);
    assert_eq!(story.orders(), []);
}

#[test]
fn without_a_launcher_everybody_is_told() {
    let mut story = Story::new(rules());
    story.start_busy(need(1, 128));
    let ticket = story.queue(need(2, 128));
    story.orders();
    story.pool.launcher_gone("it was killed");
    let why = Refusal::LauncherGone("it was killed".into());
    assert_eq!(story.orders(), [Order::Refuse { ticket, why: why.clone() }]);
    assert_eq!(story.refused(need(1, 128)), why);
    assert_eq!(story.pool.counts(), Counts::default());
}

/// What the world may do to a pool.
#[derive(Clone, Debug)]
enum Move {
    Request(u8, u32),
    Finish(usize),
    Discard(usize),
    Start(usize),
    FailStart(usize),
    Exit(usize),
    Cancel(usize),
    Overdue(usize),
    Pass(u32),
    Forget(u8),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (1u8..5, prop_oneof![Just(64u32), Just(128), Just(300)])
            .prop_map(|(function, memory)| Move::Request(function, memory)),
        3 => any::<usize>().prop_map(Move::Finish),
        1 => any::<usize>().prop_map(Move::Discard),
        3 => any::<usize>().prop_map(Move::Start),
        1 => any::<usize>().prop_map(Move::FailStart),
        3 => any::<usize>().prop_map(Move::Exit),
        1 => any::<usize>().prop_map(Move::Cancel),
        1 => any::<usize>().prop_map(Move::Overdue),
        2 => (0u32..70_000).prop_map(Move::Pass),
        1 => (1u8..5).prop_map(Move::Forget),
    ]
}

/// The world outside, which checks every order.
#[derive(Debug, Default)]
struct World {
    starting: Vec<SandboxId>,
    busy: Vec<SandboxId>,
    going: Vec<SandboxId>,
    waiting: Vec<Ticket>,
    /// Each function keeps the memory that it first asked for, as versions do.
    memory: HashMap<u8, u32>,
}

fn pick<T: Copy>(from: &[T], at: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[at % from.len()])
}

impl World {
    fn follow(&mut self, story: &mut Story, rules: &Rules) {
        for order in story.orders() {
            match order {
                Order::Give { ticket, sandbox, .. } => {
                    assert!(self.waiting.contains(&ticket), "gave to nobody: {order:?}");
                    assert!(!self.busy.contains(&sandbox), "gave a busy one: {order:?}");
                    assert!(!self.going.contains(&sandbox), "gave a condemned one: {order:?}");
                    self.waiting.retain(|waiting| *waiting != ticket);
                    self.busy.push(sandbox);
                }
                Order::Refuse { ticket, .. } => self.waiting.retain(|waits| *waits != ticket),
                Order::Create { sandbox, .. } => self.starting.push(sandbox),
                Order::Destroy { sandbox, .. } => {
                    assert!(!self.busy.contains(&sandbox), "destroyed a busy one: {order:?}");
                    assert!(!self.going.contains(&sandbox), "destroyed twice: {order:?}");
                    self.starting.retain(|id| *id != sandbox);
                    self.going.push(sandbox);
                }
                Order::Freeze { sandbox } => {
                    assert!(!self.busy.contains(&sandbox), "froze a busy one: {order:?}");
                }
            }
        }
        let counts = story.pool.counts();
        assert!(counts.memory_reserved_mib <= rules.memory_total_mib, "{counts:?}");
        assert!(story.pool.sandboxes.len() <= rules.max_sandboxes, "{counts:?}");
        assert!(counts.starting <= rules.parallel_starts, "{counts:?}");
        assert_eq!(counts.busy, self.busy.len(), "{counts:?}");
        assert_eq!(counts.waiting, self.waiting.len(), "{counts:?}");
        assert_eq!(counts.starting, self.starting.len(), "{counts:?}");
        // Nobody waits for nothing: somebody runs, starts, or goes to make room.
        let hope = counts.busy + counts.starting + counts.going;
        assert!(self.waiting.is_empty() || hope > 0, "a job waits for nothing: {counts:?}");
    }
}

proptest! {
    #[test]
    fn whatever_happens_bounds_hold_and_nobody_waits_for_nothing(
        moves in prop::collection::vec(moves(), 1..200),
    ) {
        let rules = Rules {
            stock: 1, memory_total_mib: 700, max_sandboxes: 6, parallel_starts: 2, ..rules()
        };
        let mut story = Story::new(rules);
        let mut world = World::default();
        for step in moves {
            match step {
                Move::Request(function, memory) => {
                    let memory = *world.memory.entry(function).or_insert(memory);
                    match story.pool.request(need(function, memory), story.now) {
                        Answer::Take { sandbox, .. } => world.busy.push(sandbox),
                        Answer::Wait { ticket, .. } => world.waiting.push(ticket),
                        Answer::Refuse(_) => {}
                    }
                }
                Move::Finish(at) => if let Some(id) = pick(&world.busy, at) {
                    world.busy.retain(|busy| *busy != id);
                    story.pool.give_back(id, MS, story.now);
                },
                Move::Discard(at) => if let Some(id) = pick(&world.busy, at) {
                    world.busy.retain(|busy| *busy != id);
                    story.pool.discard(id, Reason::Timeout, story.now);
                },
                Move::Start(at) => if let Some(id) = pick(&world.starting, at) {
                    world.starting.retain(|starting| *starting != id);
                    story.pool.started(id, story.now);
                },
                Move::FailStart(at) => if let Some(id) = pick(&world.starting, at) {
                    world.starting.retain(|starting| *starting != id);
                    story.pool.start_failed(id, "no", at % 2 == 0, story.now);
                },
                Move::Exit(at) => if let Some(id) = pick(&world.going, at) {
                    world.going.retain(|going| *going != id);
                    story.pool.exited(id, story.now);
                },
                Move::Cancel(at) => if let Some(ticket) = pick(&world.waiting, at) {
                    world.waiting.retain(|waiting| *waiting != ticket);
                    story.pool.cancel(ticket, story.now);
                },
                Move::Overdue(at) => if let Some(ticket) = pick(&world.waiting, at) {
                    story.pool.overdue(ticket, story.now);
                },
                Move::Pass(millis) => story.pass(MS * millis),
                Move::Forget(number) => story.pool.forget(function(number), None),
            }
            world.follow(&mut story, &rules);
        }
    }
}
