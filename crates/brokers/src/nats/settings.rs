//! What an operator says about a NATS and a consumer of it. Plain data with defaults; `check` tells
//! everything that cannot work, each complaint as `key: why`. It asks no server.

use std::path::PathBuf;
use std::time::Duration;

use crate::Secret;

/// Servers of one cluster; any of them will do, so more of them help nobody.
const URLS: usize = 16;
/// More messages under way than this help nobody: one fsync is shared by all of them long before,
/// and each is held in memory in full.
const PREFETCH_MOST: u16 = 10_000;
/// NATS itself has no limit for a subject but that of a line, 4 KiB.
const SUBJECT_BYTES: usize = 255;
/// Long enough to store a batch, short enough that a crash is no outage.
const ACK_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));

/// A NATS, and how we talk to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// `nats://host:4222` or `tls://host:4222`, of one cluster.
    pub urls: Vec<String>,
    pub login: Login,
    /// Certificates that sign the server's, in a PEM file, in place of the system's. Read on every
    /// connection, so a renewed file needs no restart. For tls only.
    pub ca_file: Option<PathBuf>,
    /// How long reaching the server and being let in may take, and each question after that.
    pub answer_wait: Duration,
    /// How long a publication may wait for its confirmation, the connecting included.
    pub publish_wait: Duration,
    /// How we appear in the server's list of connections: "lambent 0.1.0 orders".
    pub connection_name: String,
}

/// Who we are. Key pairs and credentials files are not understood.
#[derive(Clone, Debug)]
pub enum Login {
    Nobody,
    Password { user: String, password: Secret },
    Token(Secret),
}

/// A consumer, and what belongs to it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub server: Server,
    pub stream: String,
    /// The consumer's name: readers that use the same one share the messages.
    pub durable: String,
    /// Whether what is missing is made: the stream, the consumer, a stream for the dead letters. A
    /// consumer that exists is changed to what is said here; streams that exist are left alone.
    pub declare: bool,
    /// What the stream keeps, if it is made.
    pub subjects: Vec<String>,
    /// Which subject of the stream we hear, with `*` and `>`; all of them if this is empty.
    pub filter: String,
    /// What was delivered and has no answer for so long comes again.
    pub ack_wait: Duration,
    /// How many messages may be delivered and not yet accepted, by all readers together.
    pub prefetch: u16,
    /// The subject for refused messages; some stream has to keep it.
    pub dead_letters: String,
}

impl Server {
    /// With the defaults.
    #[must_use]
    pub fn new(url: impl Into<String>, connection_name: impl Into<String>) -> Server {
        Server {
            urls: vec![url.into()],
            login: Login::Nobody,
            ca_file: None,
            answer_wait: Duration::from_secs(15),
            publish_wait: Duration::from_secs(10),
            connection_name: connection_name.into(),
        }
    }

    pub(super) fn tls(&self) -> bool {
        self.urls.iter().any(|it| it.starts_with("tls://"))
    }

    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.urls.is_empty() || self.urls.len() > URLS {
            complaints.push(format!("urls: must be from 1 to {URLS}"));
        }
        complaints.extend(self.urls.iter().filter_map(|it| address(it)));
        if self.tls() && self.urls.iter().any(|it| it.starts_with("nats://")) {
            complaints.push("urls: either all of them with TLS or none".to_owned());
        }
        if self.ca_file.is_some() && !self.tls() {
            complaints.push("ca_file: is for tls:// only".to_owned());
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
    /// With the defaults: what is missing is made, and the stream keeps the subject of its own name.
    #[must_use]
    pub fn new(server: Server, stream: impl Into<String>, durable: impl Into<String>) -> Settings {
        let (stream, durable) = (stream.into(), durable.into());
        Settings {
            server,
            declare: true,
            subjects: vec![stream.clone()],
            filter: String::new(),
            ack_wait: Duration::from_secs(60),
            prefetch: 256,
            dead_letters: format!("dead-letters.{stream}"),
            stream,
            durable,
        }
    }

    /// Every complaint, none if it can work.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut complaints = self.server.check();
        complaints.extend(named("stream", &self.stream));
        complaints.extend(named("durable", &self.durable));
        if self.declare && self.subjects.is_empty() {
            complaints.push("subjects: a stream that is made keeps at least one".to_owned());
        }
        for subject in &self.subjects {
            complaints.extend(pattern("subjects", subject));
        }
        if !self.filter.is_empty() {
            complaints.extend(pattern("filter", &self.filter));
        }
        complaints.extend(subject("dead_letters", &self.dead_letters));
        if self.ack_wait < ACK_WAIT.0 || self.ack_wait > ACK_WAIT.1 {
            let (least, most) = (ACK_WAIT.0.as_secs(), ACK_WAIT.1.as_secs());
            complaints.push(format!("ack_wait: must be from {least} s to {most} s"));
        }
        if self.prefetch == 0 || self.prefetch > PREFETCH_MOST {
            complaints.push(format!("prefetch: must be from 1 to {PREFETCH_MOST}"));
        }
        complaints
    }
}

/// What is wrong is said without repeating what may be secret.
fn address(url: &str) -> Option<String> {
    let rest = url.strip_prefix("nats://").or_else(|| url.strip_prefix("tls://"));
    let why = match rest {
        None => "must begin with nats:// or tls://",
        Some(rest) if rest.contains('@') => "takes no user and password: they are the login",
        Some(rest) if rest.contains(['/', '?', '#']) => "has something behind its port",
        Some(_) => match url.parse::<async_nats::ServerAddr>() {
            Ok(address) if !address.host().is_empty() => return None,
            _ => "names no host and port",
        },
    };
    Some(format!("urls: {why}"))
}

/// The name of a stream or a consumer, which is part of subjects and of paths on the server's disk.
fn named(key: &str, name: &str) -> Option<String> {
    let taken = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    let fine = !name.is_empty() && name.len() <= SUBJECT_BYTES && name.bytes().all(taken);
    (!fine).then(|| {
        format!(
            "{key}: {name:?} is no name, which has 1 to {SUBJECT_BYTES} letters, digits, _ and -"
        )
    })
}

/// A subject to which something is sent.
pub(super) fn subject(key: &str, subject: &str) -> Option<String> {
    let wild = subject.split('.').any(|it| it == "*" || it == ">");
    if wild {
        return Some(format!("{key}: {subject:?} stands for many subjects"));
    }
    pattern(key, subject)
}

fn pattern(key: &str, subject: &str) -> Option<String> {
    let fine = subject.len() <= SUBJECT_BYTES
        && !subject.contains(|it: char| it.is_whitespace() || it.is_control())
        && !subject.split('.').any(str::is_empty);
    (!fine).then(|| {
        format!(
            "{key}: {subject:?} is no subject, which has words with dots between them, up to \
             {SUBJECT_BYTES} bytes"
        )
    })
}

/// Whether somebody who subscribed to a pattern hears what is sent to a subject.
pub(super) fn hears(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(word), Some(said)) if word == said => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let mut server = Server::new("nats://host:4222", "lambent test");
        let password = Secret("secret".to_owned());
        server.login = Login::Password { user: "u".to_owned(), password };
        Settings::new(server, "orders", "lambent")
    }

    #[test]
    fn the_defaults_can_work_and_show_no_password() {
        assert_eq!(settings().check(), Vec::<String>::new());
        assert_eq!(settings().dead_letters, "dead-letters.orders");
        assert!(!format!("{:?}", settings()).contains("secret"));
    }

    #[test]
    fn every_complaint_is_told_at_once() {
        let mut settings = settings();
        settings.server.urls =
            ["http://h", "nats://u:secret@h", "nats://h/x", "nats://", "tls://h"]
                .map(str::to_owned)
                .to_vec();
        settings.server.publish_wait = Duration::ZERO;
        settings.stream = "a.b".to_owned();
        settings.durable = String::new();
        settings.subjects = vec!["a..b".to_owned()];
        settings.filter = "a b".to_owned();
        settings.dead_letters = "a.*".to_owned();
        settings.ack_wait = Duration::ZERO;
        settings.prefetch = 0;
        let complaints = settings.check();
        let keys: Vec<_> = complaints.iter().map(|it| it.split_once(':').unwrap().0).collect();
        let expected = [
            "urls",
            "urls",
            "urls",
            "urls",
            "urls",
            "publish_wait",
            "stream",
            "durable",
            "subjects",
            "filter",
            "dead_letters",
            "ack_wait",
            "prefetch",
        ];
        assert_eq!(keys, expected, "{complaints:#?}");
        assert!(!complaints.concat().contains("secret"), "{complaints:#?}");
    }

    #[test]
    fn a_pattern_hears_what_its_words_say() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("*.b", "a.b", true),
            ("a.>", "a.b.c", true),
            (">", "a", true),
            ("a", "a.b", false),
            ("a.b", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a", false),
            ("b.>", "a.b", false),
        ] {
            assert_eq!(hears(pattern, subject), expected, "{pattern} {subject}");
        }
    }
}
