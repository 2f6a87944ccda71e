//! What the API does with destinations: set, show, remove; and what it tells of messages.

use model::{FunctionName, InvocationId, Project};
use serde_json::value::RawValue;
use store::{MessageState, MessageStatus, Purpose};
use wire::http::destinations::{self, Destination, Destinations};
use wire::http::problem::{Code, Problem};
use wire::http::rfc3339;

use super::settings::{self, Owner};
use crate::Control;
use crate::call::no_function;

impl Control {
    /// Replaces where the outcomes of a function go.
    pub(crate) async fn put_destinations(
        &self,
        project: &Project,
        name: &FunctionName,
        body: &Destinations,
    ) -> Result<Destinations, Problem> {
        let entry = self.entry(project, name)?;
        let owner = Owner { project, function: entry.function.id };
        let earlier = &entry.destinations;
        let keep = |field, destination: Option<&Destination>, earlier: Option<&store::Target>| {
            let Some(destination) = destination else { return Ok(None) };
            if let Destination::Function(to) = destination {
                let target = FunctionName::parse(&to.function)?;
                if self.catalogue.get(project, &target).is_none() {
                    let detail = format!("there is no function {:?} in this project", to.function);
                    return Err(
                        Problem::new(Code::InvalidValue, detail).field(format!("{field}.function"))
                    );
                }
            }
            let private = self.settings.destinations_private;
            let secrets = self.sources.secrets();
            settings::keep(secrets, owner, field, destination, earlier, private).map(Some)
        };
        let new = store::Destinations {
            on_success: keep("on_success", body.on_success.as_ref(), earlier.on_success.as_ref())?,
            on_failure: keep("on_failure", body.on_failure.as_ref(), earlier.on_failure.as_ref())?,
        };
        if !self.stored(self.store.put_destinations(entry.function.id, new.clone()).await)? {
            return Err(no_function(name));
        }
        self.catalogue.put_destinations(entry.function.id, new.clone());
        Ok(shape(&new))
    }

    pub(crate) fn destinations(
        &self,
        project: &Project,
        name: &FunctionName,
    ) -> Result<Destinations, Problem> {
        Ok(shape(&self.entry(project, name)?.destinations))
    }

    /// What goes out because of an invocation, oldest first.
    pub(crate) async fn messages_of(
        &self,
        project: &Project,
        invocation: InvocationId,
    ) -> Result<Vec<destinations::Message>, Problem> {
        let messages = self.stored(self.store.messages_of(project, invocation).await)?;
        Ok(messages.into_iter().map(message).collect())
    }
}

fn shape(kept: &store::Destinations) -> Destinations {
    let shown = |target: &Option<store::Target>| target.as_ref().and_then(settings::shown);
    Destinations { on_success: shown(&kept.on_success), on_failure: shown(&kept.on_failure) }
}

fn message(state: MessageState) -> destinations::Message {
    let status = match state.status {
        MessageStatus::Waits => "waiting",
        MessageStatus::Sent => "sent",
        MessageStatus::GaveUp => "gave_up",
    };
    let purpose = match state.purpose {
        Purpose::Destination => "destination",
        Purpose::Effect => "effect",
    };
    destinations::Message {
        id: state.id.to_string(),
        purpose: purpose.into(),
        kind: state.kind,
        target: RawValue::from_string(state.settings)
            .unwrap_or_else(|_not_json| RawValue::NULL.to_owned()),
        status: status.into(),
        tries: state.tries,
        bytes: state.body_bytes,
        created_at: rfc3339(state.created_at),
        due_at: state.due_at.map(rfc3339),
        ended_at: state.ended_at.map(rfc3339),
        error: state.error,
    }
}
