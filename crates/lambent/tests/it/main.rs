//! The whole service, end to end: the real binary, real HTTP, real sandboxes.
//!
//! [`service`] starts it; [`calls`], [`events`], [`destinations`], [`triggers`] and [`packages`] say what it does.
//! [`checker`] is the judge of what it promised, and [`load`] what it is judged under: [`crash`], [`failpoints`],
//! [`disk`], [`drain`] and [`startup`] are what can go wrong around it, [`hostile`] what can go wrong
//! inside.
//!
//! Slow ones (`SLOW_TESTS=1`) do more of the same: more kills, more points in time.

#![expect(clippy::unwrap_used, reason = "all of this is tests, which clippy cannot tell here")]
#![expect(clippy::print_stdout, reason = "seeds and counts, for whoever repeats a failure")]
#![expect(clippy::print_stderr, reason = "what was skipped is said aloud")]
#![expect(unreachable_pub, reason = "a test binary has no users: pub means what other modules use")]

mod calls;
mod checker;
mod crash;
mod destinations;
mod disk;
mod drain;
mod events;
mod failpoints;
mod hostile;
mod load;
mod packages;
mod replays;
mod schedules;
mod service;
mod sources;
mod startup;
mod triggers;
mod webhooks;
