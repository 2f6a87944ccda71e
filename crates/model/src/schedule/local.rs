//! From local times to moments: where in the world's time a cron expression is due, when clocks are
//! set forward and back in between. The rules are in the parent's prose; here is how they come
//! about.
//!
//! Between two changes of its clock a zone is a constant offset, so the next local time is the next
//! moment. The search goes from change to change. At most a few hundred fit into the years of a
//! schedule.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

use super::cron::Cron;

/// The first moment after this one at which the expression is due.
pub(super) fn next_after(cron: &Cron, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let names_hours = cron.names_hours();
    let mut offset = zone.to_offset(after);
    let mut from = minute_after(offset.to_datetime(after))?;
    if names_hours && let Some(repeated_until) = last_left(zone, after) {
        // If the clock was set back not long ago, local times up to there had their turn.
        from = from.max(minute_from(repeated_until)?);
    }
    let mut at = after;
    loop {
        let local = cron.next_from(from)?;
        let moment = offset.to_timestamp(local).ok()?;
        let Some(change) = zone.following(at).next().filter(|it| it.timestamp() <= moment) else {
            return Some(moment);
        };
        at = change.timestamp();
        let (left, reached) = (offset.to_datetime(at), change.offset().to_datetime(at));
        if names_hours {
            if local < reached {
                // It is at or after `left`, since it was not due before the change: it is skipped.
                return Some(at);
            }
            from = from.max(minute_from(left.max(reached))?);
        } else {
            from = minute_from(reached)?;
        }
        offset = change.offset();
    }
}

/// The moment of one local time: the first of two, or where the clock was set forward.
pub(super) fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            let before_change = after.to_timestamp(local).ok()?;
            zone.following(before_change).next().map(|change| change.timestamp())
        }
    }
}

/// What the clock showed when it was changed for the last time, at or before this moment.
fn last_left(zone: &TimeZone, moment: Timestamp) -> Option<DateTime> {
    let nanosecond = Span::new().nanoseconds(1);
    let change = zone.preceding(moment.checked_add(nanosecond).ok()?).next()?.timestamp();
    let before = zone.to_offset(change.checked_sub(nanosecond).ok()?);
    Some(before.to_datetime(change))
}

/// The first whole minute after a local time.
fn minute_after(local: DateTime) -> Option<DateTime> {
    minute_of(local).checked_add(Span::new().minutes(1)).ok()
}

/// The first whole minute at or after a local time.
fn minute_from(local: DateTime) -> Option<DateTime> {
    if minute_of(local) == local { Some(local) } else { minute_after(local) }
}

fn minute_of(local: DateTime) -> DateTime {
    local.date().at(local.hour(), local.minute(), 0, 0)
}
