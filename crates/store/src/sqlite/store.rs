//! The trait's methods, each handed to the writer or to a reader.
//!
//! What each tells the writer beside its work: what it is called, whether it is refused or waits
//! when the queue is full, and whether someone is in a hurry.

use async_trait::async_trait;
use model::function::{Digest, Trigger};
use model::invocation::Invocation;
use model::{
    EventId, Fault, Function, FunctionId, FunctionName, InvocationId, Project, Timestamp,
    TriggerName, Version, WorkerId,
};

use super::queue::{Admission, Haste};
use super::writer::operation;
use super::{Sqlite, burial, catalogue, events, keys, lease, logs, query, reads, settle, sweep};
use crate::{
    Appended, CallKey, CallKeyState, CallRecord, Claim, Claimed, Counts, Deploy, Detail,
    EventFilter, Filter, Key, Listed, LogAppend, LogOf, LoggedLine, NewEvent, NewInvocation,
    NewKey, Page, Result, Settlement, Store, StoredEvent, Waiting,
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
        let buried = self
            .write(operation, NEW, 0, move |ledger| {
                if !catalogue::delete_function(ledger, function, &fault, now)? {
                    return Ok(None);
                }
                Ok(Some(burial::bury(ledger, now)?))
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

    async fn catalogue(&self) -> Result<Vec<(Function, Vec<Trigger>)>> {
        self.read("read the catalogue", catalogue::catalogue).await
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

    async fn waiting(&self) -> Result<Vec<Waiting>> {
        self.read("look for what waits", reads::waiting).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>> {
        let operation = operation!("claim", "lease invocations");
        let run = move |ledger: &mut _| lease::claim(ledger, &claim);
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

    async fn settle(&self, settlement: Settlement) -> Result<bool> {
        let operation = operation!("settle", "record the end of an attempt");
        let run = move |ledger: &mut _| settle::settle(ledger, &settlement);
        self.write(operation, ONGOING, 0, run).await
    }

    async fn record(&self, call: CallRecord) -> Result<()> {
        let operation = operation!("record", "record a call");
        // With a key there is a promise to keep before the answer may go out.
        let hurry = if call.key.is_some() { ONGOING } else { UNHURRIED };
        let run = move |ledger: &mut _| settle::record(ledger, &call);
        self.write(operation, hurry, 0, run).await
    }

    async fn interrupt(&self, now: Timestamp, only_alive: Option<WorkerId>) -> Result<u64> {
        let mut interrupted = 0;
        loop {
            let operation = operation!("interrupt", "take back leases");
            let run = move |ledger: &mut _| lease::interrupt(ledger, now, only_alive);
            let batch = self.write(operation, ONGOING, 0, run).await?;
            interrupted += batch as u64;
            if batch < lease::INTERRUPTS {
                break;
            }
        }
        self.bury(now).await?;
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
        let read = move |conn: &_| reads::invocations(conn, &project, &filter, &page);
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
        let read = move |conn: &_| events::events(conn, &project, &filter, &page);
        self.readers.read("list events", read).await
    }

    async fn log(&self, project: &Project, of: LogOf, page: Page) -> Result<Listed<LoggedLine>> {
        let project = project.clone();
        let read = move |conn: &_| logs::log(conn, &project, of, &page);
        self.readers.read("read the log", read).await
    }

    async fn counts(&self) -> Result<Counts> {
        self.read("count invocations", reads::counts).await
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
    /// Finishes the burial of what waits for deleted functions.
    async fn bury(&self, now: Timestamp) -> Result<()> {
        loop {
            let operation = operation!("bury", "bury what waits for a deleted function");
            let run = move |ledger: &mut _| burial::bury(ledger, now);
            if self.write(operation, ONGOING, 0, run).await? < burial::BATCH {
                return Ok(());
            }
        }
    }
}
