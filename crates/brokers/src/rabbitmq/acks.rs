//! The fewest frames that answer for some deliveries. Pure: numbers in, a plan out.
//!
//! AMQP answers for one delivery, or for all up to one. The second must not answer for a delivery
//! that is held and was not meant: what is accepted so is lost.

use std::collections::BTreeSet;

/// First everything up to a number, then single ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) up_to: Option<u64>,
    pub(super) single: Vec<u64>,
}

/// `held` is every delivery that has no answer yet, in order; `meant` are some of them.
pub(super) fn plan(held: impl IntoIterator<Item = u64>, meant: &BTreeSet<u64>) -> Plan {
    let up_to = held.into_iter().take_while(|number| meant.contains(number)).last();
    let single = meant.iter().copied().filter(|number| up_to.is_none_or(|up_to| *number > up_to));
    Plan { up_to, single: single.collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_that_is_held_is_one_frame() {
        let meant = BTreeSet::from([3, 4, 9]);
        assert_eq!(plan([3, 4, 9], &meant), Plan { up_to: Some(9), single: vec![] });
        assert_eq!(plan([3, 4, 9, 10], &meant), Plan { up_to: Some(9), single: vec![] });
        assert_eq!(plan([2, 3, 4, 9], &meant), Plan { up_to: None, single: vec![3, 4, 9] });
        assert_eq!(plan([3, 4, 5, 9], &meant), Plan { up_to: Some(4), single: vec![9] });
        assert_eq!(plan([1, 2], &BTreeSet::new()), Plan { up_to: None, single: vec![] });
    }

    proptest! {
        #[test]
        fn exactly_what_is_meant_is_answered(
            held in proptest::collection::btree_map(0_u64..60, any::<bool>(), 0..40),
        ) {
            let numbers = || held.keys().copied();
            let meant: BTreeSet<u64> = numbers().filter(|number| held[number]).collect();
            let plan = plan(numbers(), &meant);
            let answered: BTreeSet<u64> = numbers()
                .filter(|number| plan.up_to.is_some_and(|it| *number <= it))
                .chain(plan.single.iter().copied())
                .collect();
            prop_assert_eq!(answered, meant);
        }
    }
}
