//! What an operator says about a RabbitMQ and a queue of it. Plain data with defaults; `check` tells
//! everything that cannot work, each complaint as `key: why`. It asks no broker.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;

/// AMQP's short strings have a length of one byte.
pub(super) const NAME_BYTES: usize = 255;
/// More messages under way than this help nobody: one fsync is shared by all of them long before,
/// and each is held in memory in full.
const PREFETCH_MOST: u16 = 10_000;
/// A queue that hears from a thousand routing keys wants a pattern.
const BINDINGS: usize = 1_000;

/// A broker, and how we talk to it.
#[derive(Clone, Debug)]
pub struct Server {
    pub address: Address,
    /// Certificates that sign the broker's, in a PEM file, in place of the system's. Read on every
    /// connection, so a renewed file needs no restart. For amqps only.
    pub ca_file: Option<PathBuf>,
    /// A broker that is silent for twice as long is taken for gone.
    pub heartbeat_s: u16,
    /// How long reaching the broker and being let in may take, and each question to it after that.
    pub answer_wait: Duration,
    /// How long a publication may wait for its confirmation, the connecting included.
    pub publish_wait: Duration,
    /// How we appear in the broker's list of connections: "lambent 0.1.0 orders".
    pub connection_name: String,
}

/// A queue, and what belongs to it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub server: Server,
    pub queue: String,
    /// Whether what is missing is made, durable: the queue, its bindings with their exchanges, the
    /// dead-letter queue. If not, queues are checked for, and bindings are somebody else's.
    pub declare: bool,
    /// Of the queue, if it is declared; `x-queue-type`: `quorum` is one.
    pub arguments: BTreeMap<String, Argument>,
    pub bindings: Vec<Binding>,
    /// How many messages may be delivered and not yet accepted.
    pub prefetch: u16,
    /// Where refused messages go.
    pub dead_letters: String,
    /// How the subscription is called; the broker chooses if this is empty.
    pub consumer_tag: String,
}

/// An exchange that the queue hears from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub exchange: String,
    /// How the exchange is made if there is none; one that exists is taken as it is.
    pub kind: ExchangeKind,
    pub durable: bool,
    pub routing_keys: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    Direct,
    Fanout,
    Headers,
    Topic,
}

/// A value of a queue's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl Server {
    /// With the defaults.
    #[must_use]
    pub fn new(address: Address, connection_name: impl Into<String>) -> Server {
        Server {
            address,
            ca_file: None,
            heartbeat_s: 10,
            answer_wait: Duration::from_secs(15),
            publish_wait: Duration::from_secs(10),
            connection_name: connection_name.into(),
        }
    }

    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.ca_file.is_some() && !self.address.tls {
            complaints.push("ca_file: is for amqps:// only".to_owned());
        }
        if self.heartbeat_s == 0 {
            complaints.push("heartbeat_s: without one, a dead broker is not noticed".to_owned());
        }
        for (key, wait) in [("answer_wait", self.answer_wait), ("publish_wait", self.publish_wait)]
        {
            if wait.is_zero() {
                complaints.push(format!("{key}: nothing can be answered in no time"));
            }
        }
        complaints
    }
}

impl Settings {
    /// With the defaults: what is missing is declared, and nothing is bound.
    #[must_use]
    pub fn new(server: Server, queue: impl Into<String>) -> Settings {
        let queue = queue.into();
        Settings {
            server,
            declare: true,
            arguments: BTreeMap::new(),
            bindings: Vec::new(),
            prefetch: 256,
            dead_letters: format!("{queue}.dead-letters"),
            consumer_tag: String::new(),
            queue,
        }
    }

    /// Every complaint, none if it can work.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut complaints = self.server.check();
        complaints.extend(named("queue", &self.queue));
        complaints.extend(named("dead_letters", &self.dead_letters));
        complaints.extend(short("consumer_tag", &self.consumer_tag));
        if self.dead_letters == self.queue {
            complaints.push(
                "dead_letters: must be another queue than the one that is read, or a refused \
                 message goes round for ever"
                    .to_owned(),
            );
        }
        if self.prefetch == 0 || self.prefetch > PREFETCH_MOST {
            complaints.push(format!("prefetch: must be from 1 to {PREFETCH_MOST}"));
        }
        if !self.declare && !self.arguments.is_empty() {
            complaints.push("arguments: are for a queue that is declared".to_owned());
        }
        for name in self.arguments.keys() {
            complaints.extend(named("arguments", name));
        }
        if !self.declare && !self.bindings.is_empty() {
            complaints.push("bindings: are made only where the queue is declared".to_owned());
        }
        let keys: usize = self.bindings.iter().map(|it| it.routing_keys.len()).sum();
        if keys > BINDINGS {
            complaints.push(format!("bindings: {keys} routing keys, at most {BINDINGS}"));
        }
        for binding in &self.bindings {
            complaints.extend(named("bindings.exchange", &binding.exchange));
            if binding.routing_keys.is_empty() {
                let exchange = &binding.exchange;
                complaints.push(format!(
                    "bindings.routing_keys: name at least one for {exchange:?} (\"\" will do for a \
                     fanout exchange)"
                ));
            }
            for key in &binding.routing_keys {
                complaints.extend(short("bindings.routing_keys", key));
            }
        }
        complaints
    }
}

fn named(key: &str, name: &str) -> Option<String> {
    if name.is_empty() { Some(format!("{key}: is empty")) } else { short(key, name) }
}

fn short(key: &str, text: &str) -> Option<String> {
    let bytes = text.len();
    (bytes > NAME_BYTES).then(|| format!("{key}: {bytes} bytes, AMQP allows {NAME_BYTES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let address = Address::parse("amqp://u:secret@host").unwrap();
        Settings::new(Server::new(address, "lambent test"), "lambda Queue")
    }

    #[test]
    fn the_defaults_can_work_and_show_no_password() {
        assert_eq!(settings().check(), Vec::<String>::new());
        assert_eq!(settings().dead_letters, "lambda Queue.dead-letters");
        assert!(!format!("{:?}", settings()).contains("secret"));
    }

    #[test]
    fn every_complaint_is_told_at_once() {
        let mut settings = settings();
        settings.server.ca_file = Some("/ca.pem".into());
        settings.server.heartbeat_s = 0;
        settings.server.publish_wait = Duration::ZERO;
        settings.dead_letters.clone_from(&settings.queue);
        settings.consumer_tag = "x".repeat(256);
        settings.prefetch = 0;
        settings.declare = false;
        settings.arguments.insert(String::new(), Argument::Flag(true));
        settings.bindings.push(Binding {
            exchange: String::new(),
            kind: ExchangeKind::Topic,
            durable: false,
            routing_keys: Vec::new(),
        });
        let complaints = settings.check();
        let keys: Vec<_> = complaints.iter().map(|it| it.split_once(':').unwrap().0).collect();
        let expected = [
            "ca_file",
            "heartbeat_s",
            "publish_wait",
            "consumer_tag",
            "dead_letters",
            "prefetch",
            "arguments",
            "arguments",
            "bindings",
            "bindings.exchange",
            "bindings.routing_keys",
        ];
        assert_eq!(keys, expected, "{complaints:#?}");
    }
}
