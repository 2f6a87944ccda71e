//! `lambent replay`: stored events run again.

use clap::Args;
use wire::http::events::{ReplayAnswer, ReplayRequest};

use super::{Failure, Session, time};

#[derive(Clone, Debug, Args)]
pub struct Replay {
    /// One event, by the id that the service gave it
    #[arg(long, value_name = "ID", required_unless_present = "from")]
    #[arg(conflicts_with_all = ["from", "to", "source", "kind"])]
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
    /// Send them to this function; without it, to every function whose triggers match now
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Run this version of the function instead of the latest
    #[arg(long, value_name = "N", requires = "function")]
    pub version: Option<u32>,
    /// Also events that none of the function's triggers matches
    #[arg(long, requires = "function")]
    pub ignore_triggers: bool,
    /// Only tell what would run
    #[arg(long)]
    pub dry_run: bool,
}

impl Replay {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
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
            function: self.function,
            version: self.version,
            ignore_triggers: self.ignore_triggers,
            dry_run: self.dry_run,
        };
        let answer = session.client.replay(&request).await?;
        session.answer(&answer, text)
    }
}

fn text(it: &ReplayAnswer) -> String {
    let id = it.id.as_ref().map(|id| format!("replay {id}: ")).unwrap_or_default();
    let verb = if it.dry_run { "would start" } else { "started" };
    let (events, invocations) = (count(it.events, "event"), count(it.invocations, "invocation"));
    format!("{id}{events} looked at, {invocations} {verb}\n")
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_tells_what_it_started_and_a_dry_one_what_it_would() {
        let mut answer =
            ReplayAnswer { id: Some("r".into()), events: 1, invocations: 2, dry_run: false };
        assert_eq!(text(&answer), "replay r: 1 event looked at, 2 invocations started\n");
        (answer.id, answer.dry_run) = (None, true);
        assert_eq!(text(&answer), "1 event looked at, 2 invocations would start\n");
    }
}
