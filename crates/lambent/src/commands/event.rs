//! `lambent event send` and `test`.

use std::fmt::Write as _;

use bytes::Bytes;
use clap::{Args, Subcommand};
use model::limits::EVENT_BYTES;
use serde::Serialize;
use serde_json::value::RawValue;
use wire::http::events::{EventAccepted, EventTested};

use super::screen::{Colour, Paint};
use super::table::Table;
use super::{Failure, Session, values};

#[derive(Clone, Debug, Subcommand)]
pub enum Event {
    /// Send one event; it is stored when this command ends with success
    Send(Send),
    /// Tell which triggers an event would match, and why the others would not; nothing is stored
    Test(Send),
}

#[derive(Clone, Debug, Args)]
pub struct Send {
    /// What happened, such as file.created
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: String,
    /// Where it happened, a URI or a path, such as S1 or /cameras/7
    #[arg(long, value_name = "SOURCE")]
    pub source: String,
    /// The event's id: the same source and id within 24 hours are the same event. Without it, a
    /// new one
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// What it happened to, such as a file's name
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// When it happened, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub time: Option<String>,
    /// The event's data: JSON, @FILE, or - for the standard input
    #[arg(short, long, value_name = "JSON", allow_hyphen_values = true)]
    pub data: Option<String>,
}

/// A CloudEvents record.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a, D> {
    pub(super) specversion: &'static str,
    pub(super) id: &'a str,
    pub(super) source: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datacontenttype: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<D>,
}

impl<D: Serialize> Record<'_, D> {
    pub(super) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("texts, numbers and JSON are JSON").into()
    }
}

impl Event {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Send(send) => {
                let accepted = session.client.send_event(send.record()?).await?;
                session.answer(&accepted, text)
            }
            Self::Test(send) => {
                let tested = session.client.test_event(send.record()?).await?;
                let paint = session.paint;
                session.answer(&tested, |it| verdicts(it, paint))
            }
        }
    }
}

impl Send {
    fn record(&self) -> Result<Bytes, Failure> {
        let data = self.data.as_ref().map(|text| values::json(text, EVENT_BYTES)).transpose()?;
        let id = self.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let record = Record::<Box<RawValue>> {
            specversion: "1.0",
            id: &id,
            source: &self.source,
            kind: &self.kind,
            subject: self.subject.as_deref(),
            time: self.time.as_deref(),
            datacontenttype: data.is_some().then_some("application/json"),
            data,
        };
        Ok(record.to_json())
    }
}

fn text(it: &EventAccepted) -> String {
    let mut text = if it.duplicate {
        format!("{}  accepted before; nothing new was started\n", it.id)
    } else {
        format!("{}  accepted\n", it.id)
    };
    for matched in &it.triggers {
        let trigger = matched.trigger.as_deref().unwrap_or("-");
        writeln!(text, "{}  {} ({trigger})", matched.invocation_id, matched.function)
            .expect("a String takes every write");
    }
    if it.triggers.is_empty() {
        text += "no trigger matched it; `lambent event test` says why\n";
    }
    text
}

fn verdicts(it: &EventTested, paint: Paint) -> String {
    if it.triggers.is_empty() {
        return "there is no trigger in this project\n".into();
    }
    let mut table = Table::new(paint, &["FUNCTION", "TRIGGER", "MATCHES", "WHY NOT"]);
    for trigger in &it.triggers {
        let matches = if trigger.matched { "yes" } else { "no" };
        let why = trigger.stopped_by.as_ref().map_or("-", |it| it.why.as_str());
        table.row([trigger.function.clone(), trigger.trigger.clone(), matches.into(), why.into()]);
        if trigger.matched {
            table.colour(2, Colour::Green);
        }
    }
    match it.left_out {
        0 => table.to_string(),
        more => format!("{table}and {more} more, which are not listed\n"),
    }
}

#[cfg(test)]
mod tests {
    use wire::http::events::{StoppedBy, TriggerTested};

    use super::*;

    #[test]
    fn an_event_is_a_record_with_what_was_given_and_its_data_as_typed() {
        let mut send = Send {
            kind: "file.created".into(),
            source: "S1".into(),
            id: Some("1".into()),
            subject: None,
            time: None,
            data: None,
        };
        assert_eq!(
            send.record().unwrap(),
            r#"{"specversion":"1.0","id":"1","source":"S1","type":"file.created"}"#
        );
        send.data = Some("{\"n\": 1.00}".into());
        send.subject = Some("a.txt".into());
        assert_eq!(
            send.record().unwrap(),
            r#"{"specversion":"1.0","id":"1","source":"S1","type":"file.created","subject":"a.txt","datacontenttype":"application/json","data":{"n": 1.00}}"#
        );
        send.id = None;
        assert_ne!(send.record().unwrap(), send.record().unwrap(), "each has an id of its own");
    }

    #[test]
    fn a_test_tells_of_each_trigger_whether_it_matches_and_why_not() {
        let stopped_by = StoppedBy {
            path: "type".into(),
            expected: r#"["u"]"#.into(),
            actual: Some("t".into()),
            why: r#"type: the pattern wants ["u"], the event has "t""#.into(),
        };
        let trigger = |name: &str, stopped_by: Option<StoppedBy>| TriggerTested {
            function: "f".into(),
            trigger: name.into(),
            matched: stopped_by.is_none(),
            stopped_by,
        };
        let triggers = vec![trigger("all", None), trigger("some", Some(stopped_by))];
        let mut tested = EventTested { event: RawValue::NULL.to_owned(), triggers, left_out: 0 };
        let table = "FUNCTION  TRIGGER  MATCHES  WHY NOT\n\
                     f         all      yes      -\n\
                     f         some     no       type: the pattern wants [\"u\"], the event has \"t\"\n";
        assert_eq!(verdicts(&tested, Paint::NEVER), table);
        tested.left_out = 7;
        let left_out = format!("{table}and 7 more, which are not listed\n");
        assert_eq!(verdicts(&tested, Paint::NEVER), left_out);
        tested.triggers.clear();
        assert_eq!(verdicts(&tested, Paint::NEVER), "there is no trigger in this project\n");
    }
}
