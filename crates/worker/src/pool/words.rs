//! What is said to a pool and by it, as plain data.

use std::time::Duration;

use model::FunctionId;
use model::invocation::Start;
use sandbox::SandboxId;

/// A waiting job. Grows, so that the smallest is the oldest.
pub(crate) type Ticket = u64;

/// Which runtime: its place in [`Rules::runtimes`].
pub(crate) type RuntimeIndex = usize;

/// A version of a function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct VersionKey {
    pub(crate) function: FunctionId,
    pub(crate) version: u32,
}

/// What a job needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) key: VersionKey,
    pub(crate) runtime: RuntimeIndex,
    pub(crate) memory_mib: u32,
}

/// The bounds that the pool keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) runtimes: usize,
    pub(crate) memory_total_mib: u64,
    pub(crate) max_sandboxes: usize,
    /// Empty sandboxes to have ready per runtime.
    pub(crate) stock: usize,
    /// What an empty sandbox counts for.
    pub(crate) empty_mib: u32,
    pub(crate) parallel_starts: usize,
    /// Jobs that may wait for one version.
    pub(crate) waiting_most: usize,
    pub(crate) idle_expiry: Duration,
    /// None where the machine cannot freeze.
    pub(crate) freeze_after: Option<Duration>,
}

/// What the owner of the pool has to do.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Order {
    Give { ticket: Ticket, sandbox: SandboxId, start: Start, thaw: bool },
    Refuse { ticket: Ticket, why: Refusal },
    Create { sandbox: SandboxId, runtime: RuntimeIndex },
    Destroy { sandbox: SandboxId, reason: Reason },
    Freeze { sandbox: SandboxId },
}

/// Why a job gets no sandbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Draining,
    /// So many wait for this version already.
    QueueFull(usize),
    /// More than the whole machine has.
    TooLarge {
        memory_mib: u32,
        total_mib: u64,
    },
    StartFailed(String),
    LauncherGone(String),
}

/// Why a sandbox was removed, as metrics count it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Reason {
    /// Idle for too long, or empty and more than the stock.
    Expired,
    /// Its memory was needed by another version.
    Evicted,
    /// Its version was deleted or superseded.
    Forgotten,
    Drained,
    Timeout,
    OutOfMemory,
    Exited,
    Protocol,
    InitFailed,
    /// Something of ours went wrong with it.
    Failure,
    /// Nobody waits for the attempt any more.
    Abandoned,
}

impl Reason {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::Forgotten => "forgotten",
            Self::Drained => "drained",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::Exited => "exited",
            Self::Protocol => "protocol",
            Self::InitFailed => "init_failed",
            Self::Failure => "failure",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The answer to a request.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    /// This idle sandbox is yours.
    Take {
        sandbox: SandboxId,
        thaw: bool,
    },
    /// An order will name the ticket. If it has not by `overdue`, say so to [`Pool::overdue`].
    Wait {
        ticket: Ticket,
        overdue: Duration,
    },
    Refuse(Refusal),
}

/// How many there are of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) idle: usize,
    pub(crate) busy: usize,
    pub(crate) empty: usize,
    pub(crate) starting: usize,
    pub(crate) going: usize,
    pub(crate) waiting: usize,
    pub(crate) memory_reserved_mib: u64,
}
