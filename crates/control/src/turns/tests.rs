//! Turns, held against lists of who should have had them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn id(n: u8) -> FunctionId {
    FunctionId::from_bytes([n; 16])
}

fn plain(n: u8) -> Lane {
    Lane { function: id(n), trigger: None }
}

fn lane(n: u8, trigger: &str) -> Lane {
    Lane { function: id(n), trigger: Some(TriggerName::parse(trigger).unwrap()) }
}

/// Functions 1 to 9 are project a's, the rest project b's; lanes of triggers have batches of ten.
fn about(lane: &Lane) -> Option<About> {
    let name = if lane.function.as_bytes()[0] < 10 { "a" } else { "b" };
    let full = lane.trigger.as_ref().map(|_| 10);
    Some(About { project: Project::parse(name).unwrap(), full })
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn due(lane: Lane, amount: usize) -> Option<Turn> {
    Some(Turn { lane, amount, early: false })
}

fn early(lane: Lane, amount: usize) -> Option<Turn> {
    Some(Turn { lane, amount, early: true })
}

/// The next turns, each of which has more work afterwards.
fn turns(turns: &mut Turns, count: usize) -> Vec<Lane> {
    let next = (0..count).filter_map(|_| {
        let turn = turns.take()?;
        let lane = turn.lane.clone();
        let amount = turn.amount;
        turns.come_again(turn, amount, about(&lane));
        Some(lane)
    });
    next.collect()
}

fn functions(lanes: Vec<Lane>) -> Vec<u8> {
    lanes.into_iter().map(|lane| lane.function.as_bytes()[0]).collect()
}

#[test]
fn a_project_with_many_functions_does_not_stand_in_front_of_one_with_few() {
    let mut state = Turns::default();
    for n in [1, 2, 3, 11] {
        state.hint(plain(n), ms(0));
    }
    assert_eq!(state.ripen(ms(1), about), 4);
    assert_eq!(functions(turns(&mut state, 6)), [1, 11, 2, 11, 3, 11]);
}

#[test]
fn a_function_with_many_lanes_does_not_stand_in_front_of_one_with_few() {
    let mut state = Turns::default();
    for lane in [lane(1, "t"), lane(1, "u"), lane(1, "v"), plain(2)] {
        state.hint(lane, ms(0));
    }
    assert_eq!(state.ripen(ms(1), about), 4);
    let expect = [lane(1, "t"), plain(2), lane(1, "u"), plain(2), lane(1, "v"), plain(2)];
    assert_eq!(turns(&mut state, 6), expect);
}

#[test]
fn a_project_of_weight_three_gets_three_turns_to_one_and_they_are_spread() {
    let weights = BTreeMap::from([(Project::parse("b").unwrap(), 3)]);
    let mut state = Turns::new(weights);
    for n in [1, 2, 11, 12] {
        state.hint(plain(n), ms(0));
    }
    state.ripen(ms(1), about);
    assert_eq!(functions(turns(&mut state, 8)), [11, 1, 12, 11, 12, 2, 11, 12]);
    // The same where a project has one function only, which is nowhere while a claim is made.
    let mut state = Turns::new(BTreeMap::from([(Project::parse("b").unwrap(), 3)]));
    for n in [1, 11] {
        state.hint(plain(n), ms(0));
    }
    state.ripen(ms(1), about);
    let given = functions(turns(&mut state, 400));
    assert_eq!(given.iter().filter(|n| **n == 11).count(), 300);
}

proptest! {
    #[test]
    fn each_project_gets_as_many_turns_as_its_weight_says_and_never_waits_longer_than_a_round(
        weights in prop::collection::vec(1_u32..6, 1..6),
    ) {
        let project = |n: usize| Project::parse(&format!("p{n}")).unwrap();
        let mut circle = Circle::new(
            weights.iter().enumerate().map(|(n, weight)| (project(n), *weight)).collect(),
        );
        let lane = |n: usize| plain(u8::try_from(n).unwrap());
        for n in 0..weights.len() {
            circle.stand(lane(n), project(n));
        }
        let round: u32 = weights.iter().sum();
        let mut given = vec![0; weights.len()];
        for _ in 0..round {
            let next = circle.take().unwrap();
            let n = usize::from(next.function.as_bytes()[0]);
            given[n] += 1;
            circle.stand(next, project(n));
        }
        prop_assert_eq!(given, weights);
    }
}

#[test]
fn work_gets_its_turn_when_it_is_due_and_not_before() {
    let mut state = Turns::default();
    state.hint(plain(1), ms(9));
    state.hint(plain(1), ms(5));
    state.hint(plain(1), ms(7));
    assert_eq!(state.ripen(ms(4), about), 0);
    assert_eq!((state.take(), state.next_due()), (None, Some(ms(5))));
    assert_eq!(state.ripen(ms(5), about), 1);
    assert_eq!((state.take(), state.next_due()), (due(plain(1), 3), None));
    assert_eq!(state.take(), None, "not twice at once");
}

#[test]
fn what_is_hinted_while_a_claim_is_on_its_way_is_not_lost_with_it() {
    let mut state = Turns::default();
    state.hint(plain(1), ms(0));
    state.ripen(ms(1), about);
    let turn = state.take();
    assert_eq!(turn, due(plain(1), 1));
    state.hint(plain(1), ms(1));
    assert_eq!(state.ripen(ms(2), about), 0, "one claim at a time");
    state.exhausted(turn.unwrap(), 0);
    assert_eq!(state.ripen(ms(2), about), 1);
    assert_eq!(state.take(), due(plain(1), 1));
}

#[test]
fn a_function_at_its_limit_keeps_its_place_among_its_neighbours() {
    let mut state = Turns::default();
    state.hint(plain(1), ms(0));
    state.hint(plain(2), ms(0));
    state.ripen(ms(1), about);
    let turn = state.take().unwrap();
    state.come_again(turn, 1, about(&plain(1)));
    assert_eq!(functions(turns(&mut state, 2)), [2, 1]);
}

#[test]
fn a_claim_is_told_how_much_work_there_is() {
    let mut state = Turns::default();
    state.hint(plain(1), ms(0));
    state.hint(plain(1), ms(0));
    state.ripen(ms(1), about);
    let turn = state.take();
    assert_eq!(turn, due(plain(1), 2));
    state.exhausted(turn.unwrap(), 0);
    state.count(plain(1), ms(0), 100);
    state.ripen(ms(1), about);
    let turn = state.take();
    assert_eq!(turn, due(plain(1), 100));
    state.come_again(turn.unwrap(), 36, about(&plain(1)));
    assert_eq!(state.take(), due(plain(1), 36));
}

#[test]
fn the_turn_of_a_batch_comes_when_it_is_full_or_when_its_first_has_waited_for_long_enough() {
    let mut state = Turns::default();
    for n in 0..9 {
        state.hint(lane(1, "t"), ms(1_000 + n));
    }
    assert_eq!(state.ripen(ms(9), about), 0, "it waits for company");
    state.hint(lane(1, "t"), ms(1_009));
    assert_eq!(state.ripen(ms(9), about), 1, "it is full");
    let turn = state.take();
    assert_eq!(turn, early(lane(1, "t"), 10));
    state.exhausted(turn.unwrap(), 0);
    assert_eq!(state.next_due(), None, "all that was known of is claimed");
    state.hint(lane(1, "t"), ms(1_020));
    assert_eq!(state.ripen(ms(1_019), about), 0);
    assert_eq!(state.ripen(ms(1_020), about), 1, "it has waited for long enough");
    assert_eq!(state.take(), due(lane(1, "t"), 1));
}

#[test]
fn what_a_full_batch_leaves_over_waits_for_its_time() {
    let mut state = Turns::default();
    for _ in 0..25 {
        state.hint(lane(1, "t"), ms(1_000));
    }
    assert_eq!(state.ripen(ms(0), about), 1);
    let turn = state.take();
    assert_eq!(turn, early(lane(1, "t"), 25));
    state.exhausted(turn.unwrap(), 5);
    assert_eq!((state.ripen(ms(999), about), state.next_due()), (0, Some(ms(1_000))));
    assert_eq!(state.ripen(ms(1_000), about), 1);
    assert_eq!(state.take(), due(lane(1, "t"), 5));
}

#[test]
fn a_full_batch_without_room_comes_again_and_what_becomes_due_meanwhile_with_it() {
    let mut state = Turns::default();
    for _ in 0..12 {
        state.hint(lane(1, "t"), ms(1_000));
    }
    state.ripen(ms(0), about);
    let turn = state.take().unwrap();
    state.come_again(turn, 12, about(&lane(1, "t")));
    let turn = state.take();
    assert_eq!(turn, early(lane(1, "t"), 12));
    state.come_again(turn.unwrap(), 12, about(&lane(1, "t")));
    assert_eq!(state.ripen(ms(1_000), about), 1);
    assert_eq!(state.take(), due(lane(1, "t"), 12));
}

#[test]
fn retries_that_wait_make_no_batch_full_early() {
    let mut state = Turns::default();
    for _ in 0..20 {
        state.hint_again(lane(1, "t"), ms(60_000));
    }
    state.count(lane(1, "t"), ms(60_000), 20);
    state.hint(lane(1, "t"), ms(1_000));
    assert_eq!((state.ripen(ms(0), about), state.next_due()), (0, Some(ms(1_000))));
}

#[test]
fn a_lane_without_batches_is_never_early_and_one_of_nothing_is_claimed_so_that_it_can_end() {
    let mut state = Turns::default();
    let ordered = |lane: &Lane| about(lane).map(|it| About { full: None, ..it });
    for _ in 0..99 {
        state.hint(lane(1, "t"), ms(10));
    }
    assert_eq!(state.ripen(ms(9), ordered), 0);
    assert_eq!(state.ripen(ms(10), |_| None), 1);
    assert_eq!(state.take(), due(lane(1, "t"), 99));
}
