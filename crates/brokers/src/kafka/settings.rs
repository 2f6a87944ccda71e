//! What an operator says about a Kafka and a topic of it. Plain data with defaults; `check` tells
//! everything that cannot work, each complaint as `key: why`. It asks no broker.

use std::time::Duration;

use rdkafka::ClientConfig;

/// Brokers of one cluster; each of them knows the others, so more of them help nobody.
const BROKERS: usize = 16;
/// More messages under way than this help nobody: one fsync is shared by all of them long before,
/// and each is held in memory in full.
const PREFETCH_MOST: u16 = 10_000;
/// Kafka's own, less what `.dead-letters` needs.
const NAME_BYTES: usize = 236;
/// What brokers allow, unless told otherwise. A reader that is silent for so long loses its
/// partitions.
const SILENCE: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(300));

/// A Kafka, and how we talk to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// "host:9092", of one cluster.
    pub brokers: Vec<String>,
    /// How long reaching a broker may take, and each question after that.
    pub answer_wait: Duration,
    /// How long a publication may wait for its confirmation.
    pub publish_wait: Duration,
    /// How we appear in the brokers' logs and metrics: "lambent 0.1.0 orders".
    pub client_id: String,
}

/// A topic, and what belongs to it. Topics are the operator's: none is made here, but brokers may
/// make one that is written to.
#[derive(Clone, Debug)]
pub struct Settings {
    pub server: Server,
    pub topic: String,
    /// Readers that name the same one share the partitions. One that is new begins with the oldest
    /// message.
    pub group: String,
    /// After how long without a sign of life our partitions are given to others.
    pub silence: Duration,
    /// How many messages may be received and not yet answered.
    pub prefetch: u16,
    /// Where refused messages go.
    pub dead_letters: String,
}

impl Server {
    /// With the defaults.
    #[must_use]
    pub fn new(broker: impl Into<String>, client_id: impl Into<String>) -> Server {
        Server {
            brokers: vec![broker.into()],
            answer_wait: Duration::from_secs(15),
            publish_wait: Duration::from_secs(10),
            client_id: client_id.into(),
        }
    }

    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.brokers.is_empty() || self.brokers.len() > BROKERS {
            complaints.push(format!("brokers: must be from 1 to {BROKERS}"));
        }
        for broker in &self.brokers {
            let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            let port = port.and_then(|(_, port)| port.parse::<u16>().ok());
            let odd = |it: char| it.is_whitespace() || it.is_control() || ",/@".contains(it);
            if port.is_none_or(|it| it == 0) || broker.contains(odd) {
                complaints.push("brokers: must be a host and a port, host:9092".to_owned());
            }
        }
        for (key, wait) in [("answer_wait", self.answer_wait), ("publish_wait", self.publish_wait)]
        {
            // The client library counts milliseconds, and takes 0 for "for ever".
            if wait.as_millis() == 0 {
                complaints.push(format!("{key}: nothing can be answered in no time"));
            }
        }
        complaints
    }

    /// For either direction.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", &self.client_id)
            .set("socket.connection.setup.timeout.ms", millis(self.answer_wait))
            .set("socket.keepalive.enable", "true")
            // So that a broker that comes back is not waited for much longer than it takes.
            .set("reconnect.backoff.max.ms", "1000");
        config
    }
}

impl Settings {
    /// With the defaults.
    #[must_use]
    pub fn new(server: Server, topic: impl Into<String>, group: impl Into<String>) -> Settings {
        let topic = topic.into();
        Settings {
            server,
            group: group.into(),
            silence: Duration::from_secs(45),
            prefetch: 256,
            dead_letters: format!("{topic}.dead-letters"),
            topic,
        }
    }

    /// Every complaint, none if it can work.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut complaints = self.server.check();
        complaints.extend(named("topic", &self.topic));
        complaints.extend(named("dead_letters", &self.dead_letters));
        if self.group.is_empty() {
            complaints.push("group: is empty".to_owned());
        }
        if self.dead_letters == self.topic {
            complaints.push(
                "dead_letters: must be another topic than the one that is read, or a refused \
                 message goes round for ever"
                    .to_owned(),
            );
        }
        if self.silence < SILENCE.0 || self.silence > SILENCE.1 {
            let (least, most) = (SILENCE.0.as_secs(), SILENCE.1.as_secs());
            complaints.push(format!("silence: must be from {least} s to {most} s"));
        }
        if self.prefetch == 0 || self.prefetch > PREFETCH_MOST {
            complaints.push(format!("prefetch: must be from 1 to {PREFETCH_MOST}"));
        }
        complaints
    }
}

/// Nothing, if it may be a topic.
pub(super) fn named(key: &str, name: &str) -> Option<String> {
    let taken = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    let fine = !name.is_empty() && name != "." && name != ".." && name.bytes().all(taken);
    (!fine || name.len() > NAME_BYTES).then(|| {
        format!(
            "{key}: {name:?} is no name for a topic, which has 1 to {NAME_BYTES} letters, digits, \
             _, - and ."
        )
    })
}

pub(super) fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(Server::new("host:9092", "lambent test"), "orders", "lambent")
    }

    #[test]
    fn the_defaults_can_work() {
        assert_eq!(settings().check(), Vec::<String>::new());
        assert_eq!(settings().dead_letters, "orders.dead-letters");
    }

    #[test]
    fn every_complaint_is_told_at_once() {
        let mut settings = settings();
        settings.server.brokers =
            ["host", "host:0", ":1", "u:secret@h:1"].map(str::to_owned).to_vec();
        settings.server.answer_wait = Duration::from_micros(1);
        settings.topic = "a b".to_owned();
        settings.dead_letters.clone_from(&settings.topic);
        settings.group = String::new();
        settings.silence = Duration::ZERO;
        settings.prefetch = 0;
        let complaints = settings.check();
        let keys: Vec<_> = complaints.iter().map(|it| it.split_once(':').unwrap().0).collect();
        let expected = [
            "brokers",
            "brokers",
            "brokers",
            "brokers",
            "answer_wait",
            "topic",
            "dead_letters",
            "group",
            "dead_letters",
            "silence",
            "prefetch",
        ];
        assert_eq!(keys, expected, "{complaints:#?}");
        assert!(!complaints.concat().contains("secret"), "{complaints:#?}");
    }
}
