//! `lambent schedule add`, `ls` and `rm`: a function that runs by the clock.
//!
//! A schedule is a source, and what it runs is a trigger's business. `add` makes both: the trigger
//! first, so that a function that is not there is told before anything ticks. Everything else about a
//! schedule is `lambent source`'s.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::value::RawValue;
use wire::client::{Answer, Items};
use wire::http::schedules::SCHEDULE;
use wire::http::sources::Source as Answered;
use wire::http::triggers::TriggerBody;

use super::screen::Paint;
use super::session::note;
use super::source::added;
use super::source::kinds::Ticks;
use super::table::Table;
use super::{Failure, Session};

#[derive(Clone, Debug, Subcommand)]
pub enum Schedule {
    /// Run a function by the clock, or change when
    Add(Add),
    /// List the project's schedules and when they tick next
    Ls {},
    /// Remove a schedule
    Rm {
        /// The schedule
        name: String,
        /// The function whose trigger for it is removed, too
        #[arg(long, value_name = "NAME")]
        function: Option<String>,
    },
}

#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("when").required(true))]
pub struct Add {
    /// What to call the schedule
    pub name: String,
    /// The function to run
    #[arg(long, value_name = "NAME")]
    pub function: String,
    /// A period, such as 30s, 5m, 2h or 1d
    #[arg(long, value_name = "PERIOD", group = "when")]
    pub every: Option<String>,
    /// Five fields of Unix cron, or cron(…) with six fields of AWS
    #[arg(long, value_name = "CRON", group = "when")]
    pub cron: Option<String>,
    /// Once, at a local time such as 2026-12-24T18:00:00
    #[arg(long, value_name = "TIME", group = "when")]
    pub at: Option<String>,
    /// The type of the events
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    #[command(flatten)]
    pub ticks: Ticks,
}

impl Schedule {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(session).await,
            Self::Ls {} => {
                let all = session.client.sources().await?;
                let items = all.items.into_iter().filter(|it| it.value.kind == SCHEDULE).collect();
                session.items(&Items { items, next: all.next }, table)
            }
            Self::Rm { name, function } => {
                let json = session.client.delete_source(&name).await?;
                if let Some(function) = function {
                    session.client.delete_trigger(&function, &trigger(&name)).await?;
                }
                if session.is_json() {
                    return session.json(&json);
                }
                note(&format!("removed schedule {name}"));
                Ok(())
            }
        }
    }
}

impl Add {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let schedule = expression(self.every.as_deref(), self.cron, self.at)?;
        let body = self.ticks.body(schedule, self.kind)?;
        let pattern = serde_json::json!({"source": [format!("schedule:{}", self.name)]});
        let pattern = RawValue::from_string(pattern.to_string()).expect("it is JSON");
        let trigger = trigger(&self.name);
        session.client.put_trigger(&self.function, &trigger, &TriggerBody::plain(pattern)).await?;
        let answer = session.client.put_source(&self.name, &body).await?;
        let base = session.client.url().to_owned();
        session.answer(&answer, |it| added(it, &base))
    }
}

/// Out of the way of triggers that have names of their own.
fn trigger(schedule: &str) -> String {
    format!("schedule-{schedule}")
}

/// One of the three is there.
fn expression(
    every: Option<&str>,
    cron: Option<String>,
    at: Option<String>,
) -> Result<String, Failure> {
    match (every, cron, at) {
        (Some(every), _, _) => rate(every),
        (None, Some(cron), _) => Ok(cron),
        (None, None, at) => Ok(format!("at({})", at.unwrap_or_default())),
    }
}

/// `5m` as `rate(5 minutes)`.
fn rate(every: &str) -> Result<String, Failure> {
    let wrong = || {
        let why = "it must be a number and s, m, h or d, such as 30s, 5m, 2h or 1d";
        Failure::Usage(format!("--every {every:?}: {why}"))
    };
    let (number, unit) =
        every.split_at(every.len() - every.chars().next_back().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_not_a_number| wrong())?;
    let plural = if number == 1 { "" } else { "s" };
    Ok(format!("rate({number} {unit}{plural})"))
}

fn table(schedules: &[Answer<Answered>], paint: Paint) -> Table {
    let mut table =
        Table::new(paint, &["NAME", "SCHEDULE", "STATUS", "LAST TICK", "NEXT TICK", "LEFT OUT"]);
    for Answer { value: it, .. } in schedules {
        let settings: Option<wire::http::schedules::Schedule> =
            serde_json::from_str(it.settings.get()).ok();
        let state = it.state.schedule.clone().unwrap_or_default();
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        table.row([
            it.name.clone(),
            or_dash(settings.map(|it| it.schedule)),
            it.state.status.clone(),
            or_dash(state.last_tick),
            or_dash(state.next_tick),
            state.skipped.to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_rate_in_words() {
        for (every, expect) in [
            ("30s", "rate(30 seconds)"),
            ("1m", "rate(1 minute)"),
            ("2h", "rate(2 hours)"),
            ("1d", "rate(1 day)"),
        ] {
            assert_eq!(rate(every).unwrap(), expect);
            assert!(model::Schedule::parse(expect, None).is_ok());
        }
        for wrong in ["", "5", "m", "5 m", "5w", "-1m", "5µ"] {
            assert!(matches!(rate(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
