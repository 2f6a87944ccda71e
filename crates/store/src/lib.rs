//! What survives: the catalogue (functions, versions, triggers, sources, destinations, keys) and the
//! ledger (events, invocations, their transitions, attempts and logs, and the outbox).
//!
//! One trait, [`Store`]; the rest of Lambent knows nothing else. Each implementation passes the
//! same contract suite (`contract`): [`sqlite`] is the embedded one.
//!
//! The promise every implementation keeps: when a method that writes returns `Ok`, the write has
//! been committed and fsynced, and it is not lost by `kill -9` or by a power cut. An fsync or a
//! write that fails for a reason other than a full disk ends the process, since what is on the disk
//! is no longer known.
//!
//! An event is written together with its invocations, in one transaction: there is no such thing
//! as an accepted event that has not been matched.
//!
//! # Lanes and ordering keys
//!
//! The invocations of a function wait in *lanes*, and a claim takes from one: the plain lane, or
//! that of a trigger whose events are batched or ordered. Of the unfinished invocations of one lane
//! that have the same ordering key, one can be claimed; the others are *held*. They follow each
//! other in the order in which they were stored, a redriven one behind those that are there.

pub mod blobs;
#[cfg(test)]
mod contract;
pub mod error;
pub mod failpoint;
pub mod records;
pub mod sqlite;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use model::function::Trigger;
use model::invocation::Status;
use model::{
    EventId, Function, FunctionId, FunctionName, InvocationId, MessageId, Project, ReplayId,
    SourceId, SourceName, Timestamp, TriggerName, Version, WorkerId,
};

pub use error::Error;
pub use records::*;

pub type Result<T> = std::result::Result<T, Error>;

/// The one door to what survives.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    // ---- catalogue ----

    /// Makes a version, and the function with it if there is none of this name in the project.
    async fn deploy(&self, deploy: Deploy) -> Result<Function>;
    async fn function(&self, project: &Project, name: &FunctionName) -> Result<Option<Function>>;
    async fn version(&self, function: FunctionId, number: u32) -> Result<Option<Version>>;
    /// Newest first.
    async fn versions(&self, function: FunctionId, page: Page) -> Result<Listed<Version>>;
    /// By name.
    async fn functions(&self, project: &Project, page: Page) -> Result<Listed<Function>>;
    /// Removes the function, its versions, triggers and destinations, in one transaction. From its commit on
    /// nothing of the function is claimed, and what waits for it, arrives for it or would wait for
    /// it again is a dead letter with `fault`; all of those are when this returns. (A crash in
    /// between leaves some to the next [`Store::interrupt`].) Nothing is sent for them, since there
    /// is no destination any more. False if there was none.
    async fn delete_function(
        &self,
        function: FunctionId,
        fault: &model::Fault,
        now: Timestamp,
    ) -> Result<bool>;
    /// Replaces the trigger of this name. False if there is no such function (any more).
    async fn put_trigger(&self, trigger: &Trigger) -> Result<bool>;
    async fn delete_trigger(&self, function: FunctionId, name: &TriggerName) -> Result<bool>;
    /// Everything that routing and dispatching need to start: every function with its latest
    /// version, its triggers and its destinations.
    async fn catalogue(&self) -> Result<Vec<Deployed>>;
    /// Replaces where the function's outcomes go to. False if there is no such function (any more).
    async fn put_destinations(
        &self,
        function: FunctionId,
        destinations: Destinations,
    ) -> Result<bool>;

    /// Makes the source of this name, or changes it, and answers how it stands now. One of the same
    /// kind keeps its id and its cursor; of another kind it is another source, from its beginning.
    async fn put_source(&self, source: NewSource) -> Result<Source>;
    async fn delete_source(&self, project: &Project, name: &SourceName) -> Result<bool>;
    /// Of one project, or of all; by project and name.
    async fn sources(&self, project: Option<&Project>) -> Result<Vec<Source>>;

    /// False if the project has a key of this name already.
    async fn create_key(&self, key: NewKey) -> Result<bool>;
    async fn keys(&self) -> Result<Vec<Key>>;
    async fn delete_key(&self, project: &Project, name: &str) -> Result<bool>;

    // ---- ledger: events in ----

    /// Stores events with their invocations, in one transaction. An event whose (project, source,
    /// id) was stored less than `limits::DEDUPE_WINDOW` before is not stored again: its answer
    /// names the first one.
    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>>;
    /// Stores events that a source gave, and moves its cursor from `before` to `after`, in one
    /// transaction. None, and nothing is stored, if the cursor is not `before` (another reader of the
    /// same source was faster) or the source is gone: what two read is stored once.
    async fn append_from(
        &self,
        source: SourceId,
        before: Option<String>,
        after: String,
        events: Vec<NewEvent>,
    ) -> Result<Option<Vec<Appended>>>;
    /// Adds invocations to events that are stored already (a replay), and tells how many: those
    /// whose event a sweep has taken since are left out.
    async fn append_invocations(
        &self,
        project: &Project,
        invocations: Vec<NewInvocation>,
    ) -> Result<usize>;

    // ---- ledger: replays ----

    /// Stores an order to run events again. False if [`REPLAYS_AT_ONCE`] of its project run already.
    async fn create_replay(&self, replay: NewReplay) -> Result<bool>;
    /// Moves a replay's cursor and stores what runs because of the events that it passes, in one
    /// transaction, so that a crash neither repeats nor leaves out an event; tells how many
    /// invocations that were (those whose event a sweep has taken are left out). None, and nothing is
    /// stored, if the cursor is not where the step begins (somebody else was faster) or the replay
    /// does not run (any more).
    async fn advance_replay(&self, step: ReplayStep) -> Result<Option<u64>>;
    /// Ends a replay, with a reason if it failed. False if it does not run (any more).
    async fn end_replay(
        &self,
        project: &Project,
        replay: ReplayId,
        state: ReplayState,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<bool>;
    async fn replay(&self, project: &Project, replay: ReplayId) -> Result<Option<Replay>>;
    /// Newest first.
    async fn replays(&self, project: &Project, page: Page) -> Result<Listed<Replay>>;
    /// Those that run, of every project.
    async fn running_replays(&self) -> Result<Vec<Replay>>;

    // ---- ledger: attempts ----

    /// Lanes with invocations that wait and are not held, and when the first of each is due. Used to
    /// start and to converge; hints say the rest.
    async fn waiting(&self) -> Result<Vec<Waiting>>;
    /// Leases up to `limit` invocations of one lane that are due, oldest due first, as far as their
    /// payloads are within [`CLAIM_BYTES`]. One whose event is not what was stored is a dead letter
    /// instead, with `fault::EVENT_DAMAGED`; nothing is sent for it, since nobody knows what it was.
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>>;
    /// Renews the leases of these attempts; answers those that are no longer ours.
    async fn renew(
        &self,
        worker: WorkerId,
        held: Vec<(InvocationId, u32)>,
        until: Timestamp,
    ) -> Result<Vec<InvocationId>>;
    /// Records the end of a leased attempt. Idempotent by (invocation, attempt): a late or second
    /// report changes nothing and says so.
    async fn settle(&self, settlement: Settlement) -> Result<Settled> {
        let mut settled = self.settle_all(vec![settlement]).await?;
        Ok(settled.pop().expect("there is an answer for each settlement"))
    }
    /// Records the ends of the attempts of a batch, in one transaction. One answer for each.
    async fn settle_all(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>>;
    /// Records a synchronous call, from its beginning to its end, in one write.
    async fn record(&self, call: CallRecord) -> Result<()>;
    /// Makes every lease that ended before `now`, and every lease of a worker other than `only_alive`
    /// (where given: this data folder has one process), due again. Answers how many.
    /// Also finishes the burial of what waited for deleted functions, lets go what is held for
    /// nothing, and gives back the messages of workers that are known to be gone.
    async fn interrupt(&self, now: Timestamp, only_alive: Option<WorkerId>) -> Result<u64>;
    /// A dead letter gets another round, behind those of its ordering key that are there. False if it is not a dead letter (any more), or its
    /// function is deleted, so that nothing could run it.
    async fn redrive(
        &self,
        project: &Project,
        invocation: InvocationId,
        now: Timestamp,
    ) -> Result<bool>;
    /// Lines of an attempt that is still running.
    async fn append_log(&self, lines: Vec<LogAppend>) -> Result<()>;

    // ---- ledger: messages out ----

    /// When the first message that waits is due, where that of a leased one is its lease's end.
    async fn outbox_due(&self) -> Result<Option<Timestamp>>;
    /// Leases up to `limit` messages that are due, oldest due first, and no more once their bodies
    /// have [`CLAIM_BYTES`]. Each is due again at `until`.
    async fn claim_messages(
        &self,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>>;
    /// Records what came of a try. Idempotent by (message, try): a late or second report changes
    /// nothing and answers `false`.
    async fn settle_message(
        &self,
        message: MessageId,
        tries: u32,
        outcome: MessageOutcome,
        now: Timestamp,
    ) -> Result<bool>;
    /// For a message whose target is this ledger: stores its event and marks it as sent, in one
    /// transaction, so that it is delivered once. None if it does not wait (any more).
    async fn deliver_event(&self, message: MessageId, event: NewEvent) -> Result<Option<Appended>>;

    // ---- ledger: idempotent calls ----

    /// Takes the key for a call that is about to run, or tells who has it.
    async fn begin_call(
        &self,
        key: CallKey,
        invocation: InvocationId,
        now: Timestamp,
    ) -> Result<CallKeyState>;
    /// Gives back a key that was taken for a call that then did not run (there was no room, say),
    /// so that the caller can try again with it. False if that call does not hold it.
    async fn release_call(&self, key: CallKey, invocation: InvocationId) -> Result<bool>;

    // ---- ledger: reads ----

    async fn invocation(&self, project: &Project, id: InvocationId) -> Result<Option<Detail>>;
    /// Newest first.
    async fn invocations(
        &self,
        project: &Project,
        filter: Filter,
        page: Page,
    ) -> Result<Listed<model::invocation::Invocation>>;
    async fn event(&self, project: &Project, id: EventId) -> Result<Option<StoredEvent>>;
    /// In the order in which they arrived, for a replay.
    async fn events(
        &self,
        project: &Project,
        filter: EventFilter,
        page: Page,
    ) -> Result<Listed<StoredEvent>>;
    /// Oldest first; the cursor of the last page can be asked again for what came since.
    async fn log(&self, project: &Project, of: LogOf, page: Page) -> Result<Listed<LoggedLine>>;
    /// Oldest first, at most as many as a page may have.
    async fn messages_of(
        &self,
        project: &Project,
        invocation: InvocationId,
    ) -> Result<Vec<MessageState>>;
    /// How the ledger stands, for metrics.
    async fn counts(&self) -> Result<Counts>;

    // ---- upkeep ----

    /// Removes up to `limit` of the oldest terminal invocations that ended before `before` with
    /// their logs, attempts and messages (those with a message that waits stay), events without invocations that old, and keys past their window.
    /// Answers how many rows went; fewer than `limit` means that it is done.
    async fn sweep(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize>;
    /// Digests of code that some version still has.
    async fn code_in_use(&self) -> Result<Vec<model::function::Digest>>;
    /// Writes and commits something of no meaning: can this store be written?
    async fn probe(&self) -> Result<()>;
}

/// How long a statement of the store's own may wait for another process's lock: none should hold
/// one, so this only covers a backup.
pub const BUSY: Duration = Duration::from_secs(5);

/// Statuses as the ledger keeps them: small numbers, never reused.
pub fn status_number(status: Status) -> u8 {
    match status {
        Status::Queued => 0,
        Status::Running => 1,
        Status::Retrying => 2,
        Status::Succeeded => 3,
        Status::Failed => 4,
        Status::Dead => 5,
    }
}
