//! Every number with its reason.
//!
//! A limit that a user can meet is told in the error that it causes, with its value; one that can
//! be configured says so here. Numbers that only one module knows live in that module.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A call's body and its answer: AWS's synchronous limit (6 MB, counted as MiB there).
pub const CALL_BYTES: usize = 6 * 1024 * 1024;
/// One event, as the CloudEvents record: AWS's asynchronous limit since 2025.
pub const EVENT_BYTES: usize = 1024 * 1024;
/// Events in one batch: bounds the work that one request makes; the body limit binds first.
pub const EVENTS_PER_BATCH: usize = 1_000;
/// A batch's body: what one commit may hold without making its neighbours wait for long.
pub const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// An uploaded package, zipped: AWS's direct upload limit.
pub const CODE_BYTES: usize = 50 * 1024 * 1024;
/// JSON nested deeper than this is refused at the door: Python's own parser stops at about 1,000
/// frames, and ours at 128; nobody's data needs more.
pub const JSON_DEPTH: usize = 100;

/// Memory of a sandbox in MiB: AWS's range, and 64 below it since ours cost less.
pub const MEMORY_MIB: RangeInclusive<u32> = 64..=10_240;
pub const MEMORY_MIB_DEFAULT: u32 = 128;
/// How long an attempt may run, in seconds: AWS's range and a default that fits a web request.
pub const TIMEOUT_S: RangeInclusive<u32> = 1..=900;
pub const TIMEOUT_S_DEFAULT: u32 = 30;
/// Loading a function's code, before its first event: AWS's ten seconds.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Names and values of the environment together: AWS's 4 KiB.
pub const ENV_BYTES: usize = 4 * 1024;
/// A description is a line or two for people.
pub const DESCRIPTION_BYTES: usize = 256;
/// Private /tmp of a sandbox, charged to its memory: AWS's default is 512 MB, but on disk; ours is
/// memory, so a quarter of the function's memory, at least this.
pub const TMP_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Retries of an event after its first attempt failed: AWS allows 0 to 2; more is allowed here.
pub const RETRIES: RangeInclusive<u32> = 0..=100;
pub const RETRIES_DEFAULT: u32 = 2;
/// Wait before the first retry; it doubles with each. AWS: one minute, then two.
pub const BACKOFF_S: RangeInclusive<u32> = 0..=3_600;
pub const BACKOFF_S_DEFAULT: u32 = 60;
/// No wait between attempts is longer: an hour is an outage, not a hiccup.
pub const BACKOFF_MAX: Duration = Duration::from_secs(3_600);
/// How old an event may get before it is a dead letter: AWS's range and default of six hours.
pub const EVENT_AGE_S: RangeInclusive<u32> = 60..=86_400;
pub const EVENT_AGE_S_DEFAULT: u32 = 21_600;

/// Attempts of one function at once, if the user caps them; zero stops it.
pub const CONCURRENCY: RangeInclusive<u32> = 0..=10_000;
/// Attempts of one project at once, unless configured: AWS's account default.
pub const PROJECT_CONCURRENCY: u32 = 1_000;
/// Triggers of one function: each event is held against each of them.
pub const TRIGGERS_PER_FUNCTION: usize = 100;

/// Events of one attempt, where a trigger asks for batches: AWS's range for most of its queues is
/// up to 10,000; with an event's size this is what one attempt's input can hold in earnest.
pub const BATCH_SIZE: RangeInclusive<u32> = 1..=1_000;
/// How long the first event of a batch waits for company: AWS's five minutes.
pub const BATCH_WINDOW_MAX: Duration = Duration::from_secs(300);
/// An event's ordering key: an id or a path fits; it is a part of an index.
pub const ORDERING_KEY_BYTES: usize = 256;

/// Events with the same (project, source, id) within this window are one event.
pub const DEDUPE_WINDOW: Duration = Duration::from_secs(24 * 3_600);
/// Answers are kept for their idempotency key as long.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(24 * 3_600);
/// An idempotency key or a sender's event id: a UUID is 36; hashes and paths fit.
pub const KEY_BYTES: usize = 256;
/// CloudEvents attributes other than data: the specification asks for 64 KiB per whole event to be
/// forwarded; one attribute needs far less.
pub const ATTRIBUTE_BYTES: usize = 2_048;
/// Extension attributes of one event.
pub const EXTENSIONS_PER_EVENT: usize = 64;

/// Log kept of one attempt; what is over is counted, and the cut is marked.
pub const LOG_BYTES_PER_ATTEMPT: usize = 1024 * 1024;
/// A line longer than this is split: readers hold whole lines in memory.
pub const LOG_LINE_BYTES: usize = 64 * 1024;
/// An answer larger than this is not kept in the ledger (only its size is), unless an idempotency
/// key promises it to a second caller.
pub const RESULT_KEPT_BYTES: usize = 64 * 1024;
/// An error's message as kept: enough for any sentence.
pub const ERROR_MESSAGE_BYTES: usize = 32 * 1024;

/// Events that one attempt may ask to send: more is a stream, and has its own door.
pub const EFFECTS: usize = 100;
/// The same in bytes, all together: they travel beside the answer, in half of what is there for that.
pub const EFFECTS_BYTES: usize = 128 * 1024;
/// Times that an event made by Lambent may lead to another one: a circle ends here, and no sensible
/// chain is as long.
pub const HOPS: u32 = 16;
/// A message that nobody takes is given up after this: a day is enough to notice and to mend.
pub const MESSAGE_AGE: Duration = Duration::from_secs(24 * 3_600);

/// Items of a list's page.
pub const PAGE_ITEMS: RangeInclusive<usize> = 1..=1_000;
pub const PAGE_ITEMS_DEFAULT: usize = 100;

/// A lease without a sign of life is void after this; the holder renews at a third of it.
pub const LEASE: Duration = Duration::from_secs(30);
