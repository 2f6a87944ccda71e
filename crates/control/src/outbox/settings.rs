//! Settings of destinations: from the API's shape to what is kept and what is sealed, and from these
//! to something that can be sent to. Asks nobody.
//!
//! What is kept is what is shown, with `***` for a secret. Somebody who puts back what was shown keeps
//! the secret; `***` with anything else is refused.

use brokers::rabbitmq::{Address, Server};
use hyper::Uri;
use model::{FunctionId, FunctionName, Project};
use store::{Message, Target};
use wire::http::destinations::{Destination, ToHttp, ToRabbitMq};
use wire::http::problem::{Code, Problem};
use wire::signature::Secret;

use super::guard;
use crate::sources::secrets::{DestinationPlace, SecretError, Secrets};

/// What stands for a secret that is not shown.
const HIDDEN: &str = "***";
/// The same within the address of a broker.
const HIDDEN_PASSWORD: &str = ":***@";
/// As long as a line of a request may be at many servers.
const URL_BYTES: usize = 2_048;
/// A short string of AMQP.
const AMQP_NAME_BYTES: usize = 255;

pub(super) const FUNCTION: &str = "function";
pub(super) const RABBITMQ: &str = "rabbitmq";
pub(super) const HTTP: &str = "http";

/// Whose destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    pub(super) project: &'a Project,
    pub(super) function: FunctionId,
}

impl<'a> Owner<'a> {
    /// Of the outbox, too, where it is not known any more for which outcome it was.
    fn place(self, field: &'static str) -> DestinationPlace<'a> {
        DestinationPlace { project: self.project, function: self.function, field }
    }
}

/// Something that can be sent to.
#[derive(Debug)]
pub(super) enum Open {
    Function(FunctionName),
    RabbitMq { address: Address, exchange: String, routing_key: String },
    Http { endpoint: Endpoint, secret: Secret },
}

/// Where requests go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Endpoint {
    pub(super) tls: bool,
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// As the header `Host` has it.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

impl Endpoint {
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        if url.len() > URL_BYTES {
            return Err("it must be shorter than 2,048 bytes");
        }
        let uri: Uri = url.parse().map_err(|_invalid| "it is not a URL")?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("it must begin with http:// or https://"),
        };
        let authority = uri.authority().ok_or("it names no host")?.as_str();
        if authority.contains('@') {
            return Err("it takes no user and password: requests are signed with the secret");
        }
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err("it names no host");
        }
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |it| it.as_str());
        Ok(Self { tls, host: host.into(), port, authority: authority.into(), path: path.into() })
    }
}

/// What the store keeps of a destination. `field` is where it stands in the body, `earlier` the target
/// that is there. Whether a function exists is the caller's to see.
pub(super) fn keep(
    secrets: &Secrets,
    owner: Owner<'_>,
    field: &str,
    destination: &Destination,
    earlier: Option<&Target>,
    may_be_private: bool,
) -> Result<Target, Problem> {
    let bad = |member: &str, why: &str| {
        let detail = format!("the destination's {member} cannot be used: {why}");
        Problem::new(Code::InvalidValue, detail).field(format!("{field}.{member}"))
    };
    let sealed = |name, secret: &str| {
        let sealed = secrets.seal(owner.place(name), secret.as_bytes());
        sealed.map_err(|error: SecretError| {
            tracing::error!(%error, "secrets cannot be kept");
            Problem::new(Code::Internal, "the service cannot keep secrets; its log says why")
        })
    };
    // What came back unchanged keeps its secret.
    if let Some(earlier) = earlier
        && is_shown(destination)
        && shown(earlier).as_ref() == Some(destination)
    {
        return Ok(earlier.clone());
    }
    let again =
        "it has *** for a secret that is kept: give the secret, or everything as it was shown";
    let (kind, kept, sealed) = match destination {
        Destination::Function(to) => {
            FunctionName::parse(&to.function)?;
            (FUNCTION, destination.clone(), None)
        }
        Destination::RabbitMq(to) => {
            if to.url.contains(HIDDEN_PASSWORD) {
                return Err(bad("url", again));
            }
            // Not the url itself: what is wrong with it may be that its password is elsewhere.
            let address = Address::parse(&to.url).map_err(|why| bad("url", &why))?;
            let complaints = Server::new(address.clone(), "lambent").check();
            if !complaints.is_empty() {
                return Err(bad("url", &complaints.join("; ")));
            }
            for (member, value) in [("exchange", &to.exchange), ("routing_key", &to.routing_key)] {
                if value.len() > AMQP_NAME_BYTES {
                    return Err(bad(member, "it may have 255 bytes"));
                }
            }
            if to.exchange.is_empty() && to.routing_key.is_empty() {
                return Err(bad("exchange", "name an exchange, or a queue as the routing_key"));
            }
            let shown = ToRabbitMq { url: address.to_string(), ..to.clone() };
            (RABBITMQ, Destination::RabbitMq(shown), Some(sealed(RABBITMQ, &to.url)?))
        }
        Destination::Http(to) => {
            if to.secret == HIDDEN {
                return Err(bad("secret", again));
            }
            let endpoint = Endpoint::parse(&to.url).map_err(|why| bad("url", why))?;
            let literal = endpoint.host.parse::<std::net::IpAddr>();
            let is_here = endpoint.host.eq_ignore_ascii_case("localhost");
            if !may_be_private && (is_here || literal.is_ok_and(|it| !guard::is_public(it))) {
                let why = "it is not on the public internet, which only the operator can allow with \
                           destinations_private = true in the service's configuration";
                return Err(Problem::new(
                    Code::Forbidden,
                    format!("the url cannot be used: {why}"),
                )
                .field(format!("{field}.url")));
            }
            Secret::standard(&to.secret).map_err(|why| bad("secret", &why.to_string()))?;
            let shown = ToHttp { secret: HIDDEN.into(), ..to.clone() };
            (HTTP, Destination::Http(shown), Some(sealed(HTTP, &to.secret)?))
        }
    };
    let settings = serde_json::to_string(&kept).expect("strings are JSON");
    Ok(Target { kind: kind.into(), settings, sealed })
}

/// As the API shows it. None if a newer version of Lambent made it.
pub(super) fn shown(target: &Target) -> Option<Destination> {
    serde_json::from_str(&target.settings).ok()
}

fn is_shown(destination: &Destination) -> bool {
    match destination {
        Destination::Function(_) => false,
        Destination::RabbitMq(to) => to.url.contains(HIDDEN_PASSWORD),
        Destination::Http(to) => to.secret == HIDDEN,
    }
}

/// What a message is sent to. An error says what is wrong with what is kept.
pub(super) fn open(secrets: &Secrets, message: &Message) -> Result<Open, String> {
    let Message { target, project, function, .. } = message;
    let owner = Owner { project, function: *function };
    let secret = |name| {
        let sealed = target.sealed.as_deref().unwrap_or_default();
        let secret = secrets.open(owner.place(name), sealed).map_err(|error| error.to_string())?;
        String::from_utf8(secret).map_err(|_bytes| "the secret is not text".to_owned())
    };
    let kept = shown(target).ok_or_else(|| {
        format!(
            "this version of Lambent knows no destination of kind {:?} that looks so",
            target.kind
        )
    })?;
    Ok(match kept {
        Destination::Function(to) => {
            Open::Function(FunctionName::parse(&to.function).map_err(|why| why.to_string())?)
        }
        Destination::RabbitMq(to) => {
            let address = Address::parse(&secret(RABBITMQ)?)?;
            Open::RabbitMq { address, exchange: to.exchange, routing_key: to.routing_key }
        }
        Destination::Http(to) => {
            let endpoint = Endpoint::parse(&to.url)?;
            let secret = Secret::standard(&secret(HTTP)?).map_err(|why| why.to_string())?;
            Open::Http { endpoint, secret }
        }
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::{InvocationId, MessageId, Timestamp};
    use store::Purpose;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    struct World {
        folder: tempfile::TempDir,
        project: Project,
        function: FunctionId,
    }

    impl World {
        fn new() -> Self {
            let (folder, project) = (tempfile::tempdir().unwrap(), Project::parse("p").unwrap());
            Self { folder, project, function: FunctionId::from_bytes([1; 16]) }
        }

        fn keep(&self, json: &str, earlier: Option<&Target>) -> Result<Target, Problem> {
            let owner = Owner { project: &self.project, function: self.function };
            let destination = serde_json::from_str(json).unwrap();
            let secrets = Secrets::in_folder(self.folder.path());
            keep(&secrets, owner, "on_success", &destination, earlier, false)
        }

        fn open(&self, target: Target, function: FunctionId) -> Result<Open, String> {
            let message = Message {
                id: MessageId::from_bytes([1; 16]),
                project: self.project.clone(),
                function,
                invocation: InvocationId::from_bytes([1; 16]),
                purpose: Purpose::Destination,
                target,
                body: Bytes::new(),
                created_at: Timestamp::from_millis(0),
                tries: 1,
            };
            open(&Secrets::in_folder(self.folder.path()), &message)
        }
    }

    #[test]
    fn secrets_are_sealed_and_open_for_their_own_function_only() {
        let w = World::new();
        let http = format!(r#"{{"kind":"http","url":"https://h/x?y","secret":"{SECRET}"}}"#);
        let rabbit = r#"{"kind":"rabbitmq","url":"amqp://u:whsec_pass@h","exchange":"x"}"#;
        for json in [http.as_str(), rabbit] {
            let target = w.keep(json, None).unwrap();
            assert!(target.settings.contains("***"), "{}", target.settings);
            assert!(!target.settings.contains("whsec_"), "{}", target.settings);
            let open = w.open(target.clone(), w.function).unwrap();
            assert!(!format!("{open:?}").contains("whsec_"), "{open:?}");
            let other = w.open(target, FunctionId::from_bytes([2; 16])).unwrap_err();
            assert!(other.contains("another key"), "{other}");
        }
    }

    #[test]
    fn what_was_shown_can_be_put_back_and_stars_for_another_address_cannot() {
        let w = World::new();
        let json = format!(r#"{{"kind":"http","url":"https://h/x","secret":"{SECRET}"}}"#);
        let target = w.keep(&json, None).unwrap();
        assert_eq!(w.keep(&target.settings, Some(&target)).unwrap(), target);
        let elsewhere = target.settings.replace("//h", "//evil");
        for (settings, earlier) in [(&elsewhere, Some(&target)), (&target.settings, None)] {
            let problem = w.keep(settings, earlier).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("on_success.secret"), "{}", problem.detail);
        }
    }

    #[test]
    fn what_cannot_work_is_refused_at_once_without_its_secret() {
        let w = World::new();
        let http = |url: &str| format!(r#"{{"kind":"http","url":"{url}","secret":"{SECRET}"}}"#);
        for (json, field) in [
            (r#"{"kind":"function","function":"no name"}"#.to_owned(), "name"),
            (http("ftp://h"), "on_success.url"),
            (http("/x"), "on_success.url"),
            (http("http://u:p@h"), "on_success.url"),
            (http("http://127.0.0.1:1/"), "on_success.url"),
            (http("http://LOCALHOST/"), "on_success.url"),
            (http("http://[::ffff:10.0.0.1]/"), "on_success.url"),
            (http("http://169.254.169.254/latest"), "on_success.url"),
            (r#"{"kind":"http","url":"http://h","secret":"short"}"#.into(), "on_success.secret"),
            (r#"{"kind":"rabbitmq","url":"http://h","exchange":"x"}"#.into(), "on_success.url"),
            (r#"{"kind":"rabbitmq","url":"amqp://h"}"#.into(), "on_success.exchange"),
        ] {
            let problem = w.keep(&json, None).unwrap_err();
            assert!(!problem.detail.contains(SECRET), "{}", problem.detail);
            if field != "name" {
                assert_eq!(problem.field.as_deref(), Some(field), "{json}: {}", problem.detail);
            }
        }
    }

    #[test]
    fn an_endpoint_is_taken_apart() {
        let endpoint = Endpoint::parse("https://[2001:db8::1]:8443/a/b?c=d").unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("2001:db8::1", 8443));
        assert_eq!(endpoint.authority, "[2001:db8::1]:8443");
        assert_eq!((endpoint.path.as_str(), endpoint.tls), ("/a/b?c=d", true));
        let plain = Endpoint::parse("http://h").unwrap();
        assert_eq!((plain.port, plain.path.as_str(), plain.tls), (80, "/", false));
    }
}
