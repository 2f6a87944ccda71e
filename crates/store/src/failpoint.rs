//! Places where a test can make the process die, to see that nothing is lost there.
//!
//! `LAMBENT_FAILPOINT=settle.before_commit:3` makes the process send itself SIGKILL the third time
//! it passes that point; without a number, the first time. SIGKILL and not an exit or a panic:
//! nothing is flushed, dropped or unwound, so what a test finds afterwards is what a crash leaves.
//!
//! A thread that kills itself at a named place beats a tester who kills at a random time: each
//! place is hit for certain, and a failure repeats. An environment variable, because the process
//! under test is the whole program, started by a test in another process. The variable is read
//! once, so a pass costs a load; and in release builds the macro is empty, so that no variable
//! can hurt a process that serves.
//!
//! [`FAILPOINTS`] lists every point of this crate, [`FAILPOINTS_ABOVE`] those of its callers; passing
//! one that is on neither list is a bug that debug builds catch.

/// Dies here if the environment says so. Nothing in release builds.
#[macro_export]
macro_rules! failpoint {
    ($name:expr) => {{
        let name: &str = $name;
        #[cfg(debug_assertions)]
        $crate::failpoint::pass(name);
        #[cfg(not(debug_assertions))]
        let _unused = name;
    }};
}

/// Every point, in the order of an event's life. Before a commit nothing of the operation may be
/// found afterwards; after it, all of it (whether or not the caller was told).
pub const FAILPOINTS: &[&str] = &[
    "deploy.before_commit",
    "deploy.after_commit",
    "delete_function.before_commit",
    "delete_function.after_commit",
    "bury.before_commit",
    "bury.after_commit",
    "put_trigger.before_commit",
    "put_trigger.after_commit",
    "delete_trigger.before_commit",
    "delete_trigger.after_commit",
    "put_destinations.before_commit",
    "put_destinations.after_commit",
    "put_source.before_commit",
    "put_source.after_commit",
    "delete_source.before_commit",
    "delete_source.after_commit",
    "create_key.before_commit",
    "create_key.after_commit",
    "delete_key.before_commit",
    "delete_key.after_commit",
    "append.before_invocations",
    "append.before_commit",
    "append.after_commit",
    "append_from.before_events",
    "append_from.before_commit",
    "append_from.after_commit",
    "append_invocations.before_commit",
    "append_invocations.after_commit",
    "create_replay.before_commit",
    "create_replay.after_commit",
    "advance_replay.before_invocations",
    "advance_replay.before_commit",
    "advance_replay.after_commit",
    "end_replay.before_commit",
    "end_replay.after_commit",
    "claim.before_commit",
    "claim.after_commit",
    "renew.before_commit",
    "renew.after_commit",
    "append_log.before_commit",
    "append_log.after_commit",
    "settle.before_log",
    "settle.before_commit",
    "settle.after_commit",
    "claim_messages.before_commit",
    "claim_messages.after_commit",
    "settle_message.before_commit",
    "settle_message.after_commit",
    "deliver_event.before_event",
    "deliver_event.before_commit",
    "deliver_event.after_commit",
    "begin_call.before_commit",
    "begin_call.after_commit",
    "release_call.before_commit",
    "release_call.after_commit",
    "record.before_commit",
    "record.after_commit",
    "interrupt.before_commit",
    "interrupt.after_commit",
    "redrive.before_commit",
    "redrive.after_commit",
    "sweep.before_commit",
    "sweep.after_commit",
    "probe.before_commit",
    "probe.after_commit",
    "checkpoint.before",
    "checkpoint.after",
    "code.before_rename",
    "code.after_rename",
];

/// Points of the crates above, where no commit is near: what was decided or done and is not written
/// yet. The store's own tests cannot pass them; those of the whole service do.
pub const FAILPOINTS_ABOVE: &[&str] = &[
    "source.after_receive",
    "ingest.before_append",
    "ingest.after_append",
    "source.before_accept",
    "source.after_accept",
    "call.before_run",
    "call.before_record",
    "attempt.before_run",
    "attempt.before_settle",
    "attempt.after_settle",
    "outbox.before_send",
    "outbox.after_send",
];

/// Whether a test wants writes to be acknowledged before they are committed, and a moment of time in
/// between: the negative control of every test that kills. If such a service loses nothing, the
/// test cannot tell. (The moment, since what SQLite has handed to the kernel survives the process: a
/// kill finds only what was not written, and writing takes no time worth mentioning.)
#[cfg(debug_assertions)]
pub(crate) fn acknowledges_too_early() -> bool {
    static TOO_EARLY: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *TOO_EARLY.get_or_init(|| {
        std::env::var("LAMBENT_TEST_ACK_BEFORE_COMMIT").is_ok_and(|value| value == "1")
    })
}

/// What [`failpoint!`](crate::failpoint!) calls.
#[cfg(debug_assertions)]
pub fn pass(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Armed {
        name: String,
        /// Passes that are still survived, and the deadly one.
        left: AtomicU64,
    }
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    debug_assert!(is_known(name), "the failpoint {name} is not on the list");
    let armed = ARMED.get_or_init(|| {
        let text = std::env::var("LAMBENT_FAILPOINT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        let left = count.parse().ok().filter(|count| *count > 0);
        if left.is_none() || !is_known(name) {
            tracing::error!("LAMBENT_FAILPOINT={text} names no failpoint: it is ignored");
        }
        Some(Armed { name: name.to_owned(), left: AtomicU64::new(left?) })
    });
    if let Some(armed) = armed
        && armed.name == name
        && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let me = rustix::process::getpid();
        // Without an effect only if the kernel refuses a process its own death: then say so.
        let killed = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        panic!("the failpoint {name} could not kill the process: {killed:?}");
    }
}

#[cfg(debug_assertions)]
fn is_known(name: &str) -> bool {
    FAILPOINTS.contains(&name) || FAILPOINTS_ABOVE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{FAILPOINTS, FAILPOINTS_ABOVE};

    #[test]
    fn failpoints_have_distinct_names() {
        let distinct: std::collections::BTreeSet<_> =
            FAILPOINTS.iter().chain(FAILPOINTS_ABOVE).collect();
        assert_eq!(distinct.len(), FAILPOINTS.len() + FAILPOINTS_ABOVE.len());
    }
}
