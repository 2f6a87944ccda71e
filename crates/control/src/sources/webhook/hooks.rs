//! The webhooks of this process, by what a request names: a token, or project and source.
//!
//! They are in memory, so that a guess costs no read of the store; a token is looked up by its hash, so
//! that how long it takes says nothing about one. The whole is replaced at once when something has
//! changed: a request never meets a webhook that is gone for the moment of its change.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use model::{Digest, Project, SourceId, SourceName, Timestamp};
use wire::http::webhooks::{HookAuth, WEBHOOK, Webhook};

use super::{Hook, PATH, settings};
use crate::sources::is_same;
use crate::sources::secrets::Secrets;
use crate::sources::state::Report;

/// Where a webhook is found. Each has one place.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Place {
    /// The hash of its token.
    Token([u8; 32]),
    Name(Project, SourceName),
}

#[derive(Debug, Default)]
pub(in crate::sources) struct Hooks {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    places: HashMap<Place, Arc<Hook>>,
    known: HashMap<SourceId, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    source: store::Source,
    report: Arc<Report>,
    /// None if its secret cannot be opened.
    hook: Option<(Place, Arc<Hook>)>,
}

impl Hooks {
    pub(in crate::sources) fn by_token(&self, token: &str) -> Option<Arc<Hook>> {
        self.read().places.get(&Place::Token(Digest::of(token.as_bytes()).0)).cloned()
    }

    pub(in crate::sources) fn by_name(&self, project: &str, source: &str) -> Option<Arc<Hook>> {
        let place = Place::Name(Project::parse(project).ok()?, SourceName::parse(source).ok()?);
        self.read().places.get(&place).cloned()
    }

    pub(in crate::sources) fn report(&self, source: &store::Source) -> Option<Arc<Report>> {
        let inner = self.read();
        let known = inner.known.get(&source.id)?;
        is_same(&known.source, source).then(|| known.report.clone())
    }

    /// From now on these are all.
    pub(in crate::sources) fn follow(
        &self,
        secrets: &Secrets,
        sources: &[store::Source],
        now: Timestamp,
    ) {
        let mut earlier = self.read().known.clone();
        let mut next = Inner::default();
        for source in sources.iter().filter(|it| it.kind == WEBHOOK && it.enabled) {
            let same = earlier.remove(&source.id).filter(|it| is_same(&it.source, source));
            let known = match same {
                Some(known) if known.hook.is_some() => known,
                unusable => open(secrets, source, unusable.map(|known| known.report), now),
            };
            next.places.extend(known.hook.clone());
            next.known.insert(source.id, known);
        }
        earlier.into_values().for_each(|known| known.report.ended());
        // What is held is whole after every statement.
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a webhook; one that cannot be opened says so in its state, and is tried again.
fn open(
    secrets: &Secrets,
    source: &store::Source,
    report: Option<Arc<Report>>,
    now: Timestamp,
) -> Known {
    let (project, name) = (&source.project, &source.name);
    let report = report.unwrap_or_else(|| {
        Arc::new(Report::new(&source.kind, project.as_str(), name.as_str(), now))
    });
    let opened = settings::open(secrets, source).and_then(|(settings, kept)| {
        let place = match settings.auth {
            HookAuth::Token => Place::Token(Digest::of(kept.as_bytes()).0),
            HookAuth::Github | HookAuth::Standard => Place::Name(project.clone(), name.clone()),
        };
        let secret = settings::parse(settings.auth, &kept)?;
        let (source, report) = (source.clone(), report.clone());
        Ok((place, Arc::new(Hook { source, settings, secret, report })))
    });
    match &opened {
        Ok(_) => report.connected(now),
        Err(why) if report.failing(now, why) => {
            tracing::error!(source = format!("{project}/{name}"), "{why}");
        }
        Err(_) => {}
    }
    Known { source: source.clone(), report, hook: opened.ok() }
}

/// Where a webhook is posted to. None if that is a secret that cannot be opened.
pub(in crate::sources) fn path(secrets: &Secrets, source: &store::Source) -> Option<String> {
    let (settings, kept) = settings::open(secrets, source).ok()?;
    Some(match settings.auth {
        HookAuth::Token => format!("{PATH}{kept}"),
        HookAuth::Github | HookAuth::Standard => {
            format!("{PATH}{}/{}", source.project, source.name)
        }
    })
}

/// The same, where it is no secret.
pub(in crate::sources) fn public_path(source: &store::Source) -> Option<String> {
    let settings: Webhook = serde_json::from_str(&source.settings).ok()?;
    (settings.auth != HookAuth::Token).then(|| format!("{PATH}{}/{}", source.project, source.name))
}
