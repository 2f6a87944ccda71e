//! What the API does with sources: make, show, list, remove.
//!
//! A change is in force when the store has it; the lives follow by themselves.

use model::{Project, SourceId, SourceName};
use serde_json::value::RawValue;
use wire::http::problem::{Code, Problem};
use wire::http::rfc3339;
use wire::http::schedules::SCHEDULE;
use wire::http::sources::{self, RABBITMQ, SourceBody};
use wire::http::webhooks::WEBHOOK;

use super::webhook::{self, hooks};
use super::{schedule, settings, state};
use crate::Control;

/// Sources of one project: each is a connection and a window of messages in memory.
const SOURCES_PER_PROJECT: usize = 100;

impl Control {
    /// Makes a source or changes it; whether it is new. `keyless` is whether everybody who reaches
    /// this service is trusted with all of it.
    pub(crate) async fn put_source(
        &self,
        project: &Project,
        name: &SourceName,
        body: &SourceBody,
        keyless: bool,
    ) -> Result<(sources::Source, bool), Problem> {
        let there = self.stored(self.store.sources(Some(project)).await)?;
        let earlier = there.iter().find(|it| it.name == *name);
        if earlier.is_none() && there.len() >= SOURCES_PER_PROJECT {
            let detail = format!(
                "the project has {} sources, and may have {SOURCES_PER_PROJECT}: remove one first",
                there.len()
            );
            return Err(Problem::new(Code::TooManySources, detail));
        }
        let secrets = &self.sources.secrets;
        let same_kind = earlier.filter(|it| it.kind == body.kind);
        let given = &body.settings;
        let (settings, sealed) = match body.kind.as_str() {
            RABBITMQ => {
                let may_share = keyless || self.settings.shared_sources;
                let kept = settings::check(secrets, project, name, given, may_share, same_kind)?;
                (kept.settings, Some(kept.sealed))
            }
            SCHEDULE => {
                let there = same_kind.map(|it| it.settings.as_str());
                (schedule::check(given, name, self.clock.now(), there)?, None)
            }
            WEBHOOK => {
                let clock = &*self.clock;
                let kept =
                    webhook::settings::check(secrets, clock, project, name, given, same_kind)?;
                (kept.settings, Some(kept.sealed))
            }
            _ => {
                let why = "there is no such kind of source; there are \"rabbitmq\", \"schedule\" and \
                           \"webhook\"";
                return Err(model::Invalid::new("kind", &body.kind, why).into());
            }
        };
        // What is put as it is was not changed: a schedule that was would forget what it missed.
        if let Some(same) = same_kind
            && (&same.settings, &same.sealed, same.enabled) == (&settings, &sealed, body.enabled)
        {
            return Ok((self.shape(same), false));
        }
        let new = store::NewSource {
            id: SourceId::new(&*self.clock),
            project: project.clone(),
            name: name.clone(),
            kind: body.kind.clone(),
            settings,
            sealed,
            enabled: body.enabled,
            now: self.clock.now(),
        };
        let put = self.stored(self.store.put_source(new).await)?;
        self.follow_sources().await?;
        let mut shape = self.shape(&put);
        // It is told to whoever made it.
        if same_kind.is_none_or(|it| it.sealed != put.sealed) {
            shape.hook_path = self.hook_path(&put, true);
        }
        Ok((shape, earlier.is_none()))
    }

    pub(crate) async fn source(
        &self,
        project: &Project,
        name: &SourceName,
        reveal: bool,
    ) -> Result<sources::Source, Problem> {
        let all = self.stored(self.store.sources(Some(project)).await)?;
        let found = all.iter().find(|it| it.name == *name).ok_or_else(|| no_source(name))?;
        Ok(sources::Source { hook_path: self.hook_path(found, reveal), ..self.shape(found) })
    }

    /// By name.
    pub(crate) async fn sources(&self, project: &Project) -> Result<Vec<sources::Source>, Problem> {
        let all = self.stored(self.store.sources(Some(project)).await)?;
        Ok(all.iter().map(|it| self.shape(it)).collect())
    }

    pub(crate) async fn delete_source(
        &self,
        project: &Project,
        name: &SourceName,
    ) -> Result<(), Problem> {
        if !self.stored(self.store.delete_source(project, name).await)? {
            return Err(no_source(name));
        }
        self.follow_sources().await
    }

    /// Has what was changed in force, or soon: lives begin and end by themselves.
    async fn follow_sources(&self) -> Result<(), Problem> {
        self.sources.nudge();
        self.stored(self.read_sources().await).map(|_sources| ())
    }

    /// Where a webhook is posted to, as far as that is no secret, or is asked for.
    fn hook_path(&self, source: &store::Source, reveal: bool) -> Option<String> {
        match source.kind == WEBHOOK && reveal {
            true => hooks::path(&self.sources.secrets, source),
            false => hooks::public_path(source).filter(|_| source.kind == WEBHOOK),
        }
    }

    fn shape(&self, source: &store::Source) -> sources::Source {
        let now = self.clock.now();
        let mut state = match self.sources.report(source) {
            _ if !source.enabled => state::off(),
            Some(report) => report.shape(now),
            None => state::waiting(),
        };
        if source.kind == SCHEDULE && state.schedule.is_none() {
            state.schedule = schedule::state(source);
        }
        sources::Source {
            name: source.name.to_string(),
            project: source.project.to_string(),
            kind: source.kind.clone(),
            enabled: source.enabled,
            settings: RawValue::from_string(source.settings.clone())
                .unwrap_or_else(|_not_json| RawValue::NULL.to_owned()),
            created_at: rfc3339(source.created_at),
            updated_at: rfc3339(source.updated_at),
            hook_path: self.hook_path(source, false),
            state,
        }
    }
}

fn no_source(name: &SourceName) -> Problem {
    let detail = format!("there is no source {:?} in this project", name.as_str());
    Problem::new(Code::NotFound, detail)
}
