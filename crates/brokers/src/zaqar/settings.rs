//! What an operator says about a Zaqar and a queue of it. Plain data with defaults; `check` tells
//! everything that cannot work, each complaint as `key: why`. It asks nobody.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::http::Base;
use super::token::{Interface, Tokens};

/// As Zaqar has it.
const NAME_BYTES: usize = 64;
/// Zaqar's own limits for the time of a claim, and for the life of a message (its maximum is the
/// operator's, and usually this).
const CLAIM: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(43_200));
const LIFE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1_209_600));
/// Zaqar refuses to give more in one claim, unless its operator allows it.
const CLAIM_MOST: u16 = 20;

/// A Zaqar, and how we talk to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// `https://zaqar:8888`; None if the catalogue that comes with a token says where it is.
    pub url: Option<String>,
    /// Which entry of the catalogue.
    pub interface: Interface,
    /// None if any will do.
    pub region: Option<String>,
    /// Certificates that sign Zaqar's, in a PEM file, in place of the system's. Read on every
    /// connect, so a renewed file needs no restart.
    pub ca_file: Option<PathBuf>,
    pub tokens: Arc<dyn Tokens>,
    /// How long one question may take, connecting included.
    pub answer_wait: Duration,
}

/// A queue, and what belongs to it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub server: Server,
    pub queue: String,
    /// Whether the queues are made if they are missing. If not, the first message makes them, so a
    /// queue that does not exist is empty and no error.
    pub declare: bool,
    /// For how long messages are ours. After a crash, they come again when it is over.
    pub claim: Duration,
    /// How often that is said anew, while some of them have no answer.
    pub renew_every: Duration,
    /// How many messages are claimed at a time.
    pub claim_most: u16,
    /// How long to wait before asking an empty queue again: first, and in the end.
    pub poll: (Duration, Duration),
    /// Where refused messages go.
    pub dead_letters: String,
    /// How long they stay there. Zaqar keeps nothing for ever.
    pub dead_letter_life: Duration,
}

impl Server {
    /// With the defaults; the catalogue says where it is.
    #[must_use]
    pub fn new(tokens: Arc<dyn Tokens>) -> Server {
        Server {
            url: None,
            interface: Interface::Public,
            region: None,
            ca_file: None,
            tokens,
            answer_wait: Duration::from_secs(15),
        }
    }

    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if let Some(url) = &self.url {
            match Base::parse(url, "/v2") {
                Err(why) => complaints.push(format!("url: {why}")),
                Ok(base) if self.ca_file.is_some() && !base.tls => {
                    complaints.push("ca_file: is for https:// only".to_owned());
                }
                Ok(_) => {}
            }
        }
        if self.answer_wait.is_zero() {
            complaints.push("answer_wait: nothing can be answered in no time".to_owned());
        }
        complaints
    }
}

impl Settings {
    /// With the defaults.
    #[must_use]
    pub fn new(server: Server, queue: impl Into<String>) -> Settings {
        let queue = queue.into();
        Settings {
            server,
            declare: true,
            claim: CLAIM.0,
            renew_every: CLAIM.0 / 3,
            claim_most: CLAIM_MOST,
            poll: (Duration::from_millis(100), Duration::from_secs(2)),
            dead_letters: format!("{queue}.dead-letters"),
            dead_letter_life: LIFE.1,
            queue,
        }
    }

    /// Every complaint, none if it can work.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut complaints = self.server.check();
        complaints.extend(named("queue", &self.queue));
        complaints.extend(named("dead_letters", &self.dead_letters));
        if self.dead_letters == self.queue {
            complaints.push(
                "dead_letters: must be another queue than the one that is read, or a refused \
                 message goes round for ever"
                    .to_owned(),
            );
        }
        complaints.extend(within("claim", self.claim, CLAIM));
        if self.renew_every.is_zero() || self.renew_every > self.claim / 2 {
            complaints.push(
                "renew_every: must be at most half of claim, so that one failure is no loss"
                    .to_owned(),
            );
        }
        if self.claim_most == 0 || self.claim_most > CLAIM_MOST {
            complaints.push(format!("claim_most: must be from 1 to {CLAIM_MOST}"));
        }
        if self.poll.0.is_zero() || self.poll.0 > self.poll.1 {
            complaints.push("poll: must be two times above 0, the shorter one first".to_owned());
        }
        complaints.extend(life("dead_letter_life", self.dead_letter_life));
        complaints
    }
}

/// How long messages may live.
pub(super) fn life(key: &str, time: Duration) -> Option<String> {
    within(key, time, LIFE)
}

/// Nothing, if Zaqar takes it for the name of a queue. What passes can be put into a URL.
pub(super) fn named(key: &str, name: &str) -> Option<String> {
    let taken = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    // A browser's idea of a path, which some proxies share.
    let fine = !name.is_empty() && name != "." && name != ".." && name.bytes().all(taken);
    (!fine || name.len() > NAME_BYTES).then(|| {
        format!(
            "{key}: {name:?} is no name for a queue, which has 1 to {NAME_BYTES} letters, digits, \
             _, - and ."
        )
    })
}

fn within(key: &str, time: Duration, (least, most): (Duration, Duration)) -> Option<String> {
    (time < least || time > most)
        .then(|| format!("{key}: must be from {} s to {} s", least.as_secs(), most.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::super::token::FixedToken;
    use super::*;
    use crate::Secret;

    fn settings() -> Settings {
        let tokens = Arc::new(FixedToken::new(Secret("gAAAA".to_owned())));
        Settings::new(Server::new(tokens), "orders")
    }

    #[test]
    fn the_defaults_can_work_and_show_no_token() {
        assert_eq!(settings().check(), Vec::<String>::new());
        assert_eq!(settings().dead_letters, "orders.dead-letters");
        assert!(!format!("{:?}", settings()).contains("gAAAA"));
    }

    #[test]
    fn every_complaint_is_told_at_once() {
        let mut settings = settings();
        settings.server.url = Some("http://u:secret@h".to_owned());
        settings.server.answer_wait = Duration::ZERO;
        settings.queue = "a/b".to_owned();
        settings.dead_letters.clone_from(&settings.queue);
        settings.claim = Duration::from_secs(59);
        settings.renew_every = settings.claim;
        settings.claim_most = 21;
        settings.poll.0 = Duration::from_secs(3);
        settings.dead_letter_life = Duration::from_secs(1_209_601);
        let complaints = settings.check();
        let keys: Vec<_> = complaints.iter().map(|it| it.split_once(':').unwrap().0).collect();
        let expected = [
            "url",
            "answer_wait",
            "queue",
            "dead_letters",
            "dead_letters",
            "claim",
            "renew_every",
            "claim_most",
            "poll",
            "dead_letter_life",
        ];
        assert_eq!(keys, expected, "{complaints:#?}");
        assert!(!complaints.concat().contains("secret"), "{complaints:#?}");
    }
}
