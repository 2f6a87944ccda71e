//! Tokens of a Keystone, version 3, by a password or an application credential.
//!
//! A token is kept until shortly before its end. How long it lasts is the difference of two times
//! that Keystone itself tells, so neither clock has to be right.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::http::{Base, Http, Reply};
use super::token::{Endpoint, Token, Tokens};
use crate::{Error, Kind, Secret};

/// A token is renewed this long before its end, or after four fifths of its time if that is later:
/// longer than any request takes that is sent with it.
const AHEAD: Duration = Duration::from_secs(300);
/// A token that Keystone gives for longer is renewed all the same: it may have been revoked, and the
/// catalogue changed.
const LASTS_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// How to be let in.
#[derive(Clone, Debug)]
pub enum Login {
    Password {
        user: Named,
        password: Secret,
        project: Named,
    },
    /// Knows its user and project.
    ApplicationCredential {
        id: String,
        secret: Secret,
    },
}

/// A user or a project.
#[derive(Clone, Debug)]
pub enum Named {
    Id(String),
    Name { name: String, domain: Domain },
}

#[derive(Clone, Debug)]
pub enum Domain {
    Id(String),
    Name(String),
}

/// A Keystone, and who we are there.
#[derive(Clone, Debug)]
pub struct KeystoneSettings {
    /// `https://keystone:5000/v3`
    pub url: String,
    pub login: Login,
    /// Certificates that sign Keystone's, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one question to it may take.
    pub answer_wait: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Keystone {
    settings: KeystoneSettings,
    base: Base,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    token: Token,
    until: Instant,
}

impl KeystoneSettings {
    #[must_use]
    pub fn new(url: impl Into<String>, login: Login) -> KeystoneSettings {
        let answer_wait = Duration::from_secs(15);
        KeystoneSettings { url: url.into(), login, ca_file: None, answer_wait }
    }
}

impl Keystone {
    /// Asks nothing yet.
    pub fn new(settings: KeystoneSettings) -> Result<Keystone, Error> {
        let refused =
            |why: String| Error::new(Kind::Refused, "use the settings of a Keystone", why);
        let base =
            Base::parse(&settings.url, "/v3").map_err(|why| refused(format!("url: {why}")))?;
        if settings.answer_wait.is_zero() {
            return Err(refused("answer_wait: nothing can be answered in no time".to_owned()));
        }
        if settings.ca_file.is_some() && !base.tls {
            return Err(refused("ca_file: is for https:// only".to_owned()));
        }
        Ok(Keystone { settings, base, kept: Mutex::new(None) })
    }

    async fn ask(&self) -> Result<Kept, Error> {
        let attempt = format!("get a token from {}", self.base);
        let KeystoneSettings { login, ca_file, answer_wait, .. } = &self.settings;
        // Once an hour or less: not worth a connection that is kept.
        let http = Http::open(self.base.clone(), ca_file.clone(), *answer_wait).await?;
        let asked = Instant::now();
        let body = login.request().to_string().into();
        let reply = http.send(&attempt, Method::POST, "/v3/auth/tokens", &[], Some(body)).await;
        // Somebody is there and we are not connected: there is nothing that could have been lost.
        let reply = reply.map_err(|error| match error.kind() {
            Kind::Lost => Error::new(Kind::Unreachable, &attempt, error),
            _ => error,
        })?;
        let reply = reply.expect(&attempt, &[201])?;
        let (token, lasts) = read(&reply).map_err(|why| {
            Error::new(Kind::Refused, &attempt, format!("{why}: is this a Keystone?"))
        })?;
        let lasts = lasts.min(LASTS_MOST);
        let ahead = AHEAD.min(lasts / 5);
        Ok(Kept { token, until: asked + lasts.saturating_sub(ahead) })
    }
}

#[async_trait]
impl Tokens for Keystone {
    /// While one asks, the others wait for what it hears.
    async fn token(&self) -> Result<Token, Error> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|it| Instant::now() < it.until) {
            return Ok(kept.token.clone());
        }
        *kept = None;
        Ok(kept.insert(self.ask().await?).token.clone())
    }

    /// Only this one: somebody else may have got another one in the meantime.
    async fn forget(&self, token: &Token) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|it| it.token.is(token)) {
            *kept = None;
        }
    }
}

impl Login {
    fn request(&self) -> Value {
        match self {
            Login::Password { user, password, project } => {
                let mut user = user.json();
                user["password"] = password.0.as_str().into();
                let identity = json!({ "methods": ["password"], "password": { "user": user } });
                json!({ "auth": { "identity": identity, "scope": { "project": project.json() } } })
            }
            Login::ApplicationCredential { id, secret } => json!({ "auth": { "identity": {
                "methods": ["application_credential"],
                "application_credential": { "id": id, "secret": secret.0 },
            } } }),
        }
    }
}

impl Named {
    fn json(&self) -> Value {
        match self {
            Named::Id(id) => json!({ "id": id }),
            Named::Name { name, domain } => {
                let domain = match domain {
                    Domain::Id(id) => json!({ "id": id }),
                    Domain::Name(name) => json!({ "name": name }),
                };
                json!({ "name": name, "domain": domain })
            }
        }
    }
}

/// The token, and for how long.
fn read(reply: &Reply) -> Result<(Token, Duration), String> {
    #[derive(Deserialize)]
    struct Answer {
        token: Said,
    }
    #[derive(Deserialize)]
    struct Said {
        expires_at: String,
        issued_at: String,
        #[serde(default)]
        catalog: Vec<Service>,
    }
    #[derive(Deserialize)]
    struct Service {
        r#type: String,
        #[serde(default)]
        endpoints: Vec<Address>,
    }
    #[derive(Deserialize)]
    struct Address {
        interface: String,
        region_id: Option<String>,
        url: String,
    }
    let header = reply.token.as_ref().and_then(|it| it.to_str().ok());
    let secret = header.filter(|it| !it.is_empty()).ok_or("the answer has no X-Subject-Token")?;
    let said: Answer = serde_json::from_slice(&reply.body)
        .map_err(|error| format!("the answer cannot be read: {error}"))?;
    let Said { expires_at, issued_at, catalog } = said.token;
    let time = |text: &str| {
        let time: Result<jiff::Timestamp, _> = text.parse();
        time.map_err(|error| format!("the answer has a time that cannot be read: {error}"))
    };
    let lasts = time(&expires_at)?.duration_since(time(&issued_at)?);
    let lasts = Duration::try_from(lasts)
        .map_err(|_negative| "the answer has a token that ends before it begins".to_owned())?;
    let endpoints = catalog.into_iter().flat_map(|service| {
        let of = service.r#type;
        service.endpoints.into_iter().map(move |it| Endpoint {
            service: of.clone(),
            interface: it.interface,
            region: it.region_id,
            url: it.url,
        })
    });
    Ok((Token::new(Secret(secret.to_owned()), endpoints.collect()), lasts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_written_as_keystone_reads_it_and_shown_without_its_secret() {
        let named = |name: &str| Named::Name {
            name: name.to_owned(),
            domain: Domain::Id("default".to_owned()),
        };
        let password = Secret("demopass".to_owned());
        let login = Login::Password { user: named("demo"), password, project: named("demo") };
        let expected = r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"domain":{"id":"default"},"name":"demo","password":"demopass"}}},"scope":{"project":{"domain":{"id":"default"},"name":"demo"}}}}"#;
        assert_eq!(login.request(), serde_json::from_str::<Value>(expected).unwrap());
        assert!(!format!("{login:?}").contains("demopass"));

        let secret = Secret("demopass".to_owned());
        let login = Login::ApplicationCredential { id: "c-1".to_owned(), secret };
        let expected = r#"{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"c-1","secret":"demopass"}}}}"#;
        assert_eq!(login.request(), serde_json::from_str::<Value>(expected).unwrap());
    }
}
