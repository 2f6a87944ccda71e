//! What `lambent source add` takes for sources that are no queue: schedules and webhooks.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use wire::http::schedules::{CatchUp, Overlap, Schedule};
use wire::http::sources::SourceBody;
use wire::http::webhooks::{Hidden, HookAuth, TypeFrom, Webhook};

use crate::commands::{Failure, values};

/// A secret is a line; what is longer is another file.
const SECRET_BYTES: usize = 4_096;
/// The service's own limit for the data of a tick.
const DATA_BYTES: usize = 64 * 1024;

/// Options of queues, which say nothing about other kinds.
const OF_QUEUES: [&str; 14] = [
    "queue",
    "format",
    "type_from_routing_key",
    "event_source",
    "bind",
    "exchange_type",
    "transient_exchange",
    "queue_argument",
    "no_declare",
    "prefetch",
    "dead_letters",
    "tls_ca",
    "any_project",
    "whole_cloud",
];

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Schedules and webhooks")]
pub struct Kinds {
    /// Make a schedule: 'rate(5 minutes)', 'cron(0 2 * * ? *)', '0 2 * * *', 'at(2026-12-24T18:00:00)'
    #[arg(long, value_name = "WHEN", conflicts_with_all = OF_QUEUES)]
    pub schedule: Option<String>,
    #[command(flatten)]
    pub ticks: Ticks,
    /// Make a webhook: a URL that others post to
    #[arg(long, conflicts_with = "schedule", conflicts_with_all = OF_QUEUES)]
    pub webhook: bool,
    /// How those who post show that they may
    #[arg(long, value_enum, default_value_t, requires = "webhook", value_name = "HOW")]
    pub auth: Auth,
    /// A file with the secret that requests are signed with; - is the standard input
    #[arg(long, requires = "webhook", value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The header that holds the event's type, such as X-GitHub-Event
    #[arg(long, requires = "webhook", conflicts_with = "type_from", value_name = "HEADER")]
    pub type_from_header: Option<String>,
}

/// What a schedule is, apart from when.
#[derive(Clone, Debug, Args)]
pub struct Ticks {
    /// The time zone of the schedule, such as Europe/Berlin (default: UTC)
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// The data of each event: JSON, @FILE, or - for the standard input
    #[arg(short = 'd', long, value_name = "JSON")]
    pub data: Option<String>,
    /// Fire no tick while an invocation of an earlier one is unfinished
    #[arg(long)]
    pub skip_overlap: bool,
    /// Which of the ticks to fire that were missed because the service was down
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    pub catch_up: Missed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Missed {
    None,
    #[default]
    Last,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Auth {
    /// The URL is the secret
    #[default]
    Token,
    /// The body is signed, in X-Hub-Signature-256
    Github,
    /// Id, time and body are signed, as Standard Webhooks has it
    Standard,
}

impl Kinds {
    /// What to put, if it is one of these kinds.
    pub fn body(
        self,
        kind: Option<String>,
        type_from: Option<String>,
    ) -> Result<Option<SourceBody>, Failure> {
        if let Some(schedule) = self.schedule {
            if type_from.is_some() {
                return Err(Failure::Usage("--type-from says nothing about a schedule".into()));
            }
            return self.ticks.body(schedule, kind).map(Some);
        }
        if self.ticks.are_told() {
            let why = "--zone, --data, --skip-overlap and --catch-up are for a --schedule";
            return Err(Failure::Usage(why.into()));
        }
        if !self.webhook {
            return Ok(None);
        }
        let mut settings = Webhook::new(match self.auth {
            Auth::Token => HookAuth::Token,
            Auth::Github => HookAuth::Github,
            Auth::Standard => HookAuth::Standard,
        });
        if let Some(path) = self.secret_file {
            let from = match path.to_string_lossy() {
                text if text == "-" => text.into_owned(),
                text => format!("@{text}"),
            };
            let secret = values::data(&from, SECRET_BYTES)?;
            let secret = String::from_utf8(secret)
                .map_err(|_bytes| Failure::Usage("the secret is not text".into()))?;
            settings.secret = Some(Hidden(secret.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if let Some(kind) = kind {
            settings.kind = kind;
        }
        settings.type_from =
            self.type_from_header.map(TypeFrom::Header).or_else(|| type_from.map(TypeFrom::Member));
        Ok(Some(SourceBody::webhook(&settings)))
    }
}

impl Ticks {
    fn are_told(&self) -> bool {
        self.zone.is_some()
            || self.data.is_some()
            || self.skip_overlap
            || self.catch_up != Missed::default()
    }

    /// A schedule.
    pub fn body(self, schedule: String, kind: Option<String>) -> Result<SourceBody, Failure> {
        let mut settings = Schedule::new(schedule);
        settings.time_zone = self.zone;
        if let Some(kind) = kind {
            settings.event.kind = kind;
        }
        settings.event.data = self.data.map(|data| values::json(&data, DATA_BYTES)).transpose()?;
        if self.skip_overlap {
            settings.overlap = Overlap::Skip;
        }
        settings.catch_up = match self.catch_up {
            Missed::None => CatchUp::None,
            Missed::Last => CatchUp::Last,
            Missed::All => CatchUp::All,
        };
        Ok(SourceBody::schedule(&settings))
    }
}
