//! The machine's own clock and its randomness: the only place that asks for either.

use std::time::SystemTime;

use model::{Clock, Timestamp};

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else takes")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn entropy(&self) -> u128 {
        // A random UUID has 122 random bits of the operating system's.
        uuid::Uuid::new_v4().as_u128()
    }
}
