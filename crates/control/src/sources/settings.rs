//! Settings: from the API's shape to what is kept and what is sealed, and from these to a queue that
//! can be read.
//!
//! What is kept is what is shown: the address of a broker has `***` for its password there, and the
//! whole address is sealed. Somebody who puts back what was shown, with other things changed, keeps
//! the secret; `***` with another address is refused, since it would be sent as a password.

use brokers::rabbitmq::{self, Address, RabbitQueue, Server};
use model::{Project, SourceName};
use serde_json::value::{RawValue, to_raw_value};
use wire::http::problem::{Code, Problem};
use wire::http::sources::{Argument, ExchangeType, Format, Projects, RabbitMq};
use wire::message;

use super::read::Reader;
use super::secrets::{Place, SecretError, Secrets};

/// What is sealed of a RabbitMQ source: its address with the password.
const URL: &str = "rabbitmq.url";
/// What stands for a password that is not shown.
const HIDDEN: &str = ":***@";

/// What the store keeps of a source's settings.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) settings: String,
    pub(crate) sealed: bytes::Bytes,
}

/// Why a stored source cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the stored settings cannot be read: {0}; put the source again")]
    Settings(String),
}

/// Checks what somebody put, asking no broker. `earlier` is the source that is there.
pub(crate) fn check(
    secrets: &Secrets,
    project: &Project,
    name: &SourceName,
    settings: &RawValue,
    may_share: bool,
    earlier: Option<&store::Source>,
) -> Result<Kept, Problem> {
    let mut settings: RabbitMq = serde_json::from_str(settings.get()).map_err(|error| {
        let detail = format!("the settings of a RabbitMQ source cannot be read: {error}");
        Problem::new(Code::InvalidValue, detail).field("settings")
    })?;
    if settings.projects == Projects::Any && !may_share {
        let detail = "a source that delivers to any project that a message names is an operator's, \
                      and this service has API keys, which are a project's: leave out \"projects\", \
                      or have the operator set shared_sources = true in the service's configuration";
        return Err(Problem::new(Code::Forbidden, detail).field("settings.projects"));
    }
    let place = place(project, name);
    let cannot = |error: SecretError| {
        tracing::error!(%error, "secrets cannot be kept");
        Problem::new(Code::Internal, "the service cannot keep secrets; its log says why")
    };
    let mut sealed = None;
    if settings.url.contains(HIDDEN)
        && let Some(earlier) = earlier
        && shown_url(earlier).is_some_and(|shown| shown == settings.url)
        && let Some(kept) = &earlier.sealed
        && let Ok(url) = secrets.open(place, kept)
        && let Ok(url) = String::from_utf8(url)
    {
        sealed = Some(kept.clone());
        settings.url = url;
    } else if settings.url.contains(HIDDEN) {
        let why = "it has *** for its password, which stands for one that is kept: give the password, \
                   or the url exactly as it was shown";
        return Err(model::Invalid::new("settings.url", "***", why).into());
    }
    let address = address(&settings.url)?;
    let complaints = complaints(&settings, &address);
    if !complaints.is_empty() {
        let detail = format!("the settings cannot work: {}.", complaints.join("; "));
        return Err(Problem::new(Code::InvalidValue, detail).field("settings"));
    }
    let sealed = match sealed {
        Some(kept) => kept,
        None => secrets.seal(place, settings.url.as_bytes()).map_err(cannot)?,
    };
    settings.url = address.to_string();
    let settings = to_raw_value(&settings).expect("strings and numbers are JSON");
    Ok(Kept { settings: settings.get().to_owned(), sealed })
}

/// The queue of a source, and how its messages are read.
pub(crate) fn open(
    secrets: &Secrets,
    source: &store::Source,
) -> Result<(RabbitQueue, Reader), Unusable> {
    let bad = |why: String| Unusable::Settings(why);
    let mut settings: RabbitMq =
        serde_json::from_str(&source.settings).map_err(|error| bad(error.to_string()))?;
    let sealed = source.sealed.as_deref().unwrap_or_default();
    let url = secrets.open(place(&source.project, &source.name), sealed)?;
    settings.url = String::from_utf8(url).map_err(|_bytes| bad("url is not text".into()))?;
    let address = Address::parse(&settings.url).map_err(|why| bad(format!("url {why}")))?;
    let name = format!("lambent {} {}/{}", env!("CARGO_PKG_VERSION"), source.project, source.name);
    let queue = RabbitQueue::new(of_broker(&settings, Server::new(address, name)))
        .map_err(|error| bad(error.to_string()))?;
    let reader = Reader {
        format: format(&settings),
        queue: settings.queue,
        project: source.project.clone(),
        any_project: settings.projects == Projects::Any,
    };
    Ok((queue, reader))
}

fn place<'a>(project: &'a Project, source: &'a SourceName) -> Place<'a> {
    Place { project, source, field: URL }
}

fn shown_url(source: &store::Source) -> Option<String> {
    Some(serde_json::from_str::<RabbitMq>(&source.settings).ok()?.url)
}

fn address(url: &str) -> Result<Address, Problem> {
    Address::parse(url).map_err(|why| {
        // Not the url itself: what is wrong with it may be that its password is elsewhere.
        Problem::new(Code::InvalidValue, format!("the url {why}.")).field("settings.url")
    })
}

/// Everything that cannot work.
fn complaints(settings: &RabbitMq, address: &Address) -> Vec<String> {
    let server = Server::new(address.clone(), "lambent");
    let mut complaints = of_broker(settings, server).check();
    let ways =
        [settings.type_from.is_some(), settings.kind.is_some(), settings.type_from_routing_key];
    if ways.iter().filter(|it| **it).count() > 1 {
        complaints.push("type_from, type, type_from_routing_key: say one of them".to_owned());
    }
    let is_plain = ways.contains(&true) || settings.event_source.is_some();
    if is_plain && settings.format != Format::Plain {
        complaints.push(
            "type_from, type, type_from_routing_key, event_source: are for the format plain".into(),
        );
    }
    if let Some(kind) = &settings.kind
        && let Err(invalid) = model::event::attribute("type", kind, model::limits::KEY_BYTES)
    {
        complaints.push(format!("type: {}", invalid.why));
    }
    if let Some(source) = &settings.event_source
        && let Err(invalid) =
            model::event::attribute("source", source, model::limits::ATTRIBUTE_BYTES)
    {
        complaints.push(format!("event_source: {}", invalid.why));
    }
    if settings.whole_cloud && settings.format != Format::Oslo {
        complaints.push("whole_cloud: is for the format oslo".to_owned());
    }
    if settings.whole_cloud && settings.projects == Projects::Any {
        complaints.push("whole_cloud: all are of this project, so projects cannot be any".into());
    }
    if settings.ca_file.as_ref().is_some_and(|path| !path.is_absolute()) {
        complaints.push("ca_file: must be a whole path on the service's machine".to_owned());
    }
    complaints
}

fn format(settings: &RabbitMq) -> message::Format {
    match settings.format {
        Format::Auto => message::Format::Auto,
        Format::LambdaQueue => message::Format::LambdaQueue,
        Format::CloudEvents => message::Format::CloudEvents,
        Format::Plain => {
            let kind = match (&settings.kind, &settings.type_from) {
                (Some(kind), _) => message::Kind::Constant(kind.clone()),
                (None, Some(member)) => message::Kind::Member(member.clone()),
                (None, None) if settings.type_from_routing_key => message::Kind::RoutingKey,
                (None, None) => message::Kind::default(),
            };
            message::Format::Plain { kind, source: settings.event_source.clone() }
        }
        Format::Oslo => {
            let projects = match settings.whole_cloud {
                true => message::Projects::Source,
                false => message::Projects::Owners,
            };
            message::Format::Oslo { projects }
        }
    }
}

fn of_broker(settings: &RabbitMq, mut server: Server) -> rabbitmq::Settings {
    server.ca_file.clone_from(&settings.ca_file);
    let mut made = rabbitmq::Settings::new(server, settings.queue.clone());
    made.declare = settings.declare;
    made.prefetch = settings.prefetch;
    if let Some(dead_letters) = &settings.dead_letters {
        made.dead_letters.clone_from(dead_letters);
    }
    let argument = |argument: &Argument| match argument {
        Argument::Flag(it) => rabbitmq::Argument::Flag(*it),
        Argument::Number(it) => rabbitmq::Argument::Number(*it),
        Argument::Text(it) => rabbitmq::Argument::Text(it.clone()),
    };
    let arguments = settings.arguments.iter();
    made.arguments = arguments.map(|(name, it)| (name.clone(), argument(it))).collect();
    let bindings = settings.bindings.iter().map(|it| rabbitmq::Binding {
        exchange: it.exchange.clone(),
        kind: match it.kind {
            ExchangeType::Direct => rabbitmq::ExchangeKind::Direct,
            ExchangeType::Fanout => rabbitmq::ExchangeKind::Fanout,
            ExchangeType::Headers => rabbitmq::ExchangeKind::Headers,
            ExchangeType::Topic => rabbitmq::ExchangeKind::Topic,
        },
        durable: it.durable,
        routing_keys: it.routing_keys.clone(),
    });
    made.bindings = bindings.collect();
    made
}

#[cfg(test)]
mod tests {
    use model::{SourceId, Timestamp};

    use super::*;

    struct World {
        folder: tempfile::TempDir,
        project: Project,
        name: SourceName,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (project, name) = (Project::parse("p").unwrap(), SourceName::parse("s").unwrap());
            Self { folder, project, name }
        }

        fn put(&self, settings: &str, earlier: Option<&store::Source>) -> Result<Kept, Problem> {
            let settings = RawValue::from_string(settings.to_owned()).unwrap();
            let secrets = Secrets::in_folder(self.folder.path());
            check(&secrets, &self.project, &self.name, &settings, false, earlier)
        }

        fn stored(&self, kept: Kept) -> store::Source {
            store::Source {
                id: SourceId::from_bytes([1; 16]),
                project: self.project.clone(),
                name: self.name.clone(),
                kind: "rabbitmq".into(),
                settings: kept.settings,
                sealed: Some(kept.sealed),
                enabled: true,
                created_at: Timestamp::from_millis(0),
                updated_at: Timestamp::from_millis(0),
                cursor: None,
            }
        }

        fn open(&self, source: &store::Source) -> Result<(RabbitQueue, Reader), Unusable> {
            open(&Secrets::in_folder(self.folder.path()), source)
        }
    }

    #[test]
    fn a_password_is_sealed_and_never_shown() {
        let w = World::new();
        let kept = w.put(r#"{"url": "amqp://u:secret@host/v"}"#, None).unwrap();
        assert!(kept.settings.contains(r#""url":"amqp://u:***@host:5672/v""#), "{}", kept.settings);
        assert!(!kept.settings.contains("secret"));
        let source = w.stored(kept);
        let (queue, reader) = w.open(&source).unwrap();
        assert!(!format!("{queue:?} {reader:?}").contains("secret"));
        assert_eq!(reader.queue, "lambda Queue");
    }

    #[test]
    fn what_was_shown_can_be_put_back_and_stars_for_another_address_cannot() {
        let w = World::new();
        let source = w.stored(w.put(r#"{"url": "amqp://u:secret@host"}"#, None).unwrap());
        let changed = source.settings.replace(r#""prefetch":256"#, r#""prefetch":9"#);
        let again = w.put(&changed, Some(&source)).unwrap();
        assert_eq!(Some(&again.sealed), source.sealed.as_ref());
        assert!(again.settings.contains(r#""prefetch":9"#));
        let elsewhere = source.settings.replace("host", "evil");
        for (settings, earlier) in [(&elsewhere, Some(&source)), (&source.settings, None)] {
            let problem = w.put(settings, earlier).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("settings.url"), "{}", problem.detail);
        }
    }

    #[test]
    fn what_cannot_work_is_refused_at_once_without_the_password() {
        let w = World::new();
        for (settings, field, says) in [
            ("{}", "settings", "url"),
            (r#"{"url": "amqp://u:secret@", "queue": "q"}"#, "settings.url", "host"),
            (r#"{"url": "amqp://h", "queue": "", "prefetch": 0}"#, "settings", "queue"),
            (r#"{"url": "amqp://h", "typo": 1}"#, "settings", "typo"),
            (r#"{"url": "amqp://u:secret@h", "type_from": "k"}"#, "settings", "plain"),
            (r#"{"url": "amqp://h", "whole_cloud": true}"#, "settings", "oslo"),
            (r#"{"url": "amqps://h", "ca_file": "ca.pem"}"#, "settings", "ca_file"),
            (
                r#"{"url": "amqp://h", "format": "plain", "type": "a", "type_from": "b"}"#,
                "settings",
                "one of them",
            ),
        ] {
            let problem = w.put(settings, None).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{settings}: {}", problem.detail);
            assert!(problem.detail.contains(says), "{settings}: {}", problem.detail);
            assert!(!problem.detail.contains("secret"), "{settings}: {}", problem.detail);
        }
        let shared = w.put(r#"{"url": "amqp://h", "projects": "any"}"#, None).unwrap_err();
        assert_eq!(shared.code, "forbidden");
    }

    #[test]
    fn a_source_whose_key_is_gone_says_so() {
        let w = World::new();
        let source = w.stored(w.put(r#"{"url": "amqp://u:secret@host"}"#, None).unwrap());
        std::fs::write(w.folder.path().join("secret.key"), [9; 32]).unwrap();
        let why = w.open(&source).unwrap_err().to_string();
        assert!(why.contains("another key"), "{why}");
    }
}
