//! Who is asking? API keys, each scoped to one project.
//!
//! A key is 32 random bytes in base64 behind a prefix that secret scanners can look for. Only its
//! SHA-256 is stored: a key has too much entropy to be guessed from its hash, so a slow hash would
//! protect nothing and cost every request. While there is no key at all, the service answers everybody
//! on loopback and nobody elsewhere; the project is then named by a header.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Clock, Digest, KeyName, Project};
use store::{Key, NewKey, Store};
use wire::http::problem::{Code, Problem};

use crate::Control;

/// What every key starts with.
pub const PREFIX: &str = "lambent_";
/// Keys made or removed by another process (`lambent key …`) are known after at most this.
pub const RELOAD: Duration = Duration::from_secs(2);
/// A key that is not known makes us look again, at most this often.
const RELOAD_AT_MOST_MICROS: i64 = 100_000;

/// How callers are told apart.
#[derive(Debug)]
pub struct Auth {
    keyless: Keyless,
    /// Projects by the hash of their keys. Looked up by hash, so the comparison leaks nothing
    /// about a key.
    keys: RwLock<HashMap<[u8; 32], Project>>,
    /// Microseconds since 1970.
    reloaded_at: AtomicI64,
}

/// What holds while there is no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keyless {
    /// On loopback: whoever can connect is trusted, and names a project or gets the default one.
    /// With `single_project`, there is only that one.
    Serve { single_project: bool },
    /// Off loopback: nobody is served.
    Refuse,
}

impl Auth {
    pub fn new(keyless: Keyless, keys: Vec<Key>) -> Self {
        let auth = Self { keyless, keys: RwLock::default(), reloaded_at: AtomicI64::new(0) };
        auth.replace(keys);
        auth
    }

    /// The project that a request acts in.
    pub fn project(
        &self,
        authorization: Option<&str>,
        named: Option<&str>,
    ) -> Result<Project, Problem> {
        match self.open() {
            Some(single_project) => {
                let default = Project::default_project();
                let named = named.map(Project::parse).transpose()?;
                match named {
                    Some(project) if single_project && project != default => Err(Problem::new(
                        Code::Unauthorized,
                        "this service runs without full isolation and serves the project \"default\" only",
                    )),
                    Some(project) => Ok(project),
                    None => Ok(default),
                }
            }
            None => self.by_key(authorization),
        }
    }

    /// Without keys, refuses what a web page in a browser on this machine could send.
    pub(crate) fn same_machine(
        &self,
        host: Option<&str>,
        origin: Option<&str>,
    ) -> Result<(), Problem> {
        if self.open().is_none() {
            return Ok(());
        }
        let origin = origin.map(|it| it.split_once("://").map_or(it, |(_, host)| host));
        for named in [host, origin].into_iter().flatten() {
            if !is_loopback(named) {
                return Err(Problem::new(
                    Code::Unauthorized,
                    format!(
                        "this service has no API keys and answers this machine only, and the request \
                         is for or from {named:?}; make a key with lambent key create"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn by_key(&self, authorization: Option<&str>) -> Result<Project, Problem> {
        let Some(authorization) = authorization else {
            let detail = "this service needs an API key: send the header Authorization: Bearer KEY";
            return Err(Problem::new(Code::Unauthorized, detail));
        };
        let known = authorization
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| Digest::of(key.trim().as_bytes()).0)
            .and_then(|hash| self.read().get(&hash).cloned());
        known.ok_or_else(|| Problem::new(Code::Unauthorized, "this API key is not known"))
    }

    pub(crate) fn replace(&self, keys: Vec<Key>) {
        let keys = keys.into_iter().map(|key| (key.hash, key.project)).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Whether everybody is served now.
    pub(crate) fn is_open(&self) -> bool {
        self.open().is_some()
    }

    /// Whether everybody is served now, and then whether in one project only.
    fn open(&self) -> Option<bool> {
        match self.keyless {
            Keyless::Serve { single_project } => self.read().is_empty().then_some(single_project),
            Keyless::Refuse => None,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<[u8; 32], Project>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a host, with or without a port, is this machine by an address or the one name for it.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Control {
    /// Keeps `auth` in step with the store: keys are made and removed by another process.
    pub fn follow_keys(self: &Arc<Self>, auth: Arc<Auth>) {
        let control = self.clone();
        tokio::spawn(async move {
            let pause = || control.draining.run_until_cancelled(tokio::time::sleep(RELOAD));
            while pause().await.is_some() {
                control.reload_keys(&auth).await;
            }
        });
    }

    /// Reads the keys anew, so that one that was just made opens its project at once. Does nothing
    /// where that was done a moment ago: guessing keys must not cost more than this.
    pub(crate) async fn reload_keys(&self, auth: &Auth) {
        let (now, last) = (self.clock.now().micros(), &auth.reloaded_at);
        let due = |last: i64| (now.saturating_sub(last) > RELOAD_AT_MOST_MICROS).then_some(now);
        if last.try_update(Ordering::Relaxed, Ordering::Relaxed, due).is_err() {
            return;
        }
        match self.store.keys().await {
            Ok(keys) => auth.replace(keys),
            Err(error) => tracing::warn!(%error, "cannot read the API keys anew"),
        }
    }
}

/// Makes a key and stores its hash. The key itself is returned once and never again; none if the
/// project has a key of this name.
pub async fn create_key(
    store: &dyn Store,
    clock: &dyn Clock,
    project: Project,
    name: KeyName,
) -> Result<Option<String>, store::Error> {
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(&clock.entropy().to_le_bytes());
    secret[16..].copy_from_slice(&clock.entropy().to_le_bytes());
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
    let hash = Digest::of(text.as_bytes()).0;
    let key = Key { project, name, created_at: clock.now(), hash };
    let created = store.create_key(NewKey { key, hash }).await?;
    Ok(created.then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    fn with_key(key: &str) -> Auth {
        let key = Key {
            project: Project::parse("p").unwrap(),
            name: KeyName::parse("k").unwrap(),
            created_at: Timestamp::from_millis(0),
            hash: Digest::of(key.as_bytes()).0,
        };
        Auth::new(Keyless::Refuse, vec![key])
    }

    #[test]
    fn only_the_whole_key_opens_its_project() {
        let auth = with_key("lambent_abc");
        let project = |header: &str| auth.project(Some(header), Some("other"));
        assert_eq!(project("Bearer lambent_abc").unwrap().as_str(), "p");
        assert_eq!(project("bearer lambent_abc").unwrap().as_str(), "p");
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer lambent_ab", "Basic lambent_abc", "lambent_abc"]
        {
            assert_eq!(project(wrong).unwrap_err().code, "unauthorized", "{wrong:?}");
        }
        assert_eq!(auth.project(None, Some("p")).unwrap_err().status, 401);
    }

    #[test]
    fn without_keys_a_web_page_of_elsewhere_is_refused() {
        let open = Auth::new(Keyless::Serve { single_project: false }, vec![]);
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.8.8.8"] {
            assert!(open.same_machine(Some(host), None).is_ok(), "{host}");
        }
        assert!(open.same_machine(None, None).is_ok());
        assert!(open.same_machine(Some("evil.example:8080"), None).is_err());
        assert!(open.same_machine(Some("127.0.0.1"), Some("https://evil.example")).is_err());
        assert!(open.same_machine(Some("127.0.0.1"), Some("null")).is_err());
        assert!(open.same_machine(Some("127.0.0.1"), Some("http://127.0.0.1:8080")).is_ok());
        assert!(with_key("k").same_machine(Some("lambent.example"), None).is_ok());
    }

    #[test]
    fn without_keys_the_header_names_the_project_unless_there_is_only_one() {
        let open = Auth::new(Keyless::Serve { single_project: false }, vec![]);
        assert_eq!(open.project(None, Some("x")).unwrap().as_str(), "x");
        assert_eq!(open.project(None, None).unwrap().as_str(), "default");
        assert_eq!(open.project(None, Some("../x")).unwrap_err().code, "invalid_value");
        let single = Auth::new(Keyless::Serve { single_project: true }, vec![]);
        assert_eq!(single.project(None, Some("x")).unwrap_err().code, "unauthorized");
        assert!(single.project(None, Some("default")).is_ok());
    }
}
