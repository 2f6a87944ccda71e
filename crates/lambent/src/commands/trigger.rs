//! `lambent trigger ls`, `put` and `rm`.

use clap::{Args, Subcommand};
use wire::client::Answer;
use wire::http::list::PageQuery;
use wire::http::triggers::{Batch, Trigger as TriggerAnswer, TriggerBody};

use super::pages::collect;
use super::screen::Paint;
use super::session::note;
use super::table::Table;
use super::{Failure, Session, pattern, values};

/// Far more than a transform may have; what it may, the service says.
const TRANSFORM_BYTES: usize = 1024 * 1024;

#[derive(Clone, Debug, Subcommand)]
pub enum Trigger {
    /// List the triggers of a function
    Ls {
        /// The function
        function: String,
    },
    /// Make a trigger, or replace the one of this name
    Put(Put),
    /// Remove a trigger
    Rm {
        /// The function
        function: String,
        /// The trigger
        trigger: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Put {
    /// The function
    pub function: String,
    /// The trigger
    pub trigger: String,
    /// Such as 'type=file.created,source=S1|S2,data.kind=pho*', or a pattern in JSON
    pub pattern: String,
    /// What the handler gets instead of the event: JSON, @FILE, or - for the standard input
    #[arg(long, value_name = "JSON")]
    pub transform: Option<String>,
    /// Several events for one attempt, at most so many
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u32>,
    /// How long the first event of a batch may wait for company
    #[arg(long, value_name = "SECONDS")]
    pub batch_window: Option<f64>,
    /// The handler's answer tells which events of a batch failed
    #[arg(long)]
    pub partial_responses: bool,
    /// A batch that failed is tried again in halves
    #[arg(long)]
    pub bisect: bool,
    /// Where an event's key is, such as $.data.user: events with equal keys run one after the other
    #[arg(long, value_name = "PATH")]
    pub ordering_key: Option<String>,
}

impl Put {
    /// What is sent, checked as far as it can be without the service.
    fn body(&self) -> Result<TriggerBody, Failure> {
        let mut body = TriggerBody::plain(pattern::parse(&self.pattern)?);
        body.transform = match &self.transform {
            None => None,
            Some(text) => {
                let json = values::json(text, TRANSFORM_BYTES)?;
                Some(serde_json::from_str(json.get()).map_err(|error| {
                    Failure::Usage(format!("the transform cannot be read: {error}"))
                })?)
            }
        };
        body.batch = self.batch();
        body.ordering_key.clone_from(&self.ordering_key);
        body.delivery().map_err(|invalid| Failure::Usage(invalid.to_string()))?;
        Ok(body)
    }

    /// Any of its options makes a batch.
    fn batch(&self) -> Option<Batch> {
        let Self { batch_size, batch_window, partial_responses, bisect, .. } = *self;
        let given = batch_size.is_some() || batch_window.is_some() || partial_responses || bisect;
        given.then(|| Batch {
            size: batch_size.unwrap_or(Batch::SIZE),
            window_s: batch_window.unwrap_or(0.0),
            partial_responses,
            bisect,
        })
    }
}

impl Trigger {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Ls { function } => {
                let client = session.client.clone();
                let ask = async |page: PageQuery| client.triggers(&function, &page).await;
                let triggers = collect(None, ask).await?;
                session.items(&triggers, table)
            }
            Self::Put(put) => {
                let body = put.body()?;
                let answer = session.client.put_trigger(&put.function, &put.trigger, &body).await?;
                session.answer(&answer, |it| {
                    let lines = [format!("{}  {}", it.name, it.pattern.get()), delivery(it)];
                    lines
                        .iter()
                        .filter(|line| !line.is_empty())
                        .map(|line| format!("{line}\n"))
                        .collect()
                })
            }
            Self::Rm { function, trigger } => {
                let json = session.client.delete_trigger(&function, &trigger).await?;
                if session.is_json() {
                    return session.json(&json);
                }
                note(&format!("removed trigger {trigger} of {function}"));
                Ok(())
            }
        }
    }
}

/// How the function gets its events, in words; nothing if that is one by one and whole.
fn delivery(it: &TriggerAnswer) -> String {
    let mut parts = Vec::new();
    if let Some(batch) = &it.batch {
        let Batch { size, window_s, partial_responses, bisect } = batch;
        let within = if *window_s > 0.0 { format!(", within {window_s} s") } else { String::new() };
        let partial = if *partial_responses { ", with partial responses" } else { "" };
        let halved = if *bisect { ", halved after a failure" } else { "" };
        parts.push(format!("up to {size} at a time{within}{partial}{halved}"));
    }
    if let Some(key) = &it.ordering_key {
        parts.push(format!("in order by {key}"));
    }
    if it.transform.is_some() {
        parts.push("transformed".into());
    }
    parts.join("; ")
}

fn table(triggers: &[Answer<TriggerAnswer>], paint: Paint) -> Table {
    let mut table = Table::new(paint, &["NAME", "PATTERN", "DELIVERY"]);
    for Answer { value: it, .. } in triggers {
        table.row([it.name.clone(), it.pattern.get().into(), delivery(it)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        put: Put,
    }

    fn body(options: &[&str]) -> Result<serde_json::Value, String> {
        let line = ["put", "f", "t", "type=x"].iter().chain(options);
        let put = Line::try_parse_from(line).map_err(|error| error.to_string())?.put;
        let body = put.body().map_err(|failure| failure.to_string())?;
        Ok(serde_json::to_value(body).unwrap())
    }

    #[test]
    fn options_become_members_and_what_is_not_given_is_not_sent() {
        let pattern = json!({"type": ["x"]});
        assert_eq!(body(&[]), Ok(json!({"pattern": pattern})));
        let batch =
            json!({"size": 10, "window_s": 1.5, "partial_responses": false, "bisect": true});
        let options = ["--bisect", "--batch-window", "1.5", "--ordering-key", "$.data.user"];
        let expect = json!({"pattern": pattern, "batch": batch, "ordering_key": "$.data.user"});
        assert_eq!(body(&options), Ok(expect));
        let transform = json!({"path": "$.data"});
        let sent = body(&["--transform", r#"{"path":"$.data"}"#]);
        assert_eq!(sent, Ok(json!({"pattern": pattern, "transform": transform})));
    }

    #[test]
    fn what_cannot_be_is_said_before_anything_is_sent() {
        for (options, why) in [
            (["--batch-size", "0"], "it must be 1 to 1000 events"),
            (["--batch-window", "301"], "it must be 0 to 300 seconds"),
            (["--ordering-key", "user"], "ordering_key"),
            (["--transform", "{}"], "it must be an object with path"),
            (["--transform", "{"], "not one JSON document"),
        ] {
            let told = body(&options).unwrap_err();
            assert!(told.contains(why), "{options:?}: {told}");
        }
    }

    #[test]
    fn how_events_are_handed_over_is_said_in_words() {
        let trigger = |delivery: serde_json::Value| {
            let mut it = json!({"name": "t", "function": "f", "pattern": {}, "transform": null,
                "batch": null, "ordering_key": null, "created_at": "2026-01-31T12:00:00Z"});
            it.as_object_mut().unwrap().extend(delivery.as_object().unwrap().clone());
            super::delivery(&serde_json::from_str(&it.to_string()).unwrap())
        };
        assert_eq!(trigger(json!({})), "");
        let batch = json!({"size": 5, "window_s": 1.5, "partial_responses": true, "bisect": true});
        assert_eq!(
            trigger(json!({"batch": batch, "ordering_key": "$.data.user"})),
            "up to 5 at a time, within 1.5 s, with partial responses, halved after a failure; in \
             order by $.data.user"
        );
        assert_eq!(trigger(json!({"transform": {"constant": 1}})), "transformed");
    }
}
