//! Numbers as JSON has them: one kind, whatever the spelling. `300`, `300.0` and `3.0e2` are the
//! same number, and so are `0` and `-0`.
//!
//! Integers are compared exactly over the whole range of 64 bits, where a comparison through
//! floating point would call 9007199254740992 and 9007199254740993 equal. What JSON writes beyond
//! that range is held as the nearest double, by serde_json already, and compares as that double.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// From here on a double has no digits left for a fraction, and i128 still has room.
const INTEGRAL_BELOW: f64 = 1e36;

/// Invariant: `Real` is finite, and has a fraction or is at least `INTEGRAL_BELOW`. So an integer
/// has one representation only, and equality needs no thought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Num {
    Int(i128),
    Real(f64),
}

impl Num {
    /// `None` for what is no finite number.
    pub(super) fn of(number: &Number) -> Option<Self> {
        if let Some(int) = number.as_i64() {
            return Some(Self::Int(int.into()));
        }
        if let Some(int) = number.as_u64() {
            return Some(Self::Int(int.into()));
        }
        let real = number.as_f64().filter(|real| real.is_finite())?;
        if real.fract() == 0.0 && real.abs() < INTEGRAL_BELOW {
            return Some(Self::Int(truncate(real)));
        }
        Some(Self::Real(real))
    }

    pub(super) fn of_value(value: &Value) -> Option<Self> {
        value.as_number().and_then(Self::of)
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            // Both are finite, so there is always an order.
            (Self::Real(a), Self::Real(b)) => a.total_cmp(&b),
            (Self::Int(a), Self::Real(b)) => int_to_real(a, b),
            (Self::Real(a), Self::Int(b)) => int_to_real(b, a).reverse(),
        }
    }

    /// The shortest way to write it that reads back as the same number.
    pub(super) fn canonical(number: &Number) -> Number {
        match Self::of(number) {
            Some(Self::Int(int)) => {
                let signed = i64::try_from(int).map(Number::from);
                let any = signed.or_else(|_| u64::try_from(int).map(Number::from));
                any.unwrap_or_else(|_| number.clone())
            }
            _ => number.clone(),
        }
    }
}

/// The real is never an integer that i128 can hold, so the two are never equal.
fn int_to_real(int: i128, real: f64) -> Ordering {
    if int <= truncate(real.floor()) { Ordering::Less } else { Ordering::Greater }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "callers pass integral values; those out of range saturate, which keeps their order"
)]
fn truncate(real: f64) -> i128 {
    real as i128
}

/// An interval; a missing end is open to infinity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) low: Option<Bound>,
    pub(super) high: Option<Bound>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound {
    pub(super) at: Num,
    pub(super) inclusive: bool,
}

impl Range {
    /// The number, if it is the only one inside.
    pub(super) fn only(&self) -> Option<Num> {
        let (low, high) = (self.low?, self.high?);
        (low.at == high.at && low.inclusive && high.inclusive).then_some(low.at)
    }

    pub(super) fn contains(&self, number: Num) -> bool {
        let above = self.low.is_none_or(|low| match number.compare(low.at) {
            Ordering::Greater => true,
            Ordering::Equal => low.inclusive,
            Ordering::Less => false,
        });
        above
            && self.high.is_none_or(|high| match number.compare(high.at) {
                Ordering::Less => true,
                Ordering::Equal => high.inclusive,
                Ordering::Greater => false,
            })
    }
}
