//! How a trigger hands its events to the function: as they come, or changed, in batches, in order.
//!
//! The default is what a trigger without any of this does: each event by itself, whole, as soon as
//! there is room. What has a batch or an ordering key waits in a lane of its own ([`Delivery::lane`]),
//! so that it is claimed by itself and never waits behind the function's other events.

use std::time::Duration;

use crate::limits;
use crate::name::{Invalid, TriggerName};
use crate::transform::{Path, Transform};

/// What a trigger does with an event that it matched.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Delivery {
    /// What the handler gets instead of the event.
    pub transform: Option<Transform>,
    /// Several events for one attempt.
    pub batch: Option<Batch>,
    /// Where in the event its key is: events with equal keys run one after the other, in the order
    /// in which they were accepted. An event without one is in no order.
    pub ordering_key: Option<Path>,
}

/// How events are put together for one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Events of one attempt, at most.
    pub size: u32,
    /// How long the first may wait for company.
    pub window: Duration,
    /// Whether the handler may tell which of them failed, so that the others count as done.
    pub partial_responses: bool,
    /// Whether a batch that failed is tried again in halves, to find the one that it fails for.
    pub bisect: bool,
}

impl Delivery {
    /// The lane in which the invocations of the trigger of this name wait; none is the function's
    /// plain one.
    pub fn lane(&self, trigger: &TriggerName) -> Option<TriggerName> {
        (self.batch.is_some() || self.ordering_key.is_some()).then(|| trigger.clone())
    }

    /// Every setting against its limit; the first that does not fit is told.
    pub fn check(&self) -> Result<(), Invalid> {
        if let Some(path) = self.ordering_key.as_ref().filter(|path| path.gives_list()) {
            let why = "it must lead to one value, and [*] gives a list";
            return Err(Invalid::new("ordering_key", path, why));
        }
        self.batch.as_ref().map_or(Ok(()), Batch::check)
    }
}

impl Batch {
    pub fn check(&self) -> Result<(), Invalid> {
        let sizes = limits::BATCH_SIZE;
        if !sizes.contains(&self.size) {
            let why = format!("it must be {} to {} events", sizes.start(), sizes.end());
            return Err(Invalid::new("batch.size", self.size, why));
        }
        let most = limits::BATCH_WINDOW_MAX;
        if self.window > most {
            let why = format!("it must be 0 to {} seconds", most.as_secs());
            return Err(Invalid::new("batch.window_s", self.window.as_secs_f64(), why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(size: u32, window_ms: u64) -> Batch {
        let window = Duration::from_millis(window_ms);
        Batch { size, window, partial_responses: false, bisect: false }
    }

    #[test]
    fn a_batch_outside_its_limits_is_refused_with_the_limit() {
        for good in [batch(1, 0), batch(1_000, 300_000)] {
            assert_eq!(good.check(), Ok(()));
        }
        for (bad, expect) in [
            (batch(0, 0), r#"batch.size "0" is not valid: it must be 1 to 1000 events"#),
            (batch(1_001, 0), r#"batch.size "1001" is not valid: it must be 1 to 1000 events"#),
            (
                batch(1, 300_001),
                r#"batch.window_s "300.001" is not valid: it must be 0 to 300 seconds"#,
            ),
        ] {
            let delivery = Delivery { batch: Some(bad), ..Delivery::default() };
            assert_eq!(delivery.check().unwrap_err().to_string(), expect);
        }
        assert_eq!(Delivery::default().check(), Ok(()));
    }

    #[test]
    fn an_ordering_key_is_one_value() {
        let check = |path| {
            let ordering_key = Some(Path::parse(path).unwrap());
            Delivery { ordering_key, ..Delivery::default() }.check()
        };
        assert_eq!(check("$.data.users[0]"), Ok(()));
        assert!(check("$.data.users[*]").unwrap_err().why.contains("[*] gives a list"));
    }

    #[test]
    fn a_batch_or_an_ordering_key_has_a_lane_of_its_own() {
        let name = TriggerName::parse("t").unwrap();
        let lane = |delivery: Delivery| delivery.lane(&name);
        assert_eq!(lane(Delivery::default()), None);
        let transform = Some(Transform::parse(r#"{"path":"$.data"}"#).unwrap());
        assert_eq!(lane(Delivery { transform, ..Delivery::default() }), None);
        let batch = Some(batch(10, 0));
        assert_eq!(lane(Delivery { batch, ..Delivery::default() }), Some(name.clone()));
        let ordering_key = Some(Path::parse("$.data.user").unwrap());
        assert_eq!(lane(Delivery { ordering_key, ..Delivery::default() }), Some(name.clone()));
    }
}
