//! The trait's methods, each handed to the writer or to a reader.
//!
//! What each tells the writer beside its work: what it is called, whether it is refused or waits
//! when the queue is full, and whether someone is in a hurry.

use async_trait::async_trait;
use model::function::{Digest, Trigger};
use model::invocation::Invocation;
use model::{
    EventId, Fault, Function, FunctionId, FunctionName, InvocationId, MessageId, Project, ReplayId,
    SourceId, SourceName, Timestamp, TriggerName, Version, WorkerId,
};

use super::queue::{Admission, Haste};
use super::writer::operation;
use super::{
    Sqlite, burial, catalogue, events, keys, lease, logs, ordering, outbox, query, reads, replays,
    settle, sources, sweep,
};
use crate::{
    Appended, CallKey, CallKeyState, CallRecord, Claim, Claimed, Counts, Deploy, Deployed,
    Destinations, Detail, EventFilter, Filter, Key, Listed, LogAppend, LogOf, LoggedLine, Message,
    MessageOutcome, MessageState, NewEvent, NewInvocation, NewKey, NewReplay, NewSource, Page,
    Replay, ReplayState, ReplayStep, Result, Settled, Settlement, Source, Store, StoredEvent,
    Waiting,
};

/// Work that is new: refused when there is too much.
const NEW: (Admission, Haste) = (Admission::Refuse, Haste::Now);
/// Work that goes on with what has begun: waits for its place.
const ONGOING: (Admission, Haste) = (Admission::Wait, Haste::Now);
/// The same, and nobody waits for it.
const UNHURRIED: (Admission, Haste) = (Admission::Wait, Haste::Soon);

#[async_trait]
impl Store for Sqlite {
    async fn deploy(&self, deploy: Deploy) -> Result<Function> {
        let operation = operation!("deploy", "deploy the function");
        let run = move |ledger: &mut _| catalogue::deploy(ledger, &deploy);
        self.write(operation, NEW, 0, run).await
    }

    async fn function(&self, project: &Project, name: &FunctionName) -> Result<Option<Function>> {
        let (project, name) = (project.clone(), name.clone());
        self.read("look up the function", move |conn| catalogue::function(conn, &project, &name))
            .await
    }

    async fn version(&self, function: FunctionId, number: u32) -> Result<Option<Version>> {
        self.read("look up the version", move |conn| catalogue::version(conn, function, number))
            .await
    }

    async fn versions(&self, function: FunctionId, page: Page) -> Result<Listed<Version>> {
        let read = move |conn: &_| catalogue::versions(conn, function, &page);
        self.readers.read("list versions", read).await
    }

    async fn functions(&self, project: &Project, page: Page) -> Result<Listed<Function>> {
        let project = project.clone();
        let read = move |conn: &_| catalogue::functions(conn, &project, &page);
        self.readers.read("list functions", read).await
    }

    async fn delete_function(
        &self,
        function: FunctionId,
        fault: &Fault,
        now: Timestamp,
    ) -> Result<bool> {
        let operation = operation!("delete_function", "delete the function");
        let fault = fault.clone();
        let mut again = false;
        let buried = self
            .write(operation, NEW, 0, move |ledger| {
                let again = std::mem::replace(&mut again, true);
                if !catalogue::delete_function(ledger, function, &fault, now)? {
                    return Ok(None);
                }
                Ok(Some(burial::bury(ledger, now, again)?))
            })
            .await?;
        if buried == Some(burial::BATCH) {
            self.bury(now).await?;
        }
        Ok(buried.is_some())
    }

    async fn put_trigger(&self, trigger: &Trigger) -> Result<bool> {
        let operation = operation!("put_trigger", "store the trigger");
        let trigger = trigger.clone();
        let run = move |ledger: &mut _| catalogue::put_trigger(ledger, &trigger);
        self.write(operation, NEW, 0, run).await
    }

    async fn delete_trigger(&self, function: FunctionId, name: &TriggerName) -> Result<bool> {
        let operation = operation!("delete_trigger", "delete the trigger");
        let name = name.clone();
        let run = move |ledger: &mut _| catalogue::delete_trigger(ledger, function, &name);
        self.write(operation, NEW, 0, run).await
    }

    async fn catalogue(&self) -> Result<Vec<Deployed>> {
        self.read("read the catalogue", catalogue::catalogue).await
    }

    async fn put_destinations(
        &self,
        function: FunctionId,
        destinations: Destinations,
    ) -> Result<bool> {
        let operation = operation!("put_destinations", "store the destinations");
        let run = move |ledger: &mut _| outbox::put_destinations(ledger, function, &destinations);
        self.write(operation, NEW, 0, run).await
    }

    async fn put_source(&self, source: NewSource) -> Result<Source> {
        let operation = operation!("put_source", "store the source");
        let run = move |ledger: &mut _| sources::put_source(ledger, &source);
        self.write(operation, NEW, 0, run).await
    }

    async fn delete_source(&self, project: &Project, name: &SourceName) -> Result<bool> {
        let operation = operation!("delete_source", "delete the source");
        let (project, name) = (project.clone(), name.clone());
        let run = move |ledger: &mut _| sources::delete_source(ledger, &project, &name);
        self.write(operation, NEW, 0, run).await
    }

    async fn sources(&self, project: Option<&Project>) -> Result<Vec<Source>> {
        let project = project.cloned();
        self.read("list sources", move |conn| sources::sources(conn, project.as_ref())).await
    }

    async fn create_key(&self, key: NewKey) -> Result<bool> {
        let operation = operation!("create_key", "store the key");
        let run = move |ledger: &mut _| keys::create_key(ledger, &key);
        self.write(operation, NEW, 0, run).await
    }

    async fn keys(&self) -> Result<Vec<Key>> {
        self.read("list keys", keys::keys).await
    }

    async fn delete_key(&self, project: &Project, name: &str) -> Result<bool> {
        let operation = operation!("delete_key", "delete the key");
        let (project, name) = (project.clone(), name.to_owned());
        let run = move |ledger: &mut _| keys::delete_key(ledger, &project, &name);
        self.write(operation, NEW, 0, run).await
    }

    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>> {
        let operation = operation!("append", "store the events");
        let bytes = events.iter().map(|new| new.event.record.len()).sum();
        let run = move |ledger: &mut _| events::append(ledger, &events);
        self.write(operation, NEW, bytes, run).await
    }

    async fn append_from(
        &self,
        source: SourceId,
        before: Option<String>,
        after: String,
        events: Vec<NewEvent>,
    ) -> Result<Option<Vec<Appended>>> {
        let operation = operation!("append_from", "store the source's events");
        let bytes = events.iter().map(|new| new.event.record.len()).sum();
        let run = move |ledger: &mut _| {
            sources::append_from(ledger, source, before.as_deref(), &after, &events)
        };
        self.write(operation, NEW, bytes, run).await
    }

    async fn append_invocations(
        &self,
        project: &Project,
        invocations: Vec<NewInvocation>,
    ) -> Result<usize> {
        let operation = operation!("append_invocations", "store the invocations");
        let project = project.clone();
        let run = move |ledger: &mut _| events::append_invocations(ledger, &project, &invocations);
        self.write(operation, NEW, 0, run).await
    }

    async fn create_replay(&self, replay: NewReplay) -> Result<bool> {
        let operation = operation!("create_replay", "store the replay");
        let run = move |ledger: &mut _| replays::create(ledger, &replay);
        self.write(operation, NEW, 0, run).await
    }

    async fn advance_replay(&self, step: ReplayStep) -> Result<Option<u64>> {
        let operation = operation!("advance_replay", "store a replay's invocations");
        let run = move |ledger: &mut _| replays::advance(ledger, &step);
        self.write(operation, NEW, 0, run).await
    }

    async fn end_replay(
        &self,
        project: &Project,
        replay: ReplayId,
        state: ReplayState,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<bool> {
        let operation = operation!("end_replay", "end the replay");
        let project = project.clone();
        let run = move |ledger: &mut _| {
            replays::end(ledger, &project, replay, state, reason.as_deref(), now)
        };
        self.write(operation, ONGOING, 0, run).await
    }

    async fn replay(&self, project: &Project, replay: ReplayId) -> Result<Option<Replay>> {
        let project = project.clone();
        let read = move |conn: &_| replays::replay(conn, &project, replay);
        self.read("look up the replay", read).await
    }

    async fn replays(&self, project: &Project, page: Page) -> Result<Listed<Replay>> {
        let project = project.clone();
        let read = move |conn: &_| replays::replays(conn, &project, &page);
        self.readers.read("list replays", read).await
    }

    async fn running_replays(&self) -> Result<Vec<Replay>> {
        self.read("list the replays that run", replays::running).await
    }

    async fn waiting(&self) -> Result<Vec<Waiting>> {
        let damage = self.damage.clone();
        self.read("look for what waits", move |conn| reads::waiting(conn, &damage)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>> {
        let operation = operation!("claim", "lease invocations");
        let mut again = false;
        let run =
            move |ledger: &mut _| lease::claim(ledger, &claim, std::mem::replace(&mut again, true));
        self.write(operation, ONGOING, 0, run).await
    }

    async fn renew(
        &self,
        worker: WorkerId,
        held: Vec<(InvocationId, u32)>,
        until: Timestamp,
    ) -> Result<Vec<InvocationId>> {
        let operation = operation!("renew", "renew leases");
        let run = move |ledger: &mut _| lease::renew(ledger, worker, &held, until);
        self.write(operation, ONGOING, 0, run).await
    }

    async fn settle_all(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        let operation = operation!("settle", "record the end of an attempt");
        let run = move |ledger: &mut _| settle::settle_all(ledger, &settlements);
        self.write(operation, ONGOING, 0, run).await
    }

    async fn record(&self, call: CallRecord) -> Result<()> {
        let operation = operation!("record", "record a call");
        // With a key or with messages there is a promise to keep before the answer may go out.
        let waited_for = call.key.is_some() || !call.send.is_empty();
        let hurry = if waited_for { ONGOING } else { UNHURRIED };
        let run = move |ledger: &mut _| settle::record(ledger, &call);
        self.write(operation, hurry, 0, run).await
    }

    async fn interrupt(&self, now: Timestamp, only_alive: Option<WorkerId>) -> Result<u64> {
        let mut interrupted = 0;
        loop {
            let operation = operation!("interrupt", "take back leases");
            let mut again = false;
            let run = move |ledger: &mut _| {
                let again = std::mem::replace(&mut again, true);
                lease::interrupt(ledger, now, only_alive, again)
            };
            let batch = self.write(operation, ONGOING, 0, run).await?;
            interrupted += batch as u64;
            if batch < lease::INTERRUPTS {
                break;
            }
        }
        self.bury(now).await?;
        self.let_go(now).await?;
        Ok(interrupted)
    }

    async fn redrive(
        &self,
        project: &Project,
        invocation: InvocationId,
        now: Timestamp,
    ) -> Result<bool> {
        let operation = operation!("redrive", "redrive a dead letter");
        let project = project.clone();
        let run = move |ledger: &mut _| settle::redrive(ledger, &project, invocation, now);
        self.write(operation, NEW, 0, run).await
    }

    async fn append_log(&self, lines: Vec<LogAppend>) -> Result<()> {
        let operation = operation!("append_log", "store log lines");
        let run = move |ledger: &mut _| logs::append_all(ledger, &lines);
        self.write(operation, UNHURRIED, 0, run).await
    }

    async fn outbox_due(&self) -> Result<Option<Timestamp>> {
        self.read("look for messages that wait", outbox::due).await
    }

    async fn claim_messages(
        &self,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let operation = operation!("claim_messages", "lease messages");
        let run = move |ledger: &mut _| outbox::claim(ledger, worker, now, until, limit);
        self.write(operation, ONGOING, 0, run).await
    }

    async fn settle_message(
        &self,
        message: MessageId,
        tries: u32,
        outcome: MessageOutcome,
        now: Timestamp,
    ) -> Result<bool> {
        let operation = operation!("settle_message", "record what came of a message");
        let run = move |ledger: &mut _| outbox::settle(ledger, message, tries, &outcome, now);
        self.write(operation, ONGOING, 0, run).await
    }

    async fn deliver_event(&self, message: MessageId, event: NewEvent) -> Result<Option<Appended>> {
        let operation = operation!("deliver_event", "store the event that a message is");
        let run = move |ledger: &mut _| outbox::deliver_event(ledger, message, &event);
        self.write(operation, ONGOING, 0, run).await
    }

    async fn begin_call(
        &self,
        key: CallKey,
        invocation: InvocationId,
        now: Timestamp,
    ) -> Result<CallKeyState> {
        let operation = operation!("begin_call", "take the idempotency key");
        let run = move |ledger: &mut _| keys::begin_call(ledger, &key, invocation, now);
        self.write(operation, NEW, 0, run).await
    }

    async fn release_call(&self, key: CallKey, invocation: InvocationId) -> Result<bool> {
        let operation = operation!("release_call", "give back the idempotency key");
        let run = move |ledger: &mut _| keys::release_call(ledger, &key, invocation);
        self.write(operation, ONGOING, 0, run).await
    }

    async fn invocation(&self, project: &Project, id: InvocationId) -> Result<Option<Detail>> {
        let project = project.clone();
        self.read("look up the invocation", move |conn| reads::invocation(conn, &project, id)).await
    }

    async fn invocations(
        &self,
        project: &Project,
        filter: Filter,
        page: Page,
    ) -> Result<Listed<Invocation>> {
        let project = project.clone();
        let damage = self.damage.clone();
        let read = move |conn: &_| reads::invocations(conn, &project, &filter, &page, &damage);
        self.readers.read("list invocations", read).await
    }

    async fn event(&self, project: &Project, id: EventId) -> Result<Option<StoredEvent>> {
        let project = project.clone();
        self.read("look up the event", move |conn| events::event(conn, &project, id)).await
    }

    async fn events(
        &self,
        project: &Project,
        filter: EventFilter,
        page: Page,
    ) -> Result<Listed<StoredEvent>> {
        let project = project.clone();
        let damage = self.damage.clone();
        let read = move |conn: &_| events::events(conn, &damage, &project, &filter, &page);
        self.readers.read("list events", read).await
    }

    async fn log(&self, project: &Project, of: LogOf, page: Page) -> Result<Listed<LoggedLine>> {
        let project = project.clone();
        let read = move |conn: &_| logs::log(conn, &project, of, &page);
        self.readers.read("read the log", read).await
    }

    async fn messages_of(
        &self,
        project: &Project,
        invocation: InvocationId,
    ) -> Result<Vec<MessageState>> {
        let project = project.clone();
        let read = move |conn: &_| outbox::messages_of(conn, &project, invocation);
        self.read("list the messages of an invocation", read).await
    }

    async fn counts(&self) -> Result<Counts> {
        let damage = self.damage.clone();
        self.read("count invocations", move |conn| reads::counts(conn, &damage)).await
    }

    async fn sweep(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let find = move |conn: &_| sweep::find(conn, before, now, limit);
        let old = self.read("look for what is old", find).await?;
        let mut removed = 0;
        for batch in old.chunks(sweep::BATCH) {
            let operation = operation!("sweep", "remove what is old");
            let batch = batch.to_vec();
            let run = move |ledger: &mut _| sweep::remove(ledger, &batch);
            removed += self.write(operation, ONGOING, 0, run).await?;
        }
        Ok(removed)
    }

    async fn code_in_use(&self) -> Result<Vec<Digest>> {
        self.read("list the code in use", catalogue::code_in_use).await
    }

    async fn probe(&self) -> Result<()> {
        let operation = operation!("probe", "write");
        let run = |ledger: &mut super::Ledger| {
            query::run(&ledger.conn, "UPDATE probe SET count = count + 1", []).map(drop)
        };
        self.write(operation, NEW, 0, run).await
    }
}

impl Sqlite {
    /// Lets go what is held for nothing. (A reader looks, since there should be none.)
    async fn let_go(&self, now: Timestamp) -> Result<()> {
        loop {
            let stuck = self.read("look for what is held for nothing", ordering::stuck).await?;
            let count = stuck.len();
            if count > 0 {
                let operation = operation!("interrupt", "let go what is held for nothing");
                let run = move |ledger: &mut _| ordering::repair(ledger, &stuck, now);
                self.write(operation, ONGOING, 0, run).await?;
            }
            if count < ordering::REPAIRS {
                return Ok(());
            }
        }
    }

    /// Finishes the burial of what waits for deleted functions.
    async fn bury(&self, now: Timestamp) -> Result<()> {
        loop {
            let operation = operation!("bury", "bury what waits for a deleted function");
            let mut again = false;
            let run = move |ledger: &mut _| {
                burial::bury(ledger, now, std::mem::replace(&mut again, true))
            };
            if self.write(operation, ONGOING, 0, run).await? < burial::BATCH {
                return Ok(());
            }
        }
    }
}
