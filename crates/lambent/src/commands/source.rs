//! `lambent source add`, `ls`, `show` and `rm`.
//!
//! `add` is a put: a source of this name is changed, and a password that is not given again
//! (`***`, as `show` prints it) is kept. Queues are here, and what is no queue is in [`kinds`].

pub(super) mod kinds;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use wire::client::Answer;
use wire::http::sources::{Argument, Binding, ExchangeType, Format, Projects, RabbitMq};
use wire::http::sources::{Source as Answered, SourceBody};

use super::screen::{Colour, Paint, clean};
use super::session::note;
use super::table::Table;
use super::{Failure, Session};

/// How long `--wait` waits: a broker that is up answers within it many times over.
const WAIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, Subcommand)]
pub enum Source {
    /// Read a queue of a RabbitMQ, tick by the clock or take what is posted; or change how
    Add(Box<Add>),
    /// List the project's sources and how they stand
    Ls {},
    /// Show a source with its settings and its state
    Show {
        /// The source
        name: String,
        /// The URL of a webhook with its token, too
        #[arg(long)]
        reveal: bool,
    },
    /// Remove a source; its queue stays, with what waits there
    Rm {
        /// The source
        name: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Add {
    /// What to call the source
    pub name: String,
    /// amqp[s]://USER:PASSWORD@HOST:PORT/VHOST; in the environment, other users do not see it
    #[arg(long, env = "LAMBENT_BROKER", hide_env_values = true, value_name = "URL")]
    #[arg(required_unless_present_any = ["schedule", "webhook"])]
    pub broker: Option<String>,
    /// The queue to read
    #[arg(long, value_name = "NAME", default_value = "lambda Queue")]
    pub queue: String,
    /// What the messages look like
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub format: Form,
    /// With the format plain, and of a webhook: the member that holds the event's type
    #[arg(long, value_name = "MEMBER", group = "type_of")]
    pub type_from: Option<String>,
    /// With the format plain, and of schedules and webhooks: the type of every event
    #[arg(long = "type", value_name = "TYPE", group = "type_of")]
    pub kind: Option<String>,
    /// With the format plain: the routing key is the event's type
    #[arg(long, group = "type_of")]
    pub type_from_routing_key: bool,
    /// With the format plain: the source of every event
    #[arg(long, value_name = "URI")]
    pub event_source: Option<String>,
    /// Let the queue hear from an exchange; may be given more than once
    #[arg(long, value_name = "EXCHANGE=KEY")]
    pub bind: Vec<String>,
    /// The type of the exchanges of --bind, where they have to be made
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    pub exchange_type: Exchange,
    /// Make exchanges of --bind, where they have to be made, without durability, as OpenStack does
    #[arg(long)]
    pub transient_exchange: bool,
    /// An argument of the queue if it is made here, such as x-queue-type=quorum
    #[arg(long, value_name = "NAME=VALUE")]
    pub queue_argument: Vec<String>,
    /// Make no queue and no binding: all must be there
    #[arg(long)]
    pub no_declare: bool,
    /// Messages that may be under way at once
    #[arg(long, value_name = "N")]
    pub prefetch: Option<u16>,
    /// The queue for messages that nobody can read (default: the queue's name and .dead-letters)
    #[arg(long, value_name = "NAME")]
    pub dead_letters: Option<String>,
    /// For amqps: a file on the service's machine with the certificates that sign the broker's
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Deliver to whichever project a message names, not to this one only (an operator's)
    #[arg(long)]
    pub any_project: bool,
    /// With the format oslo: all notifications are this project's, whosesoever they are
    #[arg(long)]
    pub whole_cloud: bool,
    /// Keep it, and read nothing
    #[arg(long)]
    pub disabled: bool,
    /// Return when it is connected, or say why it is not after 30 seconds
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub kinds: kinds::Kinds,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Form {
    /// Told apart message by message
    #[default]
    Auto,
    /// {"event_data": {"type", …}, "user_name", "event_source"}
    LambdaQueue,
    /// Any JSON object
    Plain,
    /// CloudEvents 1.0
    #[value(name = "cloudevents")]
    CloudEvents,
    /// Notifications of OpenStack's services
    Oslo,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Exchange {
    Direct,
    Fanout,
    Headers,
    #[default]
    Topic,
}

impl Source {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(session).await,
            Self::Ls {} => {
                let sources = session.client.sources().await?;
                session.items(&sources, table)
            }
            Self::Show { name, reveal } => {
                let source = match reveal {
                    true => session.client.source_revealed(&name).await?,
                    false => session.client.source(&name).await?,
                };
                let (paint, base) = (session.paint, session.client.url().to_owned());
                session.answer(&source, |it| shown(it, &base, paint))
            }
            Self::Rm { name } => {
                let json = session.client.delete_source(&name).await?;
                if session.is_json() {
                    return session.json(&json);
                }
                note(&format!("removed source {name}"));
                Ok(())
            }
        }
    }
}

impl Add {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let (name, enabled) = (self.name.clone(), !self.disabled);
        let wait = self.wait && enabled;
        let other = self.kinds.clone().body(self.kind.clone(), self.type_from.clone())?;
        let mut body = match other {
            Some(body) => body,
            None => SourceBody::rabbitmq(&self.settings()?),
        };
        body.enabled = enabled;
        let mut answer = session.client.put_source(&name, &body).await?;
        let until = Instant::now() + WAIT;
        while wait && answer.value.state.status != "connected" {
            if Instant::now() > until {
                let why = answer.value.state.error.unwrap_or(answer.value.state.status);
                return Err(Failure::Partly(format!(
                    "source {name} is kept and tried again, and is not connected after {} s: {why}",
                    WAIT.as_secs()
                )));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            answer = session.client.source(&name).await?;
        }
        let base = session.client.url().to_owned();
        session.answer(&answer, |it| added(it, &base))
    }

    fn settings(self) -> Result<RabbitMq, Failure> {
        let mut settings = RabbitMq::new(self.broker.unwrap_or_default());
        settings.queue = self.queue;
        settings.format = match self.format {
            Form::Auto => Format::Auto,
            Form::LambdaQueue => Format::LambdaQueue,
            Form::Plain => Format::Plain,
            Form::CloudEvents => Format::CloudEvents,
            Form::Oslo => Format::Oslo,
        };
        settings.type_from = self.type_from;
        settings.kind = self.kind;
        settings.type_from_routing_key = self.type_from_routing_key;
        settings.event_source = self.event_source;
        if self.any_project {
            settings.projects = Projects::Any;
        }
        settings.whole_cloud = self.whole_cloud;
        settings.declare = !self.no_declare;
        let kind = match self.exchange_type {
            Exchange::Direct => ExchangeType::Direct,
            Exchange::Fanout => ExchangeType::Fanout,
            Exchange::Headers => ExchangeType::Headers,
            Exchange::Topic => ExchangeType::Topic,
        };
        for binding in &self.bind {
            let (exchange, key) = pair("--bind", binding, "EXCHANGE=KEY")?;
            match settings.bindings.iter_mut().find(|it| it.exchange == exchange) {
                Some(binding) => binding.routing_keys.push(key),
                None => settings.bindings.push(Binding {
                    exchange,
                    kind,
                    durable: !self.transient_exchange,
                    routing_keys: vec![key],
                }),
            }
        }
        for argument in &self.queue_argument {
            let (name, value) = pair("--queue-argument", argument, "NAME=VALUE")?;
            settings.arguments.insert(name, typed(&value));
        }
        if let Some(prefetch) = self.prefetch {
            settings.prefetch = prefetch;
        }
        settings.dead_letters = self.dead_letters;
        settings.ca_file = self.tls_ca;
        Ok(settings)
    }
}

/// One line: what was made, and what there is to know at once.
pub(super) fn added(it: &Answered, base: &str) -> String {
    let more = match (&it.hook_path, &it.state.schedule) {
        (Some(path), _) => format!("{base}{path}"),
        (None, Some(it)) => format!("next {}", it.next_tick.as_deref().unwrap_or("never")),
        (None, None) => it.state.status.clone(),
    };
    format!("{}  {}  {}\n", it.name, it.kind, clean(&more))
}

fn pair(option: &str, text: &str, form: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure::Usage(format!("{option} {text:?} is not of the form {form}"))),
    }
}

/// As it looks: RabbitMQ tells numbers from texts.
fn typed(value: &str) -> Argument {
    match value {
        "true" => Argument::Flag(true),
        "false" => Argument::Flag(false),
        _ => match value.parse() {
            Ok(number) => Argument::Number(number),
            Err(_) => Argument::Text(value.to_owned()),
        },
    }
}

fn table(sources: &[Answer<Answered>], paint: Paint) -> Table {
    let mut table =
        Table::new(paint, &["NAME", "KIND", "STATUS", "EVENTS", "REFUSED", "LAG", "ERROR"]);
    for Answer { value: it, .. } in sources {
        let state = &it.state;
        let lag = state.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
        // What went wrong before it was connected again is `show`'s to tell.
        let error = state.error.clone().filter(|_| state.status != "connected");
        table.row([
            it.name.clone(),
            it.kind.clone(),
            state.status.clone(),
            state.events.to_string(),
            state.refused.to_string(),
            lag,
            error.unwrap_or_else(|| "-".into()),
        ]);
        table.colour(2, colour(&state.status));
    }
    table
}

fn colour(status: &str) -> Colour {
    match status {
        "connected" => Colour::Green,
        "failing" => Colour::Red,
        "off" => Colour::Dim,
        _ => Colour::Yellow,
    }
}

fn shown(source: &Answered, base: &str, paint: Paint) -> String {
    let state = &source.state;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let name = paint.paint(Colour::Dim, format!("{name:<11}"));
        writeln!(text, "{name}  {}", clean(value)).expect("a String takes every write");
    };
    line("name", &source.name);
    line("kind", &source.kind);
    line("status", &state.status);
    line("since", state.since.as_deref().unwrap_or("-"));
    if let (Some(error), Some(at)) = (&state.error, &state.error_at) {
        line("last error", &format!("{error} ({at})"));
    }
    if let Some(path) = &source.hook_path {
        line("url", &format!("{base}{path}"));
    }
    if let Some(it) = &state.schedule {
        line("last tick", it.last_tick.as_deref().unwrap_or("-"));
        line("next tick", it.next_tick.as_deref().unwrap_or("-"));
        line("left out", &it.skipped.to_string());
    }
    line("messages", &format!("{} ({} redelivered)", state.messages, state.redelivered));
    line("events", &format!("{} ({} duplicates)", state.events, state.duplicates));
    line("refused", &state.refused.to_string());
    line("dropped", &state.dropped.to_string());
    line("lag", &state.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()));
    line("oldest", &format!("{:.1} s", state.oldest_unprocessed_s));
    line("reconnects", &state.reconnects.to_string());
    line("settings", source.settings.get());
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings(words: &[&str]) -> Result<RabbitMq, Failure> {
        let line = ["lambent", "source", "add", "s", "--broker", "amqp://h"];
        match Cli::try_parse_from(line.iter().chain(words)).unwrap().command {
            Command::Source(Source::Add(add)) => add.settings(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_said_is_the_services_default() {
        assert_eq!(settings(&[]).unwrap(), RabbitMq::new("amqp://h"));
    }

    #[test]
    fn bindings_of_one_exchange_are_one() {
        let words = ["--bind", "nova=a", "--bind", "nova=b", "--bind", "glance=", "--no-declare"];
        let settings = settings(&words).unwrap();
        let keys: Vec<_> =
            settings.bindings.iter().map(|it| (&*it.exchange, it.routing_keys.len())).collect();
        assert_eq!(keys, [("nova", 2), ("glance", 1)]);
        assert!(!settings.declare);
    }

    #[test]
    fn arguments_have_the_type_that_they_look_like() {
        let words = ["--queue-argument", "x-queue-type=quorum", "--queue-argument", "x-n=7"];
        let arguments = settings(&words).unwrap().arguments;
        assert_eq!(arguments["x-queue-type"], Argument::Text("quorum".into()));
        assert_eq!(arguments["x-n"], Argument::Number(7));
        assert!(matches!(settings(&["--bind", "nova"]), Err(Failure::Usage(_))));
    }
}
