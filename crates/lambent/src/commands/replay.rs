//! `lambent replay`: stored events run again, and what becomes of that: `ls`, `show`, `cancel`.
//!
//! One event is run again before the command ends. Those of a time are an order that the service
//! carries out; `--wait` stays until it has ended.

use std::time::Duration;

use clap::{Args, Subcommand};
use wire::client::Answer;
use wire::http::list::PageQuery;
use wire::http::replays::{Replay as State, ReplayAnswer, ReplayRequest};

use super::pages::collect;
use super::screen::Paint;
use super::table::Table;
use super::{Failure, Session, pattern, time};

/// Between two looks at an order that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Replay {
    #[command(subcommand)]
    pub act: Option<Act>,
    #[command(flatten)]
    pub begin: Begin,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Act {
    /// List replays of the events of a time, the newest first
    Ls {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show a replay and how far it has come
    Show {
        /// The replay's id
        id: String,
    },
    /// End a replay: what it has started runs, and it starts nothing more
    Cancel {
        /// The replay's id
        id: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Begin {
    /// One event, by the id that the service gave it
    #[arg(long, value_name = "ID", required_unless_present = "from")]
    #[arg(conflicts_with_all = ["from", "to", "source", "kind", "rate", "wait"])]
    pub event: Option<String>,
    /// Events that were received at or after this time, or so long ago, such as 15m, 2h or 1d
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Events that were received before this time; without it, up to now
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Only events of this source
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only events that this pattern matches, as with `trigger put --on`
    #[arg(long, value_name = "PATTERN")]
    pub pattern: Option<String>,
    /// Send them to this function; without it, to every function whose triggers match now
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Only by this trigger of the function
    #[arg(long, value_name = "NAME", requires = "function")]
    #[arg(conflicts_with = "ignore_triggers")]
    pub trigger: Option<String>,
    /// Run this version of the function instead of the latest
    #[arg(long, value_name = "N", requires = "function")]
    pub version: Option<u32>,
    /// Also events that none of the function's triggers matches
    #[arg(long, requires = "function")]
    pub ignore_triggers: bool,
    /// Invocations to start in a second, 100 without it; 0 is as fast as the service can
    #[arg(long, value_name = "N")]
    pub rate: Option<u32>,
    /// Only tell what would run
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// Stay until all has been started
    #[arg(long)]
    pub wait: bool,
}

impl Replay {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self.act {
            None => self.begin.run(session).await,
            Some(Act::Ls { limit }) => {
                let client = session.client.clone();
                let ask = async |page: PageQuery| client.replays(&page).await;
                let replays = collect(Some(limit), ask).await?;
                session.items(&replays, table)
            }
            Some(Act::Show { id }) => {
                let state = session.client.replay_state(&id).await?;
                session.answer(&state, shown)
            }
            Some(Act::Cancel { id }) => {
                let state = session.client.cancel_replay(&id).await?;
                session.answer(&state, progress)
            }
        }
    }
}

impl Begin {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let now = time::now();
        let moment = |option: &str, text: Option<String>| {
            text.map(|text| time::moment(option, &text, now)).transpose()
        };
        let request = ReplayRequest {
            event_id: self.event,
            from: moment("--from", self.from)?,
            to: moment("--to", self.to)?,
            source: self.source,
            kind: self.kind,
            pattern: self.pattern.as_deref().map(pattern::parse).transpose()?,
            function: self.function,
            trigger: self.trigger,
            version: self.version,
            ignore_triggers: self.ignore_triggers,
            rate_per_s: self.rate,
            dry_run: self.dry_run,
        };
        let answer = session.client.replay(&request).await?;
        match (&answer.value.id, self.wait) {
            (Some(id), true) => ended(session, id).await,
            _ => session.answer(&answer, text),
        }
    }
}

/// Waits for the end of an order, and tells it.
async fn ended(session: &mut Session, id: &str) -> Result<(), Failure> {
    let state: Answer<State> = loop {
        let state = session.client.replay_state(id).await?;
        if state.value.state != "running" {
            break state;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    session.answer(&state, progress)?;
    session.flush()?;
    match (state.value.state.as_str(), &state.value.reason) {
        ("done", _) => Ok(()),
        ("failed", Some(reason)) => Err(Failure::Partly(format!("the replay failed: {reason}"))),
        (other, _) => Err(Failure::Partly(format!("the replay is {other}, and not done"))),
    }
}

fn text(it: &ReplayAnswer) -> String {
    let id = it.id.as_ref().map(|id| format!("replay {id}: ")).unwrap_or_default();
    if it.state.is_some() {
        return format!("{id}begun\n");
    }
    let verb = if it.dry_run { "would start" } else { "started" };
    let (events, invocations) = (count(it.events, "event"), count(it.invocations, "invocation"));
    let mut lines = vec![format!("{id}{events} looked at, {invocations} {verb}\n")];
    if let Some(to) = &it.counted_to {
        lines.push(format!("counted up to {to}: there are more events than a dry run looks at\n"));
    }
    for target in &it.targets {
        let trigger = target.trigger.as_deref().map(|name| format!("/{name}"));
        let (function, trigger) = (&target.function, trigger.unwrap_or_default());
        let invocations = count(target.invocations, "invocation");
        lines.push(format!("  {function}{trigger}  {invocations}\n"));
    }
    for event in &it.sample {
        let at = time::to_the_second(&event.received_at);
        lines.push(format!("  {at}  {}  {}  {}\n", event.id, event.source, event.kind));
    }
    lines.concat()
}

/// A line about how it stands.
fn progress(it: &State) -> String {
    let (events, invocations) = (count(it.events, "event"), count(it.invocations, "invocation"));
    let reason = it.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    let State { id, state, .. } = it;
    format!("replay {id}: {state}{reason}, {events} looked at, {invocations} started\n")
}

/// All of it.
fn shown(it: &State) -> String {
    let mut lines = vec![progress(it)];
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("  {name:<10} {value}\n"));
        }
    };
    line("from", Some(it.from.clone()));
    line("to", Some(it.to.clone()));
    line("reached", it.reached_at.clone());
    line("source", it.source.clone());
    line("type", it.kind.clone());
    line("pattern", it.pattern.as_ref().map(|pattern| pattern.get().to_owned()));
    line("function", it.function.clone());
    line("trigger", it.trigger.clone());
    line("version", it.version.map(|version| version.to_string()));
    let rate = match it.rate_per_s {
        0 => "as fast as the service can".into(),
        rate => format!("{rate} a second"),
    };
    line("rate", Some(rate));
    line("matched", Some(count(it.matched, "event")));
    line("created", Some(it.created_at.clone()));
    line("ended", it.ended_at.clone());
    lines.concat()
}

fn table(items: &[Answer<State>], paint: Paint) -> Table {
    let header = ["CREATED", "ID", "STATE", "REACHED", "EVENTS", "INVOCATIONS", "FUNCTION"];
    let mut table = Table::new(paint, &header);
    for Answer { value: it, .. } in items {
        let reached = it.reached_at.as_deref().map(time::to_the_second);
        table.row([
            time::to_the_second(&it.created_at),
            it.id.clone(),
            it.state.clone(),
            reached.unwrap_or_default(),
            it.events.to_string(),
            it.invocations.to_string(),
            it.function.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_replay_tells_what_it_started_and_a_dry_one_what_it_would() {
        let read = |text: &str| serde_json::from_str::<ReplayAnswer>(text).unwrap();
        let one = read(r#"{"id":"r","events":1,"invocations":2,"dry_run":false}"#);
        assert_eq!(text(&one), "replay r: 1 event looked at, 2 invocations started\n");
        let order =
            read(r#"{"id":"r","events":0,"invocations":0,"dry_run":false,"state":"running"}"#);
        assert_eq!(text(&order), "replay r: begun\n");
        let dry = read(
            r#"{"id":null,"events":5,"invocations":2,"dry_run":true,"matched":1,
                "targets":[{"function":"f","trigger":"t","invocations":1},
                           {"function":"g","trigger":null,"invocations":1}],
                "sample":[{"id":"e","received_at":"2026-01-01T00:00:00.5Z","source":"s",
                           "type":"t","invocations":2}]}"#,
        );
        assert_eq!(
            text(&dry),
            "5 events looked at, 2 invocations would start\n  f/t  1 invocation\n  \
             g  1 invocation\n  2026-01-01T00:00:00Z  e  s  t\n"
        );
    }

    #[test]
    fn a_command_line_is_an_order_one_event_or_a_look() {
        let is_fine = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        for line in [
            "lambent replay --event e",
            "lambent replay --from 1h",
            "lambent replay --from 1h --function f --trigger t --version 2 --rate 0 --wait",
            "lambent replay --from 1h --pattern type=a --dry-run",
            "lambent replay ls",
            "lambent replay show r",
            "lambent replay cancel r",
        ] {
            assert!(is_fine(line), "{line}");
        }
        for line in [
            "lambent replay",
            "lambent replay --event e --from 1h",
            "lambent replay --event e --rate 1",
            "lambent replay --from 1h --trigger t",
            "lambent replay --from 1h --dry-run --wait",
            "lambent replay --from 1h ls",
            "lambent replay show",
        ] {
            assert!(!is_fine(line), "{line}");
        }
    }
}
