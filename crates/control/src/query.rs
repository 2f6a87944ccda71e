//! Reads: what the API shows, straight from the store. Every one of them names its project.

use model::invocation::Invocation;
use model::{
    EventId, Function, FunctionId, FunctionName, InvocationId, Project, Timestamp, Version,
};
use store::{Detail, Filter, Listed, LogOf, LoggedLine, Page, StoredEvent};
use wire::http::problem::Problem;

use crate::Control;
use crate::catalogue::Entry;

impl Control {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The id and time of an event whose sender gave none.
    pub(crate) fn event_defaults(&self) -> (String, Timestamp) {
        (EventId::new(&*self.clock).to_string(), self.clock.now())
    }

    pub(crate) fn function_id(&self, project: &Project, name: &FunctionName) -> Option<FunctionId> {
        self.catalogue.get(project, name).map(|entry| entry.function.id)
    }

    pub async fn functions(
        &self,
        project: &Project,
        page: Page,
    ) -> Result<Listed<Function>, Problem> {
        self.stored(self.store.functions(project, page).await)
    }

    pub async fn versions(&self, entry: &Entry, page: Page) -> Result<Listed<Version>, Problem> {
        self.stored(self.store.versions(entry.function.id, page).await)
    }

    pub async fn invocation(
        &self,
        project: &Project,
        id: InvocationId,
    ) -> Result<Option<Detail>, Problem> {
        self.recorder.caught_up().await;
        self.stored(self.store.invocation(project, id).await)
    }

    pub async fn invocations(
        &self,
        project: &Project,
        filter: Filter,
        page: Page,
    ) -> Result<Listed<Invocation>, Problem> {
        self.recorder.caught_up().await;
        self.stored(self.store.invocations(project, filter, page).await)
    }

    pub async fn event(
        &self,
        project: &Project,
        id: EventId,
    ) -> Result<Option<StoredEvent>, Problem> {
        self.stored(self.store.event(project, id).await)
    }

    pub async fn log(
        &self,
        project: &Project,
        of: LogOf,
        page: Page,
    ) -> Result<Listed<LoggedLine>, Problem> {
        self.recorder.caught_up().await;
        self.stored(self.store.log(project, of, page).await)
    }

    /// Another round for a dead letter. False if it is none.
    pub async fn redrive(
        &self,
        project: &Project,
        invocation: &Invocation,
    ) -> Result<bool, Problem> {
        self.accepts_work()?;
        let now = self.clock.now();
        let redriven = self.stored(self.store.redrive(project, invocation.id, now).await)?;
        if redriven {
            let lane = (invocation.function, invocation.lane.clone());
            self.dispatcher.hint_again([(lane, now)]);
        }
        Ok(redriven)
    }
}
