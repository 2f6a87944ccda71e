//! When a message that was not taken is tried again. Pure: time and chance are passed in.
//!
//! It waits as long again as it has waited already, so the waits double, from a second to ten
//! minutes; a random half is taken off. Counting by age rather than by tries means that a try which
//! was never made, since its target was busy or this process was down, costs nothing.

use std::time::Duration;

use model::limits;

/// What a restart of the other end takes at least.
const FIRST: Duration = Duration::from_secs(1);
/// Longer would only add to an outage that is over.
const MOST: Duration = Duration::from_secs(600);
/// What another end may ask for: more is a mistake, or a way to keep our messages from it for ever.
const ASKED: Duration = Duration::from_secs(3_600);

/// How long to wait after a failed try, or None if it is given up. `asked` is what the other end
/// asked for, `chance` any random number.
pub(super) fn again(age: Duration, asked: Option<Duration>, chance: u128) -> Option<Duration> {
    if age >= limits::MESSAGE_AGE {
        return None;
    }
    let whole = age.clamp(FIRST, MOST);
    let half = u64::try_from(whole.as_micros() / 2).unwrap_or(u64::MAX).max(1);
    let random = u64::try_from(chance % u128::from(half)).unwrap_or(0);
    let wait = whole - Duration::from_micros(random);
    Some(wait.max(asked.unwrap_or_default().min(ASKED)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_to_ten_minutes_and_end_after_a_day() {
        let mut age = Duration::ZERO;
        let mut waits = Vec::new();
        while let Some(wait) = again(age, None, 0) {
            waits.push(wait.as_secs());
            age += wait;
        }
        assert_eq!(waits[..11], [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!((waits[11], waits.last()), (600, Some(&600)));
        assert!((100..200).contains(&waits.len()), "{}", waits.len());
    }

    #[test]
    fn the_other_end_may_ask_for_more_but_not_for_ever() {
        let asked = |s| again(Duration::ZERO, Some(Duration::from_secs(s)), 0).unwrap().as_secs();
        assert_eq!((asked(0), asked(30), asked(1_000_000)), (1, 30, 3_600));
    }

    proptest! {
        #[test]
        fn chance_takes_off_less_than_half(age_ms in 0_u64..86_400_000, chance: u128) {
            let age = Duration::from_millis(age_ms);
            let (whole, wait) = (again(age, None, 0).unwrap(), again(age, None, chance).unwrap());
            prop_assert!(wait <= whole && wait > whole / 2, "{wait:?} of {whole:?}");
        }
    }
}
