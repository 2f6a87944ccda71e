//! What a session holds of each partition, and how far each has been answered. Pure.
//!
//! Offsets have gaps (transactions, compaction), so "everything before is answered" is read off what
//! is held, not off counting.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Book {
    next: u64,
    held: BTreeMap<u64, Place>,
    /// Received, and no longer ours: of a partition that has left, or behind one that was given back.
    /// They come again, so an answer for them has no effect.
    void: BTreeSet<u64>,
    partitions: BTreeMap<i32, Partition>,
}

/// Where a message is in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

#[derive(Debug, Default)]
struct Partition {
    held: BTreeMap<i64, u64>,
    /// What is received next, at the earliest; None if nothing was yet.
    next: Option<i64>,
    /// The furthest that was ever received, to know a second time.
    furthest: Option<i64>,
    said: Option<i64>,
}

/// What is meant by a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Held(Place),
    Void,
    Unknown,
}

impl Book {
    /// The number of a message that was received, and whether it was before.
    pub(super) fn hold(&mut self, place: Place) -> (u64, bool) {
        let number = self.next;
        self.next += 1;
        let partition = self.partitions.entry(place.partition).or_default();
        let again = partition.furthest.is_some_and(|it| place.offset <= it);
        partition.furthest = partition.furthest.max(Some(place.offset));
        partition.next = Some(place.offset + 1);
        // One that comes while it is held comes for a reason that is not ours to know.
        if let Some(former) = partition.held.insert(place.offset, number) {
            self.held.remove(&former);
            self.void.insert(former);
        }
        self.held.insert(number, place);
        (number, again)
    }

    pub(super) fn meant(&self, number: u64) -> Meant {
        match self.held.get(&number) {
            Some(place) => Meant::Held(*place),
            None if self.void.contains(&number) => Meant::Void,
            None => Meant::Unknown,
        }
    }

    /// It has its answer.
    pub(super) fn answer(&mut self, number: u64) {
        self.void.remove(&number);
        let Some(place) = self.held.remove(&number) else { return };
        if let Some(partition) = self.partitions.get_mut(&place.partition) {
            partition.held.remove(&place.offset);
        }
    }

    /// How far each partition is answered, where that was not said yet: the offset to go on with.
    pub(super) fn to_say(&self) -> Vec<Place> {
        let news = |(number, partition): (&i32, &Partition)| {
            let first = partition.held.keys().next().copied();
            let offset = first.or(partition.next)?;
            let new = partition.said.is_none_or(|said| said < offset);
            new.then_some(Place { partition: *number, offset })
        };
        self.partitions.iter().filter_map(news).collect()
    }

    pub(super) fn said(&mut self, places: &[Place]) {
        for place in places {
            if let Some(partition) = self.partitions.get_mut(&place.partition) {
                partition.said = partition.said.max(Some(place.offset));
            }
        }
    }

    /// Given back: where each partition is to be read again from. Everything from there on is void,
    /// and so are those that were not meant, since they come again, too.
    pub(super) fn give_back(&mut self, numbers: &BTreeSet<u64>) -> Vec<Place> {
        let mut from: BTreeMap<i32, i64> = BTreeMap::new();
        for place in numbers.iter().filter_map(|it| self.held.get(it)) {
            let first = from.entry(place.partition).or_insert(place.offset);
            *first = (*first).min(place.offset);
        }
        for (number, offset) in &from {
            let Some(partition) = self.partitions.get_mut(number) else { continue };
            for (_, number) in partition.held.split_off(offset) {
                self.held.remove(&number);
                if !numbers.contains(&number) {
                    self.void.insert(number);
                }
            }
            partition.next = Some(*offset);
        }
        self.void.retain(|it| !numbers.contains(it));
        from.into_iter().map(|(partition, offset)| Place { partition, offset }).collect()
    }

    /// Somebody else reads it from now on.
    pub(super) fn leave(&mut self, partition: i32) {
        for (_, number) in self.partitions.remove(&partition).unwrap_or_default().held {
            self.held.remove(&number);
            self.void.insert(number);
        }
    }

    /// What would be received next, if anything was.
    pub(super) fn next(&self, partition: i32) -> Option<i64> {
        self.partitions.get(&partition)?.next
    }

    pub(super) fn count(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32, offset: i64) -> Place {
        Place { partition, offset }
    }

    #[test]
    fn a_partition_is_answered_up_to_its_first_message_without_an_answer() {
        let mut book = Book::default();
        // With gaps.
        let numbers: Vec<u64> = [3, 4, 9, 12].map(|offset| book.hold(at(0, offset)).0).to_vec();
        book.answer(numbers[1]);
        assert_eq!(book.to_say(), [at(0, 3)]);
        book.answer(numbers[0]);
        assert_eq!(book.to_say(), [at(0, 9)]);
        book.said(&[at(0, 9)]);
        assert_eq!(book.to_say(), []);
        book.answer(numbers[3]);
        assert_eq!(book.to_say(), []);
        book.answer(numbers[2]);
        assert_eq!(book.to_say(), [at(0, 13)]);
    }

    #[test]
    fn what_is_given_back_takes_everything_behind_it_along() {
        let mut book = Book::default();
        let numbers: Vec<u64> = (0..5).map(|offset| book.hold(at(0, offset)).0).collect();
        let other = book.hold(at(1, 7)).0;
        let given = BTreeSet::from([numbers[2], numbers[3]]);
        assert_eq!(book.give_back(&given), [at(0, 2)]);
        assert_eq!(book.meant(numbers[1]), Meant::Held(at(0, 1)));
        assert_eq!(book.meant(numbers[2]), Meant::Unknown);
        assert_eq!(book.meant(numbers[4]), Meant::Void);
        assert_eq!(book.meant(other), Meant::Held(at(1, 7)));
        for number in [numbers[0], numbers[1], numbers[4]] {
            book.answer(number);
        }
        assert_eq!(book.to_say(), [at(0, 2), at(1, 7)]);
        assert_eq!(book.hold(at(0, 2)), (6, true));
        assert_eq!(book.hold(at(0, 5)), (7, false));
    }

    #[test]
    fn an_answer_for_a_partition_that_has_left_has_no_effect() {
        let mut book = Book::default();
        let numbers: Vec<u64> = (0..2).map(|offset| book.hold(at(0, offset)).0).collect();
        book.leave(0);
        assert_eq!(book.meant(numbers[0]), Meant::Void);
        // It comes back, and begins anew.
        let (number, _) = book.hold(at(0, 0));
        book.answer(numbers[0]);
        book.answer(numbers[1]);
        assert_eq!(book.to_say(), [at(0, 0)]);
        book.answer(number);
        assert_eq!(book.to_say(), [at(0, 1)]);
        assert_eq!((book.meant(numbers[0]), book.count()), (Meant::Unknown, 0));
    }

    proptest::proptest! {
        #[test]
        fn nothing_without_an_answer_is_ever_said_to_be_answered(
            steps in proptest::collection::vec((0_u8..4, 0_u64..12), 0..60),
        ) {
            let mut book = Book::default();
            let mut offset = 0;
            for (what, which) in steps {
                match what {
                    0 | 1 => {
                        offset = book.next(0).unwrap_or(offset);
                        book.hold(at(0, offset));
                        offset += 1 + i64::try_from(which % 3).unwrap();
                    }
                    2 => book.answer(which),
                    _ => {
                        for place in book.give_back(&BTreeSet::from([which])) {
                            offset = place.offset;
                        }
                    }
                }
                for place in book.to_say() {
                    let mut open = book.held.values().map(|it| it.offset);
                    proptest::prop_assert!(open.all(|it| it >= place.offset));
                    book.said(&[place]);
                }
            }
        }
    }
}
